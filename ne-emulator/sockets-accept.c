/* SPDX-License-Identifier: Apache-2.0 */
#include "ne-emulator/sockets-internal.h"

#include "lib/base/fd.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- streams that come ---- */

static void arrival_free(struct arrival *arrival)
{
        fd_close_p(&arrival->fd);
        fd_close_p(&arrival->messenger_fd);
        free(arrival);
}

int sockets_deliver(struct socket_set *set, struct vsocket *socket, int taken_fd,
                    const struct vm_address *peer)
{
        cleanup_fd int fd = taken_fd;
        struct arrival *arrival = calloc(1, sizeof(*arrival));

        if (!arrival)
                return -ENOMEM;
        *arrival = (struct arrival){
                .messenger = sockets_make_name(set), .messenger_fd = -1, .fd = -1, .peer = *peer};
        int r = sockets_make_unix(&arrival->messenger, SOCK_NONBLOCK, &arrival->messenger_fd);
        if (r == 0 && connect(arrival->messenger_fd, (const struct sockaddr *)&socket->name.address,
                              socket->name.n) < 0)
                r = -errno;
        if (r < 0) {
                arrival_free(arrival);
                if (r == -ECONNREFUSED)
                        sockets_remove(set, socket);
                return r;
        }
        arrival->fd = take_fd(&fd);
        TAILQ_INSERT_TAIL(&socket->arrivals, arrival, entry);
        return 0;
}

/* An enclave connected to a port that a socket of the command's listens on. */
static void on_guest(struct vsock_device *device, uint32_t port, int taken_fd, void *user)
{
        cleanup_fd int fd = taken_fd;
        struct socket_set *set = user;
        struct vsocket *socket = sockets_find_listener(set, port);
        const struct vm_address peer = {enclave_set_cid(set->enclaves, device),
                                        vsock_device_peer_port(device)};

        if (socket)
                (void)sockets_deliver(set, socket, take_fd(&fd), &peer);
}

/* ---- listening ---- */

struct port_of_set {
        struct socket_set *set;
        uint32_t port;
};

static void listen_on(struct vsock_device *device, void *user)
{
        const struct port_of_set *wanted = user;

        (void)vsock_device_listen(device, wanted->port, on_guest, wanted->set, NULL);
}

static void unlisten_on(struct vsock_device *device, void *user)
{
        vsock_device_unlisten(device, ((const struct port_of_set *)user)->port);
}

void sockets_unlisten(struct socket_set *set, struct vsocket *socket)
{
        struct port_of_set unwanted = {set, socket->local.port};

        enclave_set_each(set->enclaves, unlisten_on, &unwanted);
}

void socket_set_join(struct socket_set *set, struct vsock_device *device)
{
        struct vsocket *socket;

        LIST_FOREACH (socket, &set->sockets, entry) {
                struct port_of_set wanted = {set, socket->local.port};
                if (socket->state == SOCKET_LISTENING)
                        listen_on(device, &wanted);
        }
}

static int do_listen(struct socket_set *set, const struct call *call, struct target *target,
                     struct vsocket *socket)
{
        struct port_of_set wanted = {set, socket->local.port};
        cleanup_fd int fd = -1;

        if (!socket->is_bound || socket->state == SOCKET_CONNECTED)
                return -EINVAL;
        int r = target_copy_fd(target, (int)call->args[0], &fd);
        if (r < 0)
                return r;
        if (listen(fd, (int)call->args[1]) < 0)
                return -errno;
        if (socket->state != SOCKET_LISTENING)
                enclave_set_each(set->enclaves, listen_on, &wanted);
        socket->state = SOCKET_LISTENING;
        return 0;
}

void sockets_listen(struct socket_set *set, const struct call *call, struct target *target,
                    struct vsocket *socket)
{
        int r = do_listen(set, call, target, socket);

        if (r < 0)
                (void)call_fail(call, -r);
        else
                (void)call_return(call, 0);
}

/* ---- accepting ---- */

static struct arrival *find_arrival(struct vsocket *socket, const struct sockaddr_un *name, socklen_t n)
{
        struct arrival *arrival;

        TAILQ_FOREACH (arrival, &socket->arrivals, entry) {
                if (arrival->messenger.n == n && memcmp(&arrival->messenger.address, name, n) == 0)
                        return arrival;
        }
        return NULL;
}

/* The next stream that waits on the socket, of which `fd` is a copy; NULL where there is none. */
static struct arrival *take_arrival(struct vsocket *socket, int fd)
{
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        struct sockaddr_un name;

