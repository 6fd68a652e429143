/* SPDX-License-Identifier: Apache-2.0 */
/* test-http-trust.c - which certificates are found; tests/e2e/test_image_faults.py talks with them. */
#include "lib/image/http-trust.h"

#include "lib/base/file.h"
#include "lib/base/path.h"
#include "lib/base/text.h"

#include <curl/curl.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define DOMAIN "h.invalid:5000" /* of which the machine's own folders know nothing */
#define BEGIN  "-----BEGIN CERTIFICATE-----"

static char *folder;

static int set_up(void **state)
{
        (void)state;
        folder = strdup("/tmp/test-http-trust.XXXXXX");
        if (!folder || !mkdtemp(folder))
                return -1;
        unsetenv("SSL_CERT_FILE");
        return setenv("XDG_CONFIG_HOME", folder, 1);
}

static int tear_down(void **state)
{
        (void)state;
        int r = path_remove_tree(AT_FDCWD, folder, NULL);
        free(folder);
        return r;
}

/* A file in the registry's own folder. */
static void put(const char *name, const char *content)
{
        cleanup_free char *certs = string_printf("%s/containers/certs.d/" DOMAIN, folder);
        cleanup_free char *path = path_join(certs, name);

        assert_int_equal(path_make_dirs(certs, 0700, NULL), 0);
        assert_int_equal(file_write_atomic(AT_FDCWD, path, view_of_string(content), 0600, NULL), 0);
}

/* A file anywhere else; its path. */
static char *put_beside(const char *name, const char *content)
{
        char *path = path_join(folder, name);

        assert_int_equal(file_write_atomic(AT_FDCWD, path, view_of_string(content), 0600, NULL), 0);
        return path;
}

static void expect(const char *ca_file, const char *authorities)
{
        cleanup_http_trust struct http_trust t = {0};
        struct error err = {0};

        if (http_trust_find(DOMAIN, ca_file, NULL, &t, &err) < 0)
                fail_msg("%s", error_text(&err));
        assert_string_equal(buf_string(&t.authorities), authorities);
}

static void refuse(const char *ca_file, int code, const char *text)
{
        struct http_trust t = {0};
        struct error err = {0};

        assert_int_equal(http_trust_find(DOMAIN, ca_file, NULL, &t, &err), code);
        if (!strstr(error_text(&err), text))
                fail_msg("\"%s\" lacks \"%s\"", error_text(&err), text);
}

static void authorities_stand_beside_the_systems(void **state)
{
        cleanup_free char *system = put_beside("system.pem", BEGIN "s");
        cleanup_free char *further = put_beside("further.pem", BEGIN "f\n");

        (void)state;
        expect(NULL, "");
        setenv("SSL_CERT_FILE", system, 1);
        expect(NULL, BEGIN "s\n");
        expect(further, BEGIN "s\n" BEGIN "f\n\n");
        put("a.crt", BEGIN "a");
        put("README", "nothing");
        expect(NULL, BEGIN "s\n" BEGIN "a\n");
        expect(further, BEGIN "s\n" BEGIN "f\n\n" BEGIN "a\n");
}

/* libcurl's own list does not count any more once it is given another. */
static void authorities_do_not_take_the_systems_away(void **state)
{
        const char *built_in = curl_version_info(CURLVERSION_NOW)->cainfo;
        cleanup_free char *further = put_beside("further.pem", BEGIN "f\n");

        (void)state;
        if (!built_in || access(built_in, R_OK) < 0)
                skip(); /* a libcurl without a list */
        for (int own = 0; own < 2; own++) {
                cleanup_http_trust struct http_trust t = {0};

                if (own)
                        put("a.crt", BEGIN "f\n");
                assert_int_equal(http_trust_find(DOMAIN, own ? NULL : further, NULL, &t, NULL), 0);
                assert_true(string_ends_with(buf_string(&t.authorities), BEGIN "f\n\n"));
                assert_true(t.authorities.n > 1000);
        }
}

static void what_is_no_authority_is_named(void **state)
{
        cleanup_free char *missing = path_join(folder, "missing.pem");
        cleanup_free char *other = put_beside("other.pem", "no certificate");

        (void)state;
        refuse(missing, -ENOENT, "missing.pem");
        refuse(other, -EBADMSG, "other.pem: holds no certificate in PEM form");
        put("a.crt", "no certificate");
        refuse(NULL, -EBADMSG, "a.crt: holds no certificate in PEM form");
}

static void our_own_certificate_is_one_with_its_key(void **state)
{
        cleanup_http_trust struct http_trust t = {0};

        (void)state;
        put("a.cert", BEGIN);
        refuse(NULL, -ENOENT, "a.key, the key of ");
        put("a.key", BEGIN);
        assert_int_equal(http_trust_find(DOMAIN, NULL, NULL, &t, NULL), 0);
        assert_true(string_ends_with(t.cert_file, "/" DOMAIN "/a.cert"));
        assert_true(string_ends_with(t.key_file, "/" DOMAIN "/a.key"));
        put("b.cert", BEGIN);
        put("b.key", BEGIN);
        refuse(NULL, -EINVAL, "only one certificate of our own can be used");
}

static void no_certificate_is_left_out_without_a_word(void **state)
{
        char name[16];

        (void)state;
        for (int i = 0; i < 254; i++) {
                snprintf(name, sizeof(name), "%d.txt", i);
                put(name, "");
        }
        expect(NULL, "");
        put("more.txt", "");
        refuse(NULL, -E2BIG, DOMAIN ": more than 254 names");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        const struct CMUnitTest tests[] = {
                TEST(authorities_stand_beside_the_systems),
                TEST(authorities_do_not_take_the_systems_away),
                TEST(what_is_no_authority_is_named),
                TEST(our_own_certificate_is_one_with_its_key),
                TEST(no_certificate_is_left_out_without_a_word),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
