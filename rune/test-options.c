/* SPDX-License-Identifier: Apache-2.0 */
#include "rune/amounts.h"
#include "rune/options.h"
#include "rune/process-list.h"
#include "rune/settings.h"
#include "rune/table.h"
#include "rune/update-resources.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct values {
        const char *bundle;
        bool detach;
        struct optional_i64 number;
        struct option_list env;
};

static const struct option rows[] = {
        {.name = "bundle", .letter = 'b', OPTION_TEXT_IN(struct values, bundle)},
        {.name = "number", OPTION_INTEGER_IN(struct values, number)},
        {.name = "env", .letter = 'e', OPTION_LIST_IN(struct values, env)},
};

static const struct option shared_rows[] = {
        {.name = "detach", .letter = 'd', OPTION_FLAG_IN(struct values, detach)},
};

static const struct option_set anywhere = {
        .options = rows, .n = ARRAY_SIZE(rows), .shared = shared_rows, .n_shared = ARRAY_SIZE(shared_rows)};
static const struct option_set ending = {.options = rows,
                                         .n = ARRAY_SIZE(rows),
                                         .shared = shared_rows,
                                         .n_shared = ARRAY_SIZE(shared_rows),
                                         .rule = OPERANDS_END_OPTIONS};

enum { WORDS_MAX = 40 };

/* A command line cut at its blanks, and what became of it. */
struct line {
        char text[512];
        char *words[WORDS_MAX + 1];
        struct values values;
        struct operands operands;
        struct error err;
        int outcome;
};

static void parse(struct line *line, const struct option_set *set, const char *text)
{
        size_t n = 0;
        char *rest = line->text, *word;

        *line = (struct line){.operands = {0}};
        assert_true(strlen(text) < sizeof(line->text));
        memcpy(line->text, text, strlen(text));
        while ((word = strsep(&rest, " ")) && n < WORDS_MAX) {
                if (*word)
                        line->words[n++] = word;
        }
        line->outcome = options_parse(set, line->words, &line->values, &line->operands, &line->err);
}

static void assert_operands(const struct line *line, const char *expected)
{
        char joined[512] = "";
        size_t at = 0;

        assert_int_equal(line->outcome, OPTIONS_DONE);
        for (size_t i = 0; i < line->operands.n; i++)
                at += (size_t)snprintf(joined + at, sizeof(joined) - at, "%s%s", i ? " " : "",
                                       line->operands.items[i]);
        assert_string_equal(joined, expected);
        assert_null(line->operands.items[line->operands.n]);
}

static void a_value_may_be_attached_or_the_next_word(void **state)
{
        static const char *const lines[] = {"--bundle /x id", "--bundle=/x id", "-bundle /x id",
                                            "-bundle=/x id",  "-b /x id",       "-b=/x id",
                                            "--b /x id",      "id --bundle /x", "id -b=/x"};
        struct line line;

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
                parse(&line, &anywhere, lines[i]);
                assert_operands(&line, "id");
                assert_string_equal(line.values.bundle, "/x");
        }
}

static void a_value_may_look_like_an_option_or_be_empty(void **state)
{
        struct line line;

        (void)state;
        parse(&line, &anywhere, "--bundle --detach id");
        assert_string_equal(line.values.bundle, "--detach");
        assert_false(line.values.detach);
        parse(&line, &anywhere, "--bundle= id");
        assert_string_equal(line.values.bundle, "");
        parse(&line, &anywhere, "--bundle=a=b id");
        assert_string_equal(line.values.bundle, "a=b");
}

static void a_flag_may_be_told_true_or_false_but_takes_no_word(void **state)
{
        struct line line;

        (void)state;
        parse(&line, &anywhere, "--detach true");
        assert_operands(&line, "true");
        assert_true(line.values.detach);
        parse(&line, &anywhere, "-d=false id");
        assert_false(line.values.detach);
        parse(&line, &anywhere, "--detach --detach=0 id");
        assert_false(line.values.detach);
        parse(&line, &anywhere, "--detach=maybe id");
        assert_int_equal(line.outcome, -EINVAL);
        assert_string_equal(line.err.text, "invalid boolean value \"maybe\" for --detach");
}

