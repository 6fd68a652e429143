/* SPDX-License-Identifier: Apache-2.0 */
/* test-ramdisk.c - the bytes of a ramdisk; tests/e2e/test_layers.py reads and unpacks whole ones. */
#include "lib/base/fd.h"
#include "lib/image/ramdisk.h"
#include "lib/image/test-tar.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static const struct ramdisk_attr PLAIN = {.mode = 0644, .uid = 1, .gid = 2, .mtime = 3};

struct catcher {
        struct buf out;
        uint64_t copied;
        bool fail;
};

static int catch_write(void *user, const void *p, size_t n, struct error *err)
{
        struct catcher *c = user;

        if (c->fail)
                return error_set(err, -ENOSPC, "no room");
        return buf_append(&c->out, p, n);
}

static int catch_copy(void *user, int fd, uint64_t offset, uint64_t n, struct error *err)
{
        struct catcher *c = user;
        uint8_t *p = malloc(n);

        (void)err;
        assert_non_null(p);
        assert_int_equal(fd_pread_full(fd, p, n, offset), 0);
        assert_int_equal(buf_append(&c->out, p, n), 0);
        free(p);
        c->copied += n;
        return 0;
}

static struct ramdisk *begin(struct catcher *c)
{
        const struct ramdisk_sink sink = {.write = catch_write, .user = c};
        struct ramdisk *ramdisk;

        *c = (struct catcher){.out = buf_with_max(64 << 20)};
        assert_int_equal(ramdisk_new(&sink, &ramdisk, NULL), 0);
        return ramdisk;
}

static void test_bytes_of_a_small_archive(void **state)
{
        static const char expected[] = "070701"
                                       "00000001"
                                       "000041ED"
                                       "00000001"
                                       "00000002"
                                       "00000002"
                                       "00000003"
                                       "00000000"
                                       "00000000"
                                       "00000000"
                                       "00000000"
                                       "00000000"
                                       "00000002"
                                       "00000000"
                                       "d\0"
                                       "070701"
                                       "00000002"
                                       "000081A4"
                                       "00000001"
                                       "00000002"
                                       "00000001"
                                       "00000003"
                                       "00000005"
                                       "00000000"
                                       "00000000"
                                       "00000000"
                                       "00000000"
                                       "00000004"
                                       "00000000"
                                       "d/f\0\0\0hello\0\0\0"
                                       "070701"
                                       "00000000"
                                       "00000000"
                                       "00000000"
                                       "00000000"
                                       "00000001"
                                       "00000000"
                                       "00000000"
                                       "00000000"
                                       "00000000"
                                       "00000000"
                                       "00000000"
                                       "0000000B"
                                       "00000000"
                                       "TRAILER!!!\0\0\0"; /* and the literal's own NUL */
        const struct ramdisk_attr folder = {.mode = 0755, .uid = 1, .gid = 2, .mtime = 3};
        struct catcher c;
        cleanup_ramdisk struct ramdisk *ramdisk = begin(&c);

        (void)state;
        assert_int_equal(ramdisk_add_dir(ramdisk, "d", &folder, NULL), 0);
        assert_int_equal(ramdisk_add_file(ramdisk, "d/f", &PLAIN, view_of("hello", 5), NULL), 0);
        assert_int_equal(ramdisk_finish(ramdisk, NULL), 0);
        assert_int_equal(c.out.n, ramdisk_size(ramdisk));
        assert_int_equal(c.out.n, sizeof(expected));
        assert_memory_equal(c.out.p, expected, c.out.n);
        buf_done(&c.out);
}

