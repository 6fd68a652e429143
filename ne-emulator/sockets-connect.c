/* SPDX-License-Identifier: Apache-2.0 */
#include "ne-emulator/sockets-internal.h"

#include "lib/base/fd.h"

#include <string.h>
#include <sys/socket.h>

/* ---- joining ---- */

/* Connects the command's socket `fd` to ours; *ret_fd is the other end, non-blocking. 0 or -errno. */
static int join(struct socket_set *set, const struct vsocket *socket, int fd, int *ret_fd)
{
        struct sockaddr_un name;

        /* Nobody else takes from this queue, and it is emptied here: it is never full, so this doesn't
         * block, whatever the socket's own mode. */
        if (connect(fd, (const struct sockaddr *)&set->name.address, set->name.n) < 0)
                return -errno;
        for (;;) {
                socklen_t n = sizeof(name);
                cleanup_fd int other =
                        accept4(set->listen_fd, (struct sockaddr *)&name, &n, SOCK_CLOEXEC | SOCK_NONBLOCK);
                if (other < 0)
                        return -errno;
                if (n == socket->name.n && memcmp(&name, &socket->name.address, n) == 0) {
                        *ret_fd = take_fd(&other);
                        return 0;
                }
        }
}

static void set_connected(struct socket_set *set, struct vsocket *socket, const struct vm_address *peer)
{
        if (!socket->is_bound)
                socket->local.port = sockets_choose_port(set);
        if (socket->local.cid == VMADDR_CID_ANY)
                socket->local.cid = PARENT_CID;
        socket->is_bound = true;
        socket->peer = *peer;
        socket->state = SOCKET_CONNECTED;
}

/* ---- to an enclave ---- */

static int make_stream(int *ret_fd, void *user, struct error *err)
{
        struct waiter *waiter = user;
        struct vsocket *socket = sockets_find(waiter->set, waiter->inode);
        int r = -ECANCELED;

        if (socket && call_is_wanted(&waiter->call))
                r = join(waiter->set, socket, waiter->fd, ret_fd);
        return r < 0 ? error_errno(err, -r, "the command's socket") : 0;
}

static void on_connected(struct vsock_device *device, int result, int fd, void *user)
{
        struct waiter *waiter = user;
        struct vsocket *socket = sockets_find(waiter->set, waiter->inode);

        (void)device;
        (void)fd;
        if (result == 0 && socket) {
                set_connected(waiter->set, socket, &waiter->peer);
                socket->unreported = call_return(&waiter->call, 0) < 0;
        } else {
                (void)call_fail(&waiter->call, result == -ETIMEDOUT ? ETIMEDOUT : ECONNRESET);
        }
        sockets_stop_waiting(waiter);
}

static int connect_to_enclave(struct socket_set *set, const struct call *call, struct vsocket *socket,
                              int taken_fd, const struct vm_address *peer)
{
        cleanup_fd int fd = taken_fd;
        struct ne_machine *machine = enclave_set_find(set->enclaves, peer->cid);

        if (!machine)
                return -ECONNRESET;
        struct waiter *waiter = sockets_wait(set, call, socket->inode, take_fd(&fd), true);
        if (!waiter)
                return -ENOMEM;
        waiter->peer = *peer;
        int r = vsock_device_connect_stream(ne_machine_vsock(machine), peer->port, socket->timeout_ms,
                                            make_stream, on_connected, waiter, NULL);
        if (r < 0)
                sockets_stop_waiting(waiter);
        return r == -EPIPE ? -ECONNRESET : r;
}

/* ---- to the hypervisor, and to the parent itself ---- */

static int connect_to_console(struct socket_set *set, struct vsocket *socket, int fd, uint32_t port)
{
        struct ne_machine *machine =
                port >= CONSOLE_PORT_BASE ? enclave_set_find(set->enclaves, port - CONSOLE_PORT_BASE) : NULL;
        int other;

        if (!machine || !ne_machine_has_console(machine))
                return -ECONNRESET;
        int r = join(set, socket, fd, &other);
        return r < 0 ? r : ne_machine_show_console(machine, other, NULL);
}

static int connect_to_parent(struct socket_set *set, struct vsocket *socket, int fd,
                             const struct vm_address *peer)
{
        struct vsocket *listener = sockets_find_listener(set, peer->port);
        int other;

        if (!listener)
                return -ECONNRESET;
        int r = join(set, socket, fd, &other);
        if (r < 0)
                return r;
        if (!socket->is_bound)
                socket->local = (struct vm_address){peer->cid, sockets_choose_port(set)};
        socket->is_bound = true;
        return sockets_deliver(set, listener, other, &socket->local) < 0 ? -ECONNRESET : 0;
}

/* ---- the call ---- */

/* A connect() that was interrupted and comes again: the attempt goes on. */
static bool resume(struct socket_set *set, const struct call *call, const struct vsocket *socket,
                   const struct vm_address *peer)
{
        struct waiter *waiter;

        LIST_FOREACH (waiter, &set->connects, entry) {
                if (waiter->inode != socket->inode || waiter->peer.cid != peer->cid ||
                    waiter->peer.port != peer->port)
                        continue;
                if (call_is_wanted(&waiter->call))
                        (void)call_fail(call, EALREADY);
                else
                        waiter->call = *call;
                return true;
        }
        return false;
}

/* 0: answered or waiting; 1: connected; -errno. */
static int begin(struct socket_set *set, const struct call *call, struct target *target,
                 struct vsocket *socket, struct vm_address *ret_peer)
{
        cleanup_fd int fd = -1;
        int r = sockets_read_address(target, call->args[1], call->args[2], ret_peer);

        if (r < 0)
                return r;
        if (socket->state == SOCKET_LISTENING)
                return -EINVAL;
        if (socket->state == SOCKET_CONNECTED && !socket->unreported)
                return -EISCONN;
        if (socket->state == SOCKET_CONNECTED)
                return 1;
        if (resume(set, call, socket, ret_peer))
                return 0;
        if ((r = target_copy_fd(target, (int)call->args[0], &fd)) < 0)
                return r;
        if (ret_peer->cid == VMADDR_CID_HYPERVISOR)
                r = connect_to_console(set, socket, fd, ret_peer->port);
        else if (ret_peer->cid <= PARENT_CID)
                r = connect_to_parent(set, socket, fd, ret_peer);
        else
                return connect_to_enclave(set, call, socket, take_fd(&fd), ret_peer);
        return r < 0 ? r : 1;
}

void sockets_connect(struct socket_set *set, const struct call *call, struct target *target,
                     struct vsocket *socket)
{
        struct vm_address peer;
        int r = begin(set, call, target, socket, &peer);

        if (r < 0)
                (void)call_fail(call, -r);
        if (r != 1)
                return;
        if (socket->state == SOCKET_FRESH)
                set_connected(set, socket, &peer);
        socket->unreported = call_return(call, 0) < 0;
}
