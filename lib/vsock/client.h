/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client.h - connect to a port in an enclave, or listen for an enclave, whichever way its vsock is provided:
 * by our own device (a Unix socket, see device.h) or by the kernel (AF_VSOCK, vsock(7)).
 *
 * These calls block, up to the given time.  All descriptors are stream sockets, blocking, close-on-exec.
 */
#pragma once

#include "lib/base/error.h"

#include <stdint.h>

/* The peer under which one end finds the other. */
struct vsock_endpoint {
        const char *bridge; /* path of the device's Unix socket, of any length; NULL: AF_VSOCK */
        uint32_t cid;       /* with AF_VSOCK: the peer's CID (2 is the parent, for a guest) */
        const char *name;   /* what messages call the peer: "enclave 0"; NULL: made from the above */
};

/*
 * Connects to `port` of the peer.  Error texts end up like "enclave 0 has nothing listening on port 6379".
 *  -ECONNREFUSED  nothing listens there (AF_VSOCK says ECONNRESET for it; it is translated)
 *  -ENOENT, -ENODEV  no such peer: the enclave has gone
 *  -ETIMEDOUT     no answer within `timeout_ms` (negative: wait for ever)
 */
int vsock_connect(const struct vsock_endpoint *endpoint, uint32_t port, int timeout_ms, int *ret_fd,
                  struct error *err);

/*
 * Listens for connections that the enclave behind `endpoint` makes to the parent's `port`: on the Unix socket
 * `<bridge>_<port>` (mode 0600, a stale one is replaced; the caller unlinks it with vsock_unlisten()) or on
 * AF_VSOCK port `port`, where any peer may connect (`cid` is not used: see vsock_accept()).
 */
int vsock_listen(const struct vsock_endpoint *endpoint, uint32_t port, int *ret_fd, struct error *err);

/* As vsock_listen() on AF_VSOCK, with a socket of that family that the caller made before and that is not
 * bound yet; where this fails with -EADDRINUSE, it can be tried again. */
int vsock_listen_on(int fd, uint32_t port, struct error *err);

/* Removes the Unix socket that vsock_listen() made, if there is one.  Closes nothing. */
void vsock_unlisten(const struct vsock_endpoint *endpoint, uint32_t port);

/* Accepts from a socket of vsock_listen(), waiting at most `timeout_ms` (negative: for ever; -ETIMEDOUT).
 * *ret_peer_cid is the peer's CID, 0 where the socket is a Unix socket (its path says who it is). */
int vsock_accept(int listen_fd, int timeout_ms, int *ret_fd, uint32_t *ret_peer_cid, struct error *err);
