/* SPDX-License-Identifier: Apache-2.0 */
/*
 * device.c - a driver that asks for what it wasn't offered, puts queues where no memory is, changes them
 * while they are used, and starts over in the middle.  Most of it QEMU has to judge; what it passes on comes
 * to the parent's device as vhost-user messages in an order that no honest guest causes.  After most attacks
 * the device is set up as it should be, and has to work; three put rings where they can't be.
 */
#include "scenario.h"
#include "vsock.h"

enum {
        RESETS = 50,
        KICKS = 20000,
        PAGE = 4096,
        FIRMWARE_PAGE = 0xffffe,
        QUEUES_OF_QEMU = 3, /* RX, TX, and one for events, which we leave alone */
        NO_SUCH_QUEUE = 700,
        ROOM = 32 * 1024,
};

static uint32_t page_of(uint32_t queue)
{
        return (uint32_t)(uintptr_t)rings_of(queue) / PAGE;
}

static void set_up_wrongly(uint32_t size, uint32_t rx_page, uint32_t tx_page)
{
        device_reset();
        device_features(0);
        device_queue(RX, size, rx_page);
        device_queue(TX, size, tx_page);
        device_ready();
        device_kick(RX);
        device_kick(TX);
}

/* While the parent is sending, and so it has a run in hand. */
static void resets(void)
{
        static struct packet p;

        for (uint32_t i = 0; i < RESETS; i++) {
                uint32_t port = dial(SOURCE_PORT, ROOM);
                expect(receive_for(port, &p, 60) && p.header.op == OP_RW, "the parent sends nothing");
                device_start();
        }
        for (uint32_t i = 0; i < RESETS; i++)
                device_reset();
        device_start();
}

/* Handed over, and then the device is taken away at once. */
static void resets_while_sending(void)
{
        static const uint8_t data[DATA_MAX];

        for (uint32_t i = 0; i < RESETS; i++) {
                uint32_t port = dial(ECHO_PORT, ROOM);
                struct header header = header_to(port, ECHO_PORT, OP_RW);
                header.len = sizeof(data);
                for (uint32_t k = 0; k < 8; k++)
                        send(&header, data, sizeof(data));
                device_start();
        }
}

static void features(void)
{
        device_reset();
        device_features(UINT32_MAX);
        device_start();
}

static void queues_outside(void)
{
        const uint32_t pages[] = {UINT32_MAX, 0x80000, 0xfeb00};

        for (size_t i = 0; i < sizeof(pages) / sizeof(*pages); i++)
                set_up_wrongly(QUEUE_SIZE, pages[i], pages[i]);
        device_start();
}

/* Where there is memory, of the machine, and none that the parent's device is given. */
static void queues_in_the_firmware(void)
{
        set_up_wrongly(QUEUE_SIZE, FIRMWARE_PAGE, FIRMWARE_PAGE);
}

static void one_ring_for_both(void)
{
        rings_of(RX)->available.idx = 2 * QUEUE_SIZE;
        set_up_wrongly(QUEUE_SIZE, page_of(RX), page_of(RX));
}

static void sizes(void)
{
        const uint32_t sizes[] = {0, 1, 2, 1024, 1025, 0x10000, UINT32_MAX};

        for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
                device_reset();
                memset(rings_of(RX), 0, sizeof(struct rings));
                memset(rings_of(TX), 0, sizeof(struct rings));
                set_up_wrongly(sizes[i], page_of(RX), page_of(TX));
        }
        device_start();
}

static void odd_size(void)
{
        set_up_wrongly(3, page_of(RX), page_of(TX));
}

/* Sizes and places change while the device is at work. */
static void changes(void)
{
        uint32_t port = dial(SOURCE_PORT, ROOM);

        for (uint32_t size = 1; size <= 1024; size *= 2) {
                device_queue(RX, size, page_of(TX));
                device_queue(TX, size, page_of(RX));
                device_kick(RX);
                device_kick(TX);
        }
        const struct header end = header_to(port, SOURCE_PORT, OP_RST);
        send_header(&end);
        device_start();
}

static void kicks(void)
{
        for (uint32_t i = 0; i < KICKS; i++)
                device_kick(i % (QUEUES_OF_QEMU + 1) == QUEUES_OF_QEMU ? NO_SUCH_QUEUE + i
                                                                       : i % QUEUES_OF_QEMU);
}

const struct scenario device_scenarios[] = {
        {"resets", resets},
        {"resets-while-sending", resets_while_sending},
        {"features", features},
        {"queues-outside", queues_outside},
        {"queues-in-the-firmware", queues_in_the_firmware},
        {"one-ring-for-both", one_ring_for_both},
        {"sizes", sizes},
        {"odd-size", odd_size},
        {"changes", changes},
        {"kicks", kicks},
};
const size_t n_device_scenarios = sizeof(device_scenarios) / sizeof(*device_scenarios);
