/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bridge.c - streams between two sockets, many at a time, in one thread that must never wait.
 *
 * Theory of operation.  A connection has two ends, 0 the accepted one and 1 the TCP one, and two directions;
 * direction i carries from end i to end 1-i.  A direction reads into the bridge's one scratch buffer and
 * writes what it got. What the other end doesn't take becomes `pending`, in memory of the direction's own,
 * and nothing more is read until that is gone: so a slow reader slows its own writer (back-pressure), and
 * memory is bounded by one scratch buffer per direction that is stuck.  An end of input is passed on as an
 * end of output (half-close) once nothing is pending; the connection is over when both directions are.  An
 * error ends both, and is passed on as a reset, since an orderly end would make a cut stream look whole.
 *
 * An end that nothing is wanted of isn't watched at all: epoll tells hang-ups even to those who don't ask,
 * again and again.
 */
#include "guest/bridge.h"

#include "lib/base/fd.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
        SCRATCH_SIZE = 65536, /* vsock's best message size */
        ROUNDS_MAX = 8,       /* reads per event, so that one stream can't starve the others */
        RETRY_MS = 50,
};

struct connection;

struct end {
        struct connection *connection;
        int fd;
        struct loop_source *source; /* NULL while not watched */
};

struct direction {
        uint8_t *pending;
        size_t start; /* pending bytes are [start, end) */
        size_t end;
        bool ended;  /* its source has no more */
        bool closed; /* and its target was told */
};

struct connection {
        struct bridge *bridge;
        struct connection *previous;
        struct connection *next;
        struct end ends[2];
        struct direction directions[2];
        uint16_t port;
        bool connecting;
        bool ipv6; /* 127.0.0.1 refused, and ::1 is asked */
        uint64_t waited_ms;
        struct loop_source *retry; /* timer, NULL where the port never refused */
};

struct listener {
        struct bridge *bridge;
        struct listener *next;
        int fd;
        uint16_t port;
        struct loop_source *source;
};

struct bridge {
        struct loop *loop;
        const struct log *log;
        struct bridge_options options;
        struct listener *listeners;
        struct connection *connections;
        size_t n_connections;
        struct loop_source *resume; /* timer, armed while the listeners are paused */
        uint8_t scratch[SCRATCH_SIZE];
};

/* --- the life of a connection --- */

static void connection_free(struct connection *c)
{
        if (c->previous)
                c->previous->next = c->next;
        else
                c->bridge->connections = c->next;
        if (c->next)
                c->next->previous = c->previous;
        c->bridge->n_connections--;
        loop_remove(&c->retry);
        for (int i = 0; i < 2; i++) {
                loop_remove(&c->ends[i].source);
                fd_close_p(&c->ends[i].fd);
                free(c->directions[i].pending);
        }
        free(c);
}

/* Ends the connection so that both sides see that it was cut. */
static void connection_abort(struct connection *c)
{
        for (int i = 0; i < 2; i++)
                fd_reset_on_close(c->ends[i].fd);
        connection_free(c);
}

static bool has_pending(const struct direction *d)
{
        return d->start < d->end;
}

static int on_event(struct loop_source *source, int fd, uint32_t events, void *user);

static int watch(struct end *end, uint32_t events)
{
        if (!events) {
                loop_remove(&end->source);
                return 0;
        }
        if (end->source)
                return loop_set_events(end->source, events);
        return loop_add_fd(end->connection->bridge->loop, end->fd, events, on_event, end, &end->source, NULL);
}

/* Watches each end for what its directions wait for. */
static int watch_ends(struct connection *c)
{
        int r = 0;

        for (int i = 0; r == 0 && i < 2; i++) {
                const struct direction *from = &c->directions[i];
                const struct direction *to = &c->directions[1 - i];
                uint32_t events = 0;

                if (c->connecting)
                        events = i == 1 ? EPOLLOUT : 0;
                else
                        events = (!from->ended && !has_pending(from) ? (uint32_t)EPOLLIN : 0) |
                                 (has_pending(to) ? (uint32_t)EPOLLOUT : 0);
                r = watch(&c->ends[i], events);
        }
        return r;
}

/* --- moving bytes --- */

