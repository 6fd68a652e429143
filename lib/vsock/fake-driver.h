/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake-driver.h - for tests: QEMU and a guest's vsock driver in the same process as the device, which they
 * know only through the vhost-user socket, shared memory and eventfds.  Everything fails the running cmocka
 * test when it cannot do what it says within DRIVER_DEADLINE_MS.
 */
#pragma once

#include "lib/base/clock.h"
#include "lib/vsock/device.h"
#include "lib/vsock/packet.h"

#include <stdbool.h>
#include <stddef.h>

enum {
        DRIVER_MEMORY = 4 * 1024 * 1024,
        DRIVER_RING = 64,       /* descriptors per ring */
        DRIVER_BUFFER = 4096,   /* bytes of a receive buffer, as Linux has them */
        DRIVER_PAYLOAD = 65536, /* most bytes in one packet to the device */
        DRIVER_DEADLINE_MS = 20000,
};

/* Where the memory lies for the guest, and for QEMU. */
#define DRIVER_GUEST_ADDR UINT64_C(0x100000)
#define DRIVER_USER_ADDR  UINT64_C(0x7f0000000000)

struct driver_ring {
        size_t at; /* offset of descriptors in memory; the available and used rings follow */
        size_t avail;
        size_t used;
        int kick_fd;
        int call_fd;
        uint16_t next_avail;
        uint16_t seen_used;
};

struct driver {
        struct loop *loop;
        struct vsock_device *device;
        uint32_t cid;
        uint64_t refused_features; /* to be set before driver_start() */
        int fd;                    /* QEMU's end of the socket */
        int memory_fd;
        uint8_t *memory;
        struct driver_ring rings[2]; /* 0: receive, 1: transmit */
        int ended;                   /* what on_ended got, 0: not yet */
        char why[ERROR_TEXT_MAX];
};

/* A device with `options` (guest_cid and callbacks are set here) and QEMU connected to it; no rings yet. */
void driver_init(struct driver *d, struct vsock_device_options options);

/* Frees all, device included. */
void driver_done(struct driver *d);

/* Negotiates like QEMU, gives memory, starts both rings and posts receive buffers. */
void driver_start(struct driver *d);

/* Sends one vhost-user message on `fd` with any flags, well-formed or not, and up to 16 descriptors. */
void driver_send_raw(int fd, uint32_t request, uint32_t flags, const void *payload, uint32_t size,
                     const int *fds, size_t n_fds);

/* Sends a vhost-user message with descriptors. */
void driver_send_message(struct driver *d, uint32_t request, const void *payload, uint32_t size,
                         const int *fds, size_t n_fds);

/* As above, and waits for the answer's payload, of exactly `size` bytes. */
void driver_ask(struct driver *d, uint32_t request, const void *payload, uint32_t size, void *ret_answer,
                uint32_t answer_size);

/* Stops a ring (GET_VRING_BASE) and returns its base; starts it from `base` again with fresh descriptors. */
uint16_t driver_stop_ring(struct driver *d, uint32_t index);
void driver_start_ring(struct driver *d, uint32_t index, uint16_t base);

/* One turn of the loop. */
void driver_turn(struct driver *d);

/* Turns the loop until `condition`, or fails. */
#define driver_await(d, condition)                                                                           \
        do {                                                                                                 \
                uint64_t deadline_ = clock_ms() + DRIVER_DEADLINE_MS;                                        \
                while (!(condition)) {                                                                       \
                        if (clock_ms() > deadline_)                                                          \
                                fail_msg("never came: %s", #condition);                                      \
                        driver_turn(d);                                                                      \
                }                                                                                            \
        } while (0)

/* A header from the guest's port to the parent's, CID 2, with plenty of credit. */
struct vsock_packet_header driver_header(const struct driver *d, uint16_t op, uint32_t guest_port,
                                         uint32_t host_port);

/* Transmits one packet, its header in pieces of `split` bytes (0: in one), and waits until the device took
 * it. */
void driver_transmit(struct driver *d, const struct vsock_packet_header *header, const void *payload,
                     size_t split);

/* As above for a packet without payload made by driver_header(). */
void driver_transmit_op(struct driver *d, uint16_t op, uint32_t guest_port, uint32_t host_port);

/* Puts a descriptor into a ring's table. */
void driver_set_descriptor(struct driver *d, uint32_t ring, uint16_t index, uint64_t addr, uint32_t len,
                           uint16_t flags, uint16_t next);

/* Makes the chain at `head` available and kicks. */
void driver_offer(struct driver *d, uint32_t ring, uint16_t head);

/* Waits for a packet from the device; its payload goes to ret_payload (room for DRIVER_BUFFER) unless that is
 * NULL. */
struct vsock_packet_header driver_receive(struct driver *d, uint8_t *ret_payload);

/* As above, and checks that it is this operation to this port of the guest. */
struct vsock_packet_header driver_expect(struct driver *d, uint16_t op, uint32_t guest_port);

/* True where a packet is there; turns the loop a few times. */
bool driver_has_packet(struct driver *d);

/* Offset of the i-th receive buffer in memory, and of the area for transmitted packets. */
size_t driver_buffer_at(size_t i);
size_t driver_transmit_at(void);
