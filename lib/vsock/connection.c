/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation.  A connection joins a stream of the guest with a descriptor on the parent.
 *
 * Towards the guest.  Data stays in the descriptor's socket buffer until the guest has both credit and a
 * buffer for it; then it is read straight into the guest's memory (rings.c).  So a guest that does not read
 * costs us nothing, and the program at the other end of the descriptor is slowed down by its own full socket.
 *
 * From the guest.  Data is written straight from the guest's memory.  What the descriptor does not take at
 * once goes to `ring`.  We promised the guest room for buf_alloc bytes and it may send that much without
 * asking, so the ring can hold it all, and the guest's packets never wait for a slow reader; a guest that
 * sends more breaks its word and the connection is reset.  fwd_cnt, which gives credit back, counts what the
 * descriptor took.
 *
 * Control packets are flags in `pending`, not a queue: each kind is wanted or not, and the header is made
 * when it leaves.  So they need no memory and are never lost for want of a guest buffer.
 *
 * Closing, virtio 1.2, section 5.10.6.5.  Each direction closes by itself:
 *   descriptor at its end              -> SHUTDOWN(SEND)
 *   descriptor takes no more (EPIPE)   -> SHUTDOWN(RCV)
 *   descriptor closed (EPOLLHUP)       -> SHUTDOWN(both)
 *   guest's SHUTDOWN(SEND)             -> shutdown(SHUT_WR), once the ring is written
 *   guest's SHUTDOWN(RCV)              -> shutdown(SHUT_RD)
 * Whoever receives a SHUTDOWN(both), at once or in two steps, answers RST and forgets the connection; where
 * the guest does not answer ours, we send the RST after CLOSE_MS.  After an RST of the guest's the ring is
 * still written out (CONNECTION_LINGERING), for Linux sends one some seconds after every close() that we did
 * not confirm, and what was sent before a close() has to arrive.
 */
#include "lib/vsock/device-internal.h"

#include "lib/base/clock.h"
#include "lib/base/fd.h"
#include "lib/base/unix-socket.h"

#include <inttypes.h>
#include <string.h>
#include <sys/socket.h>

/* Whoever asked for this connection learns the outcome, once. */
static void tell_waiter(struct connection *c, int result, int fd)
{
        vsock_device_connected_fn connected = c->connected;

        c->connected = NULL;
        if (connected)
                connected(c->device, result, fd, c->connected_user);
}

static void close_descriptor(struct connection *c)
{
        loop_remove(&c->source);
        fd_close_p(&c->fd);
        c->readable = c->writable = false;
}

static void destroy(struct connection *c)
{
        close_descriptor(c);
        device_unmark_ready(c);
        connection_table_remove(&c->device->table, c);
}

void connection_abandon(struct connection *c, int result)
{
        tell_waiter(c, result, -1);
        destroy(c);
}

void connection_drop(struct connection *c, int result)
{
        if (c->state != CONNECTION_OPEN || c->ring_n == 0) {
                connection_abandon(c, result);
                return;
        }
        connection_table_forget_key(c);
        c->state = CONNECTION_LINGERING;
        c->pending = 0;
        c->deadline = 0;
        device_unmark_ready(c);
}

void connection_reset(struct connection *c, int result)
{
        bool unknown_to_guest = (c->pending & PENDING_REQUEST) != 0;

        if (unknown_to_guest || c->state == CONNECTION_LINGERING) {
                connection_abandon(c, result);
                return;
        }
        close_descriptor(c);
        c->state = CONNECTION_RESETTING;
        c->pending = PENDING_RST;
        c->deadline = 0;
        device_mark_ready(c);
        tell_waiter(c, result, -1);
}

/* --- credit
 * ----------------------------------------------------------------------------------------------------- */

/* How many bytes the guest has room for. Its numbers may be nonsense; the result is at most its buf_alloc. */
static uint32_t guest_room(const struct connection *c)
{
        uint32_t in_flight = c->tx_cnt - c->peer_fwd_cnt;

        return in_flight >= c->peer_buf_alloc ? 0 : c->peer_buf_alloc - in_flight;
}

/* n bytes of the guest's are dealt with.  It is told when that is worth a packet: when half of its
 * credit is used up it hears of it, while it goes on with the other. */
static void forwarded(struct connection *c, size_t n)
{
        c->fwd_cnt += (uint32_t)n;
        if (c->state == CONNECTION_OPEN && c->fwd_cnt - c->told_fwd_cnt >= c->buf_alloc / 2) {
                c->pending |= PENDING_CREDIT_UPDATE;
                device_mark_ready(c);
        }
}

/* --- closing
 * ---------------------------------------------------------------------------------------------------- */