static void the_last_of_several_counts_and_lists_keep_all_in_order(void **state)
{
        struct line line;

        (void)state;
        parse(&line, &anywhere, "-b 1 -e A=1 -b 2 --env=B=2 id -e C -e D -e E");
        assert_string_equal(line.values.bundle, "2");
        assert_int_equal(line.values.env.n, 5);
        assert_string_equal(line.values.env.items[0], "A=1");
        assert_string_equal(line.values.env.items[1], "B=2");
        assert_string_equal(line.values.env.items[4], "E");
        assert_null(line.values.env.items[5]);
        options_done(&anywhere, &line.values);
}

static void the_first_operand_ends_the_options_where_the_table_says_so(void **state)
{
        struct line line;

        (void)state;
        parse(&line, &ending, "-d id sh -c -b --number x");
        assert_operands(&line, "id sh -c -b --number x");
        assert_true(line.values.detach);
        assert_null(line.values.bundle);
        parse(&line, &ending, "-d -- -id -d");
        assert_operands(&line, "-id -d");
        parse(&line, &ending, "id -- x");
        assert_operands(&line, "id -- x");
}

static void behind_two_dashes_all_are_operands(void **state)
{
        struct line line;

        (void)state;
        parse(&line, &anywhere, "a -d -- b -d");
        assert_operands(&line, "a b -d");
        parse(&line, &anywhere, "a - b");
        assert_operands(&line, "a - b");
}

static void what_the_table_lacks_is_refused_by_name(void **state)
{
        struct line line;

        (void)state;
        parse(&line, &anywhere, "--nope id");
        assert_int_equal(line.outcome, -EINVAL);
        assert_string_equal(line.err.text, "flag provided but not defined: -nope");
        parse(&line, &anywhere, "--bund x");
        assert_int_equal(line.outcome, -EINVAL);
        parse(&line, &anywhere, "--bundlee=x");
        assert_int_equal(line.outcome, -EINVAL);
        parse(&line, &anywhere, "id --bundle");
        assert_int_equal(line.outcome, -EINVAL);
        assert_string_equal(line.err.text, "flag needs an argument: -bundle");
        parse(&line, &anywhere, "--=x");
        assert_int_equal(line.outcome, -EINVAL);
        parse(&line, &anywhere, "-=x");
        assert_int_equal(line.outcome, -EINVAL);
}

static void numbers_are_whole_and_fit(void **state)
{
        struct line line;
        int64_t n;

        (void)state;
        parse(&line, &anywhere, "--number -1");
        assert_true(line.values.number.set);
        assert_int_equal(line.values.number.value, -1);
        parse(&line, &anywhere, "--number 1x");
        assert_int_equal(line.outcome, -EINVAL);
        assert_true(parse_i64("9223372036854775807", &n));
        assert_true(n == INT64_MAX);
        assert_true(parse_i64("-9223372036854775808", &n));
        assert_true(n == INT64_MIN);
        assert_true(parse_i64("+7", &n));
        assert_false(parse_i64("9223372036854775808", &n));
        assert_false(parse_i64("-9223372036854775809", &n));
        assert_false(parse_i64("", &n));
        assert_false(parse_i64("-", &n));
        assert_false(parse_i64("--1", &n));
        assert_false(parse_i64(" 1", &n));
}

static void help_is_known_everywhere_but_behind_a_command(void **state)
{
        static const char *const lines[] = {"--help", "-h", "-help", "--h", "id --help", "-d -h --nope"};
        struct line line;

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
                parse(&line, &anywhere, lines[i]);
                assert_int_equal(line.outcome, OPTIONS_HELP);
        }
        parse(&line, &ending, "id ls --help");
        assert_operands(&line, "id ls --help");
}

