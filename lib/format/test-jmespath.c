/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test-jmespath.c - runs case files in the form of the official compliance suite
 * (github.com/jmespath/jmespath.test): `test-jmespath FILE...` works on that suite's files as well.
 *
 * A case has "result", or "error" (a class) with, in our own file, "at": the byte that the error points to.
 */
#include "lib/format/jmespath.h"
#include "lib/format/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static char **case_files;

static void check_error(const char *expression, json_t *wanted, json_t *at,
                        const struct jmespath_problem *problem, const struct error *err)
{
        if (strcmp(jmespath_class_name(problem->class), json_string_value(wanted)) != 0)
                fail_msg("%s: error %s wanted, got: %s", expression, json_string_value(wanted),
                         error_text(err));
        if (at && (json_int_t)problem->at != json_integer_value(at))
                fail_msg("%s: error wanted at byte %d, got %zu: %s", expression, (int)json_integer_value(at),
                         problem->at, error_text(err));
}

static void run_case(json_t *given, json_t *one)
{
        const char *expression = json_string_value(json_object_get(one, "expression"));
        json_t *wanted_error = json_object_get(one, "error"), *wanted = json_object_get(one, "result");
        struct jmespath_problem problem = {.class = JMESPATH_NONE};
        cleanup_jmespath struct jmespath *query = NULL;
        cleanup_json json_t *result = NULL;
        struct error err = {0};

        int r = jmespath_compile(expression, &query, &problem, &err);
        if (r == 0)
                r = jmespath_search(query, given, &result, NULL, &problem, &err);
        if (wanted_error) {
                if (r == 0)
                        fail_msg("%s: error %s wanted", expression, json_string_value(wanted_error));
                check_error(expression, wanted_error, json_object_get(one, "at"), &problem, &err);
        } else if (r < 0) {
                fail_msg("%s: %s", expression, error_text(&err));
        } else if (wanted && !json_same(result, wanted)) {
                char *text = json_dumps(result, JSON_ENCODE_ANY);
                fail_msg("%s: got %s", expression, text);
        }
}

static void every_case_gives_its_result_or_error(void **state)
{
        size_t n = 0, i, j;
        json_t *group, *one;

        (void)state;
        for (char **file = case_files; *file; file++) {
                json_error_t error;
                cleanup_json json_t *groups = json_load_file(*file, JSON_ALLOW_NUL, &error);
                if (!groups)
                        fail_msg("%s:%d: %s", *file, error.line, error.text);
                json_array_foreach (groups, i, group) {
                        json_array_foreach (json_object_get(group, "cases"), j, one) {
                                run_case(json_object_get(group, "given"), one);
                                n++;
                        }
                }
        }
        print_message("%zu cases\n", n);
        assert_true(n > 0);
}

static void compile_fails(const char *expression, enum jmespath_class class, const char *text)
{
        struct jmespath_problem problem = {.class = JMESPATH_NONE};
        struct jmespath *query = NULL;
        struct error err = {0};

        assert_true(jmespath_compile(expression, &query, &problem, &err) < 0);
        assert_null(query);
        assert_int_equal(problem.class, class);
        assert_string_equal(error_text(&err), text);
}

static void messages_name_the_place_in_characters(void **state)
{
        (void)state;
        compile_fails("", JMESPATH_SYNTAX, "syntax error at character 1: the expression is empty");
        compile_fails("foo[", JMESPATH_SYNTAX,
                      "syntax error at character 5: expected a number, ':' or '*', found the end");
        compile_fails("'\xc3\xa4\xc3\xa4' foo", JMESPATH_SYNTAX,
                      "syntax error at character 6: expected an operator or the end, found a name");
        compile_fails("a = b", JMESPATH_SYNTAX,
                      "syntax error at character 3: '=' is no operator; equality is '=='");
        compile_fails("nope(@)", JMESPATH_UNKNOWN_FUNCTION,
                      "unknown-function error at character 1: there is no function nope()");
        compile_fails("[0] | length()", JMESPATH_INVALID_ARITY,
                      "invalid-arity error at character 7: length() takes 1 argument, not 0");
        compile_fails("a[::0]", JMESPATH_INVALID_VALUE,
                      "invalid-value error at character 5: the step of a slice cannot be 0");
}

static void a_chain_too_deep_for_the_stack_is_refused(void **state)
{
        struct jmespath *query = NULL;
        struct jmespath_problem problem;
        struct error err;

        (void)state;
        static const char *const units[] = {"a.", "!", "(", "[", "a|", "a[0].", "[]", "&", "a||"};
        for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
                cleanup_buf struct buf text = buf_with_max(JMESPATH_LENGTH_MAX);
                for (size_t n = 0; n < 5000; n++)
                        buf_append_string(&text, units[i]);
                buf_append_string(&text, "a");
                assert_true(jmespath_compile(buf_string(&text), &query, &problem, &err) < 0);
                assert_true(problem.class == JMESPATH_LIMIT || problem.class == JMESPATH_SYNTAX);
        }
        cleanup_buf struct buf text = buf_with_max(1 << 18);
        while (text.n < JMESPATH_LENGTH_MAX)
                buf_append_byte(&text, 'a');
        assert_int_equal(jmespath_compile(buf_string(&text), &query, &problem, &err), 0);
        jmespath_free(query);
        query = NULL;
        buf_append_byte(&text, 'a');
        assert_int_equal(jmespath_compile(buf_string(&text), &query, &problem, &err), -E2BIG);
        assert_null(query);
}

