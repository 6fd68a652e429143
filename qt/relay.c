/* SPDX-License-Identifier: Apache-2.0 */
/*
 * relay.c - theory of operation.
 *
 * A relay has two sides.  What was read from one side and could not yet be written to the other waits in the
 * other's `pending`; as long as something waits there, the first side is not read.
 *
 * A direction is over when the side it leads to has `write_done`: its source had ended and all was passed on,
 * or it takes nothing any more.  When both directions are over, the relay is.
 *
 * A stream that was cut ends the relay at once, and a TCP peer gets a reset: an orderly end would make it
 * look whole. What a Unix socket calls ECONNRESET is no cut: its peer closed and had not read all that we
 * sent.
 *
 * epoll reports a hang-up again and again, whatever one waits for.  So a side that hung up leaves the loop;
 * what can still be read from it is there at once (a read never blocks any more) and is fetched as the other
 * side takes it.
 */
#include "qt/relay.h"
#include "lib/base/buf.h"
#include "lib/base/fd.h"

#include <sys/socket.h>

enum {
        CHUNK = 64 * 1024,
        ROUNDS = 16, /* chunks moved per event, so that a busy pair does not starve the others */
};

struct side {
        int fd;
        struct loop_source *source; /* NULL once it hung up */
        uint32_t events;            /* that the loop waits for */
        struct buf pending;         /* to be written to it */
        bool read_done;             /* nothing more will be read from it */
        bool write_done;            /* nothing more will be written to it */
        bool cut;                   /* its stream ended, and not as its peer meant it to */
};

struct relay {
        struct side side[2];
        struct relays *relays;
        struct relay *next;
        struct relay *previous;
};

static void relay_free(struct relay *relay)
{
        struct relays *relays = relay->relays;

        for (int i = 0; i < 2; i++) {
                loop_remove(&relay->side[i].source);
                fd_close_p(&relay->side[i].fd);
                buf_done(&relay->side[i].pending);
        }
        if (relay->previous)
                relay->previous->next = relay->next;
        else if (relays->first == relay)
                relays->first = relay->next;
        if (relay->next)
                relay->next->previous = relay->previous;
        relays->n--;
        free(relay);
}

/* The side takes nothing any more: what waits for it is dropped, and its source need not be read. */
static void stop_writing(struct side *out, struct side *in)
{
        buf_done(&out->pending);
        out->write_done = true;
        in->read_done = true;
}

/* After a failed read or write: did it cut the stream, or is it but closed? */
static bool is_cut(const struct side *side, int errnum)
{
        int domain = AF_UNSPEC;
        socklen_t size = sizeof(domain);

        if (errnum == EPIPE)
                return false;
        (void)getsockopt(side->fd, SOL_SOCKET, SO_DOMAIN, &domain, &size);
        return errnum != ECONNRESET || domain != AF_UNIX;
}

/* Sends what it can at once: how many bytes, 0 where it takes none now or any more. */
static size_t send_some(struct side *out, struct side *in, const void *p, size_t n)
{
        ssize_t sent = send(out->fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (sent >= 0)
                return (size_t)sent;
        if (errno != EAGAIN && errno != EINTR) {
                out->cut = is_cut(out, errno);
                stop_writing(out, in);
        }
        return 0;
}

/* Writes what it can at once; the rest waits. */
static void write_to(struct side *out, struct side *in, const void *p, size_t n)
{
        size_t done = send_some(out, in, p, n);

        if (out->write_done || done == n)
                return;
        if (buf_append(&out->pending, (const uint8_t *)p + done, n - done) < 0) {
                out->cut = true;
                stop_writing(out, in);
        }
}

/* True where nothing is left to be written. */
static bool flush(struct side *out, struct side *in)
{
        if (out->pending.n == 0)
                return true;
        buf_consume(&out->pending, send_some(out, in, out->pending.p, out->pending.n));
        if (out->pending.n > 0)
                return false;
        buf_done(&out->pending); /* an idle pair holds no memory */
        return true;
}

static void move_bytes(struct side *in, struct side *out)
{
        uint8_t chunk[CHUNK];

        if (in->cut || out->cut)
                return;
        for (int round = 0; round < ROUNDS && flush(out, in) && !in->read_done; round++) {
                ssize_t n = recv(in->fd, chunk, sizeof(chunk), MSG_DONTWAIT);
                if (n < 0 && (errno == EAGAIN || errno == EINTR))
                        return;
                if (n < 0)
                        in->cut = is_cut(in, errno);
                if (n <= 0)
                        in->read_done = true;
                else
                        write_to(out, in, chunk, (size_t)n);
                if (n > 0 && (size_t)n < sizeof(chunk) && in->source)
                        return; /* that was all; the loop tells of more */
        }
        /* Nothing is pending: an end is read behind a flush only, and otherwise `out` takes no more. */
        if (in->read_done && !in->cut && !out->write_done) {
                shutdown(out->fd, SHUT_WR);
                out->write_done = true;
        }
}

/* What is worth waking up for; mostly the same as before. */
static void watch(struct side *side, const struct side *other)
{
        uint32_t events = 0;

        if (!side->source)
                return;
        if (!side->read_done && other->pending.n == 0)
                events |= EPOLLIN;
        if (side->pending.n > 0 || (!other->source && !other->read_done))
                events |= EPOLLOUT;
        if (events != side->events)
                loop_set_events(side->source, events);
        side->events = events;
}

static int on_event(struct loop_source *source, int fd, uint32_t events, void *user)
{
        struct relay *relay = user;
        struct side *side = &relay->side[relay->side[0].source == source ? 0 : 1];
        struct side *other = &relay->side[side == &relay->side[0] ? 1 : 0];
        struct relays *relays = relay->relays;

        (void)fd;
        if (events & (EPOLLHUP | EPOLLERR)) {
                stop_writing(side, other);
                loop_remove(&side->source);
        }
        if (events & ~(uint32_t)EPOLLOUT)
                move_bytes(side, other);
        if (events & ~(uint32_t)EPOLLIN)
                move_bytes(other, side);
        if (side->cut || other->cut) {
                fd_reset_on_close(side->fd);
                fd_reset_on_close(other->fd);
        } else if (!side->write_done || !other->write_done) {
                watch(side, other);
                watch(other, side);
                return 0;
        }
        relay_free(relay);
        if (relays->ended)
                relays->ended(relays->user);
        return 0;
}

int relay_add(struct relays *relays, int fd_a, int fd_b, struct error *err)
{
        struct relay *relay = calloc(1, sizeof(*relay));

        if (!relay) {
                fd_close_p(&fd_a);
                fd_close_p(&fd_b);
                return error_oom(err);
        }
        *relay = (struct relay){
                .side = {{.fd = fd_a, .events = EPOLLIN, .pending = buf_with_max(CHUNK)},
                         {.fd = fd_b, .events = EPOLLIN, .pending = buf_with_max(CHUNK)}},
                .relays = relays,
                .next = relays->first,
        };
        if (relays->first)
                relays->first->previous = relay;
        relays->first = relay;
        relays->n++;
        int r = 0;
        for (int i = 0; r == 0 && i < 2; i++) {
                r = fd_set_nonblocking(relay->side[i].fd);
                if (r < 0)
                        error_set(err, r, "cannot make a socket non-blocking");
                else
                        r = loop_add_fd(relays->loop, relay->side[i].fd, EPOLLIN, on_event, relay,
                                        &relay->side[i].source, err);
        }
        if (r < 0)
                relay_free(relay);
        return r;
}

void relays_done(struct relays *relays)
{
        while (relays->first)
                relay_free(relays->first);
}
