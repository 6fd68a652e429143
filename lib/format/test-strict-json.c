/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/format/strict-json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

enum { TEXT_MAX = 4096 };

static int parse(const char *text, json_t **ret_root, struct error *err)
{
        return strict_json_parse(view_of_string(text), TEXT_MAX, ret_root, err);
}

static void refuse(struct view text, int code, const char *reason)
{
        struct error err = {0};
        json_t *root = NULL;

        assert_int_equal(strict_json_parse(text, TEXT_MAX, &root, &err), code);
        assert_null(root);
        if (!strstr(error_text(&err), reason))
                fail_msg("\"%s\" lacks \"%s\"", error_text(&err), reason);
}

static void what_could_mean_two_things_is_refused(void **state)
{
        static const struct {
                const char *text;
                const char *reason;
        } cases[] = {
                {"", "not acceptable JSON"},
                {"{\"a\":1,\"a\":1}", "duplicate"},
                {"{\"a\":{\"b\":1,\"b\":2}}", "duplicate"},
                {"{\"a\":1} {}", "not acceptable JSON"},
                {"[\"\\u0000\"]", "not acceptable JSON"},
                {"{\"a\\u0000b\":1}", "not acceptable JSON"},
                {"[\"\xff\"]", "not acceptable JSON"},
                {"1", "not acceptable JSON"},
                {"[1,]", "not acceptable JSON"},
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                refuse(view_of_string(cases[i].text), -EBADMSG, cases[i].reason);
        refuse(view_of("[1]\0", 4), -EBADMSG, "not acceptable JSON");
}

static void text_is_as_long_as_may_be_and_no_longer(void **state)
{
        cleanup_json json_t *root = NULL;
        char text[TEXT_MAX + 1];

        (void)state;
        memset(text, ' ', sizeof(text));
        text[0] = '[';
        text[TEXT_MAX - 1] = ']';
        assert_int_equal(strict_json_parse(view_of(text, TEXT_MAX), TEXT_MAX, &root, NULL), 0);
        refuse(view_of(text, sizeof(text)), -EFBIG, "4097 bytes of JSON, more than the 4096 allowed");
}

/* `depth` arrays around `inside`. */
static struct buf nested(size_t depth, const char *inside)
{
        struct buf b = buf_with_max(TEXT_MAX);

        for (size_t i = 0; i < depth; i++)
                buf_append_byte(&b, '[');
        buf_append_string(&b, inside);
        for (size_t i = 0; i < depth; i++)
                buf_append_byte(&b, ']');
        assert_int_equal(b.failed, 0);
        return b;
}

static void nesting_has_its_limit_wherever_brackets_are_no_text(void **state)
{
        static const struct {
                size_t depth;
                const char *inside;
                bool taken;
        } cases[] = {
                {STRICT_JSON_DEPTH_MAX, "", true},
                {STRICT_JSON_DEPTH_MAX + 1, "", false},
                {STRICT_JSON_DEPTH_MAX, "{}", false},
                {STRICT_JSON_DEPTH_MAX - 1, "{},[],{}", true},
                {STRICT_JSON_DEPTH_MAX, "\"[[\"", true},
                /* An escaped quote ends no text, an escaped backslash escapes nothing. */
                {STRICT_JSON_DEPTH_MAX, "\"\\\"[[\"", true},
                {STRICT_JSON_DEPTH_MAX, "\"\\\\\",[]", false},
                /* What closes in a text doesn't make room. */
                {STRICT_JSON_DEPTH_MAX, "\"]]\",[]", false},
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                cleanup_buf struct buf text = nested(cases[i].depth, cases[i].inside);
                cleanup_json json_t *root = NULL;
                struct error err = {0};

                if (!cases[i].taken)
                        refuse(buf_view(&text), -EBADMSG, "JSON nests deeper than 32 levels");
                else if (strict_json_parse(buf_view(&text), TEXT_MAX, &root, &err) < 0)
                        fail_msg("case %zu: %s", i, error_text(&err));
        }
}

static void members_have_their_type_or_are_absent(void **state)
{
        cleanup_json json_t *root = NULL;
        const char *text = "before";
        json_t *value = NULL;
        uint64_t number = 9;

        (void)state;
        assert_int_equal(
                parse("{\"s\":\"x\",\"n\":7,\"m\":-1,\"r\":1.5,\"o\":{},\"a\":[],\"z\":null}", &root, NULL),
                0);
        assert_int_equal(strict_json_string(root, "s", &text, NULL), 0);
        assert_string_equal(text, "x");
        assert_int_equal(strict_json_string(root, "n", &text, NULL), -EBADMSG);
        assert_int_equal(strict_json_string(root, "z", &text, NULL), 0);
        assert_null(text);
        assert_int_equal(strict_json_u64(root, "n", &number, NULL), 0);
        assert_int_equal(number, 7);
        assert_int_equal(strict_json_u64(root, "none", &number, NULL), 0);
        assert_int_equal(number, 0);
        static const char *const no_numbers[] = {"m", "r", "s"};
        for (size_t i = 0; i < ARRAY_SIZE(no_numbers); i++)
                assert_int_equal(strict_json_u64(root, no_numbers[i], &number, NULL), -EBADMSG);
        assert_int_equal(strict_json_object(root, "o", &value, NULL), 0);
        assert_int_equal(strict_json_object(root, "a", &value, NULL), -EBADMSG);
        assert_int_equal(strict_json_array(root, "a", &value, NULL), 0);
        assert_int_equal(strict_json_array(root, "o", &value, NULL), -EBADMSG);
}

static void lists_are_of_so_many_strings_at_most(void **state)
{
        cleanup_json json_t *root = NULL;
        struct error err = {0};
        char **list = NULL;

        (void)state;
        assert_int_equal(parse("{\"l\":[\"a\",\"b\"],\"mixed\":[\"a\",1],\"z\":null}", &root, NULL), 0);
        assert_int_equal(strict_json_strings(root, "l", 1, &list, &err), -EFBIG);
        assert_string_equal(error_text(&err), "member \"l\" has 2 items, more than the 1 allowed");
        assert_int_equal(strict_json_strings(root, "mixed", 2, &list, &err), -EBADMSG);
        assert_string_equal(error_text(&err), "item 1 of \"mixed\" is not a string");
        assert_null(list);
        assert_int_equal(strict_json_strings(root, "l", 2, &list, NULL), 0);
        assert_string_equal(list[1], "b");
        assert_null(list[2]);
        strict_json_free_strings(list);
        assert_int_equal(strict_json_strings(root, "z", 2, &list, NULL), 0);
        assert_null(list[0]);
        strict_json_free_strings(list);
        strict_json_free_strings(NULL);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_could_mean_two_things_is_refused),
                cmocka_unit_test(text_is_as_long_as_may_be_and_no_longer),
                cmocka_unit_test(nesting_has_its_limit_wherever_brackets_are_no_text),
                cmocka_unit_test(members_have_their_type_or_are_absent),
                cmocka_unit_test(lists_are_of_so_many_strings_at_most),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
