/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation.  The transmit ring never waits for the receive ring: a packet is dealt with at once,
 * wholly, whatever the state of the receive ring (connection.c tells how that is possible in bounded memory).
 * Were it otherwise, a guest that transmits before it receives could wait for us while we wait for it.  Only
 * RSTs for packets that belong to nothing need memory of their own; when 256 of them wait, further ones are
 * dropped, which a flooding guest has earned.
 *
 * Data for the guest is read from its descriptor straight into as many of the guest's buffers as one run of a
 * stream takes.  Linux gives 4 KiB buffers; one system call per buffer would cost more than the copy.
 */
#include "lib/vsock/device-internal.h"

#include "lib/base/fd.h"

#include <inttypes.h>
#include <limits.h>
#include <sys/socket.h>

enum {
        TX_BUDGET = 256, /* packets from the guest in one turn */
        RX_BUDGET = 64,  /* runs to the guest in one turn */
};

/* --- from the guest
 * --------------------------------------------------------------------------------------------- */

/* Answers a packet that belongs to no connection.  An RST is never answered. */
static void refuse_packet(struct vsock_device *device, const struct vsock_packet_header *header)
{
        if (header->op == VSOCK_OP_RST || device->replies_n == REPLIES_MAX)
                return;
        device->replies[(device->replies_at + device->replies_n++) % REPLIES_MAX] = (struct stray_reply){
                .host_cid = header->dst_cid,
                .host_port = header->dst_port,
                .guest_port = header->src_port,
                .type = header->type,
        };
}

/* The guest asks for a new connection. */
static int accept_request(struct vsock_device *device, const struct vsock_packet_header *header,
                          const struct connection_key *key, struct error *err)
{
        struct listener *listener;
        struct connection *c;
        int fds[2];

        int r = bridge_dial(device, key->host_port, &listener, fds, err);
        if (r < 0)
                return r;
        cleanup_fd int fd = fds[0];
        cleanup_fd int other_end = fds[1];
        r = connection_table_add(&device->table, device, key, CONNECTION_OPEN, &c);
        if (r < 0)
                return error_set(err, r, "%zu connections are open", device->table.n);
        r = connection_attach(c, fd, err);
        if (r < 0) {
                connection_abandon(c, r);
                return r;
        }
        take_fd(&fd);
        c->peer_buf_alloc = header->buf_alloc;
        c->peer_fwd_cnt = header->fwd_cnt;
        c->pending = PENDING_RESPONSE;
        device_mark_ready(c);
        device->peer_port = key->guest_port;
        if (listener)
                bridge_deliver(device, listener, take_fd(&other_end));
        return 0;
}

void device_packet(struct vsock_device *device, const struct virtqueue_chain *chain)
{
        uint8_t bytes[VSOCK_PACKET_HEADER_SIZE];
        struct vsock_packet_header header;
        struct error err = {0};

        if (!virtqueue_chain_read(chain, 0, bytes, sizeof(bytes)) ||
            !vsock_packet_decode(view_of(bytes, sizeof(bytes)), &header) ||
            header.src_cid != device->guest_cid) {
                log_debug(device->log, "vsock: packet without a proper header is dropped");
                return;
        }
        bool to_parent = header.dst_cid == VSOCK_CID_HOST || header.dst_cid == VSOCK_CID_PARENT;
        if (!to_parent || header.type != VSOCK_TYPE_STREAM) {
                log_debug(device->log, "vsock: refused %s packet of type %u to CID %" PRIu64,
                          vsock_op_name(header.op), header.type, header.dst_cid);
                refuse_packet(device, &header);
                return;
        }
        const struct connection_key key = {
                .guest_port = header.src_port,
                .host_port = header.dst_port,
                .host_cid = (uint32_t)header.dst_cid,
        };
        struct connection *c = connection_table_find(&device->table, &key);
        if (c && header.op == VSOCK_OP_RW && header.len > chain->size - sizeof(bytes)) {
                log_debug(device->log, "vsock: guest sent %zu of %" PRIu32 " bytes of payload",
                          chain->size - sizeof(bytes), header.len);
                connection_reset(c, -ECONNRESET);
        } else if (c) {
                connection_packet(c, &header, chain);
        } else if (header.op != VSOCK_OP_REQUEST) {
                refuse_packet(device, &header);
        } else if (accept_request(device, &header, &key, &err) < 0) {
                log_debug(device->log, "vsock: guest's connection to port %" PRIu32 " is refused: %s",
                          key.host_port, error_text(&err));
                refuse_packet(device, &header);
        }
}

