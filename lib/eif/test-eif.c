/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test-eif.c - the published vectors, what the writer makes, and that the reader reads the same.
 */
#include "lib/eif/eif.h"

#include "lib/base/fd.h"
#include "lib/base/text.h"
#include "lib/crypto/hash.h"
#include "lib/eif/pcr.h"
#include "lib/eif/test-image.h"
#include "lib/eif/writer.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static void assert_digest(const struct digest *d, const char *hex)
{
        char is[DIGEST_HEX_MAX];

        digest_hex(d, is);
        assert_string_equal(is, hex);
}

/* The synthetic file of the format's notes, made by an independent script. */
static void the_synthetic_file_is_written_byte_for_byte(void **state)
{
        static const uint64_t offsets[] = {548, 6560, 6585, 6614, 8626};
        cleanup_buf struct buf file = test_image_bytes();
        struct digest d;
        struct error err = {0};
        cleanup_eif struct eif *eif = NULL;
        cleanup_fd int fd = test_file_of(buf_view(&file));
        (void)state;

        assert_int_equal(file.n, 11438);
        assert_int_equal(hash_view(HASH_SHA256, buf_view(&file), &d), 0);
        assert_digest(&d, "3fac81da509b942e74413b9a2552c74809ec1506d3c6f6c3ac08f77457ad4f61");
        assert_int_equal(eif_open(fd, &eif, &err), 0);
        assert_int_equal(eif_header(eif)->crc, 0x19131d34);
        assert_int_equal(eif_header(eif)->n_sections, ARRAY_SIZE(offsets));
        for (size_t i = 0; i < ARRAY_SIZE(offsets); i++)
                assert_int_equal(eif_header(eif)->section[i].offset, offsets[i]);
        assert_int_equal(eif_find(eif, EIF_SECTION_RAMDISK, 1), 4);
        assert_int_equal(eif_find(eif, EIF_SECTION_RAMDISK, 2), -1);
}

static void the_synthetic_file_measures_as_published(void **state)
{
        cleanup_buf struct buf file = test_image_bytes();
        cleanup_fd int fd = test_file_of(buf_view(&file));
        cleanup_eif struct eif *eif = NULL;
        cleanup_eif_measured struct eif_measured m = {0};
        struct error err = {0};
        (void)state;

        assert_int_equal(eif_open(fd, &eif, &err), 0);
        assert_int_equal(eif_measure(eif, NULL, NULL, &m, &err), 0);
        assert_digest(&m.pcrs.pcr0, "63e69636ee3f8d508a92b2eba6c1c47e7776092bd48eeede2fb64b90ebba9171"
                                    "0ceebc1b45034894d3773b69e584eb93");
        assert_digest(&m.pcrs.pcr1, "94c0fd7ced9d82050afd941b356ec9aef4c766cae5214b2004161bf9c8e02c8d"
                                    "f623c1a67b2ed9e212a5eaad67a949a3");
        assert_digest(&m.pcrs.pcr2, "11d7f7b27fa967b6a3794d07dcd56baf82fa32aa1b599b112588cd205b7b2113"
                                    "988afd269d9533667f09e7155f4a20e5");
        assert_int_equal(eif_verify_crc(eif, &m, &err), 0);
        assert_string_equal(buf_string(&m.cmdline), "console=ttyS0");
        assert_string_equal(buf_string(&m.metadata), "{\"ImageName\":\"t\"}");
        assert_int_equal(m.signature.n, 0);
}

/* PCR2 of countless deployed images that have a single ramdisk. */
static void one_ramdisk_gives_the_well_known_pcr2_and_equal_pcr0_and_pcr1(void **state)
{
        cleanup_fd int fd = test_empty_file();
        cleanup_eif_writer struct eif_writer *w = NULL;
        struct error err = {0};
        struct eif_pcrs pcrs;
        (void)state;

        assert_int_equal(eif_writer_new(fd, 0, &w, &err), 0);
        test_write_section(w, EIF_SECTION_KERNEL, view_of_string("kernel"));
        test_write_section(w, EIF_SECTION_CMDLINE, view_of_string("quiet"));
        test_write_section(w, EIF_SECTION_METADATA, view_of_string("{}"));
        test_write_section(w, EIF_SECTION_RAMDISK, view_of_string("boot"));
        assert_int_equal(eif_writer_finish(w, NULL, &pcrs, &err), 0);
        assert_digest(&pcrs.pcr2, "21b9efbc184807662e966d34f390821309eeac6802309798826296bf3e8bec7c"
                                  "10edb30948c90ba67310f7b964fc500a");
        assert_true(digest_equal(&pcrs.pcr0, &pcrs.pcr1));
}

