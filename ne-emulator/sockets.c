/* SPDX-License-Identifier: Apache-2.0 */
#include "ne-emulator/sockets-internal.h"

#include "lib/base/fd.h"

#include <inttypes.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

enum {
        PORT_FIRST = 1024 * 1024, /* of those that are given out */
        SWEEP_MIN = 64,
        BACKLOG = 64,
        BUFFER_SIZE = 256 * 1024, /* what the kernel says of its own sockets */
};

/* ---- names ---- */

struct unix_name sockets_make_name(struct socket_set *set)
{
        struct unix_name name = {.address = {.sun_family = AF_UNIX}};
        int n = snprintf(name.address.sun_path + 1, sizeof(name.address.sun_path) - 1,
                         "coffer-ne-emulator-%d-%" PRIu64, getpid(), ++set->last_serial);

        name.n = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);
        return name;
}

int sockets_make_unix(const struct unix_name *name, int flags, int *ret_fd)
{
        cleanup_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);

        if (fd < 0 || bind(fd, (const struct sockaddr *)&name->address, name->n) < 0)
                return -errno;
        *ret_fd = take_fd(&fd);
        return 0;
}

/* Whether any copy of the socket is open. */
static bool is_open(const struct vsocket *socket)
{
        cleanup_fd int fd = -1;

        return sockets_make_unix(&socket->name, 0, &fd) == -EADDRINUSE;
}

/* ---- which there are ---- */

static void sweep(struct socket_set *set)
{
        for (struct vsocket *socket = LIST_FIRST(&set->sockets), *next; socket; socket = next) {
                next = LIST_NEXT(socket, entry);
                if (!is_open(socket))
                        sockets_remove(set, socket);
        }
        set->sweep_at = 2 * set->n + SWEEP_MIN;
}

int sockets_add(struct socket_set *set, int fd, const struct unix_name *name, struct vsocket **ret_socket)
{
        struct stat st;

        if (set->n >= set->sweep_at)
                sweep(set);
        if (fstat(fd, &st) < 0)
                return -errno;
        struct vsocket *socket = calloc(1, sizeof(*socket));
        if (!socket)
                return -ENOMEM;
        socket->inode = st.st_ino;
        socket->name = *name;
        socket->local = (struct vm_address){VMADDR_CID_ANY, VMADDR_PORT_ANY};
        socket->timeout_ms = CONNECT_TIMEOUT_MS;
        TAILQ_INIT(&socket->arrivals);
        LIST_INSERT_HEAD(&set->sockets, socket, entry);
        set->n++;
        *ret_socket = socket;
        return 0;
}

void sockets_remove(struct socket_set *set, struct vsocket *socket)
{
        struct arrival *arrival;

        if (socket->state == SOCKET_LISTENING)
                sockets_unlisten(set, socket);
        while ((arrival = TAILQ_FIRST(&socket->arrivals))) {
                TAILQ_REMOVE(&socket->arrivals, arrival, entry);
                fd_close_p(&arrival->fd);
                fd_close_p(&arrival->messenger_fd);
                free(arrival);
        }
        LIST_REMOVE(socket, entry);
        set->n--;
        free(socket);
}

struct vsocket *sockets_find(struct socket_set *set, ino_t inode)
{
        struct vsocket *socket;

        LIST_FOREACH (socket, &set->sockets, entry) {
                if (socket->inode == inode)
                        return socket;
        }
        return NULL;
}

struct vsocket *sockets_find_listener(struct socket_set *set, uint32_t port)
{
        struct vsocket *socket;

        LIST_FOREACH (socket, &set->sockets, entry) {
                if (socket->state == SOCKET_LISTENING && socket->local.port == port)
                        return socket;
        }
        return NULL;
}

/* Whether a socket that is still open has the port; those that aren't are forgotten. */
static bool port_is_taken(struct socket_set *set, uint32_t port)
{
        for (struct vsocket *socket = LIST_FIRST(&set->sockets), *next; socket; socket = next) {
                next = LIST_NEXT(socket, entry);
                if (!socket->is_bound || socket->local.port != port)
                        continue;
                if (is_open(socket))
                        return true;
                sockets_remove(set, socket);
        }
        return false;
}

uint32_t sockets_choose_port(struct socket_set *set)
{
        do {
                set->last_port = set->last_port < UINT32_MAX - 1 ? set->last_port + 1 : PORT_FIRST;
        } while (port_is_taken(set, set->last_port));
        return set->last_port;
}

/* ---- waiting ---- */

static int on_timer(struct loop_source *source, void *user)
{
        struct socket_set *set = user;

        (void)source;
        for (struct waiter *waiter = LIST_FIRST(&set->accepts), *next; waiter; waiter = next) {
                next = LIST_NEXT(waiter, entry);
                if (!call_is_wanted(&waiter->call))
                        sockets_stop_waiting(waiter);
        }
        return LIST_EMPTY(&set->accepts) ? 0 : loop_set_timer(set->timer, WAITERS_CHECK_MS);
}

