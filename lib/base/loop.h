/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loop.h - a single-threaded event loop over epoll.
 *
 * Sources: descriptors, timers, signals.  A callback may add and remove any source, its own included; a
 * removed source is never called again, even where its event was already fetched.  Callbacks return 0, or a
 * negative errno that ends loop_run() with that value.
 */
#pragma once

#include "lib/base/cleanup.h"
#include "lib/base/error.h"

#include <stdint.h>
#include <sys/epoll.h>

struct loop;
struct loop_source;

typedef int (*loop_fd_fn)(struct loop_source *source, int fd, uint32_t events, void *user);
typedef int (*loop_timer_fn)(struct loop_source *source, void *user);
typedef int (*loop_signal_fn)(struct loop_source *source, int signal, void *user);

/* A new loop; free with loop_free(). */
int loop_new(struct loop **ret_loop, struct error *err);

/* Frees the loop and all its sources (not the callers' descriptors). NULL-safe. */
void loop_free(struct loop *loop);
DEFINE_CLEANUP(cleanup_loop_p, struct loop *, loop_free)
#define cleanup_loop CLEANUP(cleanup_loop_p)

/* Watches fd, which stays the caller's, for `events` (EPOLLIN...; level-triggered unless EPOLLET is in it).
 * Here and below `ret_source` may be NULL: the source then stays until the loop ends. */
int loop_add_fd(struct loop *loop, int fd, uint32_t events, loop_fd_fn fn, void *user,
                struct loop_source **ret_source, struct error *err);

/* Changes what is watched; 0 pauses it (hang-up and error still come). 0 or -errno. */
int loop_set_events(struct loop_source *source, uint32_t events);

/* Calls fn once, `milliseconds` from now (CLOCK_MONOTONIC, so a wall-clock jump changes nothing). The source
 * stays until removed or re-armed. */
int loop_add_timer(struct loop *loop, uint64_t milliseconds, loop_timer_fn fn, void *user,
                   struct loop_source **ret_source, struct error *err);

/* Arms a timer source anew. 0 or -errno. */
int loop_set_timer(struct loop_source *source, uint64_t milliseconds);

/* Blocks `signal` in this thread and calls fn for each delivery. */
int loop_add_signal(struct loop *loop, int signal, loop_signal_fn fn, void *user,
                    struct loop_source **ret_source, struct error *err);

/* Ends a source and sets *source to NULL. Safe on a NULL *source. */
void loop_remove(struct loop_source **source);

/* Runs until loop_quit() or a callback's error. Returns the quit code or that error. */
int loop_run(struct loop *loop);

/* Handles what is ready, without waiting for anything.  0, or a callback's error. */
int loop_turn(struct loop *loop);

/* Makes loop_run() return `code` after the current callback. */
void loop_quit(struct loop *loop, int code);
