/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/cleanup.h"
#include "lib/container/hook.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static char sh[] = "sh", dash_c[] = "-c", script_text[256];
static char *shell[] = {sh, dash_c, script_text, NULL};
static char *no_env[] = {NULL};

/* A list of one hook that runs `script`. */
static struct spec_hook_list one(struct spec_hook *hook, const char *script)
{
        (void)snprintf(script_text, sizeof(script_text), "%s", script);
        *hook = (struct spec_hook){.path = "/bin/sh", .args = {shell, 3}};
        return (struct spec_hook_list){hook, 1};
}

static void a_hook_reads_the_state(void **state)
{
        (void)state;
        struct spec_hook hook;
        struct spec_hook_list list = one(&hook, "test \"$(cat)\" = '{\"id\":\"c\"}'");

        assert_int_equal(hooks_run(&list, "poststart", "{\"id\":\"c\"}", NULL, NULL), 0);
        assert_true(hooks_run(&list, "poststart", "{}", NULL, NULL) < 0);
}

static void a_state_larger_than_a_pipe_blocks_nobody(void **state)
{
        (void)state;
        struct spec_hook hook;
        struct spec_hook_list list = one(&hook, "exit 0");
        size_t n = (size_t)1024 * 1024;
        cleanup_free char *text = malloc(n + 1);

        memset(text, 'x', n);
        text[n] = '\0';
        assert_int_equal(hooks_run(&list, "poststart", text, NULL, NULL), 0);
        list = one(&hook, "test $(wc -c) = 1048576");
        assert_int_equal(hooks_run(&list, "poststart", text, NULL, NULL), 0);
}

static void output_larger_than_a_pipe_blocks_nobody(void **state)
{
        (void)state;
        struct spec_hook hook;
        struct spec_hook_list list = one(&hook, "head -c 1000000 /dev/zero >&2");

        assert_int_equal(hooks_run(&list, "poststart", "{}", NULL, NULL), 0);
}

static void a_failure_names_kind_number_and_what_was_said(void **state)
{
        (void)state;
        struct spec_hook hooks[2];
        struct error err = {0};

        (void)one(&hooks[0], "");
        hooks[0].path = "/bin/true";
        (void)one(&hooks[1], "echo 'no \033[2J\177reason' >&2; exit 3");
        struct spec_hook_list list = {hooks, 2};
        hooks[0].args = (struct spec_strings){NULL, 0};

        assert_int_equal(hooks_run(&list, "createRuntime", "{}", NULL, &err), -ECANCELED);
        assert_string_equal(error_text(&err),
                            "error running createRuntime hook #1: /bin/sh: exit status 3; it said: "
                            "no  [2J reason");
}

static void a_long_output_loses_its_end_only(void **state)
{
        (void)state;
        struct spec_hook hook;
        struct spec_hook_list list = one(&hook, "printf '%01000d' 0; exit 1");
        struct error err = {0};

        assert_int_equal(hooks_run(&list, "prestart", "{}", NULL, &err), -ECANCELED);
        const char *said = strstr(error_text(&err), "it said: ");
        assert_non_null(said);
        assert_int_equal(strspn(said + strlen("it said: "), "0"), 600);
}

static void a_hook_that_is_not_there_is_an_error(void **state)
{
        (void)state;
        struct spec_hook hook = {.path = "/no/such/hook"};
        struct spec_hook_list list = {&hook, 1};

        assert_int_equal(hooks_run(&list, "prestart", "{}", NULL, NULL), -ENOENT);
}

static void the_path_is_executed_whatever_the_first_argument_is(void **state)
{
        (void)state;
        char first[] = "no/such", script[] = "test $0 = no/such";
        char *args[] = {first, dash_c, script, NULL};
        struct spec_hook hook = {.path = "/bin/sh", .args = {args, 3}};
        struct spec_hook_list list = {&hook, 1};

        assert_int_equal(hooks_run(&list, "prestart", "{}", NULL, NULL), 0);
}

static void a_hook_has_its_environment_or_the_given_one(void **state)
{
        (void)state;
        char a_own[] = "A=own", a_given[] = "A=given";
        char *own[] = {a_own, NULL}, *given[] = {a_given, NULL};
        struct spec_hook hook;
        struct spec_hook_list list = one(&hook, "test \"$A\" = own");

        hook.env = (struct spec_strings){own, 1};
        assert_int_equal(hooks_run(&list, "prestart", "{}", given, NULL), 0);
        list = one(&hook, "test \"$A\" = given");
        assert_int_equal(hooks_run(&list, "prestart", "{}", given, NULL), 0);
        assert_true(hooks_run(&list, "prestart", "{}", no_env, NULL) < 0);
}

static void a_hook_over_its_time_is_killed(void **state)
{
        (void)state;
        struct spec_hook hook;
        struct spec_hook_list list = one(&hook, "exec sleep 1000");
        struct error err = {0};

        hook.has_timeout = true;
        hook.timeout = 1;
        assert_int_equal(hooks_run(&list, "prestart", "{}", NULL, &err), -ETIME);
        assert_non_null(strstr(error_text(&err), "hook ran past specified timeout of 1.0s"));
}

static void what_a_hook_leaves_behind_is_not_waited_for(void **state)
{
        (void)state;
        struct spec_hook hook;
        struct spec_hook_list list = one(&hook, "sleep 20 & exit 0");
        time_t begin = time(NULL);

        assert_int_equal(hooks_run(&list, "prestart", "{}", NULL, NULL), 0);
        assert_true(time(NULL) - begin < 15);
}

static void count(void *user, enum log_level level, const char *text)
{
        (void)level;
        assert_non_null(strstr(text, "poststop hook #"));
        *(int *)user += 1;
}

static void all_of_the_last_hooks_run_whatever_fails(void **state)
{
        (void)state;
        struct spec_hook hooks[3];
        int failures = 0;
        struct log log = {.level = LOG_LEVEL_WARNING, .emit = count, .user = &failures};

        for (size_t i = 0; i < 3; i++)
                hooks[i] = (struct spec_hook){.path = i == 1 ? "/bin/true" : "/bin/false"};
        struct spec_hook_list list = {hooks, 3};
        hooks_run_all(&list, "poststop", "{}", NULL, &log);
        assert_int_equal(failures, 2);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_hook_reads_the_state),
                cmocka_unit_test(a_state_larger_than_a_pipe_blocks_nobody),
                cmocka_unit_test(output_larger_than_a_pipe_blocks_nobody),
                cmocka_unit_test(a_failure_names_kind_number_and_what_was_said),
                cmocka_unit_test(a_long_output_loses_its_end_only),
                cmocka_unit_test(a_hook_that_is_not_there_is_an_error),
                cmocka_unit_test(the_path_is_executed_whatever_the_first_argument_is),
                cmocka_unit_test(a_hook_has_its_environment_or_the_given_one),
                cmocka_unit_test(a_hook_over_its_time_is_killed),
                cmocka_unit_test(what_a_hook_leaves_behind_is_not_waited_for),
                cmocka_unit_test(all_of_the_last_hooks_run_whatever_fails),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
