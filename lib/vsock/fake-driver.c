/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/vsock/fake-driver.h"

#include "lib/base/fd.h"
#include "lib/vsock/vhost-user-message.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <linux/virtio_ring.h>

enum { RING_SPACE = 4096, AREA_BUFFERS = 64 * 1024, AREA_TRANSMIT = 2 * 1024 * 1024 };

size_t driver_buffer_at(size_t i)
{
        return AREA_BUFFERS + i * DRIVER_BUFFER;
}

size_t driver_transmit_at(void)
{
        return AREA_TRANSMIT;
}

void driver_turn(struct driver *d)
{
        assert_int_equal(loop_turn(d->loop), 0);
}

static void on_ended(struct vsock_device *device, const struct error *why, void *user)
{
        struct driver *d = user;

        (void)device;
        assert_int_equal(d->ended, 0);
        d->ended = why->code;
        snprintf(d->why, sizeof(d->why), "%s", error_text(why));
}

void driver_init(struct driver *d, struct vsock_device_options options)
{
        struct error err = {0};
        int fds[2];

        *d = (struct driver){.cid = 42};
        options.guest_cid = d->cid;
        options.on_ended = on_ended;
        options.user = d;
        for (size_t i = 0; i < 2; i++) {
                d->rings[i] = (struct driver_ring){.at = i * 3 * RING_SPACE,
                                                   .avail = (i * 3 + 1) * RING_SPACE,
                                                   .used = (i * 3 + 2) * RING_SPACE,
                                                   .kick_fd = -1,
                                                   .call_fd = -1};
        }
        d->memory_fd = memfd_create("guest", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        assert_true(d->memory_fd >= 0);
        assert_int_equal(ftruncate(d->memory_fd, DRIVER_MEMORY), 0);
        assert_int_equal(fcntl(d->memory_fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0);
        d->memory = mmap(NULL, DRIVER_MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED, d->memory_fd, 0);
        assert_true(d->memory != MAP_FAILED);
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
        d->fd = fds[0];
        assert_int_equal(loop_new(&d->loop, &err), 0);
        if (vsock_device_new(d->loop, &options, fds[1], &d->device, &err) < 0)
                fail_msg("%s", error_text(&err));
}

void driver_done(struct driver *d)
{
        vsock_device_free(d->device);
        loop_free(d->loop);
        munmap(d->memory, DRIVER_MEMORY);
        fd_close_p(&d->memory_fd);
        fd_close_p(&d->fd);
        for (size_t i = 0; i < 2; i++) {
                fd_close_p(&d->rings[i].kick_fd);
                fd_close_p(&d->rings[i].call_fd);
        }
}

void driver_send_raw(int fd, uint32_t request, uint32_t flags, const void *payload, uint32_t size,
                     const int *fds, size_t n_fds)
{
        uint32_t header[3] = {request, flags, size};
        union {
                char bytes[CMSG_SPACE(16 * sizeof(int))];
                struct cmsghdr align;
        } control = {0};
        struct iovec iov[2] = {{header, sizeof(header)}, {(void *)(uintptr_t)payload, size}};
        struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};

        if (n_fds > 0) {
                msg.msg_control = control.bytes;
                msg.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
                struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
                c->cmsg_level = SOL_SOCKET;
                c->cmsg_type = SCM_RIGHTS;
                c->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
                memcpy(CMSG_DATA(c), fds, n_fds * sizeof(int));
        }
        assert_int_equal(sendmsg(fd, &msg, MSG_NOSIGNAL), (ssize_t)(sizeof(header) + size));
}

void driver_send_message(struct driver *d, uint32_t request, const void *payload, uint32_t size,
                         const int *fds, size_t n_fds)
{
        driver_send_raw(d->fd, request, 1, payload, size, fds, n_fds);
}

static ssize_t peek(const struct driver *d)
{
        char bytes[1024];

        return recv(d->fd, bytes, sizeof(bytes), MSG_PEEK | MSG_DONTWAIT);
}

void driver_ask(struct driver *d, uint32_t request, const void *payload, uint32_t size, void *ret_answer,
                uint32_t answer_size)
{
        uint32_t header[3];

        driver_send_message(d, request, payload, size, NULL, 0);
        driver_await(d, peek(d) >= (ssize_t)(sizeof(header) + answer_size));
        assert_int_equal(recv(d->fd, header, sizeof(header), 0), sizeof(header));
        assert_int_equal(header[0], request);
        assert_int_equal(header[1], 1 | 1 << 2);
        assert_int_equal(header[2], answer_size);
        assert_int_equal(recv(d->fd, ret_answer, answer_size, 0), answer_size);
}

static void give_memory(struct driver *d)
{
        const uint64_t table[5] = {1, DRIVER_GUEST_ADDR, DRIVER_MEMORY, DRIVER_USER_ADDR, 0};

        driver_send_message(d, VHOST_USER_SET_MEM_TABLE, table, sizeof(table), &d->memory_fd, 1);
}

uint16_t driver_stop_ring(struct driver *d, uint32_t index)
{
        const uint32_t question[2] = {index, 0};
        uint32_t answer[2];

        driver_ask(d, VHOST_USER_GET_VRING_BASE, question, sizeof(question), answer, sizeof(answer));
        assert_int_equal(answer[0], index);
        return (uint16_t)answer[1];
}

void driver_start_ring(struct driver *d, uint32_t index, uint16_t base)
{
        struct driver_ring *ring = &d->rings[index];
        const uint32_t size[2] = {index, DRIVER_RING}, from[2] = {index, base}, on[2] = {index, 1};
        const uint64_t addr[5] = {index, DRIVER_USER_ADDR + ring->at, DRIVER_USER_ADDR + ring->used,
                                  DRIVER_USER_ADDR + ring->avail, 0};
        const uint64_t which = index;

        fd_close_p(&ring->kick_fd);
        fd_close_p(&ring->call_fd);
        ring->kick_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        ring->call_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        driver_send_message(d, VHOST_USER_SET_VRING_NUM, size, sizeof(size), NULL, 0);
        driver_send_message(d, VHOST_USER_SET_VRING_BASE, from, sizeof(from), NULL, 0);
        driver_send_message(d, VHOST_USER_SET_VRING_ADDR, addr, sizeof(addr), NULL, 0);
        driver_send_message(d, VHOST_USER_SET_VRING_KICK, &which, sizeof(which), &ring->kick_fd, 1);
        driver_send_message(d, VHOST_USER_SET_VRING_CALL, &which, sizeof(which), &ring->call_fd, 1);
        driver_send_message(d, VHOST_USER_SET_VRING_ENABLE, on, sizeof(on), NULL, 0);
}

void driver_start(struct driver *d)
{
        uint64_t features;

        driver_ask(d, VHOST_USER_GET_FEATURES, NULL, 0, &features, sizeof(features));
        features &= ~d->refused_features;
        driver_send_message(d, VHOST_USER_SET_OWNER, NULL, 0, NULL, 0);
        driver_send_message(d, VHOST_USER_SET_FEATURES, &features, sizeof(features), NULL, 0);
        give_memory(d);
        for (uint32_t i = 0; i < 2; i++)
                driver_start_ring(d, i, 0);
        for (int i = 0; i < DRIVER_RING; i++) {
                driver_set_descriptor(d, 0, (uint16_t)i, DRIVER_GUEST_ADDR + driver_buffer_at((size_t)i),
                                      DRIVER_BUFFER, VRING_DESC_F_WRITE, 0);
                driver_offer(d, 0, (uint16_t)i);
        }
}

static void put(struct driver *d, size_t at, const void *p, size_t n)
{
        memcpy(d->memory + at, p, n);
}

void driver_set_descriptor(struct driver *d, uint32_t ring, uint16_t index, uint64_t addr, uint32_t len,
                           uint16_t flags, uint16_t next)
{
        size_t at = d->rings[ring].at + (size_t)index * sizeof(struct vring_desc);

        put(d, at, &addr, 8);
        put(d, at + 8, &len, 4);
        put(d, at + 12, &flags, 2);
        put(d, at + 14, &next, 2);
}

void driver_offer(struct driver *d, uint32_t index, uint16_t head)
{
        struct driver_ring *ring = &d->rings[index];
        const uint64_t one = 1;

        put(d, ring->avail + 4 + 2 * (size_t)(ring->next_avail % DRIVER_RING), &head, 2);
        ring->next_avail++;
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        put(d, ring->avail + 2, &ring->next_avail, 2);
        assert_int_equal(write(ring->kick_fd, &one, sizeof(one)), sizeof(one));
}

static uint16_t used_index(const struct driver *d, uint32_t index)
{
        uint16_t value;

        memcpy(&value, d->memory + d->rings[index].used + 2, 2);
        return value;
}

struct vsock_packet_header driver_header(const struct driver *d, uint16_t op, uint32_t guest_port,
                                         uint32_t host_port)
{
        return (struct vsock_packet_header){
                .src_cid = d->cid,
                .dst_cid = 2,
                .src_port = guest_port,
                .dst_port = host_port,
                .type = VSOCK_TYPE_STREAM,
                .op = op,
                .buf_alloc = 1 << 20,
        };
}

void driver_transmit(struct driver *d, const struct vsock_packet_header *header, const void *payload,
                     size_t split)
{
        uint8_t bytes[VSOCK_PACKET_HEADER_SIZE];
        uint64_t addr = DRIVER_GUEST_ADDR + AREA_TRANSMIT;
        uint16_t n = 0;

        vsock_packet_encode(header, bytes);
        put(d, AREA_TRANSMIT, bytes, sizeof(bytes));
        for (size_t at = 0; at < sizeof(bytes); n++) {
                size_t part = split && split < sizeof(bytes) - at ? split : sizeof(bytes) - at;
                bool more = at + part < sizeof(bytes) || payload;
                driver_set_descriptor(d, 1, n, addr + at, (uint32_t)part, more ? VRING_DESC_F_NEXT : 0,
                                      (uint16_t)(n + 1));
                at += part;
        }
        if (payload) {
                put(d, AREA_TRANSMIT + sizeof(bytes), payload, header->len);
                driver_set_descriptor(d, 1, n, addr + sizeof(bytes), header->len, 0, 0);
        }
        driver_offer(d, 1, 0);
        driver_await(d, used_index(d, 1) == d->rings[1].next_avail);
        d->rings[1].seen_used = d->rings[1].next_avail;
}

void driver_transmit_op(struct driver *d, uint16_t op, uint32_t guest_port, uint32_t host_port)
{
        struct vsock_packet_header header = driver_header(d, op, guest_port, host_port);

        driver_transmit(d, &header, NULL, 0);
}

bool driver_has_packet(struct driver *d)
{
        for (int i = 0; i < 4; i++)
                driver_turn(d);
        return used_index(d, 0) != d->rings[0].seen_used;
}

struct vsock_packet_header driver_receive(struct driver *d, uint8_t *ret_payload)
{
        struct driver_ring *ring = &d->rings[0];
        struct vsock_packet_header header;
        uint32_t element[2];

        driver_await(d, used_index(d, 0) != ring->seen_used);
        memcpy(element, d->memory + ring->used + 4 + 8 * (size_t)(ring->seen_used % DRIVER_RING),
               sizeof(element));
        ring->seen_used++;
        assert_true(element[0] < DRIVER_RING);
        const uint8_t *packet = d->memory + driver_buffer_at(element[0]);
        assert_true(vsock_packet_decode(view_of(packet, element[1]), &header));
        assert_int_equal(element[1], VSOCK_PACKET_HEADER_SIZE + header.len);
        assert_int_equal(header.dst_cid, d->cid);
        if (ret_payload)
                memcpy(ret_payload, packet + VSOCK_PACKET_HEADER_SIZE, header.len);
        driver_offer(d, 0, (uint16_t)element[0]);
        return header;
}

struct vsock_packet_header driver_expect(struct driver *d, uint16_t op, uint32_t guest_port)
{
        struct vsock_packet_header header = driver_receive(d, NULL);

        assert_string_equal(vsock_op_name(header.op), vsock_op_name(op));
        assert_int_equal(header.dst_port, guest_port);
        return header;
}