/* Tells the guest that we will send no more, receive no more, or both. */
static void shut_by_us(struct connection *c, uint8_t what)
{
        if (c->state != CONNECTION_OPEN || (c->shut_by_us | what) == c->shut_by_us)
                return;
        c->shut_by_us |= what;
        c->pending |= PENDING_SHUTDOWN;
        device_mark_ready(c);
        if (c->shut_by_us == VSOCK_SHUTDOWN_BOTH) {
                c->deadline = clock_ms() + CLOSE_MS;
                device_set_timer(c->device, c->deadline);
        }
}

/* The descriptor's other end reads no more. */
static void discard_from_now_on(struct connection *c)
{
        c->discards = true;
        forwarded(c, c->ring_n);
        c->ring_n = 0;
        shut_by_us(c, VSOCK_SHUTDOWN_RCV);
}

/* Does what the state now calls for; the connection may be gone afterwards. */
static void settle(struct connection *c)
{
        if (c->state == CONNECTION_LINGERING && c->ring_n == 0) {
                destroy(c);
                return;
        }
        if (c->state != CONNECTION_OPEN || c->ring_n > 0)
                return;
        if (c->shut_by_guest == VSOCK_SHUTDOWN_BOTH)
                connection_reset(c, -ECONNRESET);
        else if (c->shut_by_guest & VSOCK_SHUTDOWN_SEND)
                (void)shutdown(c->fd, SHUT_WR);
}

/* --- from the guest to the descriptor
 * --------------------------------------------------------------------------- */

/* Writes as much as the descriptor takes; returns how much that was. */
static size_t write_some(struct connection *c, struct iovec *segments, size_t n)
{
        struct msghdr msg = {.msg_iov = segments, .msg_iovlen = n};

        ssize_t sent = sendmsg(c->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent >= 0)
                return (size_t)sent;
        if (errno == EAGAIN)
                c->writable = false;
        else if (errno != EINTR)
                discard_from_now_on(c);
        return 0;
}

/* Writes out the ring until it is empty or the descriptor takes no more. */
static void flush(struct connection *c)
{
        while (c->ring_n > 0 && c->writable) {
                size_t first = c->buf_alloc - c->ring_at < c->ring_n ? c->buf_alloc - c->ring_at : c->ring_n;
                struct iovec segments[2] = {
                        {.iov_base = c->ring + c->ring_at, .iov_len = first},
                        {.iov_base = c->ring, .iov_len = c->ring_n - first},
                };
                size_t n = write_some(c, segments, 2);
                if (c->ring_n == 0) /* discarded */
                        return;
                c->ring_at = (c->ring_at + n) % c->buf_alloc;
                c->ring_n -= n;
                forwarded(c, n);
        }
}

/* Keeps n bytes of the chain, from `at` on, in the ring.  There is room: credit was checked. */
static int keep(struct connection *c, const struct virtqueue_chain *chain, size_t at, size_t n)
{
        if (!c->ring)
                c->ring = malloc(c->buf_alloc);
        if (!c->ring)
                return -ENOMEM;
        size_t end = (c->ring_at + c->ring_n) % c->buf_alloc;
        size_t first = c->buf_alloc - end < n ? c->buf_alloc - end : n;
        (void)virtqueue_chain_read(chain, at, c->ring + end, first);
        (void)virtqueue_chain_read(chain, at + first, c->ring, n - first);
        c->ring_n += n;
        return 0;
}

static void on_rw(struct connection *c, const struct vsock_packet_header *header,
                  const struct virtqueue_chain *chain)
{
        uint32_t n = header->len;
        size_t sent = 0;

        if (c->state != CONNECTION_OPEN || (c->shut_by_guest & VSOCK_SHUTDOWN_SEND) ||
            n > c->buf_alloc - (c->rx_cnt - c->fwd_cnt)) {
                log_debug(c->device->log,
                          "vsock: guest sent %" PRIu32 " bytes from port %" PRIu32 " that it may not send", n,
                          c->key.guest_port);
                connection_reset(c, -ECONNRESET);
                return;
        }
        c->rx_cnt += n;
        if (!c->discards && c->ring_n == 0 && c->writable && n > 0) {
                struct iovec segments[VIRTQUEUE_SEGMENTS_MAX];
                size_t count = virtqueue_chain_slice(chain, VSOCK_PACKET_HEADER_SIZE, n, segments);
                sent = write_some(c, segments, count);
                forwarded(c, sent);
        }
        if (c->discards) {
                forwarded(c, n - sent);
        } else if (sent < n) {
                if (keep(c, chain, VSOCK_PACKET_HEADER_SIZE + sent, n - sent) < 0) {
                        connection_reset(c, -ENOMEM);
                        return;
                }
                flush(c);
        }
        settle(c);
}

