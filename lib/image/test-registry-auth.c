/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/image/registry-auth.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/file.h"
#include "lib/base/path.h"
#include "lib/base/text.h"

/* base64 of a:1, b:2, c:3 and d:4:5, as "auth" */
#define A1 "{\"auth\":\"YTox\"}"
#define B2 "{\"auth\":\"Yjoy\"}"
#define C3 "{\"auth\":\"Yzoz\"}"
#define D4 "{\"auth\":\"ZDo0OjU=\"}"

static int parse(const char *json, const char *domain, const char *path, struct registry_credentials *ret_c,
                 struct error *err)
{
        cleanup_registry_credentials_entry struct registry_credentials_entry e = {0};
        int r = registry_credentials_parse(view_of_string(json), domain, path, &e, err);

        if (r == 0) {
                *ret_c = e.credentials;
                e.credentials = (struct registry_credentials){0};
        }
        return r;
}

static void the_most_specific_key_wins(void **state)
{
        static const char json[] =
                "{\"auths\":{\"h.x\":" A1 ",\"h.x/n\":" B2 ",\"h.x/n/r\":" C3 ",\"h.x:5\":" D4 "}}";
        static const struct {
                const char *domain, *path, *user, *password;
        } cases[] = {
                {"h.x", "other", "a", "1"},      {"h.x", "n/other", "b", "2"}, {"h.x", "n/r", "c", "3"},
                {"h.x", "n/r/deeper", "c", "3"}, {"h.x", "nn/r", "a", "1"},    {"h.x:5", "n/r", "d", "4:5"},
        };
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                cleanup_registry_credentials struct registry_credentials c = {0};
                struct error err = {0};
                assert_int_equal(parse(json, cases[i].domain, cases[i].path, &c, &err), 0);
                assert_string_equal(c.user, cases[i].user);
                assert_string_equal(c.password, cases[i].password);
        }
}

static void another_host_gets_nothing(void **state)
{
        static const char json[] = "{\"auths\":{\"h.x\":" A1 "}}";
        static const char *const hosts[] = {"h.x.evil", "evil.h.x", "h.x:5", "h"};

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(hosts); i++) {
                cleanup_registry_credentials struct registry_credentials c = {0};
                struct error err = {0};
                assert_int_equal(parse(json, hosts[i], "n", &c, &err), 0);
                assert_null(c.user);
        }
}

static void dockers_urls_are_understood(void **state)
{
        static const char *const keys[] = {"https://index.docker.io/v1/", "index.docker.io", "docker.io",
                                           "registry-1.docker.io"};
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
                cleanup_registry_credentials struct registry_credentials c = {0};
                struct error err = {0};
                cleanup_free char *json = string_printf("{\"auths\":{\"%s\":" A1 "}}", keys[i]);
                assert_int_equal(parse(json, "docker.io", "library/debian", &c, &err), 0);
                assert_string_equal(c.user, "a");
        }
        cleanup_registry_credentials struct registry_credentials c = {0};
        assert_int_equal(parse("{\"auths\":{\"http://h.x/v2/\":" A1 "}}", "h.x", "n", &c, NULL), 0);
}

static void tokens_and_plain_members_are_taken(void **state)
{
        cleanup_registry_credentials struct registry_credentials token = {0}, plain = {0};

        (void)state;
        assert_int_equal(parse("{\"auths\":{\"h\":{\"auth\":\"YTo=\",\"identitytoken\":\"t\"}}}", "h", "n",
                               &token, NULL),
                         0);
        assert_string_equal(token.identity_token, "t");
        assert_int_equal(
                parse("{\"auths\":{\"h\":{\"username\":\"u\",\"password\":\"p\"}}}", "h", "n", &plain, NULL),
                0);
        assert_string_equal(plain.password, "p");
        cleanup_free char *header = auth_basic_header(&plain);
        assert_string_equal(header, "Basic dTpw");
}

static void helpers_are_named(void **state)
{
        static const struct {
                const char *json, *helper, *common_helper;
        } cases[] = {
                {"{\"auths\":{\"h\":{}},\"credsStore\":\"desktop\"}", NULL, "desktop"},
                {"{\"credHelpers\":{\"h\":\"pass\",\"i\":\"other\"}}", "pass", NULL},
                {"{\"credHelpers\":{\"i\":\"other\"},\"credsStore\":\"\"}", NULL, NULL},
        };
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                cleanup_registry_credentials_entry struct registry_credentials_entry e = {0};
                assert_int_equal(
                        registry_credentials_parse(view_of_string(cases[i].json), "h", "n", &e, NULL), 0);
                assert_null(e.credentials.user);
                if (cases[i].helper)
                        assert_string_equal(e.helper, cases[i].helper);
                else
                        assert_null(e.helper);
                if (cases[i].common_helper)
                        assert_string_equal(e.common_helper, cases[i].common_helper);
                else
                        assert_null(e.common_helper);
        }
}

