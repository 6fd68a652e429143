/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/image/reference.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define A20 "aaaaaaaaaaaaaaaaaaaa"
#define A80 A20 A20 A20 A20

static void normalises_as_docker_does(void **state)
{
        static const char *const cases[][2] = {
                {"debian", "docker.io/library/debian:latest"},
                {"debian:12", "docker.io/library/debian:12"},
                {"user/app", "docker.io/user/app:latest"},
                {"docker.io/debian", "docker.io/library/debian:latest"},
                {"index.docker.io/user/app:v1", "docker.io/user/app:v1"},
                {"localhost/app", "localhost/app:latest"},
                {"localhost:5000/app", "localhost:5000/app:latest"},
                {"127.0.0.1:5000/a/b/c:x", "127.0.0.1:5000/a/b/c:x"},
                {"[::1]:5000/app:1", "[::1]:5000/app:1"},
                {"Host/app", "Host/app:latest"},
                {"quay.io/a__b/c---d/e.f_g:A_b.c-d", "quay.io/a__b/c---d/e.f_g:A_b.c-d"},
                {"app@sha256:" HEX, "docker.io/library/app@sha256:" HEX},
                {"example.org/app:1@sha256:" HEX, "example.org/app:1@sha256:" HEX},
                {"a" HEX, "docker.io/library/a" HEX ":latest"},
                {A80 A80 A80 "aaaaaaa", "docker.io/library/" A80 A80 A80 "aaaaaaa:latest"},
                {"host.example/" A80 A80 A80 "aaaaaaaaaaaaaaa",
                 "host.example/" A80 A80 A80 "aaaaaaaaaaaaaaa:latest"},
        };
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                cleanup_reference struct reference r = {0};
                struct error err = {0};
                assert_int_equal(reference_parse(cases[i][0], &r, &err), 0);
                cleanup_free char *text = reference_format(&r);
                assert_string_equal(text, cases[i][1]);
        }
}

static void takes_what_is_as_long_as_may_be(void **state)
{
        static const char *const cases[] = {
                "a:" A80 A20 A20 "12345678",      /* a tag of 128 */
                "h.x/" A80 A80 A80 "12345678901", /* a name of 255 */
        };
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                cleanup_reference struct reference r = {0};
                struct error err = {0};
                if (reference_parse(cases[i], &r, &err) < 0)
                        fail_msg("%s", error_text(&err));
        }
}

static void refuses_what_docker_refuses(void **state)
{
        static const char *const cases[][2] = {
                {"", "it has no name"},
                {"Debian", "must be lower-case"},
                {"user/App", "must be lower-case"},
                {"debian:", "its tag is empty"},
                {"debian:-x", "its tag has a character"},
                {"debian:a/b:", "its tag is empty"},
                {":tag", "it has no name"},
                {"@sha256:" HEX, "it has no name"},
                {"app@sha256:1234", "its digest is not"},
                {"app@md5:1234", "its digest is not"},
                {"app@sha256:" HEX "@sha256:" HEX, "its digest is not"},
                {"a//b", "an empty component"},
                {"/a", "an empty component"},
                {"a/", "a slash"},
                {"a/b/", "a slash"},
                {"host.example/", "it has no name"},
                {"a..b", "a character or a separator"},
                {"a___b", "a character or a separator"},
                {"a.-b", "a character or a separator"},
                {"-a", "a character or a separator"},
                {"a-", "a character or a separator"},
                {"a b", "a character that names can't have"},
                {"host:0/app", "its host is not"},
                {"host:65536/app", "its host is not"},
                {"ho_st.x/app", "its host is not"},
                {"-host.x/app", "its host is not"},
                {"host..x/app", "its host is not"},
                {"host.:1/app", "its host is not"},
                {"[zz]:1/app", "its host is not"},
                {"[::ffff:1.2.3.4]:1/app", "its host is not"},
                {"[::1%eth0]:1/app", "its host is not"},
                {"[2001]/app", "its host is not"},
                {"[:::]:1/app", "its host is not"},
                {"[::1/app", "its host is not"},
                {"[]/app", "its host is not"},
                {HEX, "it is an image id"},
                {A80 A80 A80 "aaaaaaaa", "longer than 255"},
                {"host.example/" A80 A80 A80 "aaaaaaaaaaaaaaaa", "longer than 255"},
                {A80 "." A80 "." A80 "." A20 ":1/app", "longer than 259"},
                {"a:" A80 A80, "longer than 128"},
                {"a:" A80 A20 A20 "123456789", "longer than 128"},
                {A80 A80 A80 A80 A80 A80 A80 A80 A80 A80, "it is too long"},
        };
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                cleanup_reference struct reference r = {0};
                struct error err = {0};
                assert_int_equal(reference_parse(cases[i][0], &r, &err), -EINVAL);
                if (!strstr(err.text, cases[i][1]))
                        fail_msg("\"%s\" gives: %s", cases[i][0], err.text);
        }
}

