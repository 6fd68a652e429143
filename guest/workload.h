/* SPDX-License-Identifier: Apache-2.0 */
/* workload.h - the image's command: who it runs as, with what, and whether it started. */
#pragma once

#include "lib/enclave/guest-config.h"

#include "guest/failure.h"

#include <sys/types.h>

/* Completes the environment with what container engines add where the image doesn't: PATH, HOME (by the
 * image's /etc/passwd, else "/") and HOSTNAME. */
int workload_complete_env(struct guest_config *config, struct failure *f);

/* The home folder of `uid` in `passwd` (the text of an /etc/passwd) as a heap string for the caller to free;
 * "/" where it has none; NULL when out of memory. */
char *workload_home(const char *passwd, uint32_t uid);

/* Starts the command in the current root: own session, nothing on standard input, output_fd as output and
 * error, default signals, umask 0022, its user and groups, in its working folder, which is made if missing.
 * Returns 0 only once the command was executed; *ret_pid is to be reaped by the caller in any case where it
 * isn't 0. */
int workload_start(const struct guest_config *config, int output_fd, pid_t *ret_pid, struct failure *f);
