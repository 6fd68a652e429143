/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/image/test-tar.h"
#include "lib/image/user.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define PASSWD                                                                                               \
        "# comment:x:1:1\n"                                                                                  \
        "root:x:0:0:root:/root:/bin/sh\n"                                                                    \
        "malformed\n"                                                                                        \
        "toofew:x:12\n"                                                                                      \
        "noid:x:abc:5::/h:\n"                                                                                \
        "big:x:99999999999:5::/h:\n"                                                                         \
        "wraps:x:4294967296:0::/:\n"                                                                         \
        "none:x:4294967295:0::/:\n"                                                                          \
        "wrapsgroup:x:5:4294967296::/:\n"                                                                    \
        "largest:x:4294967293:4294967294::/:\n"                                                              \
        "\n"                                                                                                 \
        "redis:x:999:998:Redis:/var/lib/redis:/bin/false\n"                                                  \
        "redis:x:1:1::/second:\n"                                                                            \
        "homeless:x:50:51::\n"                                                                               \
        "42:x:1042:1043::/named-by-number:\n"                                                                \
        "last:x:7:8::/last"
#define GROUP                                                                                                \
        "root:x:0:\nredis:x:998:\nadm:x:4:root,redis\nredis2:x:60:redisx,xredis\n"                           \
        "more:x:61:x,redis,y\nadmagain:x:4:redis\nbroken:x:zz:redis\nshort:x\n"

static struct image_tree *tree_with_files(void)
{
        struct image_tree *tree;

        assert_int_equal(image_tree_new(&tree, NULL), 0);
        TEST_APPLY(tree, {.name = "real/passwd", .content = PASSWD},
                   {.name = "etc/passwd", .type = '2', .content = "/real/passwd"},
                   {.name = "etc/group", .content = GROUP});
        return tree;
}

static void assert_user(const char *spec, const char *expected)
{
        cleanup_image_tree struct image_tree *tree = tree_with_files();
        cleanup_image_user struct image_user user = {0};
        struct error err = {0};
        char text[200];

        if (image_user_resolve(tree, spec, &user, &err) < 0)
                fail_msg("%s", error_text(&err));
        int n = snprintf(text, sizeof(text), "%u:%u %s", user.uid, user.gid, user.home);
        for (size_t i = 0; i < user.n_groups; i++)
                n += snprintf(text + n, sizeof(text) - (size_t)n, " %u", user.groups[i]);
        assert_string_equal(text, expected);
}

static void assert_refused(const char *spec, int code, const char *message)
{
        cleanup_image_tree struct image_tree *tree = tree_with_files();
        struct image_user user;
        struct error err = {0};

        assert_int_equal(image_user_resolve(tree, spec, &user, &err), code);
        assert_string_equal(error_text(&err), message);
}

static void test_none_is_root(void **state)
{
        (void)state;
        assert_user("", "0:0 /root 4");
        assert_user(NULL, "0:0 /root 4");
        assert_user(":", "0:0 /root 4");
}

static void test_name_has_group_home_and_groups(void **state)
{
        (void)state;
        assert_user("redis", "999:998 /var/lib/redis 4 61");
        assert_user("redis:", "999:998 /var/lib/redis 4 61");
        assert_user("last", "7:8 /last");
        assert_user("homeless", "50:51 /");
}

static void test_number_is_looked_up_and_need_not_exist(void **state)
{
        (void)state;
        assert_user("999", "999:998 /var/lib/redis 4 61");
        assert_user("12345", "12345:0 /");
        assert_user("4294967294", "4294967294:0 /");
}

static void test_a_name_of_digits_wins(void **state)
{
        (void)state;
        assert_user("42", "1042:1043 /named-by-number");
}

static void test_group_given_replaces_all_groups(void **state)
{
        (void)state;
        assert_user("redis:adm", "999:4 /var/lib/redis");
        assert_user("redis:77", "999:77 /var/lib/redis");
        assert_user("1:2", "1:2 /second");
        assert_user(":adm", "0:4 /root");
}

