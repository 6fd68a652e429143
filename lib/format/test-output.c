/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/format/json.h"
#include "lib/format/output.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static const char two_enclaves[] =
        "[{\"EnclaveID\":0,\"Name\":\"r\\u00e9dis\",\"Debug\":true,\"PCRs\":{\"PCR0\":\"00\"},\"Ports\":["
        "6379,80],"
        "\"ExitStatus\":null,\"id\":\"x\"},{\"EnclaveID\":10,\"Name\":\"b\",\"Debug\":false}]";

static void check(const char *json, const struct output_style *style, const char *wanted)
{
        cleanup_buf struct buf b = buf_with_max(1 << 20);
        cleanup_json json_t *value = json_loads(json, JSON_DECODE_ANY, NULL);
        struct error err = {0};

        assert_non_null(value);
        assert_int_equal(output_write(value, style, &b, &err), 0);
        assert_string_equal(buf_string(&b), wanted);
}

static void check_format(const char *json, enum output_format format, const char *wanted)
{
        check(json, &(struct output_style){.format = format}, wanted);
}

static void json_keeps_the_order_of_keys_without_a_query(void **state)
{
        (void)state;
        check_format(
                "{\"b\":[],\"a\":{\"d\":1.0,\"c\":\"\\u00e4\\u0001\\n\\\"\"},\"e\":{},\"f\":[1,[null]]}",
                OUTPUT_JSON,
                "{\n  \"b\": [],\n  \"a\": {\n    \"d\": 1.0,\n    \"c\": \"\xc3\xa4\\u0001\\n\\\"\"\n  },\n"
                "  \"e\": {},\n  \"f\": [\n    1,\n    [\n      null\n    ]\n  ]\n}\n");
}

static void a_query_sorts_keys_of_json_and_yaml(void **state)
{
        struct output_style style = {.format = OUTPUT_JSON, .query_active = true};

        (void)state;
        check("{\"b\":1,\"a\":{\"d\":1,\"c\":2}}", &style,
              "{\n  \"a\": {\n    \"c\": 2,\n    \"d\": 1\n  },\n  \"b\": 1\n}\n");
        style.format = OUTPUT_YAML;
        check("{\"b\":1,\"a\":{\"d\":1,\"c\":2}}", &style, "a:\n  c: 2\n  d: 1\nb: 1\n");
}

static void numbers_are_written_as_python_does(void **state)
{
        static const struct {
                double value;
                const char *text;
        } cases[] = {
                {0.1, "0.1"},
                {1, "1.0"},
                {-0.0, "-0.0"},
                {1e15, "1000000000000000.0"},
                {1e16, "1e+16"},
                {1.5e300, "1.5e+300"},
                {0.0001, "0.0001"},
                {0.00001, "1e-05"},
                {123.456, "123.456"},
                {1.0 / 3, "0.3333333333333333"},
                {9007199254740993.0, "9007199254740992.0"},
                {2.5e-310, "2.5e-310"},
                {123456789012345680.0, "1.2345678901234568e+17"},
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                cleanup_json json_t *number = json_real(cases[i].value);
                char text[JSON_NUMBER_TEXT_MAX];
                json_number_text(number, text);
                assert_string_equal(text, cases[i].text);
        }
}

static void tsv_has_sorted_columns_and_counts(void **state)
{
        (void)state;
        check_format(two_enclaves, OUTPUT_TSV,
                     "True\t0\tNone\tr\xc3\xa9"
                     "dis\t\t2\tx\nFalse\t10\tb\n");
        check_format("[true,null,1.5,\"a b\",[1,[2,3],{}]]", OUTPUT_TSV, "true\nNone\n1.5\na b\n1\t2\t\n");
        check_format("\"x\"", OUTPUT_TSV, "x\n");
        check_format("[]", OUTPUT_TSV, "");
}

