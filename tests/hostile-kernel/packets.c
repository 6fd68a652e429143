/* SPDX-License-Identifier: Apache-2.0 */
/*
 * packets.c - packets that no peer may send.  Each attack knows what the parent has to answer and wants to
 * see it, so none passes because nothing arrived.
 */
#include "scenario.h"
#include "vsock.h"

enum {
        FLOOD = 20000,
        STRAYS_MAX = 256 + 2 * QUEUE_SIZE, /* answers that the parent keeps, and buffers that it had */
        CREDIT = 1000,                     /* bytes that we promise */
        OVERRUN_MAX = 16 * 1024 * 1024,    /* the parent has to say no long before */
        PATIENCE = 60,
        SEND = 2, /* flags of SHUTDOWN */
        SHORT = 43,
        PIECES_MAX = 128, /* of a chain */
        FLICKERS = 300,
};

static struct packet answer;
static const uint8_t data[DATA_MAX];

/* A packet for a stream that doesn't exist. */
static struct header stray(uint16_t op)
{
        return header_to(fresh_port(), ECHO_PORT, op);
}

/* The next packet of the stream that this one was sent on is an RST, but for what may have been on its
 * way. */
static void expect_reset(const struct header *sent, const char *what)
{
        do
                expect(receive_for(sent->src_port, &answer, PATIENCE), what);
        while (answer.header.src_port != sent->dst_port || answer.header.op == OP_RW ||
               answer.header.op == OP_CREDIT_UPDATE || answer.header.op == OP_SHUTDOWN);
        expect(answer.header.op == OP_RST, what);
}

/* ---- fields ---- */

static void cids(void)
{
        const uint64_t others[] = {0, 1, 4, UINT64_C(1) << 32 | PARENT, UINT64_MAX};
        const uint64_t own = stray(OP_RW).src_cid;
        const uint64_t sources[] = {0, PARENT, own + 1, UINT64_C(1) << 32 | own, UINT64_MAX};

        for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
                struct header header = stray(OP_REQUEST);
                header.dst_cid = others[i];
                send_header(&header);
                expect_reset(&header, "no RST for a packet to another CID");
        }
        for (size_t i = 0; i < sizeof(sources) / sizeof(*sources); i++) {
                struct header header = stray(OP_REQUEST);
                header.src_cid = sources[i];
                send_header(&header);
        }
        expect(settle().packets == 0, "an answer to somebody else's packet");
}

static void types(void)
{
        const uint16_t others[] = {0, 2, UINT16_MAX};

        for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
                struct header header = stray(OP_REQUEST);
                header.type = others[i];
                send_header(&header);
                expect_reset(&header, "no RST for a packet of another type");
        }
}

static void operations(void)
{
        const uint16_t others[] = {0, 8, UINT16_MAX, OP_RESPONSE, OP_REQUEST};

        for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
                struct header header = header_to(dial(ECHO_PORT, CREDIT), ECHO_PORT, others[i]);
                send_header(&header);
                expect_reset(&header, "no RST for an operation out of place");
                if (others[i] == OP_REQUEST)
                        continue;
                header.src_port = fresh_port();
                send_header(&header);
                expect_reset(&header, "no RST for an operation without a stream");
        }
}

static void lengths(void)
{
        const uint32_t lies[] = {DATA_MAX + 1, UINT32_MAX};

        for (size_t i = 0; i < sizeof(lies) / sizeof(*lies); i++) {
                struct header header = header_to(dial(ECHO_PORT, CREDIT), ECHO_PORT, OP_RW);
                header.len = lies[i];
                send(&header, data, sizeof(data));
                expect_reset(&header, "no RST for more data than there is");
        }
}

/* Buffers that hold no header. */
static void short_packets(void)
{
        static struct header header;
        const uint32_t sizes[] = {0, 1, SHORT};

        header = stray(OP_REQUEST);
        for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
                hand_over_for_sending(&(struct descriptor){.addr = (uintptr_t)&header, .len = sizes[i]});
        expect(settle().packets == 0, "an answer to half a header");
}

/* What the parent asks for is agreed to by somebody else, twice, by data, or not at all. */
static void answers(void)
{
        static uint32_t round;

        do
                expect(receive(&answer, PATIENCE), "the parent asks for no stream");
        while (answer.header.op != OP_REQUEST);
        struct header header = header_to(answer.header.dst_port, answer.header.src_port, OP_RESPONSE);
        switch (round++ % 4) {
        case 0:
                header.src_port++;
                break;
        case 1:
                send_header(&header);
                break;
        case 2:
                header.op = OP_RW;
                break;
        default:
                return;
        }
        send_header(&header);
        expect_reset(&header, "no RST for a wrong answer to a REQUEST");
}