/* --- packets
 * ---------------------------------------------------------------------------------------------------- */

/* The stream of a connection that the guest agreed to: fds[0] is ours, fds[1] for whoever waits. */
static int make_stream(struct connection *c, int fds[2], struct error *err)
{
        if (!c->stream)
                return unix_socket_pair(fds, err);
        fds[1] = -1;
        return c->stream(&fds[0], c->connected_user, err);
}

/* The guest agreed to a connection that we asked for. */
static void on_response(struct connection *c)
{
        struct error err = {0};
        int fds[2];

        if (c->state != CONNECTION_REQUESTED || (c->pending & PENDING_REQUEST)) {
                connection_reset(c, -ECONNRESET);
                return;
        }
        c->state = CONNECTION_OPEN;
        c->deadline = 0;
        if (!c->connected) {
                if (bridge_confirm(c->fd, c->key.host_port) < 0)
                        connection_reset(c, -ECONNRESET);
                else if (c->readable)
                        device_mark_ready(c);
                return;
        }
        int r = make_stream(c, fds, &err);
        if (r == 0) {
                r = connection_attach(c, fds[0], &err);
                if (r < 0)
                        for (int i = 0; i < 2; i++)
                                fd_close_p(&fds[i]);
        }
        if (r < 0) {
                log_warning(c->device->log, "vsock: %s", error_text(&err));
                connection_reset(c, r);
                return;
        }
        tell_waiter(c, 0, fds[1]);
}

static void on_shutdown(struct connection *c, uint32_t flags)
{
        if (c->state != CONNECTION_OPEN) {
                connection_reset(c, -ECONNRESET);
                return;
        }
        uint8_t fresh = (uint8_t)(flags & VSOCK_SHUTDOWN_BOTH & ~c->shut_by_guest);
        c->shut_by_guest |= fresh;
        if (fresh & VSOCK_SHUTDOWN_RCV)
                (void)shutdown(c->fd, SHUT_RD);
        settle(c);
}

void connection_packet(struct connection *c, const struct vsock_packet_header *header,
                       const struct virtqueue_chain *chain)
{
        if (header->op == VSOCK_OP_RST) {
                connection_drop(c, -ECONNREFUSED);
                return;
        }
        if (c->state == CONNECTION_RESETTING)
                return;
        c->peer_buf_alloc = header->buf_alloc;
        c->peer_fwd_cnt = header->fwd_cnt;
        if (guest_room(c) > 0) {
                c->asked_for_credit = false;
                if (c->readable)
                        device_mark_ready(c);
        }
        switch (header->op) {
        case VSOCK_OP_RW:
                on_rw(c, header, chain);
                return;
        case VSOCK_OP_CREDIT_UPDATE:
                return;
        case VSOCK_OP_CREDIT_REQUEST:
                c->pending |= PENDING_CREDIT_UPDATE;
                device_mark_ready(c);
                return;
        case VSOCK_OP_RESPONSE:
                on_response(c);
                return;
        case VSOCK_OP_SHUTDOWN:
                on_shutdown(c, header->flags);
                return;
        default: /* also a REQUEST for what is connected already */
                log_debug(c->device->log, "vsock: guest sent a misplaced %s packet (%u) from port %" PRIu32,
                          vsock_op_name(header->op), header->op, c->key.guest_port);
                connection_reset(c, -ECONNRESET);
                return;
        }
}

static struct vsock_packet_header make_header(struct connection *c, uint16_t op)
{
        c->told_fwd_cnt = c->fwd_cnt;
        c->pending &= ~(unsigned)PENDING_CREDIT_UPDATE; /* every packet is one */
        return (struct vsock_packet_header){
                .src_cid = c->key.host_cid,
                .dst_cid = c->device->guest_cid,
                .src_port = c->key.host_port,
                .dst_port = c->key.guest_port,
                .type = VSOCK_TYPE_STREAM,
                .op = op,
                .buf_alloc = c->buf_alloc,
                .fwd_cnt = c->fwd_cnt,
        };
}

bool connection_next_control(struct connection *c, struct vsock_packet_header *ret_header)
{
        /* In the order in which they have to leave. */
        static const struct {
                unsigned pending;
                uint16_t op;
        } order[] = {
                {PENDING_RST, VSOCK_OP_RST},
                {PENDING_REQUEST, VSOCK_OP_REQUEST},
                {PENDING_RESPONSE, VSOCK_OP_RESPONSE},
                {PENDING_SHUTDOWN, VSOCK_OP_SHUTDOWN},
                {PENDING_CREDIT_REQUEST, VSOCK_OP_CREDIT_REQUEST},
                {PENDING_CREDIT_UPDATE, VSOCK_OP_CREDIT_UPDATE},
        };

        for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
                if (!(c->pending & order[i].pending))
                        continue;
                c->pending &= ~order[i].pending;
                *ret_header = make_header(c, order[i].op);
                if (order[i].op == VSOCK_OP_SHUTDOWN)
                        ret_header->flags = c->shut_by_us;
                if (order[i].op == VSOCK_OP_RST)
                        destroy(c);
                return true;
        }
        return false;
}