struct waiter *sockets_wait(struct socket_set *set, const struct call *call, ino_t inode, int taken_fd,
                            bool connects)
{
        cleanup_fd int fd = taken_fd;
        struct waiter *waiter = calloc(1, sizeof(*waiter));

        if (!waiter)
                return NULL;
        waiter->set = set;
        waiter->call = *call;
        waiter->inode = inode;
        waiter->fd = take_fd(&fd);
        if (connects) {
                LIST_INSERT_HEAD(&set->connects, waiter, entry);
        } else {
                LIST_INSERT_HEAD(&set->accepts, waiter, entry);
                (void)loop_set_timer(set->timer, WAITERS_CHECK_MS);
        }
        return waiter;
}

void sockets_stop_waiting(struct waiter *waiter)
{
        LIST_REMOVE(waiter, entry);
        loop_remove(&waiter->source);
        fd_close_p(&waiter->fd);
        free(waiter);
}

/* ---- life ---- */

int socket_set_new(struct loop *loop, struct enclave_set *enclaves, const struct log *log,
                   struct socket_set **ret_set, struct error *err)
{
        cleanup_socket_set struct socket_set *set = calloc(1, sizeof(*set));

        if (!set)
                return error_oom(err);
        set->loop = loop;
        set->enclaves = enclaves;
        set->log = log;
        set->last_port = PORT_FIRST;
        set->sweep_at = SWEEP_MIN;
        set->listen_fd = -1;
        set->name = sockets_make_name(set);
        int r = sockets_make_unix(&set->name, SOCK_NONBLOCK, &set->listen_fd);
        if (r < 0 || listen(set->listen_fd, BACKLOG) < 0)
                return error_errno(err, r < 0 ? -r : errno, "socket");
        r = loop_add_timer(loop, WAITERS_CHECK_MS, on_timer, set, &set->timer, err);
        if (r < 0)
                return r;
        *ret_set = take_pointer(&set);
        return 0;
}

void socket_set_free(struct socket_set *set)
{
        struct vsocket *socket;
        struct waiter *waiter;

        if (!set)
                return;
        while ((waiter = LIST_FIRST(&set->accepts)) || (waiter = LIST_FIRST(&set->connects)))
                sockets_stop_waiting(waiter);
        while ((socket = LIST_FIRST(&set->sockets)))
                sockets_remove(set, socket);
        loop_remove(&set->timer);
        fd_close_p(&set->listen_fd);
        free(set);
}

/* ---- addresses ---- */

int sockets_write_address(struct target *target, uint64_t to, uint64_t to_length,
                          const struct vm_address *address)
{
        const struct sockaddr_vm full = {
                .svm_family = AF_VSOCK, .svm_cid = address->cid, .svm_port = address->port};
        uint32_t room, whole = sizeof(full);
        int r;

        if (to == 0)
                return 0;
        if ((r = target_read(target, to_length, &room, sizeof(room))) < 0)
                return r;
        if (room > INT32_MAX)
                return -EINVAL;
        if ((r = target_write(target, to, &full, room < whole ? room : whole)) < 0)
                return r;
        return target_write(target, to_length, &whole, sizeof(whole));
}

int sockets_read_address(struct target *target, uint64_t from, uint64_t length,
                         struct vm_address *ret_address)
{
        struct sockaddr_vm full;

        if ((uint32_t)length < sizeof(full))
                return -EINVAL;
        int r = target_read(target, from, &full, sizeof(full));
        if (r < 0)
                return r;
        if (full.svm_family != AF_VSOCK)
                return -EAFNOSUPPORT;
        *ret_address = (struct vm_address){full.svm_cid, full.svm_port};
        return 0;
}

/* ---- calls that are answered at once ---- */

static void answer(const struct call *call, int r)
{
        if (r < 0)
                (void)call_fail(call, -r);
        else
                (void)call_return(call, 0);
}

void socket_set_create(struct socket_set *set, const struct call *call)
{
        const int type = (int)call->args[1], protocol = (int)call->args[2];
        struct unix_name name = sockets_make_name(set);
        struct vsocket *socket = NULL;
        cleanup_fd int fd = -1;

        if (protocol != 0 && protocol != AF_VSOCK) {
                (void)call_fail(call, EPROTONOSUPPORT);
                return;
        }
        if ((type & ~(SOCK_CLOEXEC | SOCK_NONBLOCK)) != SOCK_STREAM) {
                (void)call_fail(call, ESOCKTNOSUPPORT);
                return;
        }
        int r = sockets_make_unix(&name, type & SOCK_NONBLOCK, &fd);
        if (r == 0)
                r = sockets_add(set, fd, &name, &socket);
        if (r < 0) {
                (void)call_fail(call, -r);
                return;
        }
        r = call_give_fd(call, fd, type & SOCK_CLOEXEC);
        if (r < 0)
                sockets_remove(set, socket);
        if (r == -EMFILE)
                (void)call_fail(call, EMFILE);
}

