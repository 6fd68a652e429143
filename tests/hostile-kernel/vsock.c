/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vsock.c - theory of operation.  One thread, no interrupts: the used rings are polled.  Descriptor i of a
 * queue belongs to its buffer i, for good.  A packet is one descriptor, header and data together.  TX waits
 * where all its descriptors are on their way.
 */
#include "vsock.h"

/* Registers of virtio-mmio; the legacy ones where there are two forms. */
enum {
        MAGIC = 0x000,
        DEVICE_ID = 0x008,
        DRIVER_FEATURES = 0x020,
        GUEST_PAGE_SIZE = 0x028,
        QUEUE_SEL = 0x030,
        QUEUE_NUM = 0x038,
        QUEUE_ALIGN = 0x03c,
        QUEUE_PFN = 0x040,
        QUEUE_NOTIFY = 0x050,
        STATUS = 0x070,
        CONFIG_CID = 0x100,

        SLOT_SIZE = 0x200, /* microvm has its slots one behind the other */
        SLOTS = 24,
        VSOCK_DEVICE = 19,
        PAGE = 4096,

        ACKNOWLEDGE = 1,
        DRIVER = 2,
        DRIVER_OK = 4,

        NO_NOTIFY = 1, /* used.flags */

        FIRST_PORT = 1000,
        ROOM = 64 * 1024,
        PATIENCE = 60, /* seconds until the parent has answered */
        BOTH = 3,      /* flags of SHUTDOWN */
        HEARTBEAT = 0xb7,
};

static const uintptr_t slots_at = 0xfeb00000;
static const uint32_t magic = 0x74726976;
static const uint32_t any_layout = UINT32_C(1) << 27, indirect = UINT32_C(1) << 28;

static uintptr_t device;
static uint64_t own_cid;
static _Alignas(4096) struct rings rings[QUEUES];
static struct packet buffers[QUEUES][QUEUE_SIZE];
static uint16_t taken[QUEUES]; /* of what the device has used, how much we have looked at */
static uint16_t sent;          /* descriptors of TX handed over */
static uint32_t next_port = FIRST_PORT;

static uint32_t get_register(uint32_t at)
{
        return *(volatile uint32_t *)(device + at);
}

static void set_register(uint32_t at, uint32_t value)
{
        *(volatile uint32_t *)(device + at) = value;
}

