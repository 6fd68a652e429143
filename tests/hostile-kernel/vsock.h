/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vsock.h - a driver for the virtio vsock device that keeps all rules by itself and lets its caller break
 * each: the rings lie open, a packet's header is what the caller says.
 *
 * QEMU's microvm has virtio-mmio in its legacy form (virtio 1.2, section 4.2.4): a queue is one page number.
 */
#pragma once

#include "machine.h"

enum {
        RX = 0, /* from the parent */
        TX = 1,
        QUEUES = 2,
        QUEUE_SIZE = 128,
        DATA_MAX = 4052, /* of a packet, so that it fills a page */

        DESC_NEXT = 1, /* flags of a descriptor */
        DESC_WRITE = 2,
        DESC_INDIRECT = 4,

        STREAM = 1, /* a packet's type */

        OP_REQUEST = 1,
        OP_RESPONSE = 2,
        OP_RST = 3,
        OP_SHUTDOWN = 4,
        OP_RW = 5,
        OP_CREDIT_UPDATE = 6,
        OP_CREDIT_REQUEST = 7,

        PARENT = 2, /* CIDs under which the parent is known */
        PARENT_OF_NITRO = 3,

        /* Ports of the parent; the test listens on all but the first. */
        HEARTBEAT_PORT = 9000,
        ECHO_PORT = 6000,   /* sends back what it gets */
        UNREAD_PORT = 6001, /* reads nothing */
        SOURCE_PORT = 6002, /* sends without end */
};

struct descriptor {
        uint64_t addr;
        uint32_t len;
        uint16_t flags;
        uint16_t next;
};

struct available {
        uint16_t flags;
        uint16_t idx;
        uint16_t ring[QUEUE_SIZE];
        uint16_t used_event;
};

struct used {
        uint16_t flags;
        uint16_t idx;
        struct {
                uint32_t id;
                uint32_t len;
        } ring[QUEUE_SIZE];
};

/* A queue's memory, as the legacy form wants it; the device reads and writes it at any time. */
struct rings {
        struct descriptor desc[QUEUE_SIZE];
        struct available available;
        _Alignas(4096) struct used used;
};

struct header {
        uint64_t src_cid;
        uint64_t dst_cid;
        uint32_t src_port;
        uint32_t dst_port;
        uint32_t len;
        uint16_t type;
        uint16_t op;
        uint32_t flags;
        uint32_t buf_alloc;
        uint32_t fwd_cnt;
} __attribute__((packed));

struct packet {
        struct header header;
        uint8_t data[DATA_MAX];
};

/* ---- the device ---- */

/* Finds it, or halts. */
void device_find(void);

/* Resets it and sets it up, with all of RX's buffers handed over. */
void device_start(void);

/* Resets it in the middle of whatever there is. */
void device_reset(void);

/* Acknowledges these features, offered or not. */
void device_features(uint32_t features);

/* Sets a queue's size and page number, right or wrong; page 0 takes it away. */
void device_queue(uint32_t queue, uint32_t size, uint32_t page);

/* Says that the driver is ready, whether or not it is. */
void device_ready(void);

/* Tells the device that there is something in a queue, one that exists or not. */
void device_kick(uint32_t queue);

/* ---- rings ---- */

/* The memory of a queue. */
struct rings *rings_of(uint32_t queue);

/* Hands the chain over that begins with this descriptor of the queue's. */
void hand_over(uint32_t queue, uint16_t head);

/* Hands one descriptor over, as it is, after all that was handed to TX before is done; gives its number. */
uint16_t hand_over_for_sending(const struct descriptor *d);

/* Whether the device is done with all of TX. */
bool is_all_sent(void);

/* Waits until it is. */
void wait_until_sent(void);

/* ---- packets ---- */

/* An honest header of a packet to a port of CID 2, from a port of this guest. */
struct header header_to(uint32_t guest_port, uint32_t parent_port, uint16_t op);

/* Sends a header and n bytes of data, whatever the header says of them. */
void send(const struct header *header, const void *data, size_t n);

/* Sends a header alone. */
void send_header(const struct header *header);

/* The next packet from the parent, if one comes in that many seconds.  Its buffer goes back to the parent;
 * who doesn't call this for a while leaves the parent without buffers. */
bool receive(struct packet *ret_packet, uint32_t seconds);

/* The next for this port of the guest's; those for others are dropped. */
bool receive_for(uint32_t guest_port, struct packet *ret_packet, uint32_t seconds);

/* What came from the parent. */
struct tally {
        uint32_t packets; /* of all kinds */
        uint32_t resets;
        uint32_t credit_updates;
        uint32_t bytes; /* of data */
};

/* Waits until the parent has dealt with all that was sent, and says what came until then. */
struct tally settle(void);

/* ---- honest streams ---- */

/* Connects to a port of the parent's CID 2 and promises room for that many bytes; gives the port of this
 * guest.  Asks again for as long as it is refused, since the test's listeners may come later than we. */
uint32_t dial(uint32_t parent_port, uint32_t room);

/* A port of this guest's that no stream has used. */
uint32_t fresh_port(void);

/* Sends a text over a stream of its own and wants it back. */
void converse(const char *text);

/* As an init does: 0xB7 to port 9000 of CID 3, and back. */
void send_heartbeat(void);
