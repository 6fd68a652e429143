/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/vsock/virtqueue.h"

#include "lib/base/fd.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>
#include <linux/virtio_ring.h>

enum {
        SIZE = 8,
        PAGE = 4096,
        DESC = 0,
        AVAIL = 4096,
        USED = 8192,
        TABLE = 12288,
        DATA = 16384,
        TOTAL = 65536
};

#define GUEST UINT64_C(0x1000000)
#define USER  UINT64_C(0x7f0000000000)

/* Two regions that lie one behind the other for the guest, but not here. */
struct fixture {
        struct guest_memory memory;
        struct virtqueue q;
        uint8_t *first;
        uint8_t *second;
        uint16_t offered;
};

static int sealed_memory(void)
{
        int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

        assert_true(fd >= 0);
        assert_int_equal(ftruncate(fd, TOTAL), 0);
        assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
        return fd;
}

static struct virtqueue_layout layout_with(bool event_idx)
{
        return (struct virtqueue_layout){
                .size = SIZE,
                .desc = USER + DESC,
                .avail = USER + AVAIL,
                .used = USER + USED,
                .event_idx = event_idx,
                .direction = VIRTQUEUE_DEVICE_READS,
        };
}

static void set_up(struct fixture *f, bool event_idx)
{
        const struct guest_memory_place a = {GUEST, TOTAL, USER, 0};
        const struct guest_memory_place b = {GUEST + TOTAL, TOTAL, USER + 2 * (uint64_t)TOTAL, 0};
        const struct virtqueue_layout layout = layout_with(event_idx);
        cleanup_fd int first = sealed_memory();
        cleanup_fd int second = sealed_memory();

        *f = (struct fixture){0};
        assert_int_equal(guest_memory_add(&f->memory, &a, first, NULL), 0);
        assert_int_equal(guest_memory_add(&f->memory, &b, second, NULL), 0);
        f->first = guest_memory_at(&f->memory, GUEST, 1);
        f->second = guest_memory_at(&f->memory, GUEST + TOTAL, 1);
        assert_int_equal(virtqueue_init(&f->q, &layout, &f->memory, NULL), 0);
}

static void put_descriptor(struct fixture *f, size_t table, size_t index, uint64_t addr, uint32_t len,
                           uint16_t flags, uint16_t next)
{
        uint8_t *p = f->first + table + index * 16;

        memcpy(p, &addr, 8);
        memcpy(p + 8, &len, 4);
        memcpy(p + 12, &flags, 2);
        memcpy(p + 14, &next, 2);
}

static void offer(struct fixture *f, uint16_t head)
{
        memcpy(f->first + AVAIL + 4 + 2 * (size_t)(f->offered % SIZE), &head, 2);
        f->offered++;
        memcpy(f->first + AVAIL + 2, &f->offered, 2);
}

static void expect_broken(struct fixture *f, const char *words)
{
        struct virtqueue_chain chain;
        struct error err = {0};

        assert_int_equal(virtqueue_pop(&f->q, &chain, &err), -EBADMSG);
        if (!strstr(error_text(&err), words))
                fail_msg("\"%s\" does not say \"%s\"", error_text(&err), words);
        guest_memory_done(&f->memory);
}

static void buffers_come_in_order_and_go_back(void **state)
{
        struct fixture f;
        struct virtqueue_chain chain;
        uint32_t element[2];

        (void)state;
        set_up(&f, false);
        /* More than once around the ring, and over the end of 16 bits. */
        f.q.next_avail = f.q.next_used = f.q.signalled = f.offered = 65530;
        memcpy(f.first + AVAIL + 2, &f.offered, 2);
        assert_int_equal(virtqueue_pop(&f.q, &chain, NULL), 0);
        for (uint16_t i = 0; i < 20; i++) {
                put_descriptor(&f, DESC, i % SIZE, GUEST + DATA + i, 1, 0, 0);
                offer(&f, i % SIZE);
                f.first[DATA + i] = (uint8_t)i;
                assert_int_equal(virtqueue_pop(&f.q, &chain, NULL), 1);
                assert_int_equal(chain.size, 1);
                assert_int_equal(*(uint8_t *)chain.segments[0].iov_base, i);
                virtqueue_push(&f.q, chain.head, i);
                memcpy(element, f.first + USED + 4 + 8 * (size_t)((65530 + i) % SIZE), 8);
                assert_int_equal(element[0], i % SIZE);
                assert_int_equal(element[1], i);
        }
        guest_memory_done(&f.memory);
}

