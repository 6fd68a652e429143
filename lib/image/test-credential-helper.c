/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/image/credential-helper.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/clock.h"
#include "lib/base/file.h"
#include "lib/base/path.h"
#include "lib/base/text.h"

static char *folder;

static int make_folder(void **state)
{
        (void)state;
        folder = strdup("/tmp/test-credential-helper.XXXXXX");
        if (!folder || !mkdtemp(folder))
                return -1;
        cleanup_free char *path = string_printf("%s:%s", folder, getenv("PATH"));
        return path ? setenv("PATH", path, 1) : -1;
}

static int remove_folder(void **state)
{
        (void)state;
        int r = path_remove_tree(AT_FDCWD, folder, NULL);
        free(folder);
        return r;
}

/* Makes the helper `name` run `script`, and asks it. */
static int ask(const char *name, const char *script, unsigned timeout_ms, struct registry_credentials *ret_c,
               struct error *err)
{
        cleanup_free char *path = string_printf("%s/docker-credential-%s", folder, name);
        cleanup_free char *text = string_printf("#!/bin/sh\n%s\n", script);

        assert_int_equal(file_write_atomic(AT_FDCWD, path, view_of_string(text), 0755, NULL), 0);
        return credential_helper_get(name, "h.x:5", timeout_ms, ret_c, err);
}

static void the_registry_is_told_and_the_answer_taken(void **state)
{
        cleanup_registry_credentials struct registry_credentials c = {0}, token = {0};
        struct error err = {0};

        (void)state;
        assert_int_equal(
                ask("good",
                    "test \"$1\" = get && read -r s || true\n"
                    "printf '{\"ServerURL\":\"%s\",\"Username\":\"u\",\"Secret\":\"of %s\"}' \"$s\" \"$s\"",
                    0, &c, &err),
                0);
        assert_string_equal(c.user, "u");
        assert_string_equal(c.password, "of h.x:5");
        assert_null(c.identity_token);
        assert_int_equal(ask("token", "echo '{\"Username\":\"<token>\",\"Secret\":\"t\"}'", 0, &token, &err),
                         0);
        assert_string_equal(token.identity_token, "t");
        assert_null(token.user);
}

static void a_helper_without_the_credentials_says_so(void **state)
{
        struct registry_credentials c = {0};
        struct error err = {0};

        (void)state;
        assert_int_equal(ask("none", "echo credentials not found in native keychain; exit 1", 0, &c, &err),
                         -ENOENT);
}

static void failures_are_told(void **state)
{
        static const struct {
                const char *script;
                int r;
                const char *text;
        } cases[] = {
                {"printf 'no\\033[31m dbus'; exit 1", -EACCES, "docker-credential-bad: fails: no?[31m dbus"},
                {"exit 3", -EACCES, "it does not say why"},
                {"echo '{\"Secret\":\"s3cr3t\"'", -EBADMSG, "no JSON object with Username and Secret"},
                {"echo '{\"Username\":\"u\"}'", -EBADMSG, "no JSON object with Username and Secret"},
                {"yes s3cr3t", -EFBIG, "says more than 65536 bytes"},
        };
        (void)state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                struct registry_credentials c = {0};
                struct error err = {0};
                assert_int_equal(ask("bad", cases[i].script, 0, &c, &err), cases[i].r);
                if (!strstr(err.text, cases[i].text) || strstr(err.text, "s3cr3t"))
                        fail_msg("case %zu gives: %s", i, err.text);
        }
}

static void a_helper_that_hangs_is_ended(void **state)
{
        struct registry_credentials c = {0};
        struct error err = {0};

        (void)state;
        assert_int_equal(ask("slow", "exec sleep 1000", 200, &c, &err), -ETIMEDOUT);
        assert_int_equal(ask("slow", "exec sleep 1000 >/dev/null", 200, &c, &err), -ETIMEDOUT);
        assert_non_null(strstr(err.text, "docker-credential-slow: does not answer in time"));
}

static void a_missing_helper_is_named(void **state)
{
        struct registry_credentials c = {0};
        struct error err = {0};

        (void)state;
        assert_int_equal(credential_helper_get("absent", "h", 0, &c, &err), -EACCES);
        assert_non_null(strstr(err.text, "docker-credential-absent"));
        assert_non_null(strstr(err.text, "--credential-helpers"));
}

static void only_names_become_programs(void **state)
{
        static const char *const bad[] = {"", "../x", "a/b", "a b", ".hidden", "a;b"};

        (void)state;
        assert_true(credential_helper_name_is_valid("ecr-login"));
        for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
                assert_false(credential_helper_name_is_valid(bad[i]));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_registry_is_told_and_the_answer_taken),
                cmocka_unit_test(a_helper_without_the_credentials_says_so),
                cmocka_unit_test(failures_are_told),
                cmocka_unit_test(a_helper_that_hangs_is_ended),
                cmocka_unit_test(a_missing_helper_is_named),
                cmocka_unit_test(only_names_become_programs),
        };
        return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
