/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pal/nitro/arguments.h"

#include "lib/base/cleanup.h"

#include <string.h>

static void the_documented_words_are_read(void **state)
{
        static const char *const texts[] = {
                "image=/root/hello.eif memory=256 vcpus=4 cid=77 debug",
                "image=/root/hello.eif,memory=256,vcpus=4,cid=77,debug",
                "  debug, cid=77 vcpus=4 , memory=256 image=/root/hello.eif ",
        };
        struct arguments arguments;

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
                assert_int_equal(arguments_parse(texts[i], &arguments, NULL), 0);
                assert_string_equal(arguments.image, "/root/hello.eif");
                assert_int_equal(arguments.memory_mib, 256);
                assert_int_equal(arguments.vcpus, 4);
                assert_int_equal(arguments.cid, 77);
                assert_true(arguments.debug);
        }
}

static void what_is_left_out_has_a_default(void **state)
{
        struct arguments arguments;

        (void)state;
        assert_int_equal(arguments_parse("image=/a", &arguments, NULL), 0);
        assert_int_equal(arguments.memory_mib, 512);
        assert_int_equal(arguments.vcpus, 2);
        assert_int_equal(arguments.cid, 0);
        assert_false(arguments.debug);
}

static void wrong_words_are_refused_by_name(void **state)
{
        static const char *const words[] = {"memory=63",
                                            "memory=65",
                                            "memory=0x40",
                                            "memory=-64",
                                            "memory=",
                                            "memory",
                                            "memory=99999999999",
                                            "vcpus=0",
                                            "vcpus=5000",
                                            "vcpus=two",
                                            "cid=3",
                                            "cid=0",
                                            "debug=1",
                                            "cid=4294967295",
                                            "image=a",
                                            "image=/b",
                                            "enclave_memory=1",
                                            "help",
                                            "MEMORY=64"};
        struct arguments arguments;

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
                struct error err = {0};
                char text[100];
                snprintf(text, sizeof(text), "image=/a %s", words[i]);
                assert_int_equal(arguments_parse(text, &arguments, &err), -EINVAL);
                assert_non_null(strstr(error_text(&err), words[i]));
        }
}

static void no_image_is_an_error(void **state)
{
        struct arguments arguments;
        struct error err = {0};

        (void)state;
        assert_int_equal(arguments_parse("", &arguments, NULL), -EINVAL);
        assert_int_equal(arguments_parse(NULL, &arguments, NULL), -EINVAL);
        assert_int_equal(arguments_parse("memory=512 vcpus=2", &arguments, &err), -EINVAL);
        assert_non_null(strstr(error_text(&err), "image=/path/to/file.eif"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_documented_words_are_read),
                cmocka_unit_test(what_is_left_out_has_a_default),
                cmocka_unit_test(wrong_words_are_refused_by_name),
                cmocka_unit_test(no_image_is_an_error),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