static void unpopped_buffers_come_again(void **state)
{
        struct fixture f;
        struct virtqueue_chain chain;

        (void)state;
        set_up(&f, false);
        for (uint16_t i = 0; i < 3; i++) {
                put_descriptor(&f, DESC, i, GUEST + DATA, 1, 0, 0);
                offer(&f, i);
        }
        for (int i = 0; i < 3; i++)
                assert_int_equal(virtqueue_pop(&f.q, &chain, NULL), 1);
        virtqueue_unpop(&f.q, 2);
        assert_int_equal(virtqueue_pop(&f.q, &chain, NULL), 1);
        assert_int_equal(chain.head, 1);
        guest_memory_done(&f.memory);
}

static void buffer_over_two_regions_is_in_two_segments(void **state)
{
        struct fixture f;
        struct virtqueue_chain chain;
        char text[7] = {0};

        (void)state;
        set_up(&f, false);
        memcpy(f.first + TOTAL - 3, "abc", 3);
        memcpy(f.second, "def", 3);
        put_descriptor(&f, DESC, 0, GUEST + TOTAL - 3, 6, 0, 0);
        offer(&f, 0);
        assert_int_equal(virtqueue_pop(&f.q, &chain, NULL), 1);
        assert_int_equal(chain.n, 2);
        assert_true(virtqueue_chain_read(&chain, 0, text, 6));
        assert_string_equal(text, "abcdef");
        assert_true(virtqueue_chain_read(&chain, 2, text, 2));
        assert_memory_equal(text, "cd", 2);
        assert_false(virtqueue_chain_read(&chain, 1, text, 6));
        assert_false(virtqueue_chain_read(&chain, 7, text, 0));
        assert_false(virtqueue_chain_write(&chain, SIZE_MAX, text, 2));
        assert_false(virtqueue_chain_write(&chain, 1, text, 6));
        guest_memory_done(&f.memory);
}

static void indirect_table_is_followed(void **state)
{
        struct fixture f;
        struct virtqueue_chain chain;

        (void)state;
        set_up(&f, false);
        put_descriptor(&f, DESC, 5, GUEST + TABLE, 3 * 16, VRING_DESC_F_INDIRECT, 0);
        put_descriptor(&f, TABLE, 0, GUEST + DATA, 10, VRING_DESC_F_NEXT, 2);
        put_descriptor(&f, TABLE, 2, GUEST + DATA, 20, 0, 0);
        offer(&f, 5);
        assert_int_equal(virtqueue_pop(&f.q, &chain, NULL), 1);
        assert_int_equal(chain.head, 5);
        assert_int_equal(chain.size, 30);
        guest_memory_done(&f.memory);
}

