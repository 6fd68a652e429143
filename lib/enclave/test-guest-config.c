/* SPDX-License-Identifier: Apache-2.0 */
/* test-guest-config.c - the configuration survives its encoding; damaged ones are refused by name. */
#include "lib/enclave/guest-config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define MAGIC "coffer-guest-config 1\0"
#define REST  "cwd=/\0uid=0\0gid=0\0stop-signal=15\0hostname=h\0"
#define END   "end" /* its NUL is the literal's */

static struct view encoded(const struct guest_config *config, struct buf *b)
{
        struct error err = {0};

        assert_int_equal(guest_config_encode(config, b, &err), 0);
        return buf_view(b);
}

static void fill(struct guest_config *config)
{
        assert_int_equal(guest_config_add_arg(config, "/bin/sh", NULL), 0);
        assert_int_equal(guest_config_add_arg(config, "", NULL), 0);
        assert_int_equal(guest_config_add_arg(config, "two\nlines\tand \xff bytes", NULL), 0);
        assert_int_equal(guest_config_add_env(config, "PATH=/bin:/usr/bin", NULL), 0);
        assert_int_equal(guest_config_add_env(config, "EMPTY=", NULL), 0);
        assert_int_equal(guest_config_add_env(config, "LINES=a\nb=c\n", NULL), 0);
        assert_int_equal(guest_config_add_group(config, 4, NULL), 0);
        assert_int_equal(guest_config_add_group(config, 65534, NULL), 0);
        assert_int_equal(guest_config_add_port(config, 6379, NULL), 0);
        assert_int_equal(guest_config_add_port(config, 80, NULL), 0);
        assert_int_equal(guest_config_add_port(config, 6379, NULL), 0);
        assert_int_equal(guest_config_set_cwd(config, "/srv/it", NULL), 0);
        assert_int_equal(guest_config_set_hostname(config, "web-1.example", NULL), 0);
        config->uid = 1000;
        config->gid = UINT32_MAX - 1;
        config->stop_signal = 3;
}

static void test_round_trip(void **state)
{
        cleanup_guest_config struct guest_config config = {0};
        cleanup_guest_config struct guest_config got = {0};
        cleanup_buf struct buf b = buf_with_max(GUEST_CONFIG_MAX);
        struct error err = {0};

        (void)state;
        guest_config_init(&config);
        fill(&config);
        assert_int_equal(guest_config_decode(encoded(&config, &b), &got, &err), 0);
        assert_int_equal(got.n_argv, 3);
        assert_string_equal(got.argv[0], "/bin/sh");
        assert_string_equal(got.argv[1], "");
        assert_string_equal(got.argv[2], "two\nlines\tand \xff bytes");
        assert_null(got.argv[3]);
        assert_int_equal(got.n_env, 3);
        assert_string_equal(got.env[2], "LINES=a\nb=c\n");
        assert_null(got.env[3]);
        assert_int_equal(got.n_groups, 2);
        assert_int_equal(got.groups[1], 65534);
        assert_int_equal(got.n_ports, 2);
        assert_int_equal(got.ports[0], 6379);
        assert_int_equal(got.ports[1], 80);
        assert_string_equal(got.cwd, "/srv/it");
        assert_string_equal(got.hostname, "web-1.example");
        assert_int_equal(got.uid, 1000);
        assert_int_equal(got.gid, UINT32_MAX - 1);
        assert_int_equal(got.stop_signal, 3);
}

static void test_an_image_serves_or_has_a_command(void **state)
{
        cleanup_guest_config struct guest_config config = {0};
        cleanup_guest_config struct guest_config got = {0};
        cleanup_buf struct buf b = buf_with_max(GUEST_CONFIG_MAX);

        (void)state;
        guest_config_init(&config);
        config.serve = true;
        assert_int_equal(guest_config_decode(encoded(&config, &b), &got, NULL), 0);
        assert_true(got.serve);
        assert_int_equal(got.n_argv, 0);
        assert_int_equal(guest_config_add_arg(&config, "x", NULL), 0);
        assert_int_equal(guest_config_encode(&config, &b, NULL), -EINVAL);
}

