/* SPDX-License-Identifier: Apache-2.0 */
/* pid1.h - what init does while the workload runs: reap, pass signals on, tell how it ended. */
#pragma once

#include "lib/base/log.h"
#include "lib/base/loop.h"

#include "guest/control.h"

#include <sys/types.h>

struct pid1;

/* Gets ready to learn of ended children: from here on SIGCHLD is blocked, and none is missed. `control` and
 * `log` must outlive it; free with pid1_free(). */
int pid1_new(struct loop *loop, struct control *control, const struct log *log, struct pid1 **ret_pid1,
             struct error *err);

/* Runs until the workload ended, the parent was told, and has closed the control channel or let a while pass.
 * `stop_signal` is what SHUTDOWN sends. Reaps whatever ends. Returns 0 or -errno. */
int pid1_run(struct pid1 *pid1, pid_t workload, unsigned int stop_signal, struct error *err);

/* Is told of each child of init that has ended, with its status as waitpid(2) gives it. */
typedef void (*pid1_reaped_fn)(pid_t pid, int status, void *user);

/* For the process service, before pid1_run() with no workload (0): the end of no child ends the run, and each
 * is told of; pid1_end() ends it. */
void pid1_serve(struct pid1 *pid1, pid1_reaped_fn reaped, void *user);

/* While serving: who gets the parent's signals; 0: nobody. */
void pid1_set_workload(struct pid1 *pid1, pid_t pid);

/* While serving: tells the parent that the workload ended with `status`, and lets pid1_run() return as it
 * does behind a command's end. */
int pid1_end(struct pid1 *pid1, int status);

/* NULL-safe. */
void pid1_free(struct pid1 *pid1);
DEFINE_CLEANUP(cleanup_pid1_p, struct pid1 *, pid1_free)
#define cleanup_pid1 CLEANUP(cleanup_pid1_p)
