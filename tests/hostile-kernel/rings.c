/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rings.c - descriptors, chains and indexes that no driver may have.  What the parent should say of each is
 * in tests/e2e/test_hostile_kernel.py; none of the attacks comes back to a device that still works.
 */
#include "scenario.h"
#include "vsock.h"

enum {
        FIRST = 0, /* the descriptors that chains are made of, once TX is empty */
        SECOND = 1,
        BEYOND = 200, /* no descriptor has this number */
        PIECES = 200, /* more than a chain may have */
        SMALL = 64,
};

static const uint64_t beyond_memory = UINT64_C(1) << 40;
static uint8_t bytes[4096];
static struct descriptor table[PIECES];

static uint64_t address_of(const void *p)
{
        return (uintptr_t)p;
}

static void send_one(uint64_t addr, uint32_t len, uint16_t flags)
{
        hand_over_for_sending(&(struct descriptor){.addr = addr, .len = len, .flags = flags});
}

/* Two descriptors in TX, the first of which is handed over. */
static void send_two(struct descriptor first, struct descriptor second)
{
        wait_until_sent();
        rings_of(TX)->desc[FIRST] = first;
        rings_of(TX)->desc[SECOND] = second;
        hand_over(TX, FIRST);
}

/* ---- addresses and lengths ---- */

static void outside(void)
{
        send_one(beyond_memory, SMALL, 0);
}

static void wraparound(void)
{
        send_one(UINT64_MAX - SMALL / 2, SMALL, 0);
}

/* The device's own registers: an address that the machine has, and that is no memory. */
static void registers(void)
{
        send_one(0xfeb00000, SMALL, 0);
}

static void four_gib(void)
{
        send_one(address_of(bytes), UINT32_MAX, 0);
}

/* ---- chains ---- */

static void loop(void)
{
        send_two((struct descriptor){.addr = address_of(bytes), .flags = DESC_NEXT, .next = SECOND},
                 (struct descriptor){.addr = address_of(bytes), .flags = DESC_NEXT, .next = FIRST});
}

static void no_such_next(void)
{
        hand_over_for_sending(&(struct descriptor){
                .addr = address_of(bytes), .len = SMALL, .flags = DESC_NEXT, .next = BEYOND});
}

static void no_such_head(void)
{
        hand_over(TX, BEYOND);
}

static void index_jump(void)
{
        rings_of(TX)->available.idx += QUEUE_SIZE;
        hand_over(TX, FIRST);
}

static void written_in_tx(void)
{
        send_one(address_of(bytes), SMALL, DESC_WRITE);
}

/* ---- indirect tables ---- */

static void send_table(uint32_t n)
{
        send_one(address_of(table), n * (uint32_t)sizeof(*table), DESC_INDIRECT);
}

static void too_many_pieces(void)
{
        for (size_t i = 0; i < PIECES; i++)
                table[i] = (struct descriptor){
                        .addr = address_of(bytes), .len = 1, .flags = DESC_NEXT, .next = (uint16_t)(i + 1)};
        send_table(PIECES);
}

static void table_in_itself(void)
{
        table[0] =
                (struct descriptor){.addr = address_of(table), .len = sizeof(*table), .flags = DESC_INDIRECT};
        send_table(1);
}

static void table_in_a_chain(void)
{
        send_two(
                (struct descriptor){
                        .addr = address_of(bytes), .len = SMALL, .flags = DESC_NEXT, .next = SECOND},
                (struct descriptor){
                        .addr = address_of(table), .len = sizeof(*table), .flags = DESC_INDIRECT});
}

static void table_with_successor(void)
{
        send_one(address_of(table), sizeof(*table), DESC_INDIRECT | DESC_NEXT);
}

static void half_a_table(void)
{
        send_one(address_of(table), sizeof(*table) + sizeof(*table) / 2, DESC_INDIRECT);
}

static void huge_table(void)
{
        send_one(address_of(table), UINT32_MAX & ~UINT32_C(15), DESC_INDIRECT);
}

static void table_outside(void)
{
        send_one(beyond_memory, sizeof(*table), DESC_INDIRECT);
}

static void loop_in_a_table(void)
{
        for (uint16_t i = 0; i < 2; i++)
                table[i] = (struct descriptor){
                        .addr = address_of(bytes), .flags = DESC_NEXT, .next = (uint16_t)(1 - i)};
        send_table(2);
}

/* ---- RX ---- */

/* All buffers of RX, which the parent has already, become this; then it has something to say. */
static void spoil_rx(const struct descriptor *d)
{
        wait_until_sent();
        for (size_t i = 0; i < QUEUE_SIZE; i++)
                rings_of(RX)->desc[i] = *d;
        const struct header stray = header_to(fresh_port(), ECHO_PORT, OP_RW);
        send_header(&stray);
}

static void read_in_rx(void)
{
        spoil_rx(&(struct descriptor){.addr = address_of(bytes), .len = sizeof(bytes)});
}

static void no_room_in_rx(void)
{
        spoil_rx(&(struct descriptor){
                .addr = address_of(bytes), .len = sizeof(struct header), .flags = DESC_WRITE});
}

static void rx_outside(void)
{
        spoil_rx(&(struct descriptor){.addr = beyond_memory, .len = sizeof(bytes), .flags = DESC_WRITE});
}

/* The parent writes its answer over the ring that it reads from. */
static void rx_over_the_ring(void)
{
        spoil_rx(&(struct descriptor){
                .addr = address_of(&rings_of(RX)->available), .len = sizeof(bytes), .flags = DESC_WRITE});
        const struct header stray = header_to(fresh_port(), ECHO_PORT, OP_RW);
        send_header(&stray);
}

const struct scenario ring_scenarios[] = {
        {"outside", outside},
        {"wraparound", wraparound},
        {"registers", registers},
        {"four-gib", four_gib},
        {"loop", loop},
        {"no-such-next", no_such_next},
        {"no-such-head", no_such_head},
        {"index-jump", index_jump},
        {"written-in-tx", written_in_tx},
        {"too-many-pieces", too_many_pieces},
        {"table-in-itself", table_in_itself},
        {"table-in-a-chain", table_in_a_chain},
        {"table-with-successor", table_with_successor},
        {"half-a-table", half_a_table},
        {"huge-table", huge_table},
        {"table-outside", table_outside},
        {"loop-in-a-table", loop_in_a_table},
        {"read-in-rx", read_in_rx},
        {"no-room-in-rx", no_room_in_rx},
        {"rx-outside", rx_outside},
        {"rx-over-the-ring", rx_over_the_ring},
};
const size_t n_ring_scenarios = sizeof(ring_scenarios) / sizeof(*ring_scenarios);
