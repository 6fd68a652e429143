/* SPDX-License-Identifier: Apache-2.0 */
/*
 * device.h - a virtio-vsock device (virtio 1.2, section 5.10) as a vhost-user back end, and the bridge from
 * it to Unix sockets on the parent.
 *
 * One device serves one enclave.  QEMU is the vhost-user front end: give it one end of a socketpair
 * (`-chardev socket,id=c0,fd=N -device vhost-user-vsock-device,chardev=c0`, guest memory in a shared memfd)
 * and the device the other.  The guest reaches the parent under CID 2 and CID 3 alike.
 *
 * Parent to guest, from any program:  connect to the Unix socket `name`, write "CONNECT <port>\n", read
 * "OK <local port>\n"; then the stream is connected.  Where nothing listens in the guest, the socket is
 * closed. Guest to parent: the stream goes to the function given to vsock_device_listen() for that port, else
 * to whoever listens on the Unix socket `<name>_<port>`, else the guest's connect is refused.
 *
 * The device belongs to the thread that runs its loop: every call here is made from that thread (or before
 * the loop runs), and every callback comes there.  It keeps no state outside of itself, so device and loop
 * may have a thread of their own; device.c tells why the supervisor does not need that.
 *
 * A callback may call any function here except vsock_device_free().
 */
#pragma once

#include "lib/base/cleanup.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/loop.h"

#include <stdint.h>

struct vsock_device;

/* CIDs that a guest may have; 0..3 are spoken for, 0xFFFFFFFF is "any". */
#define VSOCK_GUEST_CID_MIN 4u
#define VSOCK_GUEST_CID_MAX 0xFFFFFFFEu

/* The device cannot go on, once and for good: QEMU hung up (why->code is -EPIPE; so it is when QEMU ends),
 * broke the vhost-user protocol, or the guest broke its rings.  All streams are closed already.  The device
 * still has to be freed, later, outside of this callback. */
typedef void (*vsock_device_ended_fn)(struct vsock_device *device, const struct error *why, void *user);

/* The guest connected to `port`.  `fd` (a stream socket, non-blocking, close-on-exec) is now the callee's. */
typedef void (*vsock_device_accept_fn)(struct vsock_device *device, uint32_t port, int fd, void *user);

/* The outcome of vsock_device_connect().  On success `result` is 0 and `fd` (as above) is the callee's; else
 * `result` is -ECONNREFUSED (nothing listens there), -ETIMEDOUT or -ECANCELED (the device ended or is being
 * freed) and `fd` is -1. */
typedef void (*vsock_device_connected_fn)(struct vsock_device *device, int result, int fd, void *user);

struct vsock_device_options {
        uint32_t guest_cid; /* VSOCK_GUEST_CID_MIN..MAX */

        /* The bridge's socket: `name` (no slash) in the folder `dirfd` (only used, not taken; it must stay
         * open as long as the device lives).  NULL: no bridge, only vsock_device_listen() and _connect().  A
         * stale socket of that name is replaced; the mode is 0600; it is removed by vsock_device_free(). */
        int dirfd;
        const char *name;

        size_t max_connections;         /* more are refused; 0: 4096 */
        vsock_device_ended_fn on_ended; /* may be NULL */
        void *user;                     /* for on_ended */
        const struct log *log;          /* may be NULL; must outlive the device */
};

/*
 * Starts a device on `loop`, which must outlive it.  `vhost_user_fd` is a connected Unix stream socket; it
 * belongs to the device once this has succeeded.  QEMU may connect or be started before or after. *ret_device
 * is freed with vsock_device_free().
 */
int vsock_device_new(struct loop *loop, const struct vsock_device_options *options, int vhost_user_fd,
                     struct vsock_device **ret_device, struct error *err);

/* Closes all streams, removes the bridge's socket, frees.  NULL-safe. */
void vsock_device_free(struct vsock_device *device);
DEFINE_CLEANUP(cleanup_vsock_device_p, struct vsock_device *, vsock_device_free)
#define cleanup_vsock_device CLEANUP(cleanup_vsock_device_p)

/* Hands every guest connection to `port` to `accept` from now on; no file on disk is involved, and
 * `<name>_<port>` is not looked at for that port.  -EADDRINUSE where the port is taken already. */
int vsock_device_listen(struct vsock_device *device, uint32_t port, vsock_device_accept_fn accept, void *user,
                        struct error *err);

/* Ends vsock_device_listen(); streams that were handed out live on.  Fine where nobody listens on the
 * port. */
void vsock_device_unlisten(struct vsock_device *device, uint32_t port);

/* Connects to `port` in the guest, waiting at most `timeout_ms`.  `connected` is called exactly once, always
 * later, never from within this call, unless this call fails (-EMFILE: too many connections; -EPIPE: the
 * device ended). */
int vsock_device_connect(struct vsock_device *device, uint32_t port, uint64_t timeout_ms,
                         vsock_device_connected_fn connected, void *user, struct error *err);

/* Makes the stream of a connection that the guest has just agreed to, where the caller wants other sockets
 * than the device would make: *ret_fd is the device's end, non-blocking.  0 or a negative errno, which resets
 * the connection. */
typedef int (*vsock_device_stream_fn)(int *ret_fd, void *user, struct error *err);

/* As vsock_device_connect(), with a stream that `stream` makes once the guest has agreed: `connected` then
 * gets -1 for fd. */
int vsock_device_connect_stream(struct vsock_device *device, uint32_t port, uint64_t timeout_ms,
                                vsock_device_stream_fn stream, vsock_device_connected_fn connected,
                                void *user, struct error *err);

/* Inside a vsock_device_accept_fn: the guest's own port of the connection that is being handed over. */
uint32_t vsock_device_peer_port(const struct vsock_device *device);

/* How many streams there are now, those being connected included. */
size_t vsock_device_connections(const struct vsock_device *device);
