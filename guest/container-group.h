/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container-group.h - the control group (cgroup v2) that a container's processes are in, and what limits them
 * there.
 *
 * Theory of operation.  Init mounts the hierarchy for itself and keeps a descriptor of the container's group,
 * whose limits are written before anything is in it.  "nsdelegate" makes the group the border of the
 * container's control group namespace: whoever is in it can limit groups below, and not the group itself.
 * Controllers that no limit needs stay off, and the container's own hierarchy doesn't offer them.  Processes
 * are born in the group: to move one, the kernel waits until no other forks or ends, for milliseconds, and
 * twenty of them where the machine is emulated.
 * Sources: kernel Documentation/admin-guide/cgroup-v2.rst, "Namespace"; bpf(2), BPF_PROG_TYPE_CGROUP_DEVICE.
 */
#pragma once

#include "lib/enclave/service-spec.h"

#include "guest/failure.h"

#include <stdbool.h>
#include <sys/types.h>

/* Makes the group with the limits and the device filter of `spec`.  *ret_fd is the caller's: the group's
 * folder, or -1 where this kernel has no control groups and `spec` asks for no limit. */
int container_group_make(const struct service_container *spec, int *ret_fd, struct failure *f);

/* Forks, with these flags of clone(2), a process that is in the group from its beginning, as far as the
 * kernel can do that (5.7).  Returns as fork(2); *ret_is_inside tells the child whether it still has to
 * enter. */
pid_t container_group_fork(int group_fd, unsigned long flags, bool *ret_is_inside);

/* Puts the calling process into the group; -1 is none. */
int container_group_enter(int group_fd, struct failure *f);