static void test_defaults_are_written_out(void **state)
{
        static const char EXPECTED[] =
                MAGIC "arg=/x\0cwd=/\0uid=0\0gid=0\0stop-signal=15\0hostname=enclave\0" END;
        cleanup_guest_config struct guest_config config = {0};
        cleanup_buf struct buf b = buf_with_max(GUEST_CONFIG_MAX);

        (void)state;
        guest_config_init(&config);
        assert_int_equal(guest_config_add_arg(&config, "/x", NULL), 0);
        struct view v = encoded(&config, &b);
        assert_int_equal(v.n, sizeof(EXPECTED));
        assert_memory_equal(v.p, EXPECTED, sizeof(EXPECTED));
}

static void test_many_strings(void **state)
{
        cleanup_guest_config struct guest_config config = {0};
        cleanup_guest_config struct guest_config got = {0};
        cleanup_buf struct buf b = buf_with_max(GUEST_CONFIG_MAX);

        (void)state;
        guest_config_init(&config);
        for (int i = 0; i < 1000; i++) {
                assert_int_equal(guest_config_add_arg(&config, "a", NULL), 0);
                assert_null(config.argv[config.n_argv]);
        }
        assert_int_equal(guest_config_decode(encoded(&config, &b), &got, NULL), 0);
        assert_int_equal(got.n_argv, 1000);
}

static void test_what_cannot_be_held_is_refused(void **state)
{
        cleanup_guest_config struct guest_config config = {0};
        cleanup_buf struct buf b = buf_with_max(GUEST_CONFIG_MAX);
        static char long_one[GUEST_CONFIG_STRING_MAX + 2];
        struct error err = {0};

        (void)state;
        memset(long_one, 'x', sizeof(long_one) - 1);
        guest_config_init(&config);
        assert_int_equal(guest_config_encode(&config, &b, &err), -EINVAL);
        assert_string_equal(error_text(&err), "there is no command to run");
        assert_int_equal(guest_config_add_arg(&config, long_one, NULL), -E2BIG);
        assert_int_equal(guest_config_add_env(&config, "NOVALUE", NULL), -EINVAL);
        assert_int_equal(guest_config_add_env(&config, "=x", NULL), -EINVAL);
        assert_int_equal(guest_config_add_group(&config, UINT32_MAX, NULL), -EINVAL);
        assert_int_equal(guest_config_add_port(&config, 0, NULL), -EINVAL);
        assert_int_equal(guest_config_set_cwd(&config, "here", NULL), -EINVAL);
        assert_int_equal(guest_config_set_hostname(&config, "", NULL), -EINVAL);
        assert_int_equal(guest_config_set_hostname(&config, "a b", NULL), -EINVAL);
        assert_int_equal(guest_config_add_arg(&config, "x", NULL), 0);
        config.stop_signal = 65;
        assert_int_equal(guest_config_encode(&config, &b, NULL), -EINVAL);
        config.stop_signal = 9;
        config.uid = UINT32_MAX;
        assert_int_equal(guest_config_encode(&config, &b, NULL), -EINVAL);
        config.uid = 0;
        config.gid = UINT32_MAX;
        assert_int_equal(guest_config_encode(&config, &b, NULL), -EINVAL);
}

static void test_limits_can_be_reached_and_not_passed(void **state)
{
        cleanup_guest_config struct guest_config config = {0};
        char name[GUEST_CONFIG_HOSTNAME_MAX + 2] = {0};
        struct error err = {0};

        (void)state;
        guest_config_init(&config);
        for (size_t i = 0; i < GUEST_CONFIG_STRINGS_MAX; i++)
                assert_int_equal(guest_config_add_arg(&config, "", NULL), 0);
        assert_int_equal(guest_config_add_arg(&config, "", &err), -E2BIG);
        assert_string_equal(error_text(&err), "more than 65536 arguments");
        assert_int_equal(guest_config_add_env(&config, "A=", NULL), 0);
        for (size_t i = 1; i <= GUEST_CONFIG_NUMBERS_MAX; i++) {
                assert_int_equal(guest_config_add_group(&config, 7, NULL), 0);
                assert_int_equal(guest_config_add_port(&config, (uint16_t)i, NULL), 0);
        }
        assert_int_equal(guest_config_add_group(&config, 7, NULL), -E2BIG);
        assert_int_equal(guest_config_add_port(&config, 2000, NULL), -E2BIG);
        assert_int_equal(guest_config_add_port(&config, 1, NULL), 0); /* is there already */
        memset(name, 'x', GUEST_CONFIG_HOSTNAME_MAX);
        assert_int_equal(guest_config_set_hostname(&config, name, NULL), 0);
        name[GUEST_CONFIG_HOSTNAME_MAX] = 'x';
        assert_int_equal(guest_config_set_hostname(&config, name, NULL), -EINVAL);
}

