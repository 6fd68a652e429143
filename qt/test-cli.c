/* SPDX-License-Identifier: Apache-2.0 */
#include "qt/qt.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

enum { WORDS_MAX = 16 };

/* A command line in words, parsed. */
struct line {
        struct cli_parsed parsed;
        struct buf text;
        enum cli_outcome outcome;
        char copy[512];
        char *argv[WORDS_MAX + 1];
        int argc;
};

static void line_done(struct line *line)
{
        cli_parsed_done(&line->parsed);
        buf_done(&line->text);
}

/* Parses `words`, separated by single blanks; "~" in a word stands for a blank. */
static void parse(struct line *line, const char *words)
{
        *line = (struct line){.text = buf_with_max(1 << 20)};
        assert_true(strlen(words) < sizeof(line->copy));
        memcpy(line->copy, words, strlen(words) + 1);
        char *rest = line->copy;
        for (char *word; (word = strsep(&rest, " ")) && line->argc < WORDS_MAX;) {
                for (char *p = word; *p; p++)
                        *p = *p == '~' ? ' ' : *p;
                line->argv[line->argc++] = word;
        }
        line->outcome = cli_parse(&qt_program, line->argc, line->argv, &line->parsed, &line->text);
}

static void help_is(const char *words, const char *wanted)
{
        CLEANUP(line_done) struct line line;

        parse(&line, words);
        assert_int_equal(line.outcome, CLI_HELP);
        assert_string_equal(buf_string(&line.text), wanted);
}

static void fails(const char *words, const char *last_line)
{
        CLEANUP(line_done) struct line line;

        parse(&line, words);
        if (line.outcome != CLI_ERROR)
                fail_msg("%s: outcome %d", words, line.outcome);
        const char *text = buf_string(&line.text);
        if (!strstr(text, last_line))
                fail_msg("%s: '%s' wanted in:\n%s", words, last_line, text);
}

static const struct cli_value *value_of(const struct line *line, const char *name)
{
        for (size_t i = 0; i < line->parsed.command->n_arguments; i++)
                if (strcmp(line->parsed.command->arguments[i].name, name) == 0)
                        return &line->parsed.values[i];
        fail_msg("no argument %s", name);
        return NULL;
}

static void a_list_keeps_all_that_was_given(void **state)
{
        (void)state;
        CLEANUP(line_done) struct line line;
        parse(&line,
              "qt enclave make-img --docker-uri a --eif b --insecure-registry x:5 --insecure-registry=y");
        assert_int_equal(line.outcome, CLI_RUN);
        const struct cli_value *value = value_of(&line, "--insecure-registry");
        assert_string_equal(value->list[0], "x:5");
        assert_string_equal(value->list[1], "y");
        assert_null(value->list[2]);
}

static void a_list_has_an_end(void **state)
{
        char *argv[5 + 2 * (CLI_LIST_MAX + 1)] = {NULL};
        CLEANUP(line_done) struct line line = {.text = buf_with_max(1 << 20)};
        int argc = 0;
        char words[][24] = {"qt", "enclave", "make-img", "--insecure-registry", "h"};

        (void)state;
        for (int i = 0; i < 3; i++)
                argv[argc++] = words[i];
        for (int i = 0; i <= CLI_LIST_MAX; i++) {
                argv[argc++] = words[3];
                argv[argc++] = words[4];
        }
        assert_int_equal(cli_parse(&qt_program, argc, argv, &line.parsed, &line.text), CLI_ERROR);
        assert_non_null(strstr(buf_string(&line.text), "--insecure-registry: it is given too often"));
}

static void nothing_gives_the_welcome(void **state)
{
        (void)state;
        CLEANUP(line_done) struct line line, flags;
        parse(&line, "qt");
        assert_int_equal(line.outcome, CLI_HELP);
        assert_non_null(strstr(buf_string(&line.text), "Welcome to the cool QingTian new CLI!\n\n"
                                                       "    enclave : Enclave life-circle management.\n"));
        parse(&flags, "qt --debug --only-show-errors");
        assert_int_equal(flags.outcome, CLI_HELP);
        assert_string_equal(buf_string(&flags.text), buf_string(&line.text));
}