static void shutdowns(void)
{
        struct header header = header_to(dial(ECHO_PORT, CREDIT), ECHO_PORT, OP_SHUTDOWN);

        send_header(&header); /* of nothing */
        header.flags = SEND;
        send_header(&header);
        header.op = OP_RW;
        header.len = 1;
        send(&header, data, 1);
        expect_reset(&header, "no RST for data after SHUTDOWN");
        header = header_to(dial(ECHO_PORT, CREDIT), ECHO_PORT, OP_SHUTDOWN);
        header.flags = UINT32_MAX;
        send_header(&header);
        expect_reset(&header, "no RST for SHUTDOWN of everything");
}

/* ---- pieces, and packets that change while they are read ---- */

/* A buffer of n bytes as a chain of single bytes, and the rest of it. */
static struct descriptor in_pieces(struct descriptor table[PIECES_MAX], void *buffer, size_t n,
                                   uint16_t flags)
{
        for (size_t i = 0; i < PIECES_MAX; i++)
                table[i] = (struct descriptor){.addr = (uintptr_t)buffer + i,
                                               .len = 1,
                                               .flags = (uint16_t)(flags | DESC_NEXT),
                                               .next = (uint16_t)(i + 1)};
        table[PIECES_MAX - 1].len = (uint32_t)n - (PIECES_MAX - 1);
        table[PIECES_MAX - 1].flags = flags;
        return (struct descriptor){.addr = (uintptr_t)table,
                                   .len = PIECES_MAX * (uint32_t)sizeof(*table),
                                   .flags = DESC_INDIRECT};
}

/* This is allowed; as much of it as there can be. */
static void pieces(void)
{
        static struct descriptor tables[QUEUES][PIECES_MAX];
        static struct packet sent, got;
        volatile uint16_t *used = &rings_of(RX)->used.idx;
        uint64_t end = seconds_from_now(PATIENCE);

        (void)settle();
        const struct descriptor to = in_pieces(tables[RX], &got, sizeof(got), DESC_WRITE);
        for (size_t i = 0; i < QUEUE_SIZE; i++)
                rings_of(RX)->desc[i] = to;
        sent.header = header_to(fresh_port(), SOURCE_PORT, OP_REQUEST);
        sent.header.buf_alloc = UINT32_MAX; /* so that what comes is data to the last */
        uint16_t before = *used;
        const struct descriptor from = in_pieces(tables[TX], &sent, sizeof(sent), 0);
        hand_over_for_sending(&from);
        /* The answer, and more data than one buffer takes. */
        while ((uint16_t)(*used - before) < 3)
                expect(!has_passed(end), "no answer to a packet in pieces");
        expect(got.header.op == OP_RW && got.header.dst_port == sent.header.src_port, "no data in pieces");
        device_start();
}

/* The parent reads what we write at the same time.  It may take the packet for any of those that it was, and
 * for no other. */
static void flicker(void)
{
        static struct packet shared;
        volatile struct header *header = &shared.header;

        for (uint32_t i = 0; i < FLICKERS; i++) {
                shared.header = header_to(dial(ECHO_PORT, CREDIT), ECHO_PORT, OP_RW);
                shared.header.len = DATA_MAX;
                volatile uint32_t *size =
                        &rings_of(TX)
                                 ->desc[hand_over_for_sending(&(struct descriptor){.addr = (uintptr_t)&shared,
                                                                                   .len = sizeof(shared)})]
                                 .len;
                while (!is_all_sent()) {
                        header->len = header->len == DATA_MAX ? UINT32_MAX : DATA_MAX;
                        header->op = header->op == OP_RW ? OP_REQUEST : OP_RW;
                        header->dst_port ^= 1;
                        *size = *size == sizeof(shared) ? sizeof(struct header) : sizeof(shared);
                }
                struct header end = header_to(shared.header.src_port, ECHO_PORT, OP_RST);
                send_header(&end);
                end.dst_port ^= 1;
                send_header(&end);
        }
}

/* ---- credit ---- */

/* Says how much room we have and how much we took. */
static void tell_credit(uint32_t port, uint32_t room, uint32_t taken)
{
        struct header header = header_to(port, SOURCE_PORT, OP_CREDIT_UPDATE);

        header.buf_alloc = room;
        header.fwd_cnt = taken;
        send_header(&header);
}