/* Huawei Cloud's documentation, QTSM extend examples. */
static void registers_extend_as_qingtian_documents(void **state)
{
        static const struct {
                const char *data, *pcr;
        } cases[] = {
                {"0d1ae7330f437ee563178df30a7c7b7634125d31cac14f6784933db5e90080008438b38fdbb39c886ffe0586ab0"
                 "99b56",
                 "b8c59692da8a5bcb739a83d15a0ceca670bd78da06cb2250ec70548f72254e674419e9888db9c0364a9b88dd580"
                 "17a62"},
                {"c5b3e075e00c261e7fc364f1541067b2a42d4b793225ab10e5cfb8eaca31b3d598af9dd2e491828c2569a995340"
                 "1abcb",
                 "4f8b066ce5ac24150612ba9a55bbb9211f626152ada40ede160f4d7ecbfa214c2a549181f6611a3d16a12ec88a5"
                 "77a01"},
        };
        (void)state;

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                uint8_t data[PCR_SIZE];
                struct digest pcr;

                assert_true(hex_decode(view_of_string(cases[i].data), data, sizeof(data)));
                assert_int_equal(pcr_extend_fresh(view_of(data, sizeof(data)), &pcr), 0);
                assert_digest(&pcr, cases[i].pcr);
        }
}

static void only_sha384_is_a_register(void **state)
{
        struct digest d = {.algorithm = HASH_SHA256}, pcr;
        (void)state;

        assert_int_equal(pcr_of_hash(&d, &pcr), -EINVAL);
}

/* The plain definition, against which threads, blocks and shared hashes are checked. */
static void naive_pcr(const struct view *parts, size_t n, struct digest *ret_pcr)
{
        cleanup_hash struct hash h = HASH_NONE;
        struct digest content;

        hash_init(&h, HASH_SHA384);
        for (size_t i = 0; i < n; i++)
                hash_update(&h, parts[i].p, parts[i].n);
        assert_int_equal(hash_final(&h, &content), 0);
        assert_int_equal(pcr_of_hash(&content, ret_pcr), 0);
}

struct collected {
        struct buf section[EIF_SECTIONS_MAX];
};

static int collect(void *user, size_t section, struct view piece, struct error *err)
{
        struct collected *c = user;

        if (c->section[section].max == 0)
                c->section[section] = buf_with_max(16 << 20);
        return buf_append_view(&c->section[section], piece) < 0 ? error_oom(err) : 0;
}

