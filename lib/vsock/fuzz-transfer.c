/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: streams between a parent and an honest guest, in whatever order things happen; nothing may be
 * lost, and nothing may wait for what never comes.
 *
 * The guest does what Linux's driver does, and not more: it looks into a ring only when it was interrupted,
 * and kicks only where the device wants to be told, by event indexes or by flags.  The input is u8 options,
 * then pairs of u8: what happens, and how much of it.  Behind the input all go on until everything that was
 * to be sent has arrived and every stream has ended in good order, for which so many rounds must do.
 */
#include "lib/vsock/fake-driver.h"

#include "lib/base/fd.h"
#include "lib/base/view.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/virtio_ring.h>

enum {
        RX = 0,
        TX = 1,
        PORT = 1,
        GUEST_PORT = 1000,
        STREAMS_MAX = 3,
        BUF_ALLOC_MIN = 4096,
        STEPS_MAX = 300,
        ROUNDS_MAX = 400,
        SENT_MAX = 384 * 1024, /* bytes of a stream in one direction: more than buffers and credit hold */
        PERIOD = 65521,        /* of what they are, a prime: whatever is missing shows */
        TX_SPACE = 16 * 1024,  /* of one packet in the driver's memory */
        PIECE_MAX = 8 * 1024,  /* of payload in it */
        ROOM_TOLD = 64 * 1024, /* with less than this known to be free Linux tells of more */
        ELEMENT_SIZE = 8,      /* of the used ring */
        REFUSES_EVENT_IDX = 1, /* options */
};

/* One direction. */
struct flow {
        size_t wanted; /* by the writer, who waits where there is no room for it */
        size_t sent;
        size_t received;
};

struct stream {
        int fd; /* the parent's end; -1 before the device has handed it over, and once it is closed */
        struct flow to_guest;
        struct flow to_parent;
        bool accepted; /* RESPONSE came */
        bool ended;    /* SHUTDOWN(SEND) came */
        bool reset;
        bool update_due;
        uint32_t unread;    /* bytes in the guest's socket */
        uint32_t fwd_cnt;   /* bytes that its reader has taken */
        uint32_t told;      /* of these the device knows */
        uint32_t peer_room; /* the device's buf_alloc and fwd_cnt */
        uint32_t peer_fwd_cnt;
};