        /* Only we take from the queue, so that what poll() saw is there, and accept() doesn't block. */
        while (poll(&ready, 1, 0) == 1) {
                socklen_t n = sizeof(name);
                cleanup_fd int messenger = accept4(fd, (struct sockaddr *)&name, &n, SOCK_CLOEXEC);
                if (messenger < 0)
                        return NULL;
                struct arrival *arrival = find_arrival(socket, &name, n);
                if (arrival) {
                        TAILQ_REMOVE(&socket->arrivals, arrival, entry);
                        return arrival;
                }
        }
        return NULL;
}

/* Gives an arrival's stream to the call: 0, or -errno and the arrival is as it was. */
static int give(struct socket_set *set, const struct call *call, struct target *target,
                const struct vsocket *listener, const struct arrival *arrival)
{
        const int flags = call->nr == SYS_accept4 ? (int)call->args[3] : 0;
        struct unix_name name = sockets_make_name(set);
        struct vsocket *socket;
        int r = sockets_write_address(target, call->args[1], call->args[2], &arrival->peer);

        if (r < 0)
                return r;
        /* Bound, so that we can tell when it is closed; another attempt may have bound it. */
        socklen_t n = sizeof(name.address);
        if (bind(arrival->fd, (const struct sockaddr *)&name.address, name.n) < 0) {
                if (getsockname(arrival->fd, (struct sockaddr *)&name.address, &n) < 0)
                        return -errno;
                name.n = n;
        }
        if (fcntl(arrival->fd, F_SETFL, flags & SOCK_NONBLOCK ? O_NONBLOCK : 0) < 0)
                return -errno;
        if ((r = sockets_add(set, arrival->fd, &name, &socket)) < 0)
                return r;
        socket->state = SOCKET_CONNECTED;
        socket->local =
                (struct vm_address){listener->local.cid == VMADDR_CID_ANY ? PARENT_CID : listener->local.cid,
                                    listener->local.port};
        socket->peer = arrival->peer;
        if ((r = call_give_fd(call, arrival->fd, flags & SOCK_CLOEXEC)) < 0)
                sockets_remove(set, socket);
        return r;
}

/* 0: answered; -EAGAIN: nothing has come; another -errno. */
static int try_accept(struct socket_set *set, const struct call *call, struct target *target,
                      struct vsocket *socket, int fd)
{
        struct arrival *arrival = take_arrival(socket, fd);

        if (!arrival)
                return -EAGAIN;
        int r = give(set, call, target, socket, arrival);
        /* Nobody got it: it waits for the next who asks. */
        if (r < 0)
                (void)sockets_deliver(set, socket, take_fd(&arrival->fd), &arrival->peer);
        arrival_free(arrival);
        return r;
}

static int on_arrival(struct loop_source *source, int fd, uint32_t events, void *user)
{
        struct waiter *waiter = user;
        struct vsocket *socket = sockets_find(waiter->set, waiter->inode);
        cleanup_target struct target target = TARGET_NONE;

        (void)source;
        (void)events;
        int r = socket ? target_open(&waiter->call, &target) : -EBADF;
        if (r == 0)
                r = try_accept(waiter->set, &waiter->call, &target, socket, fd);
        if (r == -EAGAIN)
                return 0;
        if (r < 0)
                (void)call_fail(&waiter->call, -r);
        sockets_stop_waiting(waiter);
        return 0;
}

void sockets_accept(struct socket_set *set, const struct call *call, struct target *target,
                    struct vsocket *socket)
{
        cleanup_fd int fd = -1;
        int flags = target_fd_flags(target, (int)call->args[0]);
        int r = socket->state == SOCKET_LISTENING ? target_copy_fd(target, (int)call->args[0], &fd) : -EINVAL;

        if (r == 0)
                r = try_accept(set, call, target, socket, fd);
        if (r == -EAGAIN && flags >= 0 && !(flags & O_NONBLOCK)) {
                struct waiter *waiter = sockets_wait(set, call, socket->inode, take_fd(&fd), false);
                r = !waiter ? -ENOMEM
                            : loop_add_fd(set->loop, waiter->fd, EPOLLIN, on_arrival, waiter, &waiter->source,
                                          NULL);
                if (r == 0)
                        return;
                if (waiter)
                        sockets_stop_waiting(waiter);
        }
        if (r < 0)
                (void)call_fail(call, -r);
}