static void test_errors_say_which_file(void **state)
{
        (void)state;
        assert_refused("nobody", -ENOENT, "user nobody is not in the image's /etc/passwd");
        assert_refused("noid", -ENOENT, "user noid is not in the image's /etc/passwd");
        assert_refused("toofew", -ENOENT, "user toofew is not in the image's /etc/passwd");
        assert_refused("redis:nogroup", -ENOENT, "group nogroup is not in the image's /etc/group");
        assert_refused("4294967295", -EINVAL,
                       "the image's user id 4294967295 is not between 0 and 4294967294");
        assert_refused("0:99999999999", -EINVAL,
                       "the image's group id 99999999999 is not between 0 and 4294967294");
        assert_refused("-1", -ENOENT, "user -1 is not in the image's /etc/passwd");
}

/* Cut to 32 bits they would be root, and "no id". */
static void test_ids_that_are_too_large_are_no_ids(void **state)
{
        (void)state;
        assert_refused("wraps", -ENOENT, "user wraps is not in the image's /etc/passwd");
        assert_refused("none", -ENOENT, "user none is not in the image's /etc/passwd");
        assert_refused("wrapsgroup", -ENOENT, "user wrapsgroup is not in the image's /etc/passwd");
        assert_user("largest", "4294967293:4294967294 /");
}

static void test_groups_have_a_most(void **state)
{
        cleanup_image_tree struct image_tree *tree = NULL;
        cleanup_image_user struct image_user most = {0};
        cleanup_buf struct buf groups = buf_with_max(1 << 20);
        struct image_user more;
        struct error err = {0};

        (void)state;
        for (int i = 0; i < 1024; i++)
                buf_printf(&groups, "g%d:x:%d:u\n", i, 1000 + i);
        assert_int_equal(image_tree_new(&tree, NULL), 0);
        TEST_APPLY(tree, {.name = "etc/passwd", .content = "u:x:1:1::/:\n"},
                   {.name = "etc/group", .content = buf_string(&groups)});
        assert_int_equal(image_user_resolve(tree, "u", &most, NULL), 0);
        assert_int_equal(most.n_groups, 1024);
        buf_append_string(&groups, "more:x:5:u\n");
        TEST_APPLY(tree, {.name = "etc/group", .content = buf_string(&groups)});
        assert_int_equal(image_user_resolve(tree, "u", &more, &err), -E2BIG);
        assert_string_equal(error_text(&err), "the image's user is in more than 1024 groups");
}

static void test_image_without_files(void **state)
{
        cleanup_image_tree struct image_tree *tree = NULL;
        cleanup_image_user struct image_user user = {0};
        struct image_user other;
        struct error err = {0};

        (void)state;
        assert_int_equal(image_tree_new(&tree, NULL), 0);
        assert_int_equal(image_user_resolve(tree, "", &user, NULL), 0);
        assert_string_equal(user.home, "/");
        assert_int_equal(image_user_resolve(tree, "app", &other, &err), -ENOENT);
        TEST_APPLY(tree, {.name = "etc/passwd/", .type = '5'});
        assert_int_equal(image_user_resolve(tree, "app", &other, &err), -EISDIR);
        assert_string_equal(error_text(&err), "/etc/passwd in the image: is a folder");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_none_is_root),
                cmocka_unit_test(test_name_has_group_home_and_groups),
                cmocka_unit_test(test_number_is_looked_up_and_need_not_exist),
                cmocka_unit_test(test_a_name_of_digits_wins),
                cmocka_unit_test(test_group_given_replaces_all_groups),
                cmocka_unit_test(test_errors_say_which_file),
                cmocka_unit_test(test_ids_that_are_too_large_are_no_ids),
                cmocka_unit_test(test_groups_have_a_most),
                cmocka_unit_test(test_image_without_files),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
