/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: a whole device, and a guest that has its rings.  The input is a row of records: u8 what
 * happens (the high bit: the device gets no turn after it), then what that takes.  The guest may write to its
 * rings whatever it likes, but can also send packets and take those for it in good order, so that there are
 * streams for the rest to disturb.
 */
#include "lib/vsock/fake-driver.h"

#include "lib/base/fd.h"
#include "lib/base/view.h"
#include "lib/vsock/vhost-user-message.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/virtio_ring.h>

enum {
        RX = 0,
        TX = 1,
        STREAMS_MAX = 4,
        RECORDS_MAX = 200,
        RINGS_SPACE = 6 * 4096, /* both rings lie at the beginning of the memory */
        PAYLOAD_UNIT = 64,
        ELEMENT_SIZE = 8,
};

struct target {
        struct driver d;
        int fds[STREAMS_MAX];
        size_t n;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void keep(struct target *t, int fd)
{
        if (t->n < STREAMS_MAX)
                t->fds[t->n++] = fd;
        else
                close(fd);
}

static void on_accept(struct vsock_device *device, uint32_t port, int fd, void *user)
{
        (void)device, (void)port;
        keep(user, fd);
}

static void on_connected(struct vsock_device *device, int result, int fd, void *user)
{
        (void)device;
        if ((result == 0) != (fd >= 0))
                abort();
        if (fd >= 0)
                keep(user, fd);
}

static void write_rings(struct driver *d, struct cursor *c)
{
        size_t at = cursor_le16(c) % RINGS_SPACE;
        struct view bytes = cursor_take(c, cursor_u8(c));

        if (cursor_ok(c) && bytes.n > 0)
                memcpy(d->memory + at, bytes.p, bytes.n);
}

static void set_descriptor(struct driver *d, struct cursor *c)
{
        uint8_t which = cursor_u8(c);
        uint64_t addr = DRIVER_GUEST_ADDR + cursor_le32(c);
        uint16_t size = cursor_le16(c), flags = cursor_u8(c);

        driver_set_descriptor(d, which & 1, (which >> 1) % DRIVER_RING, addr, size, flags, cursor_u8(c));
}

/* One packet in two descriptors, of which there are pairs for many. */
static void send_packet(struct driver *d, struct cursor *c)
{
        struct driver_ring *ring = &d->rings[TX];
        uint16_t head = (uint16_t)(2 * (ring->next_avail % (DRIVER_RING / 2)));
        size_t at = driver_transmit_at() + (size_t)head * (DRIVER_PAYLOAD / 2);
        uint8_t op = cursor_u8(c), ports = cursor_u8(c);
        struct vsock_packet_header header = driver_header(d, op % 9, ports % 4, ports >> 2 & 3);
        uint8_t bytes[VSOCK_PACKET_HEADER_SIZE];

        header.dst_cid += ports >> 4 & 1;
        header.len = (uint32_t)cursor_u8(c) * PAYLOAD_UNIT;
        header.flags = cursor_u8(c);
        header.buf_alloc = 1U << (header.flags % 32);
        header.fwd_cnt = cursor_le32(c);
        vsock_packet_encode(&header, bytes);
        memcpy(d->memory + at, bytes, sizeof(bytes));
        driver_set_descriptor(d, TX, head, DRIVER_GUEST_ADDR + at, sizeof(bytes),
                              header.len ? VRING_DESC_F_NEXT : 0, (uint16_t)(head + 1));
        driver_set_descriptor(d, TX, (uint16_t)(head + 1), DRIVER_GUEST_ADDR + at + sizeof(bytes), header.len,
                              0, 0);
        driver_offer(d, TX, head);
}

/* Gives the device its receive buffers again, as a good driver does. */
static void take_packets(struct driver *d)
{
        struct driver_ring *ring = &d->rings[RX];
        uint16_t used, i;

        memcpy(&used, d->memory + ring->used + 2, sizeof(used));
        for (i = 0; ring->seen_used != used && i < DRIVER_RING; i++) {
                uint16_t head;
                memcpy(&head,
                       d->memory + ring->used + 4 + ELEMENT_SIZE * (size_t)(ring->seen_used % DRIVER_RING),
                       sizeof(head));
                ring->seen_used++;
                driver_offer(d, RX, head);
        }
}

static void act_as_parent(struct target *t, uint8_t what)
{
        char bytes[4096] = {0};

        for (size_t i = 0; i < t->n; i++) {
                if (what & 1)
                        (void)send(t->fds[i], bytes, 16 * (size_t)what, MSG_DONTWAIT | MSG_NOSIGNAL);
                if (what & 2)
                        (void)recv(t->fds[i], bytes, sizeof(bytes), MSG_DONTWAIT);
                if ((what & 12) == 12)
                        (void)shutdown(t->fds[i], what >> 6 & 1);
        }
        if ((what & 48) == 48 && t->n > 0)
                fd_close_p(&t->fds[--t->n]);
}

/* As a guest does that resets the device, or a machine that is paused and goes on. */
static void restart_ring(struct driver *d, uint8_t which)
{
        const uint32_t index = which & 1, question[2] = {index, 0};
        struct driver_ring *ring = &d->rings[index];
        char answer[64];

        driver_send_message(d, VHOST_USER_GET_VRING_BASE, question, sizeof(question), NULL, 0);
        driver_turn(d);
        (void)recv(d->fd, answer, sizeof(answer), MSG_DONTWAIT);
        if (!d->ended)
                driver_start_ring(d, index, which & 2 ? ring->next_avail : 0);
}

static void happen(struct target *t, uint8_t what, struct cursor *c)
{
        switch (what % 8) {
        case 0:
                write_rings(&t->d, c);
                return;
        case 1:
                set_descriptor(&t->d, c);
                return;
        case 2:
                what = cursor_u8(c);
                driver_offer(&t->d, what & 1, what >> 1);
                return;
        case 3:
                send_packet(&t->d, c);
                return;
        case 4:
                take_packets(&t->d);
                return;
        case 5:
                act_as_parent(t, cursor_u8(c));
                return;
        case 6:
                (void)vsock_device_connect(t->d.device, cursor_u8(c) % 4, 1000, on_connected, t, NULL);
                return;
        default:
                restart_ring(&t->d, cursor_u8(c));
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct cursor c = cursor_of(view_of(data, size));
        struct target t = {.n = 0};

        driver_init(&t.d, (struct vsock_device_options){.max_connections = 6});
        driver_start(&t.d);
        if (vsock_device_listen(t.d.device, 1, on_accept, &t, NULL) < 0)
                abort();
        for (int i = 0; i < RECORDS_MAX && !cursor_at_end(&c) && !t.d.ended; i++) {
                uint8_t what = cursor_u8(&c);
                happen(&t, what, &c);
                if (!(what & 0x80))
                        driver_turn(&t.d);
        }
        /* The device's streams end with it; whom it promised an answer, it tells. */
        vsock_device_free(t.d.device);
        t.d.device = NULL;
        while (t.n > 0)
                fd_close_p(&t.fds[--t.n]);
        driver_done(&t.d);
        return 0;
}