/* The most of everything that is allowed: all descriptors of a ring, a table or a buffer's pieces. */
static void limits_can_be_reached(void **state)
{
        struct fixture f;
        struct virtqueue_chain chain;
        struct virtqueue_layout layout = layout_with(false);
        struct virtqueue q;

        (void)state;
        set_up(&f, false);
        for (uint32_t i = 0; i < SIZE; i++)
                put_descriptor(&f, DESC, (uint16_t)i, GUEST + DATA, 1, i + 1 < SIZE ? VRING_DESC_F_NEXT : 0,
                               (uint16_t)(i + 1));
        offer(&f, 0);
        assert_int_equal(virtqueue_pop(&f.q, &chain, NULL), 1);
        assert_int_equal(chain.n, SIZE);
        put_descriptor(&f, DESC, 0, GUEST + TABLE, VIRTQUEUE_SIZE_MAX * 16, VRING_DESC_F_INDIRECT, 0);
        for (uint32_t i = 0; i < VIRTQUEUE_SEGMENTS_MAX; i++)
                put_descriptor(&f, TABLE, (uint16_t)i, GUEST, 1,
                               i + 1 < VIRTQUEUE_SEGMENTS_MAX ? VRING_DESC_F_NEXT : 0, (uint16_t)(i + 1));
        offer(&f, 0);
        assert_int_equal(virtqueue_pop(&f.q, &chain, NULL), 1);
        assert_int_equal(chain.n, VIRTQUEUE_SEGMENTS_MAX);
        layout.size = VIRTQUEUE_SIZE_MAX;
        layout.avail = USER + (uint64_t)VIRTQUEUE_SIZE_MAX * 16;
        layout.used = layout.avail + PAGE;
        assert_int_equal(virtqueue_init(&q, &layout, &f.memory, NULL), 0);
        guest_memory_done(&f.memory);
}

/* --- broken rings
 * ----------------------------------------------------------------------------------------------- */

static void broken_chains_are_told_apart(void **state)
{
        static const struct {
                uint64_t addr;
                uint32_t len;
                uint16_t flags;
                uint16_t next;
                const char *words;
        } cases[] = {
                {GUEST, 1, VRING_DESC_F_NEXT, 0, "descriptors go in circles"},
                {GUEST, 0, VRING_DESC_F_NEXT, 0, "descriptors go in circles"},
                {GUEST, 1, VRING_DESC_F_NEXT, SIZE, "descriptor 8 in a table of 8"},
                {GUEST, 1, VRING_DESC_F_NEXT, 0xffff, "descriptor 65535 in a table of 8"},
                {GUEST - 1, 1, 0, 0, "leaves the guest's memory"},
                {GUEST + 2 * (uint64_t)TOTAL - 1, 2, 0, 0, "leaves the guest's memory"},
                {UINT64_MAX, 2, 0, 0, "leaves the guest's memory"},
                {GUEST, UINT32_MAX, 0, 0, "leaves the guest's memory"},
                {GUEST, 1, VRING_DESC_F_WRITE, 0, "in a queue that it reads"},
                {GUEST + TABLE, 16, VRING_DESC_F_INDIRECT | VRING_DESC_F_NEXT, 1, "with a successor"},
                {GUEST + TABLE, 15, VRING_DESC_F_INDIRECT, 0, "indirect table of 15 bytes"},
                {GUEST + TABLE, 0, VRING_DESC_F_INDIRECT, 0, "indirect table of 0 bytes"},
                {GUEST + TABLE, 1025 * 16, VRING_DESC_F_INDIRECT, 0, "indirect table of 16400 bytes"},
                {GUEST + TOTAL - 16, 32, VRING_DESC_F_INDIRECT, 0, "indirect table at"},
        };

        (void)state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct fixture f;
                set_up(&f, false);
                put_descriptor(&f, DESC, 0, cases[i].addr, cases[i].len, cases[i].flags, cases[i].next);
                offer(&f, 0);
                expect_broken(&f, cases[i].words);
        }
}

static void indirect_table_in_an_indirect_table_is_refused(void **state)
{
        struct fixture f;

        (void)state;
        set_up(&f, false);
        put_descriptor(&f, DESC, 0, GUEST + TABLE, 16, VRING_DESC_F_INDIRECT, 0);
        put_descriptor(&f, TABLE, 0, GUEST + TABLE, 16, VRING_DESC_F_INDIRECT, 0);
        offer(&f, 0);
        expect_broken(&f, "indirect descriptor inside of a chain");
}