static void sizes_are_those_of_go_units(void **state)
{
        static const struct {
                const char *text;
                int64_t bytes;
        } good[] = {
                {"0", 0},
                {"32", 32},
                {"32b", 32},
                {"32B", 32},
                {"32k", 32768},
                {"32K", 32768},
                {"32kb", 32768},
                {"32Kb", 32768},
                {"32KiB", 32768},
                {"32Kib", 32768},
                {"32 k", 32768},
                {"32.5kB", 33280},
                {"0.5m", 524288},
                {"1.m", 1048576},
                {".5k", 512},
                {"3g", 3221225472},
                {"1t", 1LL << 40},
                {"1p", 1LL << 50},
                {"9223372036854775807", INT64_MAX},
        };
        static const char *const bad[] = {"",
                                          "k",
                                          "-1k",
                                          "+1",
                                          "1kk",
                                          "1bb",
                                          "1ki",
                                          "1kbb",
                                          "1e3",
                                          "0x10",
                                          "1..2",
                                          "1  k",
                                          " 1k",
                                          "1k ",
                                          "inf",
                                          "1ib",
                                          "8192p",
                                          "9223372036854775808",
                                          "18446744073709551616",
                                          ".",
                                          "1,5k"};
        int64_t bytes;

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
                assert_true(parse_ram_size(good[i].text, &bytes));
                assert_true(bytes == good[i].bytes);
        }
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
                assert_false(parse_ram_size(bad[i], &bytes));
}

static void spans_are_those_of_go(void **state)
{
        static const struct {
                const char *text;
                uint64_t milliseconds;
        } good[] = {{"5s", 5000}, {"100ms", 100}, {"1m30s", 90000},       {"1.5h", 5400000}, {"0", 0},
                    {"1us", 1},   {"1ns", 1},     {"1h1m1s1ms", 3661001}, {".5s", 500}};
        static const char *const bad[] = {"", "5", "s", "-5s", "5x", "5s5", "1e3s", "9000h", "0x5s", "5 s"};
        uint64_t milliseconds;

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
                assert_true(parse_duration(good[i].text, &milliseconds));
                assert_int_equal(milliseconds, good[i].milliseconds);
        }
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
                assert_false(parse_duration(bad[i], &milliseconds));
}

static void columns_are_as_wide_as_their_longest_cell_and_three(void **state)
{
        static const char *const cells[] = {"ID",         "PID", "LAST", "a-rather-long-id", "1", "x",
                                            "\303\244\n", "2",   ""};
        cleanup_buf struct buf text = buf_with_max(4096);

        (void)state;
        assert_int_equal(table_append(cells, 3, 3, &text), 0);
        assert_string_equal(buf_string(&text), "ID                 PID         LAST\n"
                                               "a-rather-long-id   1           x\n"
                                               "\303\244\\x0a              2           \n");
}

static void ps_lines_are_chosen_by_their_pid_column(void **state)
{
        static const char listing[] = "UID   PID  PPID CMD\n"
                                      "root    1     0 init 7\n"
                                      "root    7     1 sh -c 1\n"
                                      "\n"
                                      "joe    42     7 sleep";
        static const pid_t pids[] = {7, 42};
        cleanup_buf struct buf text = buf_with_max(4096);

        (void)state;
        assert_int_equal(process_list_filter(view_of_string(listing), pids, 2, &text, NULL), 0);
        assert_string_equal(buf_string(&text),
                            "UID   PID  PPID CMD\nroot    7     1 sh -c 1\njoe    42     7 sleep\n");
}

static void ps_without_a_pid_column_is_an_error(void **state)
{
        static const char *const bad[] = {"", "\n", "CMD\nx\n", "PPID XPID\n1 2\n", "PID\nx\n", "A PID\n1\n"};
        struct error err;

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                cleanup_buf struct buf text = buf_with_max(4096);
                assert_int_equal(process_list_filter(view_of_string(bad[i]), NULL, 0, &text, &err), -EINVAL);
        }
}