int rings_receive(struct vsock_device *device, struct error *err)
{
        struct virtqueue *q = vhost_user_queue(device->session, QUEUE_TX);
        int budget = TX_BUDGET;

        if (!q)
                return 0;
        do {
                virtqueue_disable_kicks(q);
                for (;;) {
                        if (budget-- == 0) {
                                device->more = true;
                                return 0;
                        }
                        int r = virtqueue_pop(q, &device->tx_chain, err);
                        if (r < 0)
                                return r;
                        if (r == 0)
                                break;
                        device_packet(device, &device->tx_chain);
                        virtqueue_push(q, device->tx_chain.head, 0);
                }
        } while (virtqueue_enable_kicks(q));
        return 0;
}

/* --- to the guest
 * ----------------------------------------------------------------------------------------------- */

/* The next buffer of the guest's: 1, or 0 where there is none. */
static int pop_buffer(struct virtqueue *q, struct virtqueue_chain *ret_chain, struct error *err)
{
        int r = virtqueue_pop(q, ret_chain, err);

        if (r == 1 && ret_chain->size <= VSOCK_PACKET_HEADER_SIZE)
                return error_set(err, -EBADMSG, "a buffer of %zu bytes is too small for a packet",
                                 ret_chain->size);
        return r;
}

static void push_packet(struct virtqueue *q, const struct virtqueue_chain *chain,
                        const struct vsock_packet_header *header)
{
        uint8_t bytes[VSOCK_PACKET_HEADER_SIZE];

        vsock_packet_encode(header, bytes);
        (void)virtqueue_chain_write(chain, 0, bytes, sizeof(bytes));
        virtqueue_push(q, chain->head, (uint32_t)sizeof(bytes) + header->len);
}

/* Sends the oldest stray RST: 1, or 0 for want of a buffer. */
static int send_reply(struct vsock_device *device, struct virtqueue *q, struct error *err)
{
        const struct stray_reply *reply = &device->replies[device->replies_at];
        const struct vsock_packet_header header = {
                .src_cid = reply->host_cid,
                .dst_cid = device->guest_cid,
                .src_port = reply->host_port,
                .dst_port = reply->guest_port,
                .type = reply->type,
                .op = VSOCK_OP_RST,
        };

        int r = pop_buffer(q, &device->rx_chains[0], err);
        if (r <= 0)
                return r;
        push_packet(q, &device->rx_chains[0], &header);
        device->replies_at = (device->replies_at + 1) % REPLIES_MAX;
        device->replies_n--;
        return 1;
}

static int send_control(struct connection *c, struct virtqueue *q, struct error *err)
{
        struct virtqueue_chain *chain = &c->device->rx_chains[0];
        struct vsock_packet_header header;

        int r = pop_buffer(q, chain, err);
        if (r <= 0)
                return r;
        if (connection_next_control(c, &header))
                push_packet(q, chain, &header);
        else
                virtqueue_unpop(q, 1);
        return 1;
}

/* Takes buffers with room for `wanted` bytes of data, as far as there are; *ret_n says how many. */
static int pop_run(struct vsock_device *device, struct virtqueue *q, size_t wanted, size_t *ret_n,
                   struct error *err)
{
        size_t n = 0, segments = 0, room = 0;

