/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runelet.h - the process that an enclave's container has in place of its payload.
 *
 * Theory of operation.  runelet takes the steps of container-init (init.h), with a PAL
 * (include/coffer/pal.h) loaded while the host is still in sight, and in the end calls that instead of
 * executing a program:
 *
 *      prepare     load the PAL, pal_prepare                         errors are those of `create`
 *      make_ready  pal_init                                          likewise
 *      execute     pal_create_process; says RUNNING                  errors are those of `start`
 *                  pal_exec, to its end; pal_destroy; ends with the process's exit status
 *
 * Before each call it tells rune which (PLAN_CALL), so that a PAL that crashes, ends the process, or hangs
 * is named as the cause; only rune, which is another process, can say so.
 *
 * While pal_exec runs there are two more threads: one takes all signals, which are blocked in every other,
 * and hands them to pal_kill; one accepts clients of the agent (agent.h), and has a thread for each.  Once
 * pal_exec has returned they leave the PAL alone, and what is under way is ended, before pal_destroy is
 * called (calls.h).  A PAL of version 1 has no pal_kill: signals that end a program end runelet then.
 *
 * What becomes a further process (`rune exec`) is a runelet as well, without a PAL: it joins the container
 * as any exec does, and then stands for the enclave's process: it passes on its streams and signals and
 * ends with its status (proxy.h).
 */
#pragma once

#include "lib/container/init/descriptors.h"
#include "lib/container/runelet/calls.h"
#include "lib/container/runelet/pal-load.h"

#include <stdbool.h>

struct runelet {
        const struct plan *plan;
        struct pal pal;
        struct calls calls;                 /* of the PAL, from other threads */
        int listed[DESCRIPTORS_LISTED_MAX]; /* of the plan, and still open */
        size_t n_listed;
        int report_fd; /* where calls are told; -1: nobody listens any more */
        bool report_is_fifo;
};

/* What a container's first process, and a further one, become; `user` is a struct runelet. */
extern const struct init_program runelet_enclave;
extern const struct init_program runelet_proxy;

/* Tells rune what is called now. */
int runelet_tell_call(const struct runelet *runelet, const char *call, struct error *err);

/* Tells rune `message` (`text` may be NULL). */
int runelet_tell(const struct runelet *runelet, enum plan_message message, const char *text,
                 struct error *err);
