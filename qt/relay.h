/* SPDX-License-Identifier: Apache-2.0 */
/*
 * relay.h - carries bytes between pairs of stream sockets, thousands at a time, in one event loop.
 *
 * Each direction ends on its own (half-close is passed on); a reset of TCP or vsock ends both, as a reset
 * where TCP is.  A side that does not read stops the other side from being read, so a pair holds at most one
 * buffer per direction, and none while both keep up.
 */
#pragma once

#include "lib/base/loop.h"

#include <stddef.h>

struct relay;

/* All relays of a program. */
struct relays {
        struct loop *loop;
        struct relay *first;
        size_t n;
        void (*ended)(void *user); /* a relay has gone and its descriptors with it; may be NULL */
        void *user;
};

/* Relays between two stream sockets, which become the relay's, on failure as well, and are made
 * non-blocking. */
int relay_add(struct relays *relays, int fd_a, int fd_b, struct error *err);

/* Ends all of them. `ended` is not called. */
void relays_done(struct relays *relays);
