/* SPDX-License-Identifier: Apache-2.0 */
/* test-tar-index.c - limits and links; tests/e2e/test_image_sources.py reads whole archives of images. */
#include "lib/image/tar-index.h"

#include "lib/base/fd.h"
#include "lib/base/text.h"
#include "lib/image/test-tar.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const struct image_options options = {.spool_dir = "/tmp", .max_image_size = 1 << 20};

static struct tar_index *open_index(int fd)
{
        struct tar_index *index = NULL;
        struct error err = {0};

        if (tar_index_open(fd, &options, &index, &err) < 0)
                fail_msg("%s", error_text(&err));
        return index;
}

static void assert_content(const struct tar_index *index, const char *name, const char *expected)
{
        cleanup_buf struct buf content = buf_with_max(1000);
        struct error err = {0};

        if (tar_index_read(index, name, image_sink_buf, &content, &err) < 0)
                fail_msg("%s", error_text(&err));
        assert_string_equal(buf_string(&content), expected);
        assert_int_equal(tar_index_size(index, name), strlen(expected));
}

static void assert_unreadable(const struct tar_index *index, const char *name, int code, const char *text)
{
        cleanup_buf struct buf content = buf_with_max(1000);
        struct error err = {0};

        assert_int_equal(tar_index_read(index, name, image_sink_buf, &content, &err), code);
        assert_string_equal(error_text(&err), text);
        assert_int_equal(content.n, 0);
        assert_int_equal(tar_index_size(index, name), 0);
}

static void members_are_found_however_they_are_written(void **state)
{
        cleanup_tar_index struct tar_index *index =
                open_index(TEST_TAR({.name = "./a//b", .content = "1"}, {.name = "c/../d", .content = "2"},
                                    {.name = "../out", .content = "3"}, {.name = "e/", .type = '5'}));

        (void)state;
        assert_content(index, "a/b", "1");
        assert_content(index, "/a/./b", "1");
        assert_content(index, "d", "2");
        assert_false(tar_index_has(index, "out"));
        assert_false(tar_index_has(index, "e"));
        assert_unreadable(index, "out", -ENOENT, "out: not in the archive");
        assert_unreadable(index, "../out", -ENOENT, "../out: not in the archive");
}

/* With the NUL of its size in front of the digits a member is empty to some; the checksum stays. */
static void a_member_that_is_another_to_other_readers_is_refused(void **state)
{
        int fd = TEST_TAR({.name = "good", .content = "1"}, {.name = "manifest.json", .content = "[]"});
        struct tar_index *index = NULL;
        struct error err = {0};
        char size[12] = {0};

        (void)state;
        assert_int_equal(pread(fd, size + 1, 11, 1024 + 124), 11);
        assert_int_equal(pwrite(fd, size, 12, 1024 + 124), 12);
        assert_int_equal(tar_index_open(fd, &options, &index, &err), -EBADMSG);
        assert_non_null(
                strstr(error_text(&err), "manifest.json: its header's size is not written as a number"));
}

static void links_lead_to_members_and_nowhere_else(void **state)
{
        cleanup_tar_index struct tar_index *index = open_index(TEST_TAR(
                {.name = "a/f", .content = "1"}, {.name = "b/soft", .type = '2', .content = "../a/f"},
                {.name = "b/hard", .type = '1', .content = "a/f"},
                {.name = "b/out", .type = '2', .content = "../../etc/passwd"},
                {.name = "b/dangling", .type = '2', .content = "none"}, {.name = "twice", .content = "1"},
                {.name = "./twice", .content = "1"},
                {.name = "b/twice", .type = '2', .content = "../twice"}));

        (void)state;
        assert_content(index, "b/soft", "1");
        assert_content(index, "b/hard", "1");
        assert_unreadable(index, "b/out", -EBADMSG, "b/out: a link to something outside the archive");
        assert_unreadable(index, "b/dangling", -EBADMSG,
                          "b/dangling: a link to something outside the archive");
        assert_unreadable(index, "twice", -EBADMSG, "twice: is in the archive more than once");
        assert_unreadable(index, "b/twice", -EBADMSG, "twice: is in the archive more than once");
}

static void eight_links_are_followed_and_no_more(void **state)
{
        struct test_member members[10] = {{.name = "l0", .content = "x"}};
        char names[10][8] = {"l0"};

        (void)state;
        for (size_t i = 1; i < 10; i++) {
                snprintf(names[i], sizeof(names[i]), "l%zu", i);
                members[i] = (struct test_member){.name = names[i], .type = '2', .content = names[i - 1]};
        }
        cleanup_tar_index struct tar_index *index = open_index(test_tar(members, 10));
        assert_content(index, "l8", "x");
        assert_unreadable(index, "l9", -EBADMSG, "l9: too many links");
}

/* As many members as may be, and as many bytes of names. */
static void the_table_has_its_limits(void **state)
{
        enum { N = TAR_INDEX_ENTRIES_MAX + 1 };
        struct test_member *members = calloc(N, sizeof(*members));
        char(*names)[8] = calloc(N, sizeof(*names));
        struct tar_index *none = NULL;
        struct error err = {0};

        (void)state;
        assert_true(members && names);
        for (int i = 0; i < N; i++) {
                snprintf(names[i], sizeof(names[i]), "%d", i);
                members[i].name = names[i];
        }
        cleanup_tar_index struct tar_index *index = open_index(test_tar(members, N - 1));
        assert_true(tar_index_has(index, "65535"));
        assert_int_equal(tar_index_open(test_tar(members, N), &options, &none, &err), -EFBIG);
        assert_string_equal(error_text(&err), "more than 65536 members");
        assert_null(none);
        free(members);
        free(names);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(members_are_found_however_they_are_written),
                cmocka_unit_test(a_member_that_is_another_to_other_readers_is_refused),
                cmocka_unit_test(links_lead_to_members_and_nowhere_else),
                cmocka_unit_test(eight_links_are_followed_and_no_more),
                cmocka_unit_test(the_table_has_its_limits),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