static void group_help_is_the_documented_one(void **state)
{
        (void)state;
        help_is("qt -h", "\nGroup\n    qt\n\nSubgroups:\n    enclave : Enclave life-circle management.\n\n");
        help_is("qt enclave -h",
                "\nGroup\n    qt enclave : Enclave life-circle management.\n\nCommands:\n"
                "    console   : Console an enclave via the enclave-id while debugging.\n"
                "    forward   : Forward TCP ports of this machine to an enclave.\n"
                "    make-img  : Make an eif image from a docker image.\n"
                "    query     : Query an enclave via the enclave-id or query all enclaves.\n"
                "    query-eif : Query everything that an eif image file holds.\n"
                "    sign-eif  : Sign an eif image, sign it anew, or take its signature away.\n"
                "    start     : Start an enclave via an eif image.\n"
                "    stop      : Stop an enclave via the enclave-id.\n\n"
                "Examples\n"
                "    A first session: make an enclave image of a container image, and note its measurements\n"
                "        qt enclave make-img --docker-uri redis:7 --eif redis.eif\n\n"
                "    Start it, and wait until its workload runs\n"
                "        qt enclave start --eif redis.eif --mem 512\n\n"
                "    See what runs\n"
                "        qt enclave query --output table\n\n"
                "    Reach a port of it, until Ctrl-C\n"
                "        qt enclave forward --enclave-id 0 6379:6379\n\n"
                "    Stop it\n"
                "        qt enclave stop --enclave-id 0\n\n"
                "    More: each command's own help, and qt-enclave(1)\n"
                "        qt enclave start --help\n\n");
}

#define GLOBALS_AT_28                                                                                        \
        "Global Arguments\n"                                                                                 \
        "    --debug                 : Increase logging verbosity to show all debug logs.\n"                 \
        "    --help -h               : Show this help message and exit.\n"                                   \
        "    --only-show-errors      : Only show errors, suppressing warnings.\n"                            \
        "    --output -o             : Output format.  Allowed values: json, jsonc, none, table, tsv, "      \
        "yaml,\n"                                                                                            \
        "                              yamlc.  Default: json.\n"                                             \
        "    --query                 : JMESPath query string. See http://jmespath.org/ for more "            \
        "information\n"                                                                                      \
        "                              and examples.\n"                                                      \
        "    --verbose               : Increase logging verbosity. Use --debug for full debug logs.\n\n"

static void console_help_is_the_documented_one(void **state)
{
        (void)state;
        help_is("qt enclave console -h", "\nCommand\n    qt enclave console : Console an enclave via the "
                                         "enclave-id while debugging.\n\n"
                                         "Arguments\n"
                                         "    --enclave-id [Required] : The enclave, started with "
                                         "--debug-mode. Leave its console with Ctrl-C.\n\n" GLOBALS_AT_28
                                         "Examples\n    Given an enclave-id to console an enclave\n"
                                         "        qt enclave console --enclave-id [ENCLAVE-ID]\n\n");
}

static void make_img_help_has_the_documented_columns_and_examples(void **state)
{
        (void)state;
        CLEANUP(line_done) struct line line;
        parse(&line, "qt enclave make-img --eif x --help");
        assert_int_equal(line.outcome, CLI_HELP);
        const char *text = buf_string(&line.text);
        assert_non_null(strstr(text, "\nArguments\n    --docker-uri [Required] : "));
        assert_non_null(strstr(text, "\n    --eif        [Required] : "));
        assert_non_null(strstr(text, "\n    --signing-certificate   : "));
        assert_non_null(strstr(text, GLOBALS_AT_28));
        assert_non_null(strstr(text, "        qt enclave make-img --docker-uri [DOCKER-URI] --eif [EIF] "
                                     "--private-key [PRIVATE-KEY]\n"
                                     "        --signing-certificate [SIGNING-CERTIFICATE]\n"));
}