static void malformed_files_are_refused(void **state)
{
        static const char *const cases[][2] = {
                {"", "not acceptable JSON"},
                {"[]", "not a JSON object"},
                {"{\"auths\":[]}", "\"auths\" is not an object"},
                {"{\"auths\":{\"h\":1}}", "credentials for h: not an object"},
                {"{\"auths\":{\"h\":{\"auth\":\"!\"}}}", "not base64"},
                {"{\"auths\":{\"h\":{\"auth\":\"YQ==\"}}}", "not USER:PASSWORD"},
                {"{\"auths\":{\"h\":" A1 ",\"h\":" B2 "}}", "duplicate"},
                {"{\"credsStore\":\"../x\"}", "no name of a credential helper"},
                {"{\"credHelpers\":{\"h\":\"a b\"}}", "no name of a credential helper"},
                {"{\"credHelpers\":[]}", "\"credHelpers\" is not an object"},
        };
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                cleanup_registry_credentials struct registry_credentials c = {0};
                struct error err = {0};
                assert_true(parse(cases[i][0], "h", "n", &c, &err) < 0);
                if (!strstr(err.text, cases[i][1]))
                        fail_msg("case %zu gives: %s", i, err.text);
        }
}

static char *folder;

static int make_folder(void **state)
{
        (void)state;
        folder = strdup("/tmp/test-registry-auth.XXXXXX");
        return folder && mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
        (void)state;
        int r = path_remove_tree(AT_FDCWD, folder, NULL);
        free(folder);
        return r;
}

/* Puts `json` at `name` below the folder and gives its path. */
static char *put(const char *name, const char *json)
{
        char *path = path_join(folder, name);
        cleanup_free char *parent = strndup(path, (size_t)(strrchr(path, '/') - path));

        assert_int_equal(path_make_dirs(parent, 0700, NULL), 0);
        assert_int_equal(file_write_atomic(AT_FDCWD, path, view_of_string(json), 0600, NULL), 0);
        return path;
}

/* The same, where the path is not wanted. */
static void put_only(const char *name, const char *json)
{
        cleanup_free char *path = put(name, json);

        assert_non_null(path);
}

static void find(const char *authfile, const char *user)
{
        cleanup_registry_credentials struct registry_credentials c = {0};
        struct error err = {0};

        const struct registry_credentials_places places = {.authfile = authfile};

        assert_int_equal(registry_credentials_find(&places, "h.x", "n", &c, &err), 0);
        if (user)
                assert_string_equal(c.user, user);
        else
                assert_null(c.user);
}

static void files_are_looked_for_in_order(void **state)
{
        cleanup_free char *run = path_join(folder, "run"), *docker = path_join(folder, "docker");

        (void)state;
        unsetenv("REGISTRY_AUTH_FILE");
        unsetenv("XDG_CONFIG_HOME");
        setenv("HOME", folder, 1);
        setenv("XDG_RUNTIME_DIR", run, 1);
        setenv("DOCKER_CONFIG", docker, 1);
        find(NULL, NULL);
        cleanup_free char *last = put("docker/config.json", "{\"auths\":{\"h.x\":" A1 "}}");
        find(NULL, "a");
        put_only(".config/containers/auth.json", "{\"auths\":{\"other\":" B2 "}}");
        find(NULL, "a");
        put_only("run/containers/auth.json", "{\"auths\":{\"h.x\":" B2 "}}");
        find(NULL, "b");
        cleanup_free char *named = put("named.json", "{\"auths\":{\"h.x\":" C3 "}}");
        setenv("REGISTRY_AUTH_FILE", named, 1);
        find(NULL, "c");
        find(last, "a");
        unsetenv("DOCKER_CONFIG");
        unsetenv("XDG_RUNTIME_DIR");
        unsetenv("REGISTRY_AUTH_FILE");
        find(NULL, NULL);
        put_only(".docker/config.json", "{\"auths\":{\"h.x\":" D4 "}}");
        find(NULL, "d");
}