/* Sends what it can. Returns how many bytes, or -errno. */
static ssize_t send_some(int fd, const uint8_t *p, size_t n)
{
        ssize_t sent = send(fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (sent >= 0)
                return sent;
        return errno == EAGAIN || errno == EINTR ? 0 : -errno;
}

/* Keeps n bytes that the target didn't take. Only called with nothing pending. */
static int keep(struct direction *d, const uint8_t *p, size_t n)
{
        if (!d->pending)
                d->pending = malloc(SCRATCH_SIZE);
        if (!d->pending)
                return -ENOMEM;
        memcpy(d->pending, p, n);
        d->start = 0;
        d->end = n;
        return 0;
}

/* Sends what is pending, and frees its memory once all is gone. */
static int flush_pending(struct direction *d, int to)
{
        ssize_t sent = send_some(to, d->pending + d->start, d->end - d->start);

        if (sent < 0)
                return (int)sent;
        d->start += (size_t)sent;
        if (!has_pending(d)) {
                free(d->pending);
                d->pending = NULL;
        }
        return 0;
}

/* Moves what there is, until the source has no more now, the target is full, or it is another stream's
 * turn. */
static int pump(struct bridge *bridge, struct direction *d, int from, int to)
{
        for (int i = 0; i < ROUNDS_MAX && !has_pending(d); i++) {
                ssize_t n = recv(from, bridge->scratch, SCRATCH_SIZE, MSG_DONTWAIT);
                if (n < 0)
                        return errno == EAGAIN || errno == EINTR ? 0 : -errno;
                if (n == 0) {
                        d->ended = true;
                        return 0;
                }
                ssize_t sent = send_some(to, bridge->scratch, (size_t)n);
                if (sent < 0)
                        return (int)sent;
                if (sent < n) {
                        int r = keep(d, bridge->scratch + sent, (size_t)(n - sent));
                        if (r < 0)
                                return r;
                }
        }
        return 0;
}

/* An end is read only with nothing pending (pump()), so that it comes behind all bytes. */
static void pass_on_end(struct direction *d, int to)
{
        if (!d->ended || d->closed)
                return;
        shutdown(to, SHUT_WR); /* where the target is gone already, its own direction ends too */
        d->closed = true;
}

/* Does what `events` on end i allow. */
static int serve(struct connection *c, int i, uint32_t events)
{
        struct direction *in = &c->directions[i];
        struct direction *out = &c->directions[1 - i];
        int here = c->ends[i].fd;
        int there = c->ends[1 - i].fd;
        int r = 0;

        if (has_pending(out) && events & (EPOLLOUT | EPOLLERR | EPOLLHUP))
                r = flush_pending(out, here);
        if (r == 0 && !in->ended && !has_pending(in) && events & (EPOLLIN | EPOLLERR | EPOLLHUP))
                r = pump(c->bridge, in, here, there);
        pass_on_end(out, here);
        pass_on_end(in, there);
        return r;
}

/* --- connecting --- */

static int begin_connect(struct connection *c);

static int on_retry(struct loop_source *source, void *user)
{
        struct connection *c = user;

        (void)source;
        if (begin_connect(c) < 0)
                connection_abort(c);
        return 0;
}

/* Nobody listens on the TCP port.  A server may listen on ::1 alone, or may be about to listen. */
static int refused(struct connection *c)
{
        loop_remove(&c->ends[1].source);
        fd_close_p(&c->ends[1].fd);
        c->ipv6 = !c->ipv6;
        if (c->ipv6)
                return begin_connect(c);
        if (c->waited_ms >= c->bridge->options.patience_ms)
                return -ECONNREFUSED;
        c->waited_ms += RETRY_MS;
        if (c->retry)
                return loop_set_timer(c->retry, RETRY_MS);
        return loop_add_timer(c->bridge->loop, RETRY_MS, on_retry, c, &c->retry, NULL);
}

static int connect_loopback(int fd, bool ipv6, uint16_t port)
{
        const struct sockaddr_in v4 = {
                .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        const struct sockaddr_in6 v6 = {
                .sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = IN6ADDR_LOOPBACK_INIT};

        if (ipv6)
                return connect(fd, (const struct sockaddr *)&v6, sizeof(v6));
        return connect(fd, (const struct sockaddr *)&v4, sizeof(v4));
}

/* A kernel without IPv6, or without ::1, refuses in its own words. */
static bool is_refusal(const struct connection *c, int errnum)
{
        return errnum == ECONNREFUSED ||
               (c->ipv6 && (errnum == EAFNOSUPPORT || errnum == EADDRNOTAVAIL || errnum == ENETUNREACH));
}

static int begin_connect(struct connection *c)
{
        const int on = 1;
        int fd = socket(c->ipv6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        if (fd < 0)
                return is_refusal(c, errno) ? refused(c) : -errno;
        c->ends[1].fd = fd;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        c->connecting = true;
        if (connect_loopback(fd, c->ipv6, c->port) < 0 && errno != EINPROGRESS)
                return is_refusal(c, errno) ? refused(c) : -errno;
        return watch_ends(c);
}

static int finish_connect(struct connection *c)
{
        int failed = 0;
        socklen_t size = sizeof(failed);

        if (getsockopt(c->ends[1].fd, SOL_SOCKET, SO_ERROR, &failed, &size) < 0)
                return -errno;
        if (failed)
                return is_refusal(c, failed) ? refused(c) : -failed;
        c->connecting = false;
        return watch_ends(c);
}

static int on_event(struct loop_source *source, int fd, uint32_t events, void *user)
{
        struct end *end = user;
        struct connection *c = end->connection;
        int i = end == &c->ends[1];
        int r;

        (void)source;
        (void)fd;
        r = c->connecting ? finish_connect(c) : serve(c, i, events);
        if (r < 0) {
                log_debug(c->bridge->log, "port %u: %s", c->port, strerror(-r));
                connection_abort(c);
        } else if (c->directions[0].closed && c->directions[1].closed) {
                connection_free(c);
        } else if (!c->connecting && watch_ends(c) < 0) {
                connection_abort(c);
        }
        return 0;
}

/* Takes over the accepted fd. */
static void connection_begin(struct bridge *bridge, int fd, uint16_t port)
{
        struct connection *c = calloc(1, sizeof(*c));

        if (!c) {
                close(fd);
                return;
        }
        c->bridge = bridge;
        c->port = port;
        for (int i = 0; i < 2; i++)
                c->ends[i] = (struct end){.connection = c, .fd = i == 0 ? fd : -1};
        c->next = bridge->connections;
        if (c->next)
                c->next->previous = c;
        bridge->connections = c;
        bridge->n_connections++;
        int r = begin_connect(c);
        if (r < 0) {
                log_debug(bridge->log, "port %u: %s", port, strerror(-r));
                connection_abort(c);
        }
}

/* --- listening --- */

static void watch_listeners(struct bridge *bridge, uint32_t events)
{
        for (struct listener *l = bridge->listeners; l; l = l->next)
                loop_set_events(l->source, events);
}

static int on_resume(struct loop_source *source, void *user)
{
        (void)source;
        watch_listeners(user, EPOLLIN);
        return 0;
}

/* Accepts nothing for a moment: there are too many connections, or too little memory. */
static void pause_listeners(struct bridge *bridge)
{
        int r = bridge->resume
                        ? loop_set_timer(bridge->resume, RETRY_MS)
                        : loop_add_timer(bridge->loop, RETRY_MS, on_resume, bridge, &bridge->resume, NULL);

        if (r == 0)
                watch_listeners(bridge, 0);
}

static int on_accept(struct loop_source *source, int fd, uint32_t events, void *user)
{
        struct listener *listener = user;
        struct bridge *bridge = listener->bridge;

        (void)source;
        (void)events;
        if (bridge->n_connections >= bridge->options.max_connections) {
                pause_listeners(bridge);
                return 0;
        }
        int accepted = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (accepted >= 0)
                connection_begin(bridge, accepted, listener->port);
        else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
                pause_listeners(bridge);
        return 0;
}

int bridge_new(struct loop *loop, const struct log *log, const struct bridge_options *options,
               struct bridge **ret_bridge, struct error *err)
{
        struct bridge *bridge = calloc(1, sizeof(*bridge));

        if (!bridge)
                return error_oom(err);
        bridge->loop = loop;
        bridge->log = log;
        bridge->options = *options;
        *ret_bridge = bridge;
        return 0;
}

int bridge_add(struct bridge *bridge, int listen_fd, uint16_t port, struct error *err)
{
        struct listener *listener = calloc(1, sizeof(*listener));

        if (!listener) {
                close(listen_fd);
                return error_oom(err);
        }
        *listener = (struct listener){.bridge = bridge, .fd = listen_fd, .port = port};
        int r = loop_add_fd(bridge->loop, listen_fd, EPOLLIN, on_accept, listener, &listener->source, err);
        if (r < 0) {
                close(listen_fd);
                free(listener);
                return r;
        }
        listener->next = bridge->listeners;
        bridge->listeners = listener;
        return 0;
}

void bridge_free(struct bridge *bridge)
{
        if (!bridge)
                return;
        while (bridge->connections)
                connection_free(bridge->connections);
        while (bridge->listeners) {
                struct listener *listener = bridge->listeners;
                bridge->listeners = listener->next;
                loop_remove(&listener->source);
                close(listener->fd);
                free(listener);
        }
        loop_remove(&bridge->resume);
        free(bridge);
}