static void test_bad_entries_are_refused(void **state)
{
        const struct ramdisk_attr typed = {.mode = 0100644};
        struct error err = {0};
        struct catcher c;
        cleanup_ramdisk struct ramdisk *ramdisk = begin(&c);
        char long_name[IMAGE_PATH_MAX + 2];

        (void)state;
        memset(long_name, 'n', sizeof(long_name));
        long_name[IMAGE_PATH_MAX + 1] = '\0';
        assert_int_equal(ramdisk_add_dir(ramdisk, "", &PLAIN, &err), -EINVAL);
        assert_int_equal(ramdisk_add_dir(ramdisk, "/d", &PLAIN, &err), -EINVAL);
        assert_int_equal(ramdisk_add_dir(ramdisk, long_name, &PLAIN, &err), -EINVAL);
        assert_int_equal(ramdisk_add_dir(ramdisk, "TRAILER!!!", &PLAIN, &err), -EINVAL);
        assert_int_equal(ramdisk_add_dir(ramdisk, "d", &typed, &err), -EINVAL);
        assert_string_equal(error_text(&err), "d: mode 0100644 has bits that are no permissions");
        assert_int_equal(ramdisk_add_file_fd(ramdisk, "f", &PLAIN, -1, 0, UINT64_C(1) << 32, &err), -EFBIG);
        assert_string_equal(error_text(&err),
                            "f: has 4294967296 bytes, but a ramdisk holds only files of less than 4 GiB");
        assert_int_equal(ramdisk_size(ramdisk), 0);
        assert_int_equal(ramdisk_finish(ramdisk, NULL), 0);
        assert_int_equal(ramdisk_add_dir(ramdisk, "d", &PLAIN, &err), -EINVAL);
        assert_int_equal(ramdisk_finish(ramdisk, &err), -EINVAL);
        buf_done(&c.out);
}

/* Numbers of a header. */
enum { AT_MTIME = 6 + 5 * 8, AT_SIZE = 6 + 6 * 8 };

static int count_copy(void *user, int fd, uint64_t offset, uint64_t n, struct error *err)
{
        struct catcher *c = user;

        (void)fd, (void)offset, (void)err;
        c->copied += n;
        return 0;
}

static void test_largest_file_is_one_byte_less_than_4_gib(void **state)
{
        struct catcher c = {.out = buf_with_max(1 << 20)};
        const struct ramdisk_sink sink = {.write = catch_write, .copy = count_copy, .user = &c};
        cleanup_ramdisk struct ramdisk *ramdisk = NULL;

        (void)state;
        assert_int_equal(ramdisk_new(&sink, &ramdisk, NULL), 0);
        assert_int_equal(ramdisk_add_file_fd(ramdisk, "f", &PLAIN, -1, 0, UINT32_MAX, NULL), 0);
        assert_int_equal(ramdisk_finish(ramdisk, NULL), 0);
        assert_int_equal(c.copied, UINT32_MAX);
        assert_memory_equal(c.out.p + AT_SIZE, "FFFFFFFF", 8);
        assert_int_equal(ramdisk_size(ramdisk), c.out.n + UINT32_MAX);
        buf_done(&c.out);
}

static void test_times_outside_the_format_become_the_nearer_end(void **state)
{
        static const struct {
                int64_t mtime;
                const char *digits;
        } cases[] = {{-1, "00000000"},
                     {INT64_MIN, "00000000"},
                     {UINT32_MAX, "FFFFFFFF"},
                     {UINT32_MAX + INT64_C(1), "FFFFFFFF"},
                     {INT64_MAX, "FFFFFFFF"}};

        (void)state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                const struct ramdisk_attr attr = {.mode = 0644, .mtime = cases[i].mtime};
                struct catcher c;
                cleanup_ramdisk struct ramdisk *ramdisk = begin(&c);

                assert_int_equal(ramdisk_add_file(ramdisk, "f", &attr, view_of("", 0), NULL), 0);
                assert_int_equal(ramdisk_finish(ramdisk, NULL), 0);
                assert_memory_equal(c.out.p + AT_MTIME, cases[i].digits, 8);
                buf_done(&c.out);
        }
}

static void test_error_of_the_sink_comes_back(void **state)
{
        static const uint8_t big[1 << 20];
        struct error err = {0};
        struct catcher c;
        cleanup_ramdisk struct ramdisk *ramdisk = begin(&c);

        (void)state;
        c.fail = true;
        assert_int_equal(ramdisk_add_file(ramdisk, "f", &PLAIN, view_of(big, sizeof(big)), &err), -ENOSPC);
        assert_string_equal(error_text(&err), "no room");
        buf_done(&c.out);
}

