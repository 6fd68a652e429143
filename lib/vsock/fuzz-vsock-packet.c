/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: a guest's packets, and what the device makes of them.  The input is a row of records: u8 what
 * to do between packets, u8 payload size (in 16 bytes), then the packet, header first.  Ports and CIDs are
 * drawn together so that packets meet connections.
 */
#include "lib/vsock/device-internal.h"

#include "lib/base/fd.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CID = 42, STREAMS_MAX = 4, PAYLOAD_UNIT = 16, RECORDS_MAX = 200 };

struct streams {
        int fds[STREAMS_MAX];
        size_t n;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_accept(struct vsock_device *device, uint32_t port, int fd, void *user)
{
        struct streams *s = user;

        (void)device, (void)port;
        if (s->n < STREAMS_MAX)
                s->fds[s->n++] = fd;
        else
                close(fd);
}

/* What is decoded is encoded to the same bytes. */
static void check_codec(struct view v)
{
        uint8_t bytes[VSOCK_PACKET_HEADER_SIZE];
        struct vsock_packet_header header;

        if (vsock_packet_decode(v, &header) != (v.n >= VSOCK_PACKET_HEADER_SIZE))
                abort();
        if (v.n < VSOCK_PACKET_HEADER_SIZE)
                return;
        vsock_packet_encode(&header, bytes);
        if (memcmp(bytes, v.p, sizeof(bytes)) != 0)
                abort();
}

/* Few ports and mostly the right CIDs. */
static void narrow(uint8_t *bytes)
{
        struct vsock_packet_header header;

        (void)vsock_packet_decode(view_of(bytes, VSOCK_PACKET_HEADER_SIZE), &header);
        header.src_cid = header.src_cid == 0 ? 0 : CID;
        header.dst_cid %= 4;
        header.src_port %= 4;
        header.dst_port %= 2;
        vsock_packet_encode(&header, bytes);
}

/* Lets the connections say what they want to, as the receive ring would. */
static void drain(struct vsock_device *device)
{
        struct vsock_packet_header header;
        uint8_t bytes[256];
        struct connection *c;

        for (int i = 0; i < 16 && (c = TAILQ_FIRST(&device->ready)); i++) {
                if (connection_next_control(c, &header))
                        continue;
                size_t wanted = connection_may_send(c);
                if (wanted == 0) {
                        device_unmark_ready(c);
                        continue;
                }
                if (wanted > sizeof(bytes))
                        wanted = sizeof(bytes);
                ssize_t n = recv(c->fd, bytes, wanted, MSG_DONTWAIT);
                if (n > 0)
                        (void)connection_data_header(c, (uint32_t)n);
                connection_did_read(c, n < 0 ? -errno : n, n > 0 && (size_t)n < wanted);
        }
}

static void act(struct vsock_device *device, struct streams *s, uint8_t what)
{
        char bytes[4096];

        for (size_t i = 0; i < s->n; i++) {
                if (what & 1)
                        (void)send(s->fds[i], bytes, what, MSG_DONTWAIT | MSG_NOSIGNAL);
                if (what & 2)
                        (void)recv(s->fds[i], bytes, sizeof(bytes), MSG_DONTWAIT);
                if ((what & 12) == 12)
                        (void)shutdown(s->fds[i], what >> 6 & 1);
        }
        if ((what & 48) == 48 && s->n > 0)
                close(s->fds[--s->n]);
        if (what & 128)
                (void)loop_turn(device->loop);
        drain(device);
}

static void feed(struct vsock_device *device, struct streams *s, struct cursor *c)
{
        for (int i = 0; i < RECORDS_MAX && !cursor_at_end(c); i++) {
                uint8_t packet[VSOCK_PACKET_HEADER_SIZE + 255 * PAYLOAD_UNIT];
                uint8_t what = cursor_u8(c);
                size_t n = VSOCK_PACKET_HEADER_SIZE + (size_t)cursor_u8(c) * PAYLOAD_UNIT;
                struct view header = cursor_take(c, VSOCK_PACKET_HEADER_SIZE);
                if (!cursor_ok(c))
                        return;
                memset(packet, 'p', sizeof(packet));
                memcpy(packet, header.p, header.n);
                narrow(packet);
                /* Header and payload apart, the header in two. */
                const struct virtqueue_chain chain = {
                        .size = n,
                        .n = 3,
                        .segments = {{packet, 10}, {packet + 10, 34}, {packet + 44, n - 44}},
                };
                device_packet(device, &chain);
                act(device, s, what);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct cursor c = cursor_of(view_of(data, size));
        cleanup_loop struct loop *loop = NULL;
        cleanup_vsock_device struct vsock_device *device = NULL;
        const struct vsock_device_options options = {.guest_cid = CID, .max_connections = 6};
        struct streams s = {.n = 0};
        int fds[2];

        check_codec(view_of(data, size));
        if (loop_new(&loop, NULL) < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
                abort();
        if (vsock_device_new(loop, &options, fds[0], &device, NULL) < 0 ||
            vsock_device_listen(device, 1, on_accept, &s, NULL) < 0)
                abort();
        feed(device, &s, &c);
        while (s.n > 0)
                close(s.fds[--s.n]);
        close(fds[1]);
        return 0;
}