static void refuse_repeated(const char *part)
{
        cleanup_jmespath struct jmespath *query = NULL;
        cleanup_buf struct buf text = buf_with_max(JMESPATH_LENGTH_MAX);
        cleanup_json json_t *value = json_pack("[i]", 1);
        struct jmespath_problem problem;
        json_t *result = NULL;
        struct error err;

        for (int i = 0; i < 60; i++)
                buf_append_string(&text, part);
        buf_append_string(&text, "@");
        assert_int_equal(jmespath_compile(buf_string(&text), &query, &problem, &err), 0);
        assert_int_equal(jmespath_search(query, value, &result, NULL, &problem, &err), -E2BIG);
        assert_int_equal(problem.class, JMESPATH_LIMIT);
        assert_null(result);
}

static void endless_work_is_refused(void **state)
{
        (void)state;
        refuse_repeated("[@,@][]|");
}

/* Small in memory, for each list holds one value twice, and without end for whoever writes it. */
static void results_that_only_sharing_keeps_small_are_refused(void **state)
{
        (void)state;
        refuse_repeated("[@,@]|");
        refuse_repeated("{a:@,b:@}|");
}

enum { MANY = 200 * 1000, LONG = 4 * 1024 * 1024 };

/* A list of one value many times. */
static json_t *many_of(json_t *value)
{
        json_t *list = json_array();

        for (size_t i = 0; i < MANY; i++)
                assert_int_equal(json_array_append(list, value), 0);
        json_decref(value);
        return list;
}

static void refuse_on(json_t *value, const char *expression)
{
        cleanup_jmespath struct jmespath *query = NULL;
        cleanup_json json_t *owned = value;
        struct jmespath_problem problem;
        json_t *result = NULL;
        struct error err;

        assert_int_equal(jmespath_compile(expression, &query, NULL, &err), 0);
        assert_int_equal(jmespath_search(query, owned, &result, NULL, &problem, &err), -E2BIG);
        assert_int_equal(problem.class, JMESPATH_LIMIT);
        assert_null(result);
}

static json_t *long_text(char c)
{
        char *text = malloc(LONG);

        assert_non_null(text);
        memset(text, c, LONG);
        json_t *value = json_stringn(text, LONG);
        free(text);
        return value;
}

/* Any of these would take minutes, or more memory than there is. */
static void long_texts_count_by_their_length(void **state)
{
        cleanup_json json_t *text = long_text('1');

        (void)state;
        refuse_on(many_of(long_text('a')), "map(&contains(@, 'b'), @)");
        refuse_on(many_of(long_text('a')), "[?@ == @]");
        refuse_on(many_of(long_text('a')), "[?@ < @]");
        refuse_on(many_of(long_text('a')), "contains(@, @[0]) && sort(@) && 'x'");
        refuse_on(many_of(long_text('a')), "map(&length(@), @)");
        refuse_on(many_of(long_text('a')), "map(&reverse(@), @)");
        refuse_on(many_of(json_incref(text)), "map(&to_number(@), @)");
        refuse_on(many_of(json_pack("{sO}", json_string_value(text), text)), "map(&keys(@), @)");
        refuse_on(many_of(json_pack("{sO}", json_string_value(text), text)), "map(&merge(@), @)");
        refuse_on(many_of(long_text('a')), "to_string(@)");
}

/* As in map(&`[0, 0, ...]`, @): one list in many places is written as often. */
static void a_result_counts_as_often_as_it_is_written(void **state)
{
        (void)state;
        refuse_on(many_of(many_of(json_integer(0))), "@");
        refuse_on(many_of(long_text('a')), "@");
}

static void objects_written_in_the_query_are_told(void **state)
{
        cleanup_jmespath struct jmespath *query = NULL;
        cleanup_json json_t *value = json_pack("[{s:i}]", "a", 1);
        cleanup_json json_t *result = NULL, *made = NULL;
        struct error err;

        (void)state;
        assert_int_equal(jmespath_compile("[[0], {b: [0].a}]", &query, NULL, &err), 0);
        assert_int_equal(jmespath_search(query, value, &result, &made, NULL, &err), 0);
        assert_int_equal(json_array_size(made), 1);
        assert_ptr_equal(json_array_get(made, 0), json_array_get(result, 1));
        assert_ptr_equal(json_array_get(value, 0), json_array_get(result, 0));
}

int main(int argc, char **argv)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(every_case_gives_its_result_or_error),
                cmocka_unit_test(messages_name_the_place_in_characters),
                cmocka_unit_test(a_chain_too_deep_for_the_stack_is_refused),
                cmocka_unit_test(endless_work_is_refused),
                cmocka_unit_test(results_that_only_sharing_keeps_small_are_refused),
                cmocka_unit_test(long_texts_count_by_their_length),
                cmocka_unit_test(a_result_counts_as_often_as_it_is_written),
                cmocka_unit_test(objects_written_in_the_query_are_told),
        };
        case_files = argv + (argc > 1);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