static int big_file(size_t size)
{
        int fd = memfd_create("big", MFD_CLOEXEC);

        assert_true(fd >= 0);
        for (size_t i = 0; i < size; i += 4) {
                uint32_t word = (uint32_t)i * 2654435761U;
                assert_int_equal(fd_pwrite_full(fd, &word, size - i < 4 ? size - i : 4, i), 0);
        }
        return fd;
}

static void test_copy_of_the_sink_gives_the_same_bytes(void **state)
{
        enum { SIZE = 600001 };
        struct catcher plain;
        struct catcher copying = {.out = buf_with_max(64 << 20)};
        const struct ramdisk_sink sink = {.write = catch_write, .copy = catch_copy, .user = &copying};
        cleanup_fd int fd = big_file(SIZE);
        cleanup_ramdisk struct ramdisk *a = begin(&plain);
        cleanup_ramdisk struct ramdisk *b = NULL;

        (void)state;
        assert_int_equal(ramdisk_new(&sink, &b, NULL), 0);
        struct ramdisk *both[] = {a, b};
        for (size_t i = 0; i < 2; i++) {
                assert_int_equal(ramdisk_add_file_fd(both[i], "f", &PLAIN, fd, 1, SIZE - 1, NULL), 0);
                assert_int_equal(ramdisk_add_file_fd(both[i], "g", &PLAIN, fd, 0, 10, NULL), 0);
                assert_int_equal(ramdisk_finish(both[i], NULL), 0);
        }
        assert_int_equal(copying.copied, SIZE - 1);
        assert_int_equal(plain.out.n, copying.out.n);
        assert_memory_equal(plain.out.p, copying.out.p, plain.out.n);
        buf_done(&plain.out);
        buf_done(&copying.out);
}

struct seen {
        uint64_t done;
        uint64_t total;
        unsigned calls;
};

static void note(void *user, uint64_t done, uint64_t total)
{
        struct seen *seen = user;

        assert_true(done >= seen->done && done <= total);
        *seen = (struct seen){.done = done, .total = total, .calls = seen->calls + 1};
}

static void test_progress_ends_at_the_total(void **state)
{
        cleanup_image_tree struct image_tree *tree = NULL;
        struct seen seen = {0};
        struct catcher c;
        cleanup_ramdisk struct ramdisk *ramdisk = begin(&c);

        (void)state;
        assert_int_equal(image_tree_new(&tree, NULL), 0);
        TEST_APPLY(tree, {.name = "a", .content = "12345"}, {.name = "b", .type = '1', .content = "a"},
                   {.name = "c", .content = "67"}, {.name = "d", .type = '2', .content = "a"});
        assert_int_equal(ramdisk_add_tree(ramdisk, tree, "rootfs", note, &seen, NULL), 0);
        assert_int_equal(seen.total, 7);
        assert_int_equal(seen.done, 7);
        buf_done(&c.out);
}

static void test_path_too_long_with_the_prefix(void **state)
{
        cleanup_image_tree struct image_tree *tree = NULL;
        struct error err = {0};
        struct catcher c;
        cleanup_ramdisk struct ramdisk *ramdisk = begin(&c);
        char deep[IMAGE_PATH_MAX + 1] = "";

        (void)state;
        for (size_t i = 0; i < IMAGE_PATH_MAX; i++)
                deep[i] = i % 100 == 99 ? '/' : 'n';
        assert_int_equal(image_tree_new(&tree, NULL), 0);
        assert_int_equal(image_tree_make_dirs(tree, deep, 0755, NULL), 0);
        assert_int_equal(ramdisk_add_tree(ramdisk, tree, "rootfs", NULL, NULL, &err), -E2BIG);
        assert_true(strstr(error_text(&err), "the path has more than 4088 bytes") != NULL);
        buf_done(&c.out);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_bytes_of_a_small_archive),
                cmocka_unit_test(test_bad_entries_are_refused),
                cmocka_unit_test(test_largest_file_is_one_byte_less_than_4_gib),
                cmocka_unit_test(test_times_outside_the_format_become_the_nearer_end),
                cmocka_unit_test(test_error_of_the_sink_comes_back),
                cmocka_unit_test(test_copy_of_the_sink_gives_the_same_bytes),
                cmocka_unit_test(test_progress_ends_at_the_total),
                cmocka_unit_test(test_path_too_long_with_the_prefix),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