/* Large enough for several blocks in flight, and of no round size. */
static void large_sections_are_measured_written_and_handed_out_whole(void **state)
{
        enum { LARGE = 3 * 1000 * 1000 + 17 };
        static const enum eif_section_type types[] = {EIF_SECTION_KERNEL,   EIF_SECTION_CMDLINE,
                                                      EIF_SECTION_METADATA, EIF_SECTION_RAMDISK,
                                                      EIF_SECTION_RAMDISK,  EIF_SECTION_RAMDISK};
        cleanup_free uint8_t *bytes = malloc(LARGE);
        const struct view parts[] = {view_of(bytes, 700001), view_of_string("a=b"),
                                     view_of_string("{}"),   view_of(bytes + 5, 1000003),
                                     view_of(bytes, LARGE),  view_of(bytes + 9, 1)};
        const struct view image[] = {parts[0], parts[1], parts[3], parts[4], parts[5]};
        cleanup_fd int fd = test_empty_file();
        cleanup_fd int source = test_empty_file();
        cleanup_eif_writer struct eif_writer *w = NULL;
        cleanup_eif struct eif *eif = NULL;
        cleanup_eif_measured struct eif_measured m = {0};
        struct collected c = {0};
        struct error err = {0};
        struct eif_pcrs written;
        struct digest expected;
        (void)state;

        for (size_t i = 0; i < LARGE; i++)
                bytes[i] = (uint8_t)(i * 2654435761U >> 13);
        assert_int_equal(fd_write_full(source, bytes, LARGE), 0);
        assert_int_equal(eif_writer_new(fd, EIF_FLAG_AARCH64, &w, &err), 0);
        for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
                assert_int_equal(eif_writer_section(w, types[i], &err), 0);
                if (i == 4) /* from another file, with a piece by hand before it */
                        assert_int_equal(eif_writer_write(w, bytes, 100, &err)
                                                 ?: eif_writer_copy(w, source, 100, LARGE - 100, &err),
                                         0);
                else
                        assert_int_equal(eif_writer_write(w, parts[i].p, parts[i].n, &err), 0);
        }
        assert_int_equal(eif_writer_finish(w, NULL, &written, &err), 0);

        assert_int_equal(eif_open(fd, &eif, &err), 0);
        assert_int_equal(eif_header(eif)->flags, EIF_FLAG_AARCH64);
        assert_int_equal(eif_measure(eif, collect, &c, &m, &err), 0);
        assert_int_equal(eif_verify_crc(eif, &m, &err), 0);
        for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
                assert_true(view_equal(buf_view(&c.section[i]), parts[i]));
                buf_done(&c.section[i]);
        }
        naive_pcr(image, 5, &expected);
        assert_true(digest_equal(&m.pcrs.pcr0, &expected) && digest_equal(&written.pcr0, &expected));
        naive_pcr(image, 3, &expected);
        assert_true(digest_equal(&m.pcrs.pcr1, &expected) && digest_equal(&written.pcr1, &expected));
        naive_pcr(image + 3, 2, &expected);
        assert_true(digest_equal(&m.pcrs.pcr2, &expected) && digest_equal(&written.pcr2, &expected));
}

/* A table may put the command line behind the ramdisks: it still belongs to PCR0 and PCR1. */
static void a_late_command_line_is_measured_into_pcr0_and_pcr1(void **state)
{
        static const enum eif_section_type types[] = {EIF_SECTION_KERNEL, EIF_SECTION_RAMDISK,
                                                      EIF_SECTION_RAMDISK, EIF_SECTION_CMDLINE,
                                                      EIF_SECTION_METADATA};
        const struct view parts[] = {view_of_string("K"), view_of_string("R1"), view_of_string("R2"),
                                     view_of_string("C"), view_of_string("{}")};
        cleanup_fd int fd = test_empty_file();
        cleanup_eif_writer struct eif_writer *w = NULL;
        struct error err = {0};
        struct eif_pcrs pcrs;
        struct digest expected;
        (void)state;

        assert_int_equal(eif_writer_new(fd, 0, &w, &err), 0);
        for (size_t i = 0; i < ARRAY_SIZE(types); i++)
                test_write_section(w, types[i], parts[i]);
        assert_int_equal(eif_writer_finish(w, NULL, &pcrs, &err), 0);
        naive_pcr(parts, 4, &expected);
        assert_true(digest_equal(&pcrs.pcr0, &expected));
        naive_pcr((const struct view[]){parts[0], parts[1], parts[3]}, 3, &expected);
        assert_true(digest_equal(&pcrs.pcr1, &expected));
        naive_pcr(&parts[2], 1, &expected);
        assert_true(digest_equal(&pcrs.pcr2, &expected));
}

static int stop_at_second(void *user, size_t section, struct view piece, struct error *err)
{
        (void)user, (void)piece;
        return section == 1 ? error_set(err, -ENOSPC, "no room") : 0;
}

/* What isn't hashed passes through the blocks that the hashing threads may still read: they are waited
 * for. */
