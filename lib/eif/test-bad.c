/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test-bad.c - one wrong file for each defect, and the words that name it.  Every file is the published
 * synthetic image with one change: sections 0 kernel, 1 cmdline, 2 metadata, 3 ramdisk, 4 ramdisk at 548,
 * 6560, 6585, 6614 and 8626.
 */
#include "lib/eif/eif.h"

#include "lib/base/fd.h"
#include "lib/eif/format.h"
#include "lib/eif/test-image.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

enum {
        AT_MAGIC = 0,
        AT_VERSION = 4,
        AT_FLAGS = 6,
        AT_COUNT = 0x1a,
        AT_OFFSETS = 0x1c,
        AT_SIZES = 0x11c,
        KERNEL = 548,
        CMDLINE = 6560,
        METADATA = 6585,
        RAMDISK = 6614,
        LAST = 8626,
        FILE_SIZE = 11438,
};

static void put(uint8_t *p, uint64_t value, size_t bytes)
{
        for (size_t i = 0; i < bytes; i++)
                p[i] = (uint8_t)(value >> (8 * (bytes - 1 - i)));
}

struct change {
        size_t at;
        uint64_t value;
        size_t bytes; /* 0: none */
};

#define OFFSET(i, value)                                                                                     \
        {                                                                                                    \
                AT_OFFSETS + 8 * (i), value, 8                                                               \
        }
#define SIZE(i, value)                                                                                       \
        {                                                                                                    \
                AT_SIZES + 8 * (i), value, 8                                                                 \
        }
#define HEADER(section, value)                                                                               \
        {                                                                                                    \
                (section) + 4, value, 8                                                                      \
        }
#define TYPE(section, value)                                                                                 \
        {                                                                                                    \
                section, value, 2                                                                            \
        }

