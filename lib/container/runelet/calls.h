/* SPDX-License-Identifier: Apache-2.0 */
/*
 * calls.h - what is under way in the PAL beside pal_exec of the container's process: signals, reports,
 * further processes.  pal_destroy comes behind the last of them, and none comes behind it (pal.h, "Order").
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>

/* One that is under way. Its maker's memory, untouched until calls_end(). */
struct call {
        int socket;
        struct call *next;
};

struct calls {
        pthread_mutex_t lock;
        pthread_cond_t changed;
        struct call *first;
        bool over;
};

/* No call is under way. */
void calls_init(struct calls *calls);

/* To be called before the PAL is. False: pal_destroy has come, or will; the PAL must be left alone.  `socket`
 * is whom the call is for, -1 for nobody: its reading end is closed where the call is to come to its end. */
bool calls_begin(struct calls *calls, struct call *ret_call, int socket);

/* To be called once the PAL was left; not where calls_begin() was false. */
void calls_end(struct calls *calls, struct call *call);

/* Lets no more begin, asks all to end, and waits for that.  False: after `timeout_ms` some are there. */
bool calls_finish(struct calls *calls, unsigned timeout_ms);