static void large_metadata_do_not_write_over_what_is_still_to_be_hashed(void **state)
{
        enum { KERNEL = 4 << 20 };
        cleanup_free uint8_t *kernel = malloc(KERNEL), *metadata = calloc(1, EIF_METADATA_MAX);
        cleanup_fd int fd = test_empty_file();
        cleanup_eif_writer struct eif_writer *w = NULL;
        cleanup_eif struct eif *eif = NULL;
        cleanup_eif_measured struct eif_measured m = {0};
        struct error err = {0};
        struct eif_pcrs written;
        struct digest expected;
        (void)state;

        memset(kernel, 'k', KERNEL);
        const struct view image[] = {view_of_string("c"), view_of(kernel, KERNEL)};
        assert_int_equal(eif_writer_new(fd, 0, &w, &err), 0);
        test_write_section(w, EIF_SECTION_CMDLINE, image[0]);
        test_write_section(w, EIF_SECTION_KERNEL, image[1]);
        test_write_section(w, EIF_SECTION_METADATA, view_of(metadata, EIF_METADATA_MAX));
        assert_int_equal(eif_writer_finish(w, NULL, &written, &err), 0);
        assert_int_equal(eif_open(fd, &eif, &err), 0);
        assert_int_equal(eif_measure(eif, NULL, NULL, &m, &err), 0);
        naive_pcr(image, 2, &expected);
        assert_true(digest_equal(&written.pcr0, &expected));
        assert_true(digest_equal(&m.pcrs.pcr0, &expected));
}

static void a_sink_that_fails_ends_the_pass(void **state)
{
        cleanup_buf struct buf file = test_image_bytes();
        cleanup_fd int fd = test_file_of(buf_view(&file));
        cleanup_eif struct eif *eif = NULL;
        cleanup_eif_measured struct eif_measured m = {0};
        struct error err = {0};
        (void)state;

        assert_int_equal(eif_open(fd, &eif, &err), 0);
        assert_int_equal(eif_measure(eif, stop_at_second, NULL, &m, &err), -ENOSPC);
        assert_string_equal(error_text(&err), "section 1 (cmdline): no room");
}

static void a_file_that_shrinks_under_the_reader_is_refused(void **state)
{
        cleanup_buf struct buf file = test_image_bytes();
        cleanup_fd int fd = test_file_of(buf_view(&file));
        cleanup_eif struct eif *eif = NULL;
        cleanup_eif_measured struct eif_measured m = {0};
        struct error err = {0};
        (void)state;

        assert_int_equal(eif_open(fd, &eif, &err), 0);
        assert_int_equal(ftruncate(fd, 9000), 0);
        assert_int_equal(eif_measure(eif, NULL, NULL, &m, &err), -EBADMSG);
        assert_string_equal(error_text(&err),
                            "section 4 (ramdisk): the file became shorter while it was read");
}

static void the_writer_refuses_what_the_format_does_not_allow(void **state)
{
        static const struct {
                enum eif_section_type types[3];
                const char *text;
        } cases[] = {
                {{EIF_SECTION_RAMDISK}, "section 0 is a ramdisk, but no kernel comes before it"},
                {{EIF_SECTION_KERNEL, EIF_SECTION_KERNEL},
                 "section 1 is a second kernel; section 0 is one already"},
                {{EIF_SECTION_SIGNATURE}, "the signature section is written last, by the signer"},
                {{EIF_SECTION_INVALID}, "0 is no type of section"},
        };
        (void)state;

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                cleanup_fd int fd = test_empty_file();
                cleanup_eif_writer struct eif_writer *w = NULL;
                struct error err = {0};
                int r = 0;

                assert_int_equal(eif_writer_new(fd, 0, &w, &err), 0);
                for (size_t j = 0; r == 0 && j < 3; j++)
                        r = eif_writer_section(w, cases[i].types[j], &err);
                assert_int_equal(r, -EINVAL);
                assert_string_equal(error_text(&err), cases[i].text);
                assert_int_equal(eif_writer_section(w, EIF_SECTION_KERNEL, &err), -EINVAL);
        }
}

