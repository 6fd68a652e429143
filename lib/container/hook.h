/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hook.h - programs that config.json wants run as a container comes and goes (config.md, "POSIX-platform
 * Hooks").  Depends on lib/base alone: container-init runs the two kinds that belong into the container.
 */
#pragma once

#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/container/spec.h"

/* Runs the hooks in order, each with `state` (JSON) on its standard input, until one fails: can't be
 * executed, has an exit status above 0, or is over its timeout and then killed.  The error names the hook by
 * `kind` ("createRuntime") and number, and has what it wrote to its standard error.  A hook without env gets
 * `env` (NULL: ours). */
int hooks_run(const struct spec_hook_list *hooks, const char *kind, const char *state, char *const *env,
              struct error *err);

/* Runs all of them; what fails is a warning in `log`. */
void hooks_run_all(const struct spec_hook_list *hooks, const char *kind, const char *state, char *const *env,
                   const struct log *log);