static void tsv_keeps_the_order_written_in_a_query(void **state)
{
        cleanup_json json_t *value = json_pack("[{s:i,s:i},{s:i,s:i}]", "b", 1, "a", 2, "b", 3, "a", 4);
        cleanup_json json_t *made = json_pack("[O]", json_array_get(value, 0));
        struct output_style style = {.format = OUTPUT_TSV, .query_active = true, .made = made};
        cleanup_buf struct buf b = buf_with_max(1 << 20);
        struct error err;

        (void)state;
        assert_int_equal(output_write(value, &style, &b, &err), 0);
        assert_string_equal(buf_string(&b), "1\t2\n4\t3\n");
}

static void table_leaves_out_what_cannot_be_a_cell(void **state)
{
        (void)state;
        check_format(
                two_enclaves, OUTPUT_TABLE,
                "Debug    EnclaveID    Name\n-------  -----------  ------\nTrue     0            r\xc3\xa9"
                "dis\n"
                "False    10           b\n");
        check_format("[\"a\",null,\" b \"]", OUTPUT_TABLE, "Result\n--------\na\n\nb\n");
        check_format(
                "[[1,\"x\\ny\"],[null,\"z\",[1]]]", OUTPUT_TABLE,
                "Column1    Column2    Column3\n---------  ---------  ---------\n1          x\n           y\n"
                "           z          [1]\n");
        check_format("[]", OUTPUT_TABLE, "\n");
}

static void table_does_not_command_the_terminal(void **state)
{
        (void)state;
        check_format("[{\"a\":\"\\u001b[2Jx\"}]", OUTPUT_TABLE, "A\n--------\n\\x1b[2Jx\n");
}

static void yaml_quotes_what_would_be_read_as_another_type(void **state)
{
        (void)state;
        check_format("{\"t\":\"true\",\"n\":\"12\",\"f\":\"1.5\",\"d\":\"2001-01-01\",\"e\":\"\",\"z\":\"~\","
                     "\"s\":\"1:30\","
                     "\"p\":\"text\",\"c\":\"a: "
                     "b\",\"r\":1e300,\"l\":[],\"o\":{},\"x\":null,\"b\":false,\"hex\":\"00ff\"}",
                     OUTPUT_YAML,
                     "t: 'true'\nn: '12'\nf: '1.5'\nd: '2001-01-01'\ne: ''\nz: '~'\ns: '1:30'\np: text\nc: "
                     "'a: b'\n"
                     "r: 1.0e+300\nl: []\no: {}\nx: null\nb: false\nhex: 00ff\n");
}

static void colour_is_added_only_where_the_style_has_it(void **state)
{
        struct output_style style = {.format = OUTPUT_JSONC, .colour = true};

        (void)state;
        check("{\"a\":\"b\"}", &style, "{\n  \033[94m\"a\"\033[39;49;00m: \033[33m\"b\"\033[39;49;00m\n}\n");
        check_format("{\"a\":\"b\"}", OUTPUT_JSONC, "{\n  \"a\": \"b\"\n}\n");
        check_format("[{\"a\":\"b\"}]", OUTPUT_YAMLC, "- a: b\n");
        style.format = OUTPUT_YAMLC;
        check("[{\"a\":\"b: c\"}]", &style, "- \033[94ma\033[39;49;00m: 'b: c'\n");
}

static void null_and_none_print_nothing(void **state)
{
        (void)state;
        for (int i = 0; output_format_names[i]; i++)
                check_format("null", (enum output_format)i, "");
        check_format("[1]", OUTPUT_NONE, "");
}

static void formats_are_known_by_name_in_any_case(void **state)
{
        enum output_format format;

        (void)state;
        assert_true(output_format_parse("TSV", &format));
        assert_int_equal(format, OUTPUT_TSV);
        assert_false(output_format_parse("xml", &format));
}

static void no_format_commands_a_terminal(void **state)
{
        static const char value[] = "[{\"k\\u001b[2J\":\"v\\u001b]0;x\\u0007\\u007f\\u009b\"}]";
        static const enum output_format formats[] = {OUTPUT_JSON, OUTPUT_TABLE, OUTPUT_TSV, OUTPUT_YAML};
        cleanup_json json_t *json = json_loads(value, 0, NULL);

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
                cleanup_buf struct buf b = buf_with_max(1 << 20);
                const struct output_style style = {.format = formats[i], .terminal = true};
                assert_int_equal(output_write(json, &style, &b, NULL), 0);
                for (size_t k = 0; k < b.n; k++)
                        assert_true(b.p[k] == '\n' || (b.p[k] >= ' ' && b.p[k] < 0x7f));
        }
        /* A program wants the value. */
        check_format("[\"a\\u001bb\"]", OUTPUT_TSV, "a\033b\n");
}