static void the_writer_refuses_to_finish_without_metadata_and_to_write_after(void **state)
{
        cleanup_fd int fd = test_empty_file();
        cleanup_eif_writer struct eif_writer *w = NULL;
        struct error err = {0};
        struct eif_pcrs pcrs;
        (void)state;

        assert_int_equal(eif_writer_new(fd, 0, &w, &err), 0);
        assert_int_equal(eif_writer_write(w, "x", 1, &err), -EINVAL);
        eif_writer_free(take_pointer(&w));
        assert_int_equal(eif_writer_new(fd, 0, &w, &err), 0);
        test_write_section(w, EIF_SECTION_KERNEL, view_of_string("k"));
        test_write_section(w, EIF_SECTION_CMDLINE, view_of_string("c"));
        assert_int_equal(eif_writer_finish(w, NULL, &pcrs, &err), -EINVAL);
        assert_string_equal(error_text(&err), "no metadata section, which version 4 must have");
        assert_int_equal(eif_writer_write(w, "x", 1, &err), -EINVAL);
}

static void nothing_is_written_behind_the_end(void **state)
{
        cleanup_fd int fd = test_empty_file();
        cleanup_eif_writer struct eif_writer *w = NULL;
        struct error err = {0};
        struct eif_pcrs pcrs;
        (void)state;

        assert_int_equal(eif_writer_new(fd, 0, &w, &err), 0);
        test_write_section(w, EIF_SECTION_KERNEL, view_of_string("k"));
        test_write_section(w, EIF_SECTION_CMDLINE, view_of_string("c"));
        test_write_section(w, EIF_SECTION_METADATA, view_of_string("{}"));
        assert_int_equal(eif_writer_finish(w, NULL, &pcrs, &err), 0);
        assert_int_equal(eif_writer_write(w, "x", 1, &err), -EINVAL);
        assert_int_equal(eif_writer_section(w, EIF_SECTION_RAMDISK, &err), -EINVAL);
        assert_int_equal(eif_writer_finish(w, NULL, &pcrs, &err), -EINVAL);
        assert_string_equal(error_text(&err), "writing the enclave image has failed already or is finished");
}

static void as_many_sections_as_the_table_has_are_written_and_read(void **state)
{
        cleanup_fd int fd = test_empty_file();
        cleanup_eif_writer struct eif_writer *w = NULL, *other = NULL;
        cleanup_eif struct eif *eif = NULL;
        struct error err = {0};
        struct eif_pcrs pcrs;
        (void)state;

        assert_int_equal(eif_writer_new(fd, 0, &w, &err), 0);
        test_write_section(w, EIF_SECTION_KERNEL, view_of_string("k"));
        test_write_section(w, EIF_SECTION_CMDLINE, view_of_string("c"));
        test_write_section(w, EIF_SECTION_METADATA, view_of_string("{}"));
        for (int i = 3; i < EIF_SECTIONS_MAX; i++)
                test_write_section(w, EIF_SECTION_RAMDISK, view_of_string("r"));
        assert_int_equal(eif_writer_finish(w, NULL, &pcrs, &err), 0);
        assert_int_equal(eif_open(fd, &eif, &err), 0);
        assert_int_equal(eif_header(eif)->n_sections, EIF_SECTIONS_MAX);
        assert_int_equal(eif_find(eif, EIF_SECTION_RAMDISK, 28), EIF_SECTIONS_MAX - 1);
        assert_int_equal(eif_find(eif, EIF_SECTION_RAMDISK, 29), -1);

        cleanup_fd int more = test_empty_file();
        assert_int_equal(eif_writer_new(more, 0, &other, &err), 0);
        test_write_section(other, EIF_SECTION_KERNEL, view_of_string("k"));
        for (int i = 1; i < EIF_SECTIONS_MAX; i++)
                test_write_section(other, EIF_SECTION_RAMDISK, view_of_string("r"));
        assert_int_equal(eif_writer_section(other, EIF_SECTION_RAMDISK, &err), -EINVAL);
        assert_string_equal(error_text(&err), "an enclave image has at most 32 sections");
}