/* --- from the descriptor to the guest
 * --------------------------------------------------------------------------- */

size_t connection_may_send(struct connection *c)
{
        if (c->state != CONNECTION_OPEN || !c->readable || (c->shut_by_us & VSOCK_SHUTDOWN_SEND) ||
            (c->shut_by_guest & VSOCK_SHUTDOWN_RCV))
                return 0;
        uint32_t room = guest_room(c);
        if (room == 0 && !c->asked_for_credit) {
                c->asked_for_credit = true;
                c->pending |= PENDING_CREDIT_REQUEST;
        }
        return room < RX_BATCH_BYTES ? room : RX_BATCH_BYTES;
}

void connection_did_read(struct connection *c, ssize_t n, bool drained)
{
        /* What is written from now on is a new event; an end that was told of before is none, nor is what an
         * urgent byte hid. */
        if (n > 0 && drained && !c->ends && !c->urgent)
                c->readable = false;
        if (n > 0 || n == -EINTR)
                return;
        c->readable = false;
        if (n == 0)
                shut_by_us(c, c->hung_up ? VSOCK_SHUTDOWN_BOTH : VSOCK_SHUTDOWN_SEND);
        else if (n != -EAGAIN)
                connection_reset(c, (int)n);
}

struct vsock_packet_header connection_data_header(struct connection *c, uint32_t n)
{
        struct vsock_packet_header header = make_header(c, VSOCK_OP_RW);

        header.len = n;
        c->tx_cnt += n;
        return header;
}

/* --- the descriptor
 * --------------------------------------------------------------------------------------------- */

static int on_events(struct loop_source *source, int fd, uint32_t events, void *user)
{
        struct connection *c = user;
        struct vsock_device *device = c->device;

        (void)source, (void)fd;
        device_enter(device);
        if (events & (EPOLLHUP | EPOLLERR))
                events |= EPOLLIN | EPOLLOUT;
        if (events & EPOLLHUP)
                c->hung_up = true;
        if (events & (EPOLLHUP | EPOLLERR | EPOLLRDHUP))
                c->ends = true;
        if (events & EPOLLPRI)
                c->urgent = true;
        if (events & EPOLLOUT)
                c->writable = true;
        if (events & (EPOLLIN | EPOLLRDHUP))
                c->readable = true;
        if (c->state == CONNECTION_REQUESTED) {
                if (c->hung_up) /* the client does not want it any more */
                        connection_reset(c, -ECANCELED);
        } else {
                flush(c);
                /* Hung up, and nothing left to read or nobody to read it for. */
                if (c->hung_up &&
                    ((c->shut_by_us & VSOCK_SHUTDOWN_SEND) || (c->shut_by_guest & VSOCK_SHUTDOWN_RCV)))
                        shut_by_us(c, VSOCK_SHUTDOWN_BOTH);
                if (c->readable)
                        device_mark_ready(c);
                settle(c);
        }
        return device_service(device);
}

/* Lets the socket take about what the guest was promised: what it doesn't take is copied once more, through
 * the ring.  The kernel has its own limit. */
static void fit_to_promise(const struct connection *c, int fd)
{
        const int size = (int)c->buf_alloc;

        (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
}

int connection_attach(struct connection *c, int fd, struct error *err)
{
        fit_to_promise(c, fd);
        /* Edge-triggered, so that a stream which waits for the guest's credit costs nothing, hung up or
         * not. */
        int r = loop_add_fd(c->device->loop, fd, EPOLLIN | EPOLLPRI | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                            on_events, c, &c->source, err);

        if (r == 0)
                c->fd = fd;
        return r;
}

int connection_request(struct vsock_device *device, uint32_t port, struct connection **ret_connection)
{
        const struct connection_key key = {
                .guest_port = port,
                .host_port = connection_table_choose_port(&device->table, port),
                .host_cid = VSOCK_CID_HOST,
        };
        struct connection *c;

        int r = connection_table_add(&device->table, device, &key, CONNECTION_REQUESTED, &c);
        if (r < 0)
                return r;
        c->pending = PENDING_REQUEST;
        device_mark_ready(c);
        *ret_connection = c;
        return 0;
}

void connection_expired(struct connection *c)
{
        c->deadline = 0;
        connection_reset(c, -ETIMEDOUT);
}