static const struct defect {
        const char *name;
        struct change change[3];
        size_t cut_to; /* 0: whole */
        const char *text;
} defects[] = {
        {"empty-file", {}, 1, "the file has 0 bytes, less than the 548 of an enclave image header"},
        {"short-file", {}, 547, "the file has 546 bytes, less than the 548 of an enclave image header"},
        {"header-only", {}, 549, "section 0 ends at byte 6560, past the end of the file (548 bytes)"},
        {"magic",
         {{AT_MAGIC, 0x7f454c46, 4}},
         0,
         "not an enclave image file: begins with 7f454c46 instead of 2e656966 (\".eif\")"},
        {"version-0", {{AT_VERSION, 0, 2}}, 0, "version 0 is not known; versions 2 to 4 are"},
        {"version-1", {{AT_VERSION, 1, 2}}, 0, "version 1 is not known; versions 2 to 4 are"},
        {"version-5", {{AT_VERSION, 5, 2}}, 0, "version 5 is not known; versions 2 to 4 are"},
        {"flags", {{AT_FLAGS, 2, 2}}, 0, "flags 0x0002 have bits other than 0x0001 (aarch64)"},
        {"count-0", {{AT_COUNT, 0, 2}}, 0, "the section count is 0; it must be 2 to 32"},
        {"count-1", {{AT_COUNT, 1, 2}}, 0, "the section count is 1; it must be 2 to 32"},
        {"count-33", {{AT_COUNT, 33, 2}}, 0, "the section count is 33; it must be 2 to 32"},
        {"count-too-small", {{AT_COUNT, 2, 2}}, 0, "no metadata section, which version 4 must have"},
        {"count-too-large",
         {{AT_COUNT, 6, 2}},
         0,
         "section 5 begins at byte 0, inside the header (548 bytes)"},
        {"order-of-table",
         {OFFSET(3, LAST), OFFSET(4, RAMDISK), SIZE(3, 2800)},
         0,
         "section 4 begins at byte 6614, before section 3 (byte 8626); the table must have the order of the "
         "file"},
        {"overlap",
         {OFFSET(4, LAST - 1)},
         0,
         "section 4 begins at byte 8625, inside section 3, which ends at byte 8626"},
        {"same-section-twice",
         {OFFSET(4, RAMDISK)},
         0,
         "section 4 begins at byte 6614, inside section 3, which ends at byte 8626"},
        {"inside-header", {OFFSET(0, 547)}, 0, "section 0 begins at byte 547, inside the header (548 bytes)"},
        {"past-end",
         {SIZE(4, 2801), HEADER(LAST, 2801)},
         0,
         "section 4 ends at byte 11439, past the end of the file (11438 bytes)"},
        {"header-past-end",
         {OFFSET(4, FILE_SIZE - 11), SIZE(4, 0)},
         0,
         "section 4 ends at byte 11439, past the end of the file (11438 bytes)"},
        {"cut-short", {}, 9001, "section 4 ends at byte 11438, past the end of the file (9000 bytes)"},
        {"size-overflow",
         {SIZE(4, UINT64_MAX), HEADER(LAST, UINT64_MAX)},
         0,
         "section 4 begins at byte 8626 and has 18446744073709551615 bytes: no file is as large"},
        {"offset-overflow",
         {OFFSET(4, UINT64_MAX)},
         0,
         "section 4 begins at byte 18446744073709551615 and has 2800 bytes: no file is as large"},
        {"sizes-disagree",
         {HEADER(RAMDISK, 1999)},
         0,
         "section 3 (ramdisk) has 1999 bytes by its own header, but 2000 by the file's table"},
        {"type-0", {TYPE(RAMDISK, 0)}, 0, "section 3 has type 0; types 1 to 5 are known"},
        {"type-6", {TYPE(RAMDISK, 6)}, 0, "section 3 has type 6; types 1 to 5 are known"},
        {"type-65535", {TYPE(RAMDISK, 65535)}, 0, "section 3 has type 65535; types 1 to 5 are known"},
        {"section-flags", {{RAMDISK + 2, 1, 2}}, 0, "section 3 (ramdisk) has flags 0x0001; none are known"},
        {"kernel-missing",
         {TYPE(KERNEL, EIF_SECTION_METADATA)},
         0,
         "section 2 is a second metadata; section 0 is one already"},
        {"kernel-behind-ramdisk",
         {TYPE(KERNEL, EIF_SECTION_RAMDISK)},
         0,
         "section 0 is a ramdisk, but no kernel comes before it"},
        {"kernel-twice",
         {TYPE(LAST, EIF_SECTION_KERNEL)},
         0,
         "section 4 is a second kernel; section 0 is one already"},
        {"cmdline-twice",
         {TYPE(METADATA, EIF_SECTION_CMDLINE)},
         0,
         "section 2 is a second cmdline; section 1 is one already"},
        {"cmdline-missing",
         {TYPE(CMDLINE, EIF_SECTION_RAMDISK)},
         0,
         "no cmdline section, which version 4 must have"},
        {"cmdline-too-large",
         {TYPE(KERNEL, EIF_SECTION_CMDLINE)},
         0,
         "section 0 (cmdline) has 6000 bytes, more than the 4096 that it may have"},
        {"metadata-missing",
         {TYPE(METADATA, EIF_SECTION_RAMDISK)},
         0,
         "no metadata section, which version 4 must have"},
        {"metadata-twice",
         {TYPE(LAST, EIF_SECTION_METADATA)},
         0,
         "section 4 is a second metadata; section 2 is one already"},
        {"signature-twice",
         {TYPE(RAMDISK, EIF_SECTION_SIGNATURE), TYPE(LAST, EIF_SECTION_SIGNATURE)},
         0,
         "section 4 is a second signature; section 3 is one already"},
        {"signature-empty",
         {TYPE(LAST, EIF_SECTION_SIGNATURE), SIZE(4, 0), HEADER(LAST, 0)},
         0,
         "section 4 (signature) is empty"},
};

static void each_defect_is_refused_by_name(void **state)
{
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(defects); i++) {
                const struct defect *d = &defects[i];
                cleanup_buf struct buf file = test_image_bytes();
                struct eif *eif = NULL;
                struct error err = {0};
                size_t n = d->cut_to ? d->cut_to - 1 : file.n;

                for (size_t j = 0; j < ARRAY_SIZE(d->change); j++)
                        put(file.p + d->change[j].at, d->change[j].value, d->change[j].bytes);
                cleanup_fd int fd = test_file_of(view_of(file.p, n));
                if (eif_open(fd, &eif, &err) != -EBADMSG)
                        fail_msg("%s: not refused", d->name);
                if (strcmp(error_text(&err), d->text) != 0)
                        fail_msg("%s: \"%s\" instead of \"%s\"", d->name, error_text(&err), d->text);
                assert_null(eif);
        }
}