static void indirect_table_behind_a_descriptor_is_refused(void **state)
{
        struct fixture f;

        (void)state;
        set_up(&f, false);
        put_descriptor(&f, DESC, 0, GUEST, 1, VRING_DESC_F_NEXT, 1);
        put_descriptor(&f, DESC, 1, GUEST + TABLE, 16, VRING_DESC_F_INDIRECT, 0);
        offer(&f, 0);
        expect_broken(&f, "indirect descriptor inside of a chain");
}

static void circle_in_an_indirect_table_is_refused(void **state)
{
        struct fixture f;

        (void)state;
        set_up(&f, false);
        put_descriptor(&f, DESC, 0, GUEST + TABLE, 32, VRING_DESC_F_INDIRECT, 0);
        put_descriptor(&f, TABLE, 0, GUEST, 1, VRING_DESC_F_NEXT, 1);
        put_descriptor(&f, TABLE, 1, GUEST, 1, VRING_DESC_F_NEXT, 0);
        offer(&f, 0);
        expect_broken(&f, "descriptors go in circles");
}

static void too_many_segments_are_refused(void **state)
{
        struct fixture f;

        (void)state;
        set_up(&f, false);
        put_descriptor(&f, DESC, 0, GUEST + TABLE, 200 * 16, VRING_DESC_F_INDIRECT, 0);
        for (uint16_t i = 0; i < 200; i++)
                put_descriptor(&f, TABLE, i, GUEST, 1, VRING_DESC_F_NEXT, (uint16_t)(i + 1));
        offer(&f, 0);
        expect_broken(&f, "buffer in more than 128 pieces");
}

static void index_too_far_ahead_is_refused(void **state)
{
        struct fixture f;
        const uint16_t ahead = SIZE + 1;

        (void)state;
        set_up(&f, false);
        memcpy(f.first + AVAIL + 2, &ahead, 2);
        expect_broken(&f, "9 buffers in a ring of 8");
}

static void head_out_of_range_is_refused(void **state)
{
        struct fixture f;

        (void)state;
        set_up(&f, false);
        offer(&f, SIZE);
        expect_broken(&f, "descriptor 8 in a ring of 8");
}

static void impossible_layouts_are_refused(void **state)
{
        static const struct {
                uint16_t size;
                uint64_t desc, avail, used;
                const char *words;
        } cases[] = {
                {0, DESC, AVAIL, USED, "ring of 0"},
                {7, DESC, AVAIL, USED, "ring of 7"},
                {2048, DESC, AVAIL, USED, "ring of 2048"},
                {8, DESC + 8, AVAIL, USED, "descriptor ring at 0x7f0000000008 is not aligned"},
                {8, DESC, AVAIL + 1, USED, "available ring at 0x7f0000001001 is not aligned"},
                {8, DESC, AVAIL, USED + 2, "used ring at 0x7f0000002002 is not aligned"},
                {8, TOTAL - 16, AVAIL, USED, "descriptor ring at 0x7f000000fff0 lies outside"},
                {8, DESC, TOTAL - 20, USED, "available ring at 0x7f000000ffec lies outside"},
                {8, DESC, AVAIL, TOTAL - 68, "used ring at 0x7f000000ffbc lies outside"},
        };
        struct fixture f;

        (void)state;
        set_up(&f, false);
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct virtqueue_layout layout = layout_with(false);
                struct virtqueue q;
                struct error err = {0};
                layout.size = cases[i].size;
                layout.desc = USER + cases[i].desc;
                layout.avail = USER + cases[i].avail;
                layout.used = USER + cases[i].used;
                assert_int_equal(virtqueue_init(&q, &layout, &f.memory, &err), -EINVAL);
                if (!strstr(error_text(&err), cases[i].words))
                        fail_msg("\"%s\" does not say \"%s\"", error_text(&err), cases[i].words);
        }
        guest_memory_done(&f.memory);
}

/* --- notifications
 * ---------------------------------------------------------------------------------------------- */