static void global_arguments_work_in_any_position(void **state)
{
        static const char *const lines[] = {
                "qt --output tsv --debug enclave query --enclave-id 3",
                "qt enclave -o tsv query --debug --enclave-id 3",
                "qt enclave query --enclave-id=3 -otsv --debug",
                "qt ENCLAVE Query --debug --enclave-id 3 --output=TSV",
                "qt enclave query --enc 3 --out tsv --debug",
                "qt enclave query --enclave-id 7 --enclave-id 3 -o=tsv --debug",
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
                CLEANUP(line_done) struct line line;
                parse(&line, lines[i]);
                if (line.outcome != CLI_RUN)
                        fail_msg("%s: %s", lines[i], buf_string(&line.text));
                assert_string_equal(line.parsed.command->name, "query");
                assert_int_equal(line.parsed.globals[QT_GLOBAL_OUTPUT].number, OUTPUT_TSV);
                assert_true(line.parsed.globals[QT_GLOBAL_DEBUG].given);
                assert_false(line.parsed.globals[QT_GLOBAL_VERBOSE].given);
                assert_int_equal(value_of(&line, "--enclave-id")->number, 3);
        }
}

static void defaults_are_set_and_marked_not_given(void **state)
{
        (void)state;
        CLEANUP(line_done) struct line line;
        parse(&line, "qt enclave start --eif a~b.eif");
        assert_int_equal(line.outcome, CLI_RUN);
        assert_string_equal(value_of(&line, "--eif")->text, "a b.eif");
        assert_int_equal(value_of(&line, "--cpus")->number, 2);
        assert_int_equal(value_of(&line, "--mem")->number, 1024);
        assert_false(value_of(&line, "--mem")->given);
        assert_false(value_of(&line, "--cid")->given);
        assert_int_equal(line.parsed.globals[QT_GLOBAL_OUTPUT].number, OUTPUT_JSON);
}

static void values_may_look_like_options_only_with_an_equals_sign(void **state)
{
        (void)state;
        CLEANUP(line_done) struct line joined, blank;
        parse(&joined, "qt enclave make-img --docker-uri d --eif e --cmdline=--quiet");
        assert_int_equal(joined.outcome, CLI_RUN);
        assert_string_equal(value_of(&joined, "--cmdline")->text, "--quiet");
        parse(&blank, "qt enclave make-img --docker-uri d --eif e --cmdline -a~b");
        assert_int_equal(blank.outcome, CLI_RUN);
        assert_string_equal(value_of(&blank, "--cmdline")->text, "-a b");
        fails("qt enclave make-img --docker-uri d --eif --name x", "argument --eif: expected one argument\n");
        fails("qt enclave make-img --docker-uri d --eif", "argument --eif: expected one argument\n");
}

static void operands_are_taken_around_options_and_behind_two_dashes(void **state)
{
        (void)state;
        CLEANUP(line_done) struct line line;
        parse(&line, "qt enclave forward 1:2 --enclave-id 0 3:4 -- --5:6");
        assert_int_equal(line.outcome, CLI_RUN);
        assert_int_equal(line.parsed.n_operands, 3);
        assert_string_equal(line.parsed.operands[0], "1:2");
        assert_string_equal(line.parsed.operands[2], "--5:6");
        fails("qt enclave forward --enclave-id 0", "the following arguments are required: PORTS\n");
}

static void missing_command_is_said_as_argparse_does(void **state)
{
        (void)state;
        CLEANUP(line_done) struct line line;
        parse(&line, "qt enclave");
        assert_int_equal(line.outcome, CLI_ERROR);
        assert_string_equal(
                buf_string(&line.text),
                "usage: qt enclave [-h] {make-img,start,stop,query,console,query-eif,sign-eif,forward} ...\n"
                "qt enclave: error: the following arguments are required: _subcommand\n"
                "enclave command line interface\n");
}