/* AWS's tools leave the table as it was when they sign anew; their signatures differ in size. */
static void the_table_may_have_another_size_of_the_signature(void **state)
{
        static const uint64_t in_table[] = {0, 1, 2799, 2801, FILE_SIZE, UINT64_MAX};
        (void)state;

        for (size_t i = 0; i < ARRAY_SIZE(in_table); i++) {
                cleanup_buf struct buf file = test_image_bytes();
                cleanup_eif struct eif *eif = NULL;
                cleanup_eif_measured struct eif_measured m = {0};
                struct error err = {0};

                put(file.p + LAST, EIF_SECTION_SIGNATURE, 2);
                put(file.p + AT_SIZES + 32, in_table[i], 8);
                cleanup_fd int fd = test_file_of(buf_view(&file));
                assert_int_equal(eif_open(fd, &eif, &err), 0);
                assert_true(eif_header(eif)->section[4].stale);
                assert_false(eif_header(eif)->section[3].stale);
                assert_int_equal(eif_measure(eif, NULL, NULL, &m, &err), 0);
                assert_int_equal(m.signature.n, 2800);
        }
}

static void a_stale_size_hides_no_overlap(void **state)
{
        cleanup_buf struct buf file = test_image_bytes();
        struct eif *eif = NULL;
        struct error err = {0};
        (void)state;

        put(file.p + RAMDISK, EIF_SECTION_SIGNATURE, 2);
        put(file.p + RAMDISK + 4, 2001, 8);
        cleanup_fd int fd = test_file_of(buf_view(&file));
        assert_int_equal(eif_open(fd, &eif, &err), -EBADMSG);
        assert_string_equal(error_text(&err),
                            "section 4 begins at byte 8626, inside section 3, which ends at byte 8627");
}

/* The synthetic image with a last section of that type and size, all zeros.  It has no other metadata than
 * those. */
static int with_last_section(enum eif_section_type type, size_t size)
{
        cleanup_buf struct buf file = test_image_bytes();

        if (type == EIF_SECTION_METADATA)
                put(file.p + METADATA, EIF_SECTION_RAMDISK, 2);
        put(file.p + AT_SIZES + 32, size, 8);
        format_section_header(type, size, file.p + LAST);
        int fd = test_file_of(view_of(file.p, LAST + EIF_SECTION_HEADER_SIZE));
        assert_int_equal(ftruncate(fd, (off_t)(LAST + EIF_SECTION_HEADER_SIZE + size)), 0);
        return fd;
}

static void small_sections_have_a_largest_size(void **state)
{
        static const struct {
                enum eif_section_type type;
                size_t max;
                const char *text;
        } cases[] = {
                {EIF_SECTION_SIGNATURE, EIF_SIGNATURE_MAX,
                 "section 4 (signature) has 32769 bytes, more than the 32768 that it may have"},
                {EIF_SECTION_METADATA, EIF_METADATA_MAX,
                 "section 4 (metadata) has 4194305 bytes, more than the 4194304 that it may have"},
        };
        (void)state;

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                cleanup_fd int largest = with_last_section(cases[i].type, cases[i].max);
                cleanup_fd int larger = with_last_section(cases[i].type, cases[i].max + 1);
                cleanup_eif struct eif *eif = NULL;
                struct eif *none = NULL;
                struct error err = {0};

                assert_int_equal(eif_open(largest, &eif, &err), 0);
                assert_int_equal(eif_open(larger, &none, &err), -EBADMSG);
                assert_string_equal(error_text(&err), cases[i].text);
        }
}

/* Any bit that the format doesn't check by itself is found by the CRC: payloads, memory, CPUs, reserved
 * fields, the table behind its end, and the CRC itself. */