static void guest_is_signalled_unless_it_said_not_to(void **state)
{
        struct fixture f;
        const uint16_t no_interrupt = VRING_AVAIL_F_NO_INTERRUPT;
        uint16_t flags;

        (void)state;
        set_up(&f, false);
        assert_false(virtqueue_should_signal(&f.q));
        virtqueue_push(&f.q, 0, 0);
        assert_true(virtqueue_should_signal(&f.q));
        assert_false(virtqueue_should_signal(&f.q));
        memcpy(f.first + AVAIL, &no_interrupt, 2);
        virtqueue_push(&f.q, 0, 0);
        assert_false(virtqueue_should_signal(&f.q));
        virtqueue_disable_kicks(&f.q);
        memcpy(&flags, f.first + USED, 2);
        assert_int_equal(flags, VRING_USED_F_NO_NOTIFY);
        assert_false(virtqueue_enable_kicks(&f.q));
        memcpy(&flags, f.first + USED, 2);
        assert_int_equal(flags, 0);
        offer(&f, 0);
        assert_true(virtqueue_enable_kicks(&f.q));
        guest_memory_done(&f.memory);
}

static void event_indexes_say_when_to_signal(void **state)
{
        struct fixture f;
        const uint16_t wish = 2; /* tell me of the third */
        uint16_t ours;

        (void)state;
        set_up(&f, true);
        memcpy(f.first + AVAIL + 4 + 2 * (size_t)SIZE, &wish, 2);
        virtqueue_push(&f.q, 0, 0);
        assert_false(virtqueue_should_signal(&f.q));
        virtqueue_push(&f.q, 0, 0);
        assert_false(virtqueue_should_signal(&f.q));
        virtqueue_push(&f.q, 0, 0);
        assert_true(virtqueue_should_signal(&f.q));
        virtqueue_push(&f.q, 0, 0);
        assert_false(virtqueue_should_signal(&f.q));
        f.q.next_avail = 7;
        f.offered = 7;
        memcpy(f.first + AVAIL + 2, &f.offered, 2);
        assert_false(virtqueue_enable_kicks(&f.q));
        memcpy(&ours, f.first + USED + 4 + 8 * (size_t)SIZE, 2);
        assert_int_equal(ours, 7);
        guest_memory_done(&f.memory);
}

static void ring_that_goes_on_owes_no_signal(void **state)
{
        const uint16_t used_before = 7;
        struct virtqueue_layout layout = layout_with(true);
        struct fixture f;

        (void)state;
        set_up(&f, true);
        memcpy(f.first + USED + 2, &used_before, 2);
        assert_int_equal(virtqueue_init(&f.q, &layout, &f.memory, NULL), 0);
        assert_false(virtqueue_should_signal(&f.q));
        guest_memory_done(&f.memory);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(buffers_come_in_order_and_go_back),
                cmocka_unit_test(unpopped_buffers_come_again),
                cmocka_unit_test(buffer_over_two_regions_is_in_two_segments),
                cmocka_unit_test(indirect_table_is_followed),
                cmocka_unit_test(limits_can_be_reached),
                cmocka_unit_test(broken_chains_are_told_apart),
                cmocka_unit_test(indirect_table_in_an_indirect_table_is_refused),
                cmocka_unit_test(indirect_table_behind_a_descriptor_is_refused),
                cmocka_unit_test(circle_in_an_indirect_table_is_refused),
                cmocka_unit_test(too_many_segments_are_refused),
                cmocka_unit_test(index_too_far_ahead_is_refused),
                cmocka_unit_test(head_out_of_range_is_refused),
                cmocka_unit_test(impossible_layouts_are_refused),
                cmocka_unit_test(guest_is_signalled_unless_it_said_not_to),
                cmocka_unit_test(event_indexes_say_when_to_signal),
                cmocka_unit_test(ring_that_goes_on_owes_no_signal),
        };

        return cmocka_run_group_tests_name("virtqueue", tests, NULL, NULL);
}
