/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process.h - processes of the skeleton.  There is no operating system in the enclave: a process is a wait,
 * if its arguments ask for one (`wait_timeout SECONDS`, or `NAME wait_timeout SECONDS`), one call of the
 * enclave, and its line on stderr.  It runs in the thread that executes it, and can be killed from others.
 */
#pragma once

#include "include/coffer/pal.h"

enum { PROCESSES_MAX = 64 };

/* Makes one that waits to be executed; its number goes to *ret_pid.  Keeps copies of the descriptors.  0
 * or -errno. */
int process_create(char *const *argv, const struct pal_stdio_fds *stdio, int *ret_pid);

/* Runs it to its end and forgets it. *ret_exit_value is 0, or 128 + n where signal n ended it. 0 or
 * -errno. */
int process_exec(int pid, int *ret_exit_value);

/* Signals one, all (PAL_KILL_ALL) or the oldest (PAL_KILL_CURRENT).  Signals whose default is to end a
 * process do that; the others do nothing; 0 asks whether it is there. -ESRCH where it isn't. */
int process_kill(int pid, int sig);

/* Ends and forgets those that were never executed. */
void process_forget_all(void);