static void knows_the_explicit_forms(void **state)
{
        static const struct {
                const char *uri;
                enum image_transport transport;
                const char *first;  /* path, or the reference's path */
                const char *second; /* selector, or the reference's tag */
        } cases[] = {
                {"debian", IMAGE_TRANSPORT_NAME, "library/debian", "latest"},
                {"docker-daemon:debian:12", IMAGE_TRANSPORT_DOCKER_DAEMON, "library/debian", "12"},
                {"docker://quay.io/a/b:1", IMAGE_TRANSPORT_REGISTRY, "a/b", "1"},
                {"docker-archive:/x/y.tar", IMAGE_TRANSPORT_DOCKER_ARCHIVE, "/x/y.tar", NULL},
                {"docker-archive:y.tar:debian", IMAGE_TRANSPORT_DOCKER_ARCHIVE, "y.tar",
                 "docker.io/library/debian:latest"},
                {"docker-archive:y.tar:@1", IMAGE_TRANSPORT_DOCKER_ARCHIVE, "y.tar", "@1"},
                {"oci:/x/y", IMAGE_TRANSPORT_OCI, "/x/y", NULL},
                {"oci:y:docker.io/library/a:1", IMAGE_TRANSPORT_OCI, "y", "docker.io/library/a:1"},
                {"oci-archive:y.tar:latest", IMAGE_TRANSPORT_OCI_ARCHIVE, "y.tar", "latest"},
        };
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                cleanup_image_uri struct image_uri u = {0};
                struct error err = {0};
                assert_int_equal(image_uri_parse(cases[i].uri, &u, &err), 0);
                assert_int_equal(u.transport, cases[i].transport);
                assert_string_equal(u.path ? u.path : u.reference.path, cases[i].first);
                const char *second = u.path ? u.selector : u.reference.tag;
                if (cases[i].second)
                        assert_string_equal(second, cases[i].second);
                else
                        assert_null(second);
        }
}

static void takes_an_image_id_from_the_engine_only(void **state)
{
        cleanup_image_uri struct image_uri u = {0};
        struct error err = {0};

        (void)state;
        assert_int_equal(image_uri_parse("docker-daemon:sha256:" HEX, &u, &err), 0);
        assert_true(u.reference.has_digest);
        assert_null(u.reference.path);
        cleanup_free char *text = reference_format(&u.reference);
        assert_string_equal(text, "sha256:" HEX);
}

static void says_how_to_name_a_file(void **state)
{
        static const char *const cases[][2] = {
                {"/x/y.tar", "for a file or folder write"},     {"./y", "for a file or folder write"},
                {"oci:", "no file or folder is named"},         {"oci:dir:", "nothing follows the colon"},
                {"docker-archive:x:Bad", "must be lower-case"}, {"docker://", "it has no name"},
        };
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                cleanup_image_uri struct image_uri u = {0};
                struct error err = {0};
                assert_int_equal(image_uri_parse(cases[i][0], &u, &err), -EINVAL);
                if (!strstr(err.text, cases[i][1]))
                        fail_msg("\"%s\" gives: %s", cases[i][0], err.text);
        }
}

static void loopback_is_only_this_machine(void **state)
{
        (void)state;
        assert_true(reference_domain_is_loopback("localhost"));
        assert_true(reference_domain_is_loopback("localhost:5000"));
        assert_true(reference_domain_is_loopback("127.8.0.1:1"));
        assert_true(reference_domain_is_loopback("[::1]:5000"));
        assert_false(reference_domain_is_loopback("localhost.example.org"));
        assert_false(reference_domain_is_loopback("127.0.0.1.example.org"));
        assert_false(reference_domain_is_loopback("127.0.0"));
        assert_false(reference_domain_is_loopback("127.0.0.1.2"));
        assert_false(reference_domain_is_loopback("128.0.0.1"));
        assert_false(reference_domain_is_loopback("docker.io"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(normalises_as_docker_does),
                cmocka_unit_test(takes_what_is_as_long_as_may_be),
                cmocka_unit_test(refuses_what_docker_refuses),
                cmocka_unit_test(knows_the_explicit_forms),
                cmocka_unit_test(takes_an_image_id_from_the_engine_only),
                cmocka_unit_test(says_how_to_name_a_file),
                cmocka_unit_test(loopback_is_only_this_machine),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
