/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process-child.h - the child's side of a process of the service: from a fork of init to the program.
 */
#pragma once

#include "lib/enclave/service-spec.h"

#include "guest/failure.h"

#include <sys/types.h>

/* Default signals, none blocked, a session of its own. For any child of init. */
void process_child_reset(void);

/* How readily the kernel kills process `pid` (0: the caller); /proc must be init's.  Passes on to children.
 * 0 or -errno, with *f set. */
int process_child_oom_score(const struct service_process *process, pid_t pid, struct failure *f);

/*
 * Becomes the program: takes `stdio` as its standard streams (three times the terminal's slave where there is
 * one, which becomes the controlling terminal), sets limits, user, groups, capabilities, no_new_privs and
 * seccomp filter, enters its working folder, which is made where missing, and executes.  To be called after
 * process_child_reset().  Returns only on failure, with *f set.
 */
void process_child_run(const struct service_process *process, const int stdio[3], struct failure *f);