static void a_named_file_must_exist_and_be_right(void **state)
{
        cleanup_registry_credentials struct registry_credentials c = {0};
        cleanup_free char *missing = path_join(folder, "missing"), *bad = put("bad.json", "{");
        struct error err = {0};

        (void)state;
        const struct registry_credentials_places no_file = {.authfile = missing},
                                                 bad_file = {.authfile = bad};
        assert_int_equal(registry_credentials_find(&no_file, "h.x", "n", &c, &err), -ENOENT);
        assert_non_null(strstr(err.text, missing));
        assert_int_equal(registry_credentials_find(&bad_file, "h.x", "n", &c, &err), -EBADMSG);
        assert_non_null(strstr(err.text, bad));
}

/* There is no such program: whoever asks it fails. */
static void helpers_are_asked_where_that_was_said_and_nothing_more_specific_is_there(void **state)
{
        cleanup_free char *own =
                put("own.json", "{\"auths\":{\"h.x\":" A1 "},\"credHelpers\":{\"h.x\":\"absent\"}}");
        cleanup_free char *common =
                put("common.json", "{\"auths\":{\"h.x\":" B2 "},\"credsStore\":\"absent\"}");
        const struct {
                const char *file;
                const char *domain;
                bool run;
                const char *user; /* NULL: fails */
        } cases[] = {
                {own, "h.x", false, "a"},
                {own, "h.x", true, NULL},
                {common, "h.x", true, "b"},
                {common, "h.y", true, NULL},
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                const struct registry_credentials_places places = {.authfile = cases[i].file,
                                                                   .run_helpers = cases[i].run};
                cleanup_registry_credentials struct registry_credentials c = {0};
                int r = registry_credentials_find(&places, cases[i].domain, "n", &c, NULL);

                assert_int_equal(r, cases[i].user ? 0 : -EACCES);
                if (cases[i].user)
                        assert_string_equal(c.user, cases[i].user);
                else
                        assert_null(c.user);
        }
}

static void challenges_are_read(void **state)
{
        static const struct {
                const char *headers;
                enum auth_scheme scheme;
                const char *realm, *service, *scope;
        } cases[] = {
                {"Basic realm=\"x y\"\n", AUTH_BASIC, "x y", NULL, NULL},
                {"bearer realm=\"https://a/t\",service=\"s\",scope=\"repository:a/b:pull,push\"", AUTH_BEARER,
                 "https://a/t", "s", "repository:a/b:pull,push"},
                {"Negotiate\nBasic realm=b, Bearer realm=\"https://a\" , error=\"invalid\"", AUTH_BEARER,
                 "https://a", NULL, NULL},
                {"Bearer realm=\"https://a\"\nBasic realm=\"b\"", AUTH_BEARER, "https://a", NULL, NULL},
                {"Bearer realm=\"q\\\"q\"", AUTH_BEARER, "q\"q", NULL, NULL},
                {"Digest realm=\"d\", nonce=\"n\"", AUTH_NONE, NULL, NULL, NULL},
                {"", AUTH_NONE, NULL, NULL, NULL},
        };
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                cleanup_auth_challenge struct auth_challenge c = {0};
                struct error err = {0};
                assert_int_equal(auth_challenge_parse(cases[i].headers, &c, &err), 0);
                assert_int_equal(c.scheme, cases[i].scheme);
                if (cases[i].realm)
                        assert_string_equal(c.realm, cases[i].realm);
                if (cases[i].service)
                        assert_string_equal(c.service, cases[i].service);
                if (cases[i].scope)
                        assert_string_equal(c.scope, cases[i].scope);
        }
}

static void senseless_challenges_are_refused(void **state)
{
        static const char *const cases[] = {"Bearer service=\"s\"", "Bearer realm=\"https://a", "=\"x\"",
                                            "Bearer realm=\x01"};

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                cleanup_auth_challenge struct auth_challenge c = {0};
                struct error err = {0};
                assert_int_equal(auth_challenge_parse(cases[i], &c, &err), -EBADMSG);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_most_specific_key_wins),
                cmocka_unit_test(another_host_gets_nothing),
                cmocka_unit_test(dockers_urls_are_understood),
                cmocka_unit_test(tokens_and_plain_members_are_taken),
                cmocka_unit_test(helpers_are_named),
                cmocka_unit_test(malformed_files_are_refused),
                cmocka_unit_test(files_are_looked_for_in_order),
                cmocka_unit_test(a_named_file_must_exist_and_be_right),
                cmocka_unit_test(helpers_are_asked_where_that_was_said_and_nothing_more_specific_is_there),
                cmocka_unit_test(challenges_are_read),
                cmocka_unit_test(senseless_challenges_are_refused),
        };
        return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