static void a_file_that_ends_early_is_not_copied(void **state)
{
        cleanup_fd int fd = test_empty_file();
        cleanup_fd int source = test_file_of(view_of_string("short"));
        cleanup_eif_writer struct eif_writer *w = NULL;
        struct error err = {0};
        struct eif_pcrs pcrs;
        (void)state;

        assert_int_equal(eif_writer_new(fd, 0, &w, &err), 0);
        assert_int_equal(eif_writer_section(w, EIF_SECTION_KERNEL, &err), 0);
        assert_int_equal(eif_writer_copy(w, source, 1, 5, &err), -ENODATA);
        assert_string_equal(error_text(&err), "the file to copy ended 5 bytes early");
        assert_int_equal(eif_writer_finish(w, NULL, &pcrs, &err), -EINVAL);
}

static void a_section_that_grows_too_large_is_refused_while_written(void **state)
{
        cleanup_fd int fd = test_empty_file();
        cleanup_eif_writer struct eif_writer *w = NULL;
        char text[EIF_CMDLINE_MAX];
        struct error err = {0};
        (void)state;

        memset(text, 'x', sizeof(text));
        assert_int_equal(eif_writer_new(fd, 0, &w, &err), 0);
        assert_int_equal(eif_writer_section(w, EIF_SECTION_CMDLINE, &err), 0);
        assert_int_equal(eif_writer_write(w, text, sizeof(text), &err), 0);
        assert_int_equal(eif_writer_section(w, EIF_SECTION_KERNEL, &err), 0);
        eif_writer_free(take_pointer(&w));
        assert_int_equal(ftruncate(fd, 0), 0);
        assert_int_equal(eif_writer_new(fd, 0, &w, &err), 0);
        assert_int_equal(eif_writer_section(w, EIF_SECTION_CMDLINE, &err), 0);
        assert_int_equal(eif_writer_write(w, text, sizeof(text), &err), 0);
        assert_int_equal(eif_writer_write(w, text, 1, &err), -E2BIG);
        assert_string_equal(error_text(&err),
                            "the cmdline section has more than the 4096 bytes that it may have");
}

static void only_an_empty_file_of_a_known_kind_is_written(void **state)
{
        cleanup_fd int fd = test_file_of(view_of_string("precious"));
        struct eif_writer *w = NULL;
        struct error err = {0};
        (void)state;

        assert_int_equal(eif_writer_new(fd, 0, &w, &err), -EINVAL);
        assert_null(w);
        cleanup_fd int device = open("/dev/null", O_RDWR | O_CLOEXEC);
        assert_int_equal(eif_writer_new(device, 0, &w, &err), -EINVAL);
        assert_string_equal(error_text(&err), "an enclave image is written to an empty regular file only");
        cleanup_fd int empty = test_empty_file();
        assert_int_equal(eif_writer_new(empty, 2, &w, &err), -EINVAL);
        assert_string_equal(error_text(&err), "flags 0x0002 are not known");
        assert_null(w);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_synthetic_file_is_written_byte_for_byte),
                cmocka_unit_test(the_synthetic_file_measures_as_published),
                cmocka_unit_test(one_ramdisk_gives_the_well_known_pcr2_and_equal_pcr0_and_pcr1),
                cmocka_unit_test(registers_extend_as_qingtian_documents),
                cmocka_unit_test(only_sha384_is_a_register),
                cmocka_unit_test(large_sections_are_measured_written_and_handed_out_whole),
                cmocka_unit_test(a_late_command_line_is_measured_into_pcr0_and_pcr1),
                cmocka_unit_test(large_metadata_do_not_write_over_what_is_still_to_be_hashed),
                cmocka_unit_test(a_sink_that_fails_ends_the_pass),
                cmocka_unit_test(a_file_that_shrinks_under_the_reader_is_refused),
                cmocka_unit_test(the_writer_refuses_what_the_format_does_not_allow),
                cmocka_unit_test(the_writer_refuses_to_finish_without_metadata_and_to_write_after),
                cmocka_unit_test(nothing_is_written_behind_the_end),
                cmocka_unit_test(as_many_sections_as_the_table_has_are_written_and_read),
                cmocka_unit_test(a_file_that_ends_early_is_not_copied),
                cmocka_unit_test(a_section_that_grows_too_large_is_refused_while_written),
                cmocka_unit_test(only_an_empty_file_of_a_known_kind_is_written),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
