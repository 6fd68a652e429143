/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/enclave/boot-image.h"
#include "lib/enclave/ramdisk-size.h"

#include "lib/base/buf.h"

#include <inttypes.h>
#include <string.h>

enum { MIB = 1024 * 1024 };

static void pad(struct buf *b)
{
        while (b->n % 4 != 0)
                assert_int_equal(buf_append_byte(b, 0), 0);
}

static void add_entry(struct buf *b, const char *name, size_t size)
{
        assert_int_equal(buf_printf(b, "070701%08x%08x%08x%08x%08x%08x%08zx%08x%08x%08x%08x%08zx%08x", 1,
                                    0100644, 0, 0, 1, 0, size, 0, 0, 0, 0, strlen(name) + 1, 0),
                         0);
        assert_int_equal(buf_append(b, name, strlen(name) + 1), 0);
        pad(b);
        for (size_t i = 0; i < size; i++)
                assert_int_equal(buf_append_byte(b, 'x'), 0);
        pad(b);
}

/* What is counted when `v` comes in pieces of `step` bytes. */
static uint64_t count(struct view v, size_t step)
{
        struct ramdisk_size size = ramdisk_size_new(NULL);

        for (size_t at = 0; at < v.n; at += step)
                ramdisk_size_feed(&size, view_of(v.p + at, v.n - at < step ? v.n - at : step));
        return ramdisk_size_unpacked(&size);
}

static bool sees(struct view v, const char *name, size_t step)
{
        struct ramdisk_size size = ramdisk_size_new(name);

        for (size_t at = 0; at < v.n; at += step)
                ramdisk_size_feed(&size, view_of(v.p + at, v.n - at < step ? v.n - at : step));
        return size.seen;
}

static void test_a_name_is_seen_in_any_pieces_and_no_name_like_it(void **state)
{
        cleanup_buf struct buf b = buf_with_max(MIB);
        static const size_t steps[] = {1, 3, 109, 110, 111, 4096, MIB};

        (void)state;
        add_entry(&b, "enclave", 0);
        add_entry(&b, "enclave/config", 33);
        add_entry(&b, "TRAILER!!!", 0);
        for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
                assert_true(sees(buf_view(&b), "enclave/config", steps[i]));
                assert_true(sees(buf_view(&b), "enclave", steps[i]));
                assert_false(sees(buf_view(&b), "enclave/confiG", steps[i]));
                assert_false(sees(buf_view(&b), "enclave/confi", steps[i]));
                assert_false(sees(buf_view(&b), "enclave/config2", steps[i]));
                assert_false(sees(buf_view(&b), "", steps[i]));
        }
}

static void test_archive_counts_whole_pages_and_its_entries_in_any_pieces(void **state)
{
        cleanup_buf struct buf b = buf_with_max(MIB);
        static const size_t steps[] = {1, 3, 109, 110, 111, 4096, MIB};

        (void)state;
        add_entry(&b, "a", 1);
        add_entry(&b, "some/longer/name", 4097);
        add_entry(&b, "TRAILER!!!", 0);
        for (int i = 0; i < 512; i++)
                assert_int_equal(buf_append_byte(&b, 0), 0);
        for (size_t i = 0; i < ARRAY_SIZE(steps); i++)
                assert_int_equal(count(buf_view(&b), steps[i]), 3 * RAMDISK_PAGE + 3 * RAMDISK_ENTRY_COST);
}

/* Whatever an entry is filled up with belongs to no header. */
static void test_padding_that_is_not_zero_is_skipped(void **state)
{
        cleanup_buf struct buf b = buf_with_max(MIB);

        (void)state;
        add_entry(&b, "a", 1);
        memset(b.p + b.n - 3, 'x', 3);
        add_entry(&b, "TRAILER!!!", 0);
        assert_int_equal(count(buf_view(&b), 7), RAMDISK_PAGE + 2 * RAMDISK_ENTRY_COST);
}