static void barrier(void)
{
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* ---- the device ---- */

void device_find(void)
{
        for (uintptr_t slot = 0; slot < SLOTS; slot++) {
                device = slots_at + slot * SLOT_SIZE;
                if (get_register(MAGIC) == magic && get_register(DEVICE_ID) == VSOCK_DEVICE) {
                        own_cid = get_register(CONFIG_CID) | (uint64_t)get_register(CONFIG_CID + 4) << 32;
                        return;
                }
        }
        expect(false, "no vsock device");
}

void device_reset(void)
{
        set_register(STATUS, 0);
}

void device_features(uint32_t features)
{
        set_register(STATUS, ACKNOWLEDGE | DRIVER);
        set_register(DRIVER_FEATURES, features);
}

void device_queue(uint32_t queue, uint32_t size, uint32_t page)
{
        set_register(GUEST_PAGE_SIZE, PAGE);
        set_register(QUEUE_SEL, queue);
        set_register(QUEUE_NUM, size);
        set_register(QUEUE_ALIGN, PAGE);
        set_register(QUEUE_PFN, page);
}

void device_ready(void)
{
        set_register(STATUS, ACKNOWLEDGE | DRIVER | DRIVER_OK);
}

void device_kick(uint32_t queue)
{
        set_register(QUEUE_NOTIFY, queue);
}

void device_start(void)
{
        device_reset();
        device_features(any_layout | indirect);
        memset(rings, 0, sizeof(rings));
        memset(taken, 0, sizeof(taken));
        sent = 0;
        for (uint32_t q = 0; q < QUEUES; q++)
                device_queue(q, QUEUE_SIZE, (uint32_t)(uintptr_t)&rings[q] / PAGE);
        device_ready();
        for (size_t i = 0; i < QUEUE_SIZE; i++) {
                rings[RX].desc[i] = (struct descriptor){.addr = (uintptr_t)&buffers[RX][i],
                                                        .len = sizeof(struct packet),
                                                        .flags = DESC_WRITE};
                hand_over(RX, (uint16_t)i);
        }
}

/* ---- rings ---- */

struct rings *rings_of(uint32_t queue)
{
        return &rings[queue];
}

static uint16_t used_index(uint32_t queue)
{
        barrier();
        return *(volatile uint16_t *)&rings[queue].used.idx;
}

void hand_over(uint32_t queue, uint16_t head)
{
        struct available *available = &rings[queue].available;

        available->ring[available->idx % QUEUE_SIZE] = head;
        barrier();
        *(volatile uint16_t *)&available->idx = (uint16_t)(available->idx + 1);
        barrier();
        if (!(*(volatile uint16_t *)&rings[queue].used.flags & NO_NOTIFY))
                device_kick(queue);
}

bool is_all_sent(void)
{
        return used_index(TX) == sent;
}

void wait_until_sent(void)
{
        uint64_t end = seconds_from_now(PATIENCE);

        while (!is_all_sent())
                expect(!has_passed(end), "the device doesn't take what is sent");
}

/* A descriptor of TX that nobody has. */
static uint16_t next_descriptor(void)
{
        uint64_t end = seconds_from_now(PATIENCE);

        while ((uint16_t)(sent - used_index(TX)) >= QUEUE_SIZE)
                expect(!has_passed(end), "the device doesn't take what is sent");
        return sent++ % QUEUE_SIZE;
}

uint16_t hand_over_for_sending(const struct descriptor *d)
{
        wait_until_sent();
        uint16_t i = next_descriptor();
        rings[TX].desc[i] = *d;
        hand_over(TX, i);
        return i;
}

/* ---- packets ---- */

struct header header_to(uint32_t guest_port, uint32_t parent_port, uint16_t op)
{
        return (struct header){.src_cid = own_cid,
                               .dst_cid = PARENT,
                               .src_port = guest_port,
                               .dst_port = parent_port,
                               .type = STREAM,
                               .op = op,
                               .buf_alloc = ROOM};
}

void send(const struct header *header, const void *data, size_t n)
{
        uint16_t i = next_descriptor();
        struct packet *p = &buffers[TX][i];

        p->header = *header;
        memcpy(p->data, data, n);
        rings[TX].desc[i] =
                (struct descriptor){.addr = (uintptr_t)p, .len = (uint32_t)(sizeof(struct header) + n)};
        hand_over(TX, i);
}

void send_header(const struct header *header)
{
        send(header, NULL, 0);
}

bool receive(struct packet *ret_packet, uint32_t seconds)
{
        uint64_t end = seconds_from_now(seconds);

        while (taken[RX] == used_index(RX)) {
                if (has_passed(end))
                        return false;
        }
        uint16_t i = (uint16_t)rings[RX].used.ring[taken[RX]++ % QUEUE_SIZE].id;
        *ret_packet = buffers[RX][i];
        hand_over(RX, i);
        return true;
}

bool receive_for(uint32_t guest_port, struct packet *ret_packet, uint32_t seconds)
{
        uint64_t end = seconds_from_now(seconds);

        while (receive(ret_packet, seconds)) {
                if (ret_packet->header.dst_port == guest_port)
                        return true;
                if (has_passed(end))
                        return false;
        }
        return false;
}

static void count(struct tally *tally, const struct header *header)
{
        tally->packets++;
        tally->resets += header->op == OP_RST;
        tally->credit_updates += header->op == OP_CREDIT_UPDATE;
        tally->bytes += header->op == OP_RW ? header->len : 0;
}

/* A packet that has to be answered, and its answer.  A parent that has too many answers to give drops some,
 * and is asked again. */
static void ask(struct tally *tally)
{
        static struct packet p;
        uint64_t end = seconds_from_now(PATIENCE);

        while (!has_passed(end)) {
                const struct header question = header_to(fresh_port(), ECHO_PORT, OP_CREDIT_REQUEST);
                send_header(&question);
                while (receive(&p, 1)) {
                        if (p.header.dst_port == question.src_port)
                                return;
                        count(tally, &p.header);
                }
        }
        expect(false, "the parent answers nothing any more");
}

/* The parent answers such a question before it sends what streams have to say, but all of that before it
 * takes the next. */
struct tally settle(void)
{
        struct tally tally = {0};

        ask(&tally);
        ask(&tally);
        return tally;
}

/* ---- honest streams ---- */

uint32_t fresh_port(void)
{
        return next_port++;
}

/* Asks until somebody answers. */
static uint32_t dial_as(uint64_t cid, uint32_t parent_port, uint32_t room)
{
        static struct packet p;
        uint64_t end = seconds_from_now(PATIENCE);

        for (;;) {
                uint32_t port = fresh_port();
                struct header request = header_to(port, parent_port, OP_REQUEST);
                request.dst_cid = cid;
                request.buf_alloc = room;
                send_header(&request);
                expect(receive_for(port, &p, PATIENCE), "no answer to a REQUEST");
                if (p.header.op == OP_RESPONSE)
                        return port;
                expect(!has_passed(end), "nobody listens at the parent");
        }
}

uint32_t dial(uint32_t parent_port, uint32_t room)
{
        return dial_as(PARENT, parent_port, room);
}

/* Sends n bytes over a stream, wants the same back, and closes it. */
static void exchange(uint64_t cid, uint32_t parent_port, const void *data, uint32_t n)
{
        static struct packet p;
        uint32_t port = dial_as(cid, parent_port, ROOM), got = 0;
        struct header header = header_to(port, parent_port, OP_RW);

        header.dst_cid = cid;
        header.len = n;
        send(&header, data, n);
        while (got < n) {
                expect(receive_for(port, &p, PATIENCE), "no answer over a stream");
                if (p.header.op != OP_RW)
                        continue;
                expect(p.header.len <= n - got &&
                               memcmp(p.data, (const uint8_t *)data + got, p.header.len) == 0,
                       "another answer than what was sent");
                got += p.header.len;
        }
        header = header_to(port, parent_port, OP_SHUTDOWN);
        header.dst_cid = cid;
        header.flags = BOTH;
        send_header(&header);
        do
                expect(receive_for(port, &p, PATIENCE), "no answer to SHUTDOWN");
        while (p.header.op != OP_RST);
}

void converse(const char *text)
{
        exchange(PARENT, ECHO_PORT, text, (uint32_t)strlen(text));
}

void send_heartbeat(void)
{
        const uint8_t byte = HEARTBEAT;

        exchange(PARENT_OF_NITRO, HEARTBEAT_PORT, &byte, 1);
}