static void damage_anywhere_is_found_by_the_crc(void **state)
{
        static const size_t places[] = {
                8,     16,          0x18,         AT_OFFSETS + 40, AT_SIZES + 40,  0x21c,
                0x220, KERNEL + 12, CMDLINE + 12, METADATA + 12,   RAMDISK + 1000, FILE_SIZE - 1};
        (void)state;

        for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
                cleanup_buf struct buf file = test_image_bytes();
                cleanup_eif struct eif *eif = NULL;
                cleanup_eif_measured struct eif_measured m = {0};
                struct error err = {0};

                file.p[places[i]] ^= 0x10;
                cleanup_fd int fd = test_file_of(buf_view(&file));
                assert_int_equal(eif_open(fd, &eif, &err), 0);
                assert_int_equal(eif_measure(eif, NULL, NULL, &m, &err), 0);
                assert_int_equal(eif_verify_crc(eif, &m, &err), -EBADMSG);
                assert_true(strncmp(error_text(&err), "the CRC in the header is ", 25) == 0);
        }
}

static void older_versions_need_no_metadata(void **state)
{
        (void)state;
        for (uint16_t version = 2; version <= 3; version++) {
                cleanup_buf struct buf file = test_image_bytes();
                cleanup_eif struct eif *eif = NULL;
                struct error err = {0};

                put(file.p + AT_VERSION, version, 2);
                put(file.p + METADATA, EIF_SECTION_RAMDISK, 2);
                cleanup_fd int fd = test_file_of(buf_view(&file));
                assert_int_equal(eif_open(fd, &eif, &err), 0);
                assert_int_equal(eif_header(eif)->version, version);
        }
}

/* The table counts, not the file's sequence: unused bytes between sections and behind the last are no part of
 * it. */
static void holes_are_allowed_and_change_no_measurement(void **state)
{
        enum { HOLE = 100 };
        cleanup_buf struct buf file = test_image_bytes();
        cleanup_eif struct eif *whole = NULL, *holed = NULL;
        cleanup_eif_measured struct eif_measured a = {0}, b = {0};
        struct error err = {0};
        uint8_t spread[FILE_SIZE + 2 * HOLE];
        (void)state;

        cleanup_fd int fd = test_file_of(buf_view(&file));
        assert_int_equal(eif_open(fd, &whole, &err), 0);
        assert_int_equal(eif_measure(whole, NULL, NULL, &a, &err), 0);
        memset(spread, 0xee, sizeof(spread));
        memcpy(spread, file.p, LAST);
        memcpy(spread + LAST + HOLE, file.p + LAST, FILE_SIZE - LAST);
        put(spread + AT_OFFSETS + 32, LAST + HOLE, 8);
        cleanup_fd int holed_fd = test_file_of(view_of(spread, sizeof(spread)));
        assert_int_equal(eif_open(holed_fd, &holed, &err), 0);
        assert_int_equal(eif_measure(holed, NULL, NULL, &b, &err), 0);
        assert_true(digest_equal(&a.pcrs.pcr0, &b.pcrs.pcr0));
        assert_true(digest_equal(&a.pcrs.pcr2, &b.pcrs.pcr2));
        assert_int_not_equal(a.crc, b.crc); /* the table changed, and it is the only thing */
}

static void only_regular_files_are_opened(void **state)
{
        int fds[2];
        struct eif *eif = NULL;
        struct error err = {0};
        (void)state;

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
        assert_int_equal(eif_open(fds[0], &eif, &err), -EINVAL);
        assert_string_equal(error_text(&err), "not a regular file");
        close(fds[0]);
        close(fds[1]);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(each_defect_is_refused_by_name),
                cmocka_unit_test(the_table_may_have_another_size_of_the_signature),
                cmocka_unit_test(a_stale_size_hides_no_overlap),
                cmocka_unit_test(small_sections_have_a_largest_size),
                cmocka_unit_test(damage_anywhere_is_found_by_the_crc),
                cmocka_unit_test(older_versions_need_no_metadata),
                cmocka_unit_test(holes_are_allowed_and_change_no_measurement),
                cmocka_unit_test(only_regular_files_are_opened),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