static void test_archive_behind_an_archive_counts_too(void **state)
{
        cleanup_buf struct buf b = buf_with_max(MIB);

        (void)state;
        add_entry(&b, "TRAILER!!!", 0);
        for (int i = 0; i < 4096; i++)
                assert_int_equal(buf_append_byte(&b, 0), 0);
        add_entry(&b, "b", 1);
        assert_int_equal(count(buf_view(&b), 77), RAMDISK_PAGE + 2 * RAMDISK_ENTRY_COST);
}

static void test_compressed_ramdisk_counts_several_times_its_size(void **state)
{
        uint8_t bytes[1000];

        (void)state;
        memset(bytes, 0x1f, sizeof(bytes));
        assert_int_equal(count(view_of(bytes, sizeof(bytes)), 1000), RAMDISK_EXPANSION * 1000);
        assert_int_equal(count(view_of(bytes, 50), 7), RAMDISK_EXPANSION * 50);
}

static void test_header_with_a_huge_size_is_no_trap(void **state)
{
        cleanup_buf struct buf b = buf_with_max(MIB);

        (void)state;
        assert_int_equal(buf_printf(&b, "070701%048x%08x%032x%08x%08x", 0, 0xffffffffu, 0, 0xffffffffu, 0),
                         0);
        assert_true(count(buf_view(&b), MIB) >= UINT64_C(0xffffffff));
}

static void test_memory_grows_with_both_forms_of_the_ramdisk(void **state)
{
        char plain[] = "console=ttyS0", ramfs[] = "quiet rootfstype=ramfs";
        struct boot_image image = BOOT_IMAGE_NONE;

        (void)state;
        image.cmdline = plain;
        image.kernel_memory = UINT64_C(51) * MIB;
        unsigned empty = boot_image_min_mib(&image);
        /* Measured: 110 MiB boot Debian's cloud kernel with a small ramdisk, and QingTian's least is 128. */
        assert_in_range(empty, 90, 128);
        image.initrd_size = image.unpacked_size = UINT64_C(66) * MIB;
        /* Measured with tmpfs as root: 240 MiB fail, 260 do. */
        assert_in_range(boot_image_min_mib(&image), 260, 320);
        image.cmdline = ramfs;
        /* Measured with ramfs: 200 MiB fail, 215 do. */
        assert_in_range(boot_image_min_mib(&image), 215, 260);
        /* Pages have to be kept account of, in 64 bytes for each 4096. */
        image.initrd_size = image.unpacked_size = UINT64_C(10240) * MIB;
        assert_true(boot_image_min_mib(&image) - 2 * 10240 > 2 * 10240 / 64);
        image.unpacked_size = UINT64_MAX;
        image.initrd_size = UINT64_MAX / 2;
        assert_int_equal(boot_image_min_mib(&image), UINT_MAX);
}

static void test_words_of_the_command_line_are_whole_words(void **state)
{
        char cmdline[] = "a coffer.parent_cid=2 xrootfstype=ramfs rootfstype=ramfs2 last";
        struct boot_image image = BOOT_IMAGE_NONE;

        (void)state;
        image.cmdline = cmdline;
        assert_true(boot_image_has_word(&image, "coffer.parent_cid=2"));
        assert_true(boot_image_has_word(&image, "a"));
        assert_true(boot_image_has_word(&image, "last"));
        assert_false(boot_image_has_word(&image, "rootfstype=ramfs"));
        assert_false(boot_image_has_word(&image, "coffer.parent_cid=3"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_a_name_is_seen_in_any_pieces_and_no_name_like_it),
                cmocka_unit_test(test_archive_counts_whole_pages_and_its_entries_in_any_pieces),
                cmocka_unit_test(test_padding_that_is_not_zero_is_skipped),
                cmocka_unit_test(test_archive_behind_an_archive_counts_too),
                cmocka_unit_test(test_compressed_ramdisk_counts_several_times_its_size),
                cmocka_unit_test(test_header_with_a_huge_size_is_no_trap),
                cmocka_unit_test(test_memory_grows_with_both_forms_of_the_ramdisk),
                cmocka_unit_test(test_words_of_the_command_line_are_whole_words),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
