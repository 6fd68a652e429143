/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation.  Streams come from the parent through a Unix socket: a client connects, writes one
 * line "CONNECT <port>\n" and gets "OK <local port>\n" when the guest has agreed, or is hung up on.  (The
 * convention is that of Firecracker and of vhost-device-vsock.)  The line is peeked at until it is whole and
 * then taken exactly, so what the client sends behind it is the stream's.  A client that hangs up while the
 * guest thinks cancels its request; how long to wait is its own decision.
 *
 * Streams of the guest's go to a listener in this process, as one end of a socket pair, or else to the Unix
 * socket `<name>_<port>`.  Connecting to that never blocks: a listener with a full backlog refuses.
 */
#include "lib/vsock/device-internal.h"
#include "lib/vsock/handshake.h"

#include "lib/base/clock.h"
#include "lib/base/fd.h"
#include "lib/base/text.h"
#include "lib/base/unix-socket.h"

#include <inttypes.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PORT_DIGITS = 10 };

struct listener {
        LIST_ENTRY(listener) entry;
        uint32_t port;
        vsock_device_accept_fn accept;
        void *user;
};

struct handshake {
        struct vsock_device *device;
        LIST_ENTRY(handshake) entry;
        int fd;
        struct loop_source *source;
        uint64_t deadline;
};

/* --- listeners in this process
 * ---------------------------------------------------------------------------------- */

static struct listener *find_listener(const struct vsock_device *device, uint32_t port)
{
        struct listener *l;

        LIST_FOREACH (l, &device->bridge.listeners, entry) {
                if (l->port == port)
                        return l;
        }
        return NULL;
}

int vsock_device_listen(struct vsock_device *device, uint32_t port, vsock_device_accept_fn accept, void *user,
                        struct error *err)
{
        if (find_listener(device, port))
                return error_set(err, -EADDRINUSE, "port %" PRIu32 " is listened to already", port);
        struct listener *l = malloc(sizeof(*l));
        if (!l)
                return error_oom(err);
        *l = (struct listener){.port = port, .accept = accept, .user = user};
        LIST_INSERT_HEAD(&device->bridge.listeners, l, entry);
        return 0;
}

void vsock_device_unlisten(struct vsock_device *device, uint32_t port)
{
        struct listener *l = find_listener(device, port);

        if (!l)
                return;
        LIST_REMOVE(l, entry);
        free(l);
}

static int dial_socket(struct vsock_device *device, uint32_t port, int *ret_fd, struct error *err)
{
        char name[UNIX_SOCKET_NAME_MAX + 1];

        if (!device->bridge.name)
                return error_set(err, -ECONNREFUSED, "nobody listens");
        /* Fits: bridge_init() left room for the port. */
        snprintf(name, sizeof(name), "%s_%" PRIu32, device->bridge.name, port);
        return unix_socket_connect(device->bridge.dirfd, name, ret_fd, err);
}

int bridge_dial(struct vsock_device *device, uint32_t port, struct listener **ret_listener, int ret_fds[2],
                struct error *err)
{
        struct listener *listener = find_listener(device, port);
        int fds[2] = {-1, -1};

        int r = listener ? unix_socket_pair(fds, err) : dial_socket(device, port, &fds[0], err);
        if (r < 0)
                return r;
        ret_fds[0] = fds[0];
        ret_fds[1] = fds[1];
        *ret_listener = listener;
        return 0;
}

void bridge_deliver(struct vsock_device *device, struct listener *listener, int fd)
{
        listener->accept(device, listener->port, fd, listener->user);
}

/* --- clients of the Unix socket
 * --------------------------------------------------------------------------------- */

/* Ends a handshake and returns its descriptor. */
static int end_handshake(struct handshake *h)
{
        int fd = h->fd;

        loop_remove(&h->source);
        LIST_REMOVE(h, entry);
        h->device->bridge.n_handshakes--;
        free(h);
        return fd;
}

static void refuse(struct handshake *h, const char *why)
{
        log_debug(h->device->log, "vsock: client of the bridge is refused: %s", why);
        int fd = end_handshake(h);
        fd_close_p(&fd);
}

static void request_for_client(struct handshake *h, uint32_t port)
{
        struct vsock_device *device = h->device;
        struct error err = {0};
        struct connection *c;

        int r = connection_request(device, port, &c);
        if (r < 0) {
                refuse(h, strerror(-r));
                return;
        }
        cleanup_fd int fd = end_handshake(h);
        r = connection_attach(c, fd, &err);
        if (r < 0) {
                log_warning(device->log, "vsock: %s", error_text(&err));
                connection_reset(c, r);
                return;
        }
        take_fd(&fd);
}

