/* SPDX-License-Identifier: Apache-2.0 */
/*
 * init.h - container-init: carries out a plan (plan.h says in which order, and what it tells rune).
 *
 * The code below lib/container/init runs with the rights of the host's root in namespaces that a
 * container's files and processes may already influence.  It is linked into a small static executable with
 * lib/base alone; it parses nothing of a stranger's, and resolves every path of the container through a
 * descriptor of its root.
 */
#pragma once

#include "lib/base/error.h"
#include "lib/container/init/payload.h"
#include "lib/container/plan.h"

/* What the process is in the end: for container-init the payload, which it executes (init_payload); for
 * runelet an enclave's process, which it stands for. */
struct init_program {
        /* Before anything of the container is there, in the host's namespaces. NULL: nothing to do. */
        int (*prepare)(void *user, const struct plan *plan, struct error *err);
        /* Inside, as the payload's user, before CREATED: all that can fail before the start. */
        int (*make_ready)(void *user, const struct plan *plan, struct payload *payload, struct error *err);
        /* Closes the descriptors that were handed over, but the `n` of `keep`. */
        int (*drop)(void *user, const struct plan *plan, const int *keep, size_t n, struct error *err);
        /* The start.  Returns only on failure.  What it reports goes to `report_fd`: the fifo where
         * the plan has one, else the socket; the end of it says that the start is over. */
        int (*execute)(void *user, const struct plan *plan, const struct payload *payload, int report_fd,
                       struct error *err);
        void *user;
};

/* Finds and executes process.args. */
extern const struct init_program init_payload;

/* Maps the arena that descriptor `number` (decimal) is, and closes that: its plan, or NULL where it is
 * none, or another build's. */
const struct plan *init_open_plan(const char *number);

/* Carries out a plan up to the end that `program` is; returns only on failure, with the error already told
 * to rune. */
int init_run(const struct plan *plan, const struct init_program *program);

/* The two jobs: each returns only on failure. */
int init_create(const struct plan *plan, const struct init_program *program, struct error *err);
int init_exec(const struct plan *plan, const struct init_program *program, struct error *err);