        while (n < RX_BATCH_BUFFERS && room < wanted && segments + VIRTQUEUE_SEGMENTS_MAX <= IOV_MAX) {
                int r = pop_buffer(q, &device->rx_chains[n], err);
                if (r < 0)
                        return r;
                if (r == 0)
                        break;
                room += device->rx_chains[n].size - VSOCK_PACKET_HEADER_SIZE;
                segments += device->rx_chains[n].n;
                n++;
        }
        *ret_n = n;
        return 0;
}

/* Reads up to `wanted` bytes from the connection's descriptor into the data part of n buffers.  A read that
 * comes short has drained a stream socket (epoll(7)), unless it stopped at descriptors that came along. */
static ssize_t read_into(struct connection *c, const struct virtqueue_chain *chains, size_t n, size_t wanted,
                         bool *ret_drained)
{
        struct iovec segments[IOV_MAX];
        size_t count = 0, asked = 0;

        for (size_t i = 0; i < n && wanted > 0; i++) {
                size_t room = chains[i].size - VSOCK_PACKET_HEADER_SIZE;
                size_t part = room < wanted ? room : wanted;
                count += virtqueue_chain_slice(&chains[i], VSOCK_PACKET_HEADER_SIZE, part, segments + count);
                wanted -= part;
                asked += part;
        }
        struct msghdr msg = {.msg_iov = segments, .msg_iovlen = count};
        ssize_t got = recvmsg(c->fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (got < 0)
                return -errno;
        *ret_drained = (size_t)got < asked && !(msg.msg_flags & MSG_CTRUNC);
        return got;
}

/* Sends a run of at most `wanted` bytes: 1, or 0 for want of buffers. */
static int send_data(struct connection *c, struct virtqueue *q, size_t wanted, struct error *err)
{
        struct vsock_device *device = c->device;
        size_t n, used = 0;
        bool drained = false;

        int r = pop_run(device, q, wanted, &n, err);
        if (r < 0 || n == 0)
                return r;
        /* Behind all others, for its next turn.  Who got no buffer keeps its place: else those whose turns
         * the guest's buffers suffice for would always be the same. */
        TAILQ_REMOVE(&device->ready, c, ready);
        TAILQ_INSERT_TAIL(&device->ready, c, ready);
        ssize_t got = read_into(c, device->rx_chains, n, wanted, &drained);
        for (size_t left = got > 0 ? (size_t)got : 0; left > 0; used++) {
                const struct virtqueue_chain *chain = &device->rx_chains[used];
                size_t room = chain->size - VSOCK_PACKET_HEADER_SIZE;
                size_t part = room < left ? room : left;
                struct vsock_packet_header header = connection_data_header(c, (uint32_t)part);
                push_packet(q, chain, &header);
                left -= part;
        }
        virtqueue_unpop(q, (uint16_t)(n - used));
        connection_did_read(c, got, drained);
        return 1;
}

/* Gives the connection its turn: 1, or 0 for want of buffers. */
static int send_turn(struct connection *c, struct virtqueue *q, struct error *err)
{
        if (c->pending)
                return send_control(c, q, err);
        size_t wanted = connection_may_send(c);
        if (c->pending)
                return send_control(c, q, err);
        if (wanted == 0) {
                device_unmark_ready(c);
                return 1;
        }
        return send_data(c, q, wanted, err);
}

int rings_send(struct vsock_device *device, struct error *err)
{
        struct virtqueue *q = vhost_user_queue(device->session, QUEUE_RX);

        if (!q)
                return 0;
        for (int budget = RX_BUDGET; budget > 0; budget--) {
                struct connection *c = TAILQ_FIRST(&device->ready);
                if (device->replies_n == 0 && !c) {
                        virtqueue_disable_kicks(q);
                        return 0;
                }
                int r = device->replies_n > 0 ? send_reply(device, q, err) : send_turn(c, q, err);
                if (r < 0)
                        return r;
                if (r == 0 && !virtqueue_enable_kicks(q))
                        return 0;
        }
        device->more = true;
        return 0;
}