/* Reads the client's line where it is whole.  False: it isn't yet; else the handshake has ended. */
static bool shake_hands(struct handshake *h)
{
        char line[HANDSHAKE_LINE_MAX];
        uint32_t port;

        ssize_t n = recv(h->fd, line, sizeof(line), MSG_PEEK | MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return false;
        const char *end = n > 0 ? memchr(line, '\n', (size_t)n) : NULL;
        if (n > 0 && !end && n < HANDSHAKE_LINE_MAX)
                return false;
        size_t length = end ? (size_t)(end - line) : 0;
        if (n <= 0)
                refuse(h, "it hung up");
        else if (!end || !handshake_parse_connect(view_of(line, length), &port))
                refuse(h, "it did not say \"CONNECT <port>\"");
        else if (recv(h->fd, line, length + 1, MSG_DONTWAIT) != (ssize_t)length + 1)
                refuse(h, "its line went away");
        else
                request_for_client(h, port);
        return true;
}

static int on_handshake(struct loop_source *source, int fd, uint32_t events, void *user)
{
        struct handshake *h = user;
        struct vsock_device *device = h->device;

        (void)source, (void)fd, (void)events;
        device_enter(device);
        shake_hands(h); /* edge-triggered: we are called when there is more */
        return device_service(device);
}

/* Most clients have written their line by now; the loop is only asked where it has not come yet. */
static void await_line(struct handshake *h)
{
        struct vsock_device *device = h->device;
        struct error err = {0};

        if (shake_hands(h))
                return;
        if (loop_add_fd(device->loop, h->fd, EPOLLIN | EPOLLRDHUP | EPOLLET, on_handshake, h, &h->source,
                        &err) < 0)
                refuse(h, error_text(&err));
        else
                device_set_timer(device, h->deadline);
}

static void begin_handshake(struct vsock_device *device, int client)
{
        cleanup_fd int fd = client;

        if (device->bridge.n_handshakes >= HANDSHAKES_MAX) {
                log_warning(device->log, "vsock: %d clients of the bridge say nothing; one more is refused",
                            HANDSHAKES_MAX);
                return;
        }
        cleanup_free struct handshake *h = calloc(1, sizeof(*h));
        if (!h)
                return;
        *h = (struct handshake){.device = device, .fd = take_fd(&fd), .deadline = clock_ms() + HANDSHAKE_MS};
        LIST_INSERT_HEAD(&device->bridge.handshakes, h, entry);
        device->bridge.n_handshakes++;
        await_line(take_pointer(&h));
}

static int on_client(struct loop_source *source, int listen_fd, uint32_t events, void *user)
{
        struct vsock_device *device = user;

        (void)events;
        device_enter(device);
        int fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
                begin_handshake(device, fd);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
                log_warning(device->log, "vsock: accept: %m");
                (void)loop_set_events(source, 0);
                device->bridge.resume_at = clock_ms() + ACCEPT_PAUSE_MS;
                device_set_timer(device, device->bridge.resume_at);
        }
        return device_service(device);
}

int bridge_confirm(int fd, uint32_t port)
{
        char line[HANDSHAKE_LINE_MAX];
        size_t n = handshake_write_ok(port, line);

        /* Nothing was written to this socket yet, so it takes a line in one piece. */
        ssize_t sent = send(fd, line, n, MSG_NOSIGNAL | MSG_DONTWAIT);
        return sent == (ssize_t)n ? 0 : -EPIPE;
}

/* --- life
 * ------------------------------------------------------------------------------------------------------- */

int bridge_init(struct vsock_device *device, const struct vsock_device_options *options, struct error *err)
{
        struct bridge *b = &device->bridge;

        if (!options->name)
                return 0;
        if (strlen(options->name) > UNIX_SOCKET_NAME_MAX - 1 - PORT_DIGITS)
                return error_set(err, -ENAMETOOLONG, "%s: too long for the name of a vsock socket (%d bytes)",
                                 options->name, UNIX_SOCKET_NAME_MAX - 1 - PORT_DIGITS);
        b->dirfd = options->dirfd;
        b->name = strdup(options->name);
        if (!b->name)
                return error_oom(err);
        int r = unix_socket_listen(b->dirfd, b->name, &b->fd, err);
        if (r < 0)
                return r;
        return loop_add_fd(device->loop, b->fd, EPOLLIN, on_client, device, &b->source, err);
}

void bridge_close(struct vsock_device *device)
{
        struct bridge *b = &device->bridge;
        struct handshake *h;

        while ((h = LIST_FIRST(&b->handshakes)))
                refuse(h, "the device has ended");
        loop_remove(&b->source);
        b->resume_at = 0;
        if (b->fd >= 0)
                (void)unlinkat(b->dirfd, b->name, 0);
        fd_close_p(&b->fd);
}

void bridge_done(struct vsock_device *device)
{
        struct listener *l;

        bridge_close(device);
        while ((l = LIST_FIRST(&device->bridge.listeners))) {
                LIST_REMOVE(l, entry);
                free(l);
        }
        free(device->bridge.name);
}

uint64_t bridge_deadlines(struct vsock_device *device, uint64_t now)
{
        struct bridge *b = &device->bridge;
        uint64_t next = 0;

        if (b->resume_at && b->resume_at <= now) {
                b->resume_at = 0;
                (void)loop_set_events(b->source, EPOLLIN);
        }
        next = b->resume_at;
        for (struct handshake *h = LIST_FIRST(&b->handshakes), *after; h; h = after) {
                after = LIST_NEXT(h, entry);
                if (h->deadline <= now)
                        refuse(h, "it took too long to say where to connect to");
                else if (next == 0 || h->deadline < next)
                        next = h->deadline;
        }
        return next;
}