static int do_bind(struct socket_set *set, const struct call *call, struct target *target,
                   struct vsocket *socket)
{
        struct vm_address address;
        int r = sockets_read_address(target, call->args[1], call->args[2], &address);

        if (r < 0)
                return r;
        if (socket->is_bound || socket->state != SOCKET_FRESH)
                return -EINVAL;
        if (address.cid != VMADDR_CID_ANY && (address.cid < VMADDR_CID_LOCAL || address.cid > PARENT_CID))
                return -EADDRNOTAVAIL;
        if (address.port == VMADDR_PORT_ANY)
                address.port = sockets_choose_port(set);
        else if (port_is_taken(set, address.port))
                return -EADDRINUSE;
        socket->local = address;
        socket->is_bound = true;
        return 0;
}

static int get_option(const struct call *call, struct target *target, const struct vsocket *socket)
{
        const int domain = AF_VSOCK;
        const uint64_t size = BUFFER_SIZE;
        const struct timeval timeout = {.tv_sec = (time_t)(socket->timeout_ms / 1000),
                                        .tv_usec = (suseconds_t)(socket->timeout_ms % 1000) * 1000};
        const void *value = &size;
        uint32_t room, n = sizeof(size);
        int r = target_read(target, call->args[4], &room, sizeof(room));

        if (r < 0)
                return r;
        if ((int)call->args[1] == SOL_SOCKET) {
                value = &domain;
                n = sizeof(domain);
        } else if ((int)call->args[2] == SO_VM_SOCKETS_CONNECT_TIMEOUT) {
                value = &timeout;
                n = sizeof(timeout);
        } else if ((int)call->args[2] > SO_VM_SOCKETS_BUFFER_MAX_SIZE) {
                return -ENOPROTOOPT;
        }
        if (room < n)
                return -EINVAL;
        if ((r = target_write(target, call->args[3], value, n)) < 0)
                return r;
        return target_write(target, call->args[4], &n, sizeof(n));
}

static int set_option(const struct call *call, struct target *target, struct vsocket *socket)
{
        struct timeval timeout;

        if ((int)call->args[2] <= SO_VM_SOCKETS_BUFFER_MAX_SIZE)
                return 0;
        if ((int)call->args[2] != SO_VM_SOCKETS_CONNECT_TIMEOUT)
                return -ENOPROTOOPT;
        if ((uint32_t)call->args[4] < sizeof(timeout))
                return -EINVAL;
        int r = target_read(target, call->args[3], &timeout, sizeof(timeout));
        if (r < 0)
                return r;
        if (timeout.tv_sec < 0 || timeout.tv_sec > INT32_MAX || timeout.tv_usec < 0 ||
            timeout.tv_usec >= 1000000)
                return -EDOM;
        socket->timeout_ms = (uint64_t)timeout.tv_sec * 1000 + (uint64_t)timeout.tv_usec / 1000;
        if (socket->timeout_ms == 0)
                socket->timeout_ms = CONNECT_TIMEOUT_MS;
        return 0;
}

static int get_peer(const struct call *call, struct target *target, const struct vsocket *socket)
{
        if (socket->state != SOCKET_CONNECTED)
                return -ENOTCONN;
        return sockets_write_address(target, call->args[1], call->args[2], &socket->peer);
}

/* ---- which call it is ---- */

static void call_on(struct socket_set *set, const struct call *call, struct target *target,
                    struct vsocket *socket)
{
        switch (call->nr) {
        case SYS_bind:
                answer(call, do_bind(set, call, target, socket));
                break;
        case SYS_listen:
                sockets_listen(set, call, target, socket);
                break;
        case SYS_connect:
                sockets_connect(set, call, target, socket);
                break;
        case SYS_accept:
        case SYS_accept4:
                sockets_accept(set, call, target, socket);
                break;
        case SYS_getsockname:
                answer(call, sockets_write_address(target, call->args[1], call->args[2], &socket->local));
                break;
        case SYS_getpeername:
                answer(call, get_peer(call, target, socket));
                break;
        case SYS_getsockopt:
                answer(call, get_option(call, target, socket));
                break;
        default: /* setsockopt: the filter lets no other through */
                answer(call, set_option(call, target, socket));
        }
}

void socket_set_call(struct socket_set *set, const struct call *call)
{
        cleanup_target struct target target = TARGET_NONE;
        struct vsocket *socket = NULL;
        struct stat st;

        if (!LIST_EMPTY(&set->sockets) && target_open(call, &target) == 0 &&
            target_fstat(&target, (int)call->args[0], &st) == 0 && S_ISSOCK(st.st_mode))
                socket = sockets_find(set, st.st_ino);
        if (socket)
                call_on(set, call, &target, socket);
        else
                call_continue(call);
}