struct guest {
        struct driver d;
        uint32_t buf_alloc;
        bool event_idx;
        uint16_t kicked[2]; /* available index at the last kick */
        uint16_t spent;     /* receive buffers that were taken and not yet given back: the last so many */
        uint16_t spent_heads[DRIVER_RING];
        struct stream streams[STREAMS_MAX];
        size_t n;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What a stream carries from byte i on, PIECE_MAX bytes of it. */
static const uint8_t *content_at(size_t i)
{
        static uint8_t content[PERIOD + PIECE_MAX];

        if (content[1] == 0)
                for (size_t at = 0; at < sizeof(content); at++)
                        content[at] = (uint8_t)(at % PERIOD * 31 + (at % PERIOD >> 8));
        return content + i % PERIOD;
}

static void must(bool holds)
{
        if (!holds)
                abort();
}

/* ---- rings, as Linux's driver has them ---- */

static uint16_t load(const struct driver *d, size_t at)
{
        uint16_t value;

        memcpy(&value, d->memory + at, sizeof(value));
        return value;
}

static size_t used_event(const struct driver_ring *ring)
{
        return ring->avail + 4 + sizeof(uint16_t) * DRIVER_RING;
}

static size_t avail_event(const struct driver_ring *ring)
{
        return ring->used + 4 + (size_t)ELEMENT_SIZE * DRIVER_RING;
}

static void kick_if_wanted(struct guest *g, size_t index)
{
        struct driver_ring *ring = &g->d.rings[index];
        uint16_t old = g->kicked[index], now = ring->next_avail;
        bool wanted = g->event_idx ? vring_need_event(load(&g->d, avail_event(ring)), now, old)
                                   : !(load(&g->d, ring->used) & VRING_USED_F_NO_NOTIFY);
        const uint64_t one = 1;

        g->kicked[index] = now;
        if (wanted)
                must(write(ring->kick_fd, &one, sizeof(one)) == sizeof(one));
}

static void make_available(struct guest *g, size_t index, uint16_t head)
{
        struct driver_ring *ring = &g->d.rings[index];

        memcpy(g->d.memory + ring->avail + 4 + sizeof(head) * (ring->next_avail % DRIVER_RING), &head,
               sizeof(head));
        ring->next_avail++;
        memcpy(g->d.memory + ring->avail + 2, &ring->next_avail, sizeof(ring->next_avail));
}

static bool next_used(struct guest *g, size_t index, uint32_t ret_element[2])
{
        struct driver_ring *ring = &g->d.rings[index];

        if (load(&g->d, ring->used + 2) == ring->seen_used)
                return false;
        memcpy(ret_element,
               g->d.memory + ring->used + 4 + (size_t)ELEMENT_SIZE * (ring->seen_used % DRIVER_RING),
               2 * sizeof(uint32_t));
        ring->seen_used++;
        must(ret_element[0] < DRIVER_RING);
        return true;
}

static bool was_interrupted(const struct guest *g, size_t index)
{
        uint64_t count;

        return read(g->d.rings[index].call_fd, &count, sizeof(count)) == sizeof(count);
}

/* Asks for an interrupt with the next buffer. */
static void want_interrupt(struct guest *g, size_t index)
{
        const struct driver_ring *ring = &g->d.rings[index];

        if (g->event_idx)
                memcpy(g->d.memory + used_event(ring), &ring->seen_used, sizeof(ring->seen_used));
}

/* ---- the guest ---- */

static uint16_t free_pairs(const struct guest *g)
{
        const struct driver_ring *ring = &g->d.rings[TX];

        return (uint16_t)(DRIVER_RING / 2 - (uint16_t)(ring->next_avail - ring->seen_used));
}

/* False where the ring is full. */
static bool send_packet(struct guest *g, struct stream *s, uint16_t op, uint32_t flags, size_t n)
{
        struct driver_ring *ring = &g->d.rings[TX];
        uint16_t head = (uint16_t)(2 * (ring->next_avail % (DRIVER_RING / 2)));
        size_t at = driver_transmit_at() + (size_t)(head / 2) * TX_SPACE;
        struct vsock_packet_header header =
                driver_header(&g->d, op, GUEST_PORT + (uint32_t)(s - g->streams), PORT);
        uint8_t bytes[VSOCK_PACKET_HEADER_SIZE];

        if (free_pairs(g) == 0)
                return false;
        header.len = (uint32_t)n;
        header.flags = flags;
        header.buf_alloc = g->buf_alloc;
        header.fwd_cnt = s->fwd_cnt;
        vsock_packet_encode(&header, bytes);
        memcpy(g->d.memory + at, bytes, sizeof(bytes));
        memcpy(g->d.memory + at + sizeof(bytes), content_at(s->to_parent.sent), n);
        driver_set_descriptor(&g->d, TX, head, DRIVER_GUEST_ADDR + at, sizeof(bytes),
                              n > 0 ? VRING_DESC_F_NEXT : 0, (uint16_t)(head + 1));
        driver_set_descriptor(&g->d, TX, (uint16_t)(head + 1), DRIVER_GUEST_ADDR + at + sizeof(bytes),
                              (uint32_t)n, 0, 0);
        make_available(g, TX, head);
        kick_if_wanted(g, TX);
        s->told = s->fwd_cnt;
        s->update_due = false;
        return true;
}

/* Sends what the guest's writer waits to send, as far as there is credit. */
static void send_data(struct guest *g, struct stream *s)
{
        for (;;) {
                size_t credit = s->peer_room - (uint32_t)(s->to_parent.sent - s->peer_fwd_cnt);
                size_t n = s->to_parent.wanted - s->to_parent.sent;
                must(credit <= s->peer_room);
                n = n < credit ? n : credit;
                n = n < PIECE_MAX ? n : PIECE_MAX;
                if (!s->accepted || n == 0 || !send_packet(g, s, VSOCK_OP_RW, 0, n))
                        return;
                s->to_parent.sent += n;
        }
}

static void take_data(const struct guest *g, struct stream *s, const uint8_t *p, uint32_t n)
{
        s->unread += n;
        must(!s->ended && s->unread <= g->buf_alloc);
        must(n <= PIECE_MAX && memcmp(p, content_at(s->to_guest.received), n) == 0);
        s->to_guest.received += n;
}

static void take_packet(struct guest *g, const uint8_t *packet, uint32_t size)
{
        struct vsock_packet_header h;

        must(vsock_packet_decode(view_of(packet, size), &h) && size == VSOCK_PACKET_HEADER_SIZE + h.len);
        must(h.dst_port >= GUEST_PORT && h.dst_port < GUEST_PORT + g->n && h.src_port == PORT);
        struct stream *s = &g->streams[h.dst_port - GUEST_PORT];
        must(!s->reset);
        s->peer_room = h.buf_alloc;
        s->peer_fwd_cnt = h.fwd_cnt;
        if (h.op == VSOCK_OP_RESPONSE)
                s->accepted = true;
        else if (h.op == VSOCK_OP_RW)
                take_data(g, s, packet + VSOCK_PACKET_HEADER_SIZE, h.len);
        else if (h.op == VSOCK_OP_CREDIT_REQUEST)
                s->update_due = true;
        else if (h.op == VSOCK_OP_SHUTDOWN)
                s->ended = s->ended || h.flags & VSOCK_SHUTDOWN_SEND;
        else if (h.op == VSOCK_OP_RST)
                s->reset = true;
        else
                must(h.op == VSOCK_OP_CREDIT_UPDATE);
}

static void on_receive_interrupt(struct guest *g)
{
        uint32_t element[2];

        if (!was_interrupted(g, RX))
                return;
        do {
                while (next_used(g, RX, element)) {
                        take_packet(g, g->d.memory + driver_buffer_at(element[0]), element[1]);
                        g->spent_heads[g->spent++] = (uint16_t)element[0];
                }
                want_interrupt(g, RX);
        } while (load(&g->d, g->d.rings[RX].used + 2) != g->d.rings[RX].seen_used);
}

static void on_transmit_interrupt(struct guest *g)
{
        uint32_t element[2];

        if (!was_interrupted(g, TX))
                return;
        do {
                while (next_used(g, TX, element))
                        ;
                want_interrupt(g, TX);
        } while (load(&g->d, g->d.rings[TX].used + 2) != g->d.rings[TX].seen_used);
}

static void give_buffers(struct guest *g, size_t n)
{
        if (g->spent == 0)
                return;
        for (; g->spent > 0 && n > 0; n--)
                make_available(g, RX, g->spent_heads[--g->spent]);
        kick_if_wanted(g, RX);
}

/* The reader in the guest takes up to n bytes. */
static void read_in_guest(struct guest *g, struct stream *s, size_t n)
{
        uint32_t part = n < s->unread ? (uint32_t)n : s->unread;

        s->unread -= part;
        s->fwd_cnt += part;
        if (part > 0 && g->buf_alloc - (s->fwd_cnt - s->told) < ROOM_TOLD)
                s->update_due = true;
        if (s->update_due && s->accepted)
                (void)send_packet(g, s, VSOCK_OP_CREDIT_UPDATE, 0, 0);
}

/* ---- the parent ---- */

static void on_accept(struct vsock_device *device, uint32_t port, int fd, void *user)
{
        struct guest *g = user;
        uint32_t i = vsock_device_peer_port(device) - GUEST_PORT;

        must(port == PORT && i < g->n && g->streams[i].fd < 0);
        g->streams[i].fd = fd;
}

static void write_in_parent(struct stream *s)
{
        ssize_t written = 1;

        while (s->fd >= 0 && written > 0) {
                size_t n = s->to_guest.wanted - s->to_guest.sent;
                n = n < PIECE_MAX ? n : PIECE_MAX;
                written = n == 0 ? 0
                                 : send(s->fd, content_at(s->to_guest.sent), n, MSG_DONTWAIT | MSG_NOSIGNAL);
                s->to_guest.sent += written > 0 ? (size_t)written : 0;
        }
}

static ssize_t read_in_parent(struct stream *s, size_t n)
{
        uint8_t bytes[PIECE_MAX];
        ssize_t taken =
                s->fd < 0 ? -1 : recv(s->fd, bytes, n < sizeof(bytes) ? n : sizeof(bytes), MSG_DONTWAIT);

        if (taken <= 0)
                return taken;
        must(memcmp(bytes, content_at(s->to_parent.received), (size_t)taken) == 0);
        s->to_parent.received += (size_t)taken;
        return taken;
}

/* ---- what happens ---- */

static void want(struct flow *flow, size_t n)
{
        flow->wanted = n < SENT_MAX - flow->wanted ? flow->wanted + n : SENT_MAX;
}

static void step(struct guest *g, uint8_t what, uint8_t much)
{
        struct stream *s = &g->streams[(what >> 3) % g->n];

        switch (what % 8) {
        case 0:
                driver_turn(&g->d);
                return;
        case 1:
                want(&s->to_guest, (size_t)much * much * 4 + 1);
                write_in_parent(s);
                return;
        case 2:
                (void)read_in_parent(s, (size_t)much * 64 + 1);
                return;
        case 3:
                want(&s->to_parent, (size_t)much * much * 4 + 1);
                send_data(g, s);
                return;
        case 4:
                on_receive_interrupt(g);
                return;
        case 5:
                read_in_guest(g, s, (size_t)much * 64);
                return;
        case 6:
                on_transmit_interrupt(g);
                return;
        default:
                give_buffers(g, much % DRIVER_RING + 1);
        }
}

/* One round in which everybody does what there is to do. */
static void go_on(struct guest *g)
{
        driver_turn(&g->d);
        on_receive_interrupt(g);
        on_transmit_interrupt(g);
        give_buffers(g, DRIVER_RING);
        for (size_t i = 0; i < g->n; i++) {
                struct stream *s = &g->streams[i];
                read_in_guest(g, s, SIZE_MAX);
                send_data(g, s);
                write_in_parent(s);
                while (read_in_parent(s, SIZE_MAX) > 0)
                        ;
        }
}

static bool has_arrived(const struct stream *s)
{
        return s->accepted && s->to_guest.received == s->to_guest.wanted &&
               s->to_parent.received == s->to_parent.wanted;
}

static void await(struct guest *g, bool (*condition)(const struct stream *s))
{
        for (size_t i = 0, rounds = 0; i < g->n;) {
                if (condition(&g->streams[i])) {
                        i++;
                        continue;
                }
                must(rounds++ < ROUNDS_MAX);
                go_on(g);
        }
}

static bool has_ended(const struct stream *s)
{
        return s->ended;
}

static bool is_reset(const struct stream *s)
{
        return s->reset;
}

/* Both sides say that they have no more, in turn; the guest, which heard it from both, is the one that is
 * answered with RST. */
static void end_streams(struct guest *g)
{
        for (size_t i = 0; i < g->n; i++)
                must(shutdown(g->streams[i].fd, SHUT_WR) == 0);
        await(g, has_ended);
        for (size_t i = 0; i < g->n; i++)
                while (!send_packet(g, &g->streams[i], VSOCK_OP_SHUTDOWN, VSOCK_SHUTDOWN_BOTH, 0))
                        go_on(g);
        await(g, is_reset);
        must(vsock_device_connections(g->d.device) == 0);
        for (size_t i = 0; i < g->n; i++)
                must(read_in_parent(&g->streams[i], 1) == 0);
}

static void begin(struct guest *g, uint8_t options)
{
        g->event_idx = !(options & REFUSES_EVENT_IDX);
        g->n = (size_t)(options >> 1) % STREAMS_MAX + 1;
        g->buf_alloc = (uint32_t)BUF_ALLOC_MIN << (options >> 4) % 8;
        driver_init(&g->d, (struct vsock_device_options){0});
        g->d.refused_features = g->event_idx ? 0 : UINT64_C(1) << VIRTIO_RING_F_EVENT_IDX;
        driver_start(&g->d);
        g->kicked[RX] = g->d.rings[RX].next_avail;
        must(vsock_device_listen(g->d.device, PORT, on_accept, g, NULL) == 0);
        for (size_t i = 0; i < g->n; i++) {
                g->streams[i].fd = -1;
                must(send_packet(g, &g->streams[i], VSOCK_OP_REQUEST, 0, 0));
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct cursor c = cursor_of(view_of(data, size));
        struct guest g = {.n = 0};

        begin(&g, cursor_u8(&c));
        for (int i = 0; i < STEPS_MAX && !cursor_at_end(&c); i++) {
                uint8_t what = cursor_u8(&c);
                step(&g, what, cursor_u8(&c));
        }
        await(&g, has_arrived);
        end_streams(&g);
        must(g.d.ended == 0);
        for (size_t i = 0; i < g.n; i++)
                fd_close_p(&g.streams[i].fd);
        driver_done(&g.d);
        return 0;
}
