/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bridge.h - carries streams that arrive at listening sockets (vsock ports) to TCP ports on the loopback.
 */
#pragma once

#include "lib/base/log.h"
#include "lib/base/loop.h"

struct bridge;

struct bridge_options {
        size_t max_connections; /* more wait in the sockets' backlogs */
        uint64_t patience_ms;   /* how long a refusing TCP port is tried again: its server may be starting */
};

/* A bridge that lives in `loop`, which must outlive it. `log` may be NULL. Free with bridge_free(). */
int bridge_new(struct loop *loop, const struct log *log, const struct bridge_options *options,
               struct bridge **ret_bridge, struct error *err);

/* Connects each stream that listen_fd accepts to 127.0.0.1:port, or [::1]:port where that refuses.  listen_fd
 * is non-blocking, and the bridge's from now on, even where this fails. */
int bridge_add(struct bridge *bridge, int listen_fd, uint16_t port, struct error *err);

/* Ends all connections and closes the listening sockets. NULL-safe. */
void bridge_free(struct bridge *bridge);
DEFINE_CLEANUP(cleanup_bridge_p, struct bridge *, bridge_free)
#define cleanup_bridge CLEANUP(cleanup_bridge_p)