static void test_too_large_a_file_is_refused_unread(void **state)
{
        cleanup_free char *file = calloc(1, GUEST_CONFIG_MAX + 1);
        struct guest_config config;
        struct error err = {0};

        (void)state;
        assert_non_null(file);
        assert_int_equal(guest_config_decode(view_of(file, GUEST_CONFIG_MAX + 1), &config, &err), -EBADMSG);
        assert_string_equal(error_text(&err), "larger than 2097152 bytes");
}

static void test_too_large_in_sum(void **state)
{
        cleanup_guest_config struct guest_config config = {0};
        cleanup_buf struct buf b = buf_with_max(2 * (size_t)GUEST_CONFIG_MAX);
        static char big[GUEST_CONFIG_STRING_MAX];

        (void)state;
        memset(big, 'x', sizeof(big) - 1);
        guest_config_init(&config);
        for (int i = 0; i < 17; i++)
                assert_int_equal(guest_config_add_arg(&config, big, NULL), 0);
        assert_int_equal(guest_config_encode(&config, &b, NULL), -E2BIG);
}

struct bad {
        const char *input;
        size_t n;
        const char *text;
};
#define BAD(input, text)                                                                                     \
        {                                                                                                    \
                input, sizeof(input), text                                                                   \
        }

static void test_bad_inputs(void **state)
{
        static const struct bad BADS[] = {
                {"", 0, "does not begin with \"coffer-guest-config 1\""},
                BAD("coffer-guest-config 2\0" END, "does not begin with \"coffer-guest-config 1\""),
                {MAGIC, sizeof(MAGIC) - 1, "record \"end\" is missing: the file was cut"},
                {MAGIC "arg=x\0" REST "end", sizeof(MAGIC "arg=x\0" REST "end") - 1,
                 "record \"end\" is missing: the file was cut"},
                BAD(MAGIC REST END, "record \"arg\" is missing"),
                BAD(MAGIC "arg=x\0cwd=/\0uid=0\0gid=0\0hostname=h\0" END,
                    "record \"stop-signal\" is missing"),
                BAD(MAGIC "serve=processes\0arg=x\0" REST END,
                    "records \"arg\" and \"serve\" exclude each other"),
                BAD(MAGIC "serve=files\0" REST END,
                    "record \"serve\": \"files\" is nothing that can be served"),
                BAD(MAGIC "arg=x\0" REST "uid=1\0" END, "\"uid\" is there twice"),
                BAD(MAGIC "arg=x\0" REST "color=1\0" END, "\"color=1\" is not a known record"),
                BAD(MAGIC "arg=x\0" REST "\0" END, "\"\" is not a known record"),
                BAD(MAGIC "arg=x\0" REST END "\0x", "something follows record \"end\""),
                BAD(MAGIC "uid=4294967295\0" END,
                    "record \"uid\": \"4294967295\" is not a number from 0 to 4294967294"),
                BAD(MAGIC "uid=-1\0" END, "record \"uid\": \"-1\" is not a number from 0 to 4294967294"),
                BAD(MAGIC "stop-signal=0\0" END, "record \"stop-signal\": signal 0 is not a signal"),
                BAD(MAGIC "port=65536\0" END, "record \"port\": \"65536\" is not a number from 0 to 65535"),
                BAD(MAGIC "port=0\0" END, "record \"port\": port 0 is not a port"),
                BAD(MAGIC "cwd=etc\0" END, "record \"cwd\": working folder \"etc\" is not an absolute path"),
                BAD(MAGIC "env=A\0" END, "record \"env\": environment entry \"A\" is not NAME=VALUE"),
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(BADS); i++) {
                struct guest_config config;
                struct error err = {0};

                assert_int_equal(guest_config_decode(view_of(BADS[i].input, BADS[i].n), &config, &err),
                                 -EBADMSG);
                assert_string_equal(error_text(&err), BADS[i].text);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_round_trip),
                cmocka_unit_test(test_an_image_serves_or_has_a_command),
                cmocka_unit_test(test_defaults_are_written_out),
                cmocka_unit_test(test_many_strings),
                cmocka_unit_test(test_what_cannot_be_held_is_refused),
                cmocka_unit_test(test_limits_can_be_reached_and_not_passed),
                cmocka_unit_test(test_too_large_a_file_is_refused_unread),
                cmocka_unit_test(test_too_large_in_sum),
                cmocka_unit_test(test_bad_inputs),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
