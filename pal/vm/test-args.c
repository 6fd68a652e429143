/* SPDX-License-Identifier: Apache-2.0 */
/* test-args.c - the PAL's arguments. */
#include "pal/vm/args.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_all_words_are_taken(void **state)
{
        cleanup_args struct args args = {0};

        (void)state;
        assert_int_equal(args_parse("  image=/a.eif memory=256  vcpus=2 debug ", &args, NULL), 0);
        assert_string_equal(args.image, "/a.eif");
        assert_int_equal(args.mem_mib, 256);
        assert_int_equal(args.cpus, 2);
        assert_true(args.debug);
}

static void test_nothing_is_a_good_default(void **state)
{
        cleanup_args struct args args = {.mem_mib = 7};

        (void)state;
        assert_int_equal(args_parse("", &args, NULL), 0);
        assert_null(args.image);
        assert_int_equal(args.mem_mib, 0);
}

static void test_bad_words_are_named(void **state)
{
        static const char *const bad[] = {"memory=0", "memory=", "memory=1g", "cpus=-1",
                                          "image=",   "memory",  "Debug",     "memory=99999999999"};

        (void)state;
        for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
                struct args args = {0};
                struct error err = {0};
                assert_int_equal(args_parse(bad[i], &args, &err), -EINVAL);
                assert_non_null(strstr(error_text(&err), bad[i]));
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_all_words_are_taken),
                cmocka_unit_test(test_nothing_is_a_good_default),
                cmocka_unit_test(test_bad_words_are_named),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
