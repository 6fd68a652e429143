/* SPDX-License-Identifier: Apache-2.0 */
/*
 * delete.h - the end of a container, shared by delete, run, and a create that failed.
 */
#pragma once

#include "lib/container/container.h"
#include "lib/container/state.h"

/* Removes all that is left of a container whose process has ended: other processes, cgroup (NULL: none was
 * made), folder; then runs the poststop hooks of `hooks` (NULL: none are due).  Where the cgroup can't be
 * removed the rest stays as well, so that it can be done again.  Failures are told as warnings; that of the
 * cgroup or the folder is returned. */
int delete_remains(const struct engine *engine, const struct container_state *state,
                   const struct spec_hooks *hooks, struct cgroup *cgroup);

/* Ends the container's process, whatever state it is in, and waits until it is gone. */
int delete_kill(const struct container_state *state, struct cgroup *cgroup, struct error *err);