/* CREDIT bytes come, and not one more. */
static void expect_credit_used(uint32_t port)
{
        uint32_t n = 0;

        while (n < CREDIT) {
                expect(receive_for(port, &answer, PATIENCE), "no data though there is credit");
                n += answer.header.op == OP_RW ? answer.header.len : 0;
        }
        expect(n + settle().bytes == CREDIT, "more data than there was credit for");
}

static void credit_backwards(void)
{
        uint32_t port = dial(SOURCE_PORT, CREDIT);

        expect_credit_used(port);
        tell_credit(port, CREDIT, (uint32_t)-500);
        expect(settle().bytes == 0, "data for credit that was taken back");
        tell_credit(port, CREDIT, 100 * CREDIT);
        expect(settle().bytes == 0, "data though more was taken than came");
        tell_credit(port, 0, CREDIT);
        expect(settle().bytes == 0, "data without room");
        tell_credit(port, 1, 0);
        expect(settle().bytes == 0, "data though room shrank below what was on its way");
        tell_credit(port, CREDIT, CREDIT);
        expect_credit_used(port);
        const struct header end = header_to(port, SOURCE_PORT, OP_RST);
        send_header(&end);
}

/* More than the parent promised room for, to somebody who reads nothing. */
static void overrun(void)
{
        struct header header = header_to(dial(UNREAD_PORT, CREDIT), UNREAD_PORT, OP_RW);
        uint32_t sent = 0;

        header.len = sizeof(data);
        while (sent < OVERRUN_MAX) {
                send(&header, data, sizeof(data));
                sent += sizeof(data);
                if (receive_for(header.src_port, &answer, 0) && answer.header.op == OP_RST)
                        break;
        }
        expect(sent < OVERRUN_MAX, "no RST for data beyond all credit");
        say("bytes were sent without credit:", sent);
}

static void credit_requests(void)
{
        struct header header = header_to(dial(ECHO_PORT, CREDIT), ECHO_PORT, OP_CREDIT_REQUEST);

        for (uint32_t i = 0; i < FLOOD; i++)
                send_header(&header);
        wait_until_sent();
        uint32_t n = settle().credit_updates;
        expect(n > 0 && n <= QUEUE_SIZE + 1, "not one answer for each buffer, and one");
        header.op = OP_RST;
        send_header(&header);
}

/* ---- streams that don't exist ---- */

static void strays(void)
{
        const uint16_t operations[] = {OP_RESPONSE, OP_SHUTDOWN, OP_RW, OP_CREDIT_UPDATE, OP_CREDIT_REQUEST};

        for (uint32_t i = 0; i < FLOOD; i++) {
                const struct header header =
                        stray(operations[i % (sizeof(operations) / sizeof(*operations))]);
                send_header(&header);
        }
        wait_until_sent();
        uint32_t n = settle().resets;
        expect(n >= QUEUE_SIZE && n <= STRAYS_MAX, "not as many RSTs as the parent may keep");
}

static void rst_storm(void)
{
        for (uint32_t i = 0; i < FLOOD; i++) {
                const struct header header = stray(OP_RST);
                send_header(&header);
        }
        expect(settle().packets == 0, "an answer to an RST");
}

/* One stream for each port of ours, which nobody ever uses, and then they are forgotten. */
static void requests(void)
{
        uint32_t first = fresh_port(), last = first;

        for (uint32_t i = 0; i < FLOOD; i++) {
                last = fresh_port();
                const struct header header = header_to(last, i % 2 ? UNREAD_PORT : i, OP_REQUEST);
                send_header(&header);
        }
        wait_until_sent();
        expect(receive(&answer, PATIENCE), "no answer to any REQUEST");
        for (uint32_t port = first; port <= last; port++) {
                const struct header header = header_to(port, UNREAD_PORT, OP_RST);
                send_header(&header);
        }
        (void)settle();
}

const struct scenario packet_scenarios[] = {
        {"cids", cids},
        {"types", types},
        {"operations", operations},
        {"lengths", lengths},
        {"short-packets", short_packets},
        {"answers", answers},
        {"shutdowns", shutdowns},
        {"pieces", pieces},
        {"flicker", flicker},
        {"credit-backwards", credit_backwards},
        {"overrun", overrun},
        {"credit-requests", credit_requests},
        {"strays", strays},
        {"rst-storm", rst_storm},
        {"requests", requests},
};
const size_t n_packet_scenarios = sizeof(packet_scenarios) / sizeof(*packet_scenarios);