static void update_options_become_resources(void **state)
{
        const struct update_values values = {
                .blkio_weight = {true, 500},
                .pids_limit = {true, -1},
                .cpu_period = "1000",
                .cpu_quota = "-1",
                .cpu_burst = "5",
                .cpu_share = "2",
                .cpu_rt_period = "7",
                .cpu_rt_runtime = "8",
                .cpu_idle = "1",
                .cpuset_cpus = "0-1",
                .cpuset_mems = "0",
                .memory = "50M",
                .memory_reservation = "1k",
                .memory_swap = "-1",
                .kernel_memory = "",
        };
        struct spec_resources r = {0};

        (void)state;
        assert_int_equal(update_resources_of(&values, &r, NULL), 0);
        assert_int_equal(r.block_io.weight.value, 500);
        assert_true(r.pids_limit.set && r.pids_limit.value == -1);
        assert_true(r.cpu.period.set && r.cpu.period.value == 1000);
        assert_true(r.cpu.quota.set && r.cpu.quota.value == -1);
        assert_true(r.cpu.burst.set && r.cpu.burst.value == 5);
        assert_true(r.cpu.shares.set && r.cpu.shares.value == 2);
        assert_true(r.cpu.realtime_period.set && r.cpu.realtime_period.value == 7);
        assert_true(r.cpu.realtime_runtime.set && r.cpu.realtime_runtime.value == 8);
        assert_true(r.cpu.idle.set && r.cpu.idle.value == 1);
        assert_string_equal(r.cpu.cpus, "0-1");
        assert_string_equal(r.cpu.mems, "0");
        assert_true(r.memory.limit.set && r.memory.limit.value == 52428800);
        assert_true(r.memory.reservation.set && r.memory.reservation.value == 1024);
        assert_true(r.memory.swap.set && r.memory.swap.value == -1);
        assert_false(r.memory.kernel.set);
}

static void update_names_the_option_that_is_wrong(void **state)
{
        static const struct {
                struct update_values values;
                const char *text;
        } bad[] = {
                {{.memory = "lots"}, "invalid value for memory: \"lots\""},
                {{.cpu_share = "-1"}, "invalid value for cpu-share: \"-1\""},
                {{.cpu_idle = "2"}, "invalid value for cpu-idle: \"2\""},
                {{.cpu_idle = "-1"}, "invalid value for cpu-idle: \"-1\""},
                {{.cpu_quota = "1.5"}, "invalid value for cpu-quota: \"1.5\""},
                {{.blkio_weight = {true, 5}}, "invalid value for blkio-weight: 5; it is from 10 to 1000"},
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                struct spec_resources resources = {0};
                struct error err = {0};

                assert_int_equal(update_resources_of(&bad[i].values, &resources, &err), -EINVAL);
                assert_string_equal(err.text, bad[i].text);
        }
}

static void roots_are_made_absolute_by_their_text(void **state)
{
        static const struct {
                const char *path;
                const char *absolute;
        } cases[] = {
                {"/", "/"},      {"//", "/"},          {"/a//b/", "/a/b"},    {"/a/./b/../c", "/a/c"},
                {"/../..", "/"}, {"/a/../../b", "/b"}, {"/...", "/..."},      {"/a/..b", "/a/..b"},
                {"x", "/tmp/x"}, {"..", "/"},          {"../../etc", "/etc"}, {"", "/tmp"},
        };
        char path[PATH_MAX];

        (void)state;
        assert_int_equal(chdir("/tmp"), 0);
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                assert_int_equal(settings_absolute(cases[i].path, path), 0);
                assert_string_equal(path, cases[i].absolute);
        }
        char longest[2 * PATH_MAX];
        memset(longest, 'a', sizeof(longest) - 1);
        longest[sizeof(longest) - 1] = '\0';
        assert_int_equal(settings_absolute(longest, path), -ENAMETOOLONG);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_value_may_be_attached_or_the_next_word),
                cmocka_unit_test(a_value_may_look_like_an_option_or_be_empty),
                cmocka_unit_test(a_flag_may_be_told_true_or_false_but_takes_no_word),
                cmocka_unit_test(the_last_of_several_counts_and_lists_keep_all_in_order),
                cmocka_unit_test(the_first_operand_ends_the_options_where_the_table_says_so),
                cmocka_unit_test(behind_two_dashes_all_are_operands),
                cmocka_unit_test(what_the_table_lacks_is_refused_by_name),
                cmocka_unit_test(numbers_are_whole_and_fit),
                cmocka_unit_test(help_is_known_everywhere_but_behind_a_command),
                cmocka_unit_test(sizes_are_those_of_go_units),
                cmocka_unit_test(spans_are_those_of_go),
                cmocka_unit_test(columns_are_as_wide_as_their_longest_cell_and_three),
                cmocka_unit_test(ps_lines_are_chosen_by_their_pid_column),
                cmocka_unit_test(ps_without_a_pid_column_is_an_error),
                cmocka_unit_test(update_options_become_resources),
                cmocka_unit_test(update_names_the_option_that_is_wrong),
                cmocka_unit_test(roots_are_made_absolute_by_their_text),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
