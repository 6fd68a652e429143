/* SPDX-License-Identifier: Apache-2.0 */
/*
 * seccomp.h - linux.seccomp to a BPF program, by libseccomp, once.
 *
 * Compiling Docker's profile costs more than all the rest of a start.  So the program is kept in a cache
 * folder that belongs to root (or to the user), under a digest of the input; the entry holds the whole
 * input, which is compared, so that no collision can hand out another's filter.  A missing, damaged or
 * foreign entry means compiling anew.
 */
#pragma once

#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/container/arena.h"
#include "lib/container/plan.h"

/* Compiles `seccomp`, or takes the program from `cache` (a path, made if missing; NULL: no cache), into
 * `arena`.  Calls that this libseccomp doesn't know are skipped, as the specification's users expect.
 * -EINVAL with the rule at fault; -ENOTSUP for a flag or action that the kernel lacks. */
int seccomp_compile(const struct spec_seccomp *seccomp, const char *cache, struct arena *arena,
                    const struct log *log, struct plan_seccomp *ret_program, struct error *err);

/* Connects to linux.seccomp.listenerPath and hands over the listener with the container process state
 * (runtime-spec, "Seccomp", containerProcessState). `state` is the container's state as JSON text. */
int seccomp_send_listener(const struct spec_seccomp *seccomp, int listener, pid_t pid, const char *state,
                          struct error *err);