static void usage_lines_are_wrapped_below_the_first_argument(void **state)
{
        (void)state;
        CLEANUP(line_done) struct line line;
        parse(&line, "qt enclave start");
        assert_string_equal(buf_string(&line.text),
                            "usage: qt enclave start [-h] [--attach-console] [--cid CID] [--cpus CPUS]\n"
                            "                        [--debug-mode] --eif EIF [--mem MEM] [--wait]\n"
                            "                        [--debug] [--only-show-errors]\n"
                            "                        [--output {json,jsonc,none,table,tsv,yaml,yamlc}]\n"
                            "                        [--query JMESPATH] [--verbose]\n"
                            "qt enclave start: error: the following arguments are required: --eif\n");
}

static void errors_name_the_argument_and_the_nearest_word(void **state)
{
        (void)state;
        fails("qt enclave make-img", "the following arguments are required: --docker-uri, --eif\n");
        fails("qt enclave start --efi x", "unrecognized arguments: --efi x; did you mean --eif?\n");
        fails("qt enclave start --eif x y", "unrecognized arguments: y\n");
        fails("qt enclave start --eif x -z", "unrecognized arguments: -z\n");
        fails("qt --eif x", "'x' is not in the 'qt' command group");
        fails("qt --eif=x", "qt: error: unrecognized arguments: --eif=x\n");
        fails("qt enclave stat",
              "ERROR: qt enclave: 'stat' is not in the 'qt enclave' command group. See 'qt enclave "
              "--help'.\n\nThe most similar choices to 'stat':\n\tstart\n");
        fails("qt enclav", "The most similar choices to 'enclav':\n\tenclave\n");
        fails("qt enclave start --de", "ambiguous option: --de could match --debug, --debug-mode\n");
        fails("qt enclave query --debug=yes", "argument --debug: it takes no value\n");
        fails("qt enclave query -o xml",
              "'xml' is not a valid value for '--output/-o'.\nAllowed values: json, jsonc, "
              "none, table, tsv, yaml, yamlc\n");
        fails("qt enclave query -o", "argument --output/-o: expected one argument\n");
        fails("qt enclave start --eif=", "argument --eif: it is empty\n");
}

static void numbers_have_their_range_in_the_error(void **state)
{
        (void)state;
        fails("qt enclave start --eif x --cid 3",
              "argument --cid: '3' is not a whole number from 4 to 4294967294\n");
        fails("qt enclave start --eif x --cid 4294967295", "from 4 to 4294967294\n");
        fails("qt enclave start --eif x --cpus 0", "argument --cpus: '0' is not a whole number from 1 to ");
        fails("qt enclave start --eif x --mem 1.5", "argument --mem: '1.5' is not");
        fails("qt enclave query --enclave-id -1", "argument --enclave-id: '-1' is not");
        fails("qt enclave query --enclave-id 4294967296", "argument --enclave-id: '4294967296' is not");
        fails("qt enclave query --enclave-id=", "argument --enclave-id: '' is not");
}

static void version_is_the_programs_only(void **state)
{
        (void)state;
        CLEANUP(line_done) struct line line, shortened;
        parse(&line, "qt --version");
        assert_int_equal(line.outcome, CLI_VERSION);
        parse(&shortened, "qt -v");
        assert_int_equal(shortened.outcome, CLI_VERSION);
        fails("qt enclave query --version", "unrecognized arguments: --version");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_list_keeps_all_that_was_given),
                cmocka_unit_test(a_list_has_an_end),
                cmocka_unit_test(nothing_gives_the_welcome),
                cmocka_unit_test(group_help_is_the_documented_one),
                cmocka_unit_test(console_help_is_the_documented_one),
                cmocka_unit_test(make_img_help_has_the_documented_columns_and_examples),
                cmocka_unit_test(global_arguments_work_in_any_position),
                cmocka_unit_test(defaults_are_set_and_marked_not_given),
                cmocka_unit_test(values_may_look_like_options_only_with_an_equals_sign),
                cmocka_unit_test(operands_are_taken_around_options_and_behind_two_dashes),
                cmocka_unit_test(missing_command_is_said_as_argparse_does),
                cmocka_unit_test(usage_lines_are_wrapped_below_the_first_argument),
                cmocka_unit_test(errors_name_the_argument_and_the_nearest_word),
                cmocka_unit_test(numbers_have_their_range_in_the_error),
                cmocka_unit_test(version_is_the_programs_only),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