/* Strangers' texts: each of these would take minutes where the cost is that of a square. */

static void many_lines_in_a_cell_take_no_longer_than_many_bytes(void **state)
{
        enum { LINES = 1000 * 1000 };
        cleanup_buf struct buf b = buf_with_max(1 << 26);
        char *text = malloc(LINES);
        struct error err;

        (void)state;
        assert_non_null(text);
        memset(text, '\n', LINES);
        text[0] = text[LINES - 1] = 'x';
        cleanup_json json_t *value = json_pack("[s%]", text, (size_t)LINES);
        free(text);
        assert_int_equal(output_write(value, &(struct output_style){.format = OUTPUT_TABLE}, &b, &err), 0);
        assert_int_equal(b.n, strlen("Result\n--------\n") + LINES + 1);
}

static void many_objects_made_by_a_query_take_no_longer_in_tsv(void **state)
{
        enum { OBJECTS = 300 * 1000 };
        cleanup_json json_t *value = json_array();
        cleanup_buf struct buf b = buf_with_max(1 << 24);
        struct error err;

        (void)state;
        for (int i = 0; i < OBJECTS; i++)
                assert_int_equal(json_array_append_new(value, json_pack("{s:i}", "a", 0)), 0);
        struct output_style style = {.format = OUTPUT_TSV, .query_active = true, .made = value};
        assert_int_equal(output_write(value, &style, &b, &err), 0);
        assert_int_equal(b.n, 2 * OBJECTS);
}

static void refuse_as_too_large(const json_t *value, enum output_format format)
{
        cleanup_buf struct buf b = buf_with_max(1 << 16);
        struct error err;

        assert_int_equal(output_write(value, &(struct output_style){.format = format}, &b, &err), -E2BIG);
        assert_string_equal(error_text(&err),
                            "the output has more than 65536 bytes; --query shows a part of it");
}

/* What nests deeply has more indent than text, and what a query made stands in more places than one. */
static void output_that_is_too_large_is_given_up_at_once(void **state)
{
        cleanup_json json_t *value = json_array();
        cleanup_json json_t *rows = json_array();

        (void)state;
        for (int level = 0; level < 40; level++)
                value = json_pack("[o,O]", value, value);
        refuse_as_too_large(value, OUTPUT_JSON);
        refuse_as_too_large(value, OUTPUT_YAML);
        for (int i = 0; i < 200 * 1000; i++)
                assert_int_equal(json_array_append_new(rows, json_pack("[s,s]", i ? "" : "wide", "x")), 0);
        refuse_as_too_large(rows, OUTPUT_TABLE);
        refuse_as_too_large(rows, OUTPUT_TSV);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(json_keeps_the_order_of_keys_without_a_query),
                cmocka_unit_test(a_query_sorts_keys_of_json_and_yaml),
                cmocka_unit_test(numbers_are_written_as_python_does),
                cmocka_unit_test(tsv_has_sorted_columns_and_counts),
                cmocka_unit_test(tsv_keeps_the_order_written_in_a_query),
                cmocka_unit_test(table_leaves_out_what_cannot_be_a_cell),
                cmocka_unit_test(table_does_not_command_the_terminal),
                cmocka_unit_test(yaml_quotes_what_would_be_read_as_another_type),
                cmocka_unit_test(colour_is_added_only_where_the_style_has_it),
                cmocka_unit_test(null_and_none_print_nothing),
                cmocka_unit_test(formats_are_known_by_name_in_any_case),
                cmocka_unit_test(no_format_commands_a_terminal),
                cmocka_unit_test(many_lines_in_a_cell_take_no_longer_than_many_bytes),
                cmocka_unit_test(many_objects_made_by_a_query_take_no_longer_in_tsv),
                cmocka_unit_test(output_that_is_too_large_is_given_up_at_once),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
