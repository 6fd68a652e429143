/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/crypto/private-key.h"
#include "lib/crypto/test-keys.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

/* 2026-11-20 and a year later. */
enum { FROM = 1795132800, UNTIL = FROM + 365 * 86400 };

static const struct test_keys_spec p384 = {.group = "P-384", .not_before = FROM, .not_after = UNTIL};

static void a_certificate_says_what_it_is(void **state)
{
        cleanup_test_keys struct test_keys keys = {0};
        cleanup_certificate struct certificate *c = NULL;
        cleanup_certificate_info struct certificate_info info = {0};
        struct error err = {0};
        (void)state;

        test_keys_init(&keys, &p384);
        assert_int_equal(certificate_parse(buf_view(&keys.certificate_pem), &c, &err), 0);
        assert_string_equal(certificate_curve(c)->name, "P-384");
        assert_int_equal(certificate_curve(c)->cose_algorithm, -35);
        assert_true(view_equal(certificate_pem(c), buf_view(&keys.certificate_pem)));
        assert_int_equal(certificate_der(c).p[0], 0x30);
        assert_int_equal(certificate_info_init(&info, c, &err), 0);
        assert_string_equal(info.not_before, "2026-11-20T00:00:00Z");
        assert_string_equal(info.not_after, "2027-11-20T00:00:00Z");
        assert_string_equal(info.signature_algorithm, "ecdsa-with-SHA384");
        assert_in_range(info.signature.n, 90, 110);
        assert_int_equal(info.issuer.n, 3);
        assert_string_equal(info.issuer.field[0].name, "countryName");
        assert_string_equal(info.issuer.field[2].name, "commonName");
        assert_string_equal(info.issuer.field[2].value, "coffer test \xc3\xa4");
        assert_int_equal(info.subject.n, 3);
}

static void validity_ends_with_its_last_second(void **state)
{
        cleanup_test_keys struct test_keys keys = {0};
        cleanup_certificate struct certificate *c = NULL;
        struct error err = {0};
        (void)state;

        test_keys_init(&keys, &p384);
        assert_int_equal(certificate_parse(buf_view(&keys.certificate_pem), &c, &err), 0);
        assert_int_equal(certificate_check_time(c, FROM, &err), 0);
        assert_int_equal(certificate_check_time(c, UNTIL, &err), 0);
        assert_int_equal(certificate_check_time(c, UNTIL + 1, &err), -EKEYEXPIRED);
        assert_string_equal(
                error_text(&err),
                "the certificate expired at 2027-11-20T00:00:00Z, it is 2027-11-20T00:00:01Z now");
        assert_int_equal(certificate_check_time(c, FROM - 1, &err), -EKEYREJECTED);
        assert_string_equal(error_text(&err),
                            "the certificate is not valid before 2026-11-20T00:00:00Z, it is "
                            "2026-11-19T23:59:59Z now");
}

static void a_key_knows_its_certificate(void **state)
{
        cleanup_test_keys struct test_keys a = {0}, b = {0};
        cleanup_certificate struct certificate *ca = NULL, *cb = NULL;
        cleanup_private_key struct private_key *ka = NULL;
        struct error err = {0};
        (void)state;

        test_keys_init(&a, &p384);
        test_keys_init(&b, &p384);
        assert_int_equal(certificate_parse(buf_view(&a.certificate_pem), &ca, &err), 0);
        assert_int_equal(certificate_parse(buf_view(&b.certificate_pem), &cb, &err), 0);
        assert_int_equal(private_key_parse(buf_view(&a.key_pem), &ka, &err), 0);
        assert_string_equal(private_key_curve(ka)->name, "P-384");
        assert_int_equal(private_key_match(ka, ca, &err), 0);
        assert_int_equal(private_key_match(ka, cb, &err), -EKEYREJECTED);
        assert_non_null(strstr(error_text(&err), "doesn't belong to the certificate"));
}

static void what_is_no_certificate_is_refused_by_name(void **state)
{
        cleanup_test_keys struct test_keys keys = {0}, rsa = {0}, k1 = {0};
        struct certificate *c = NULL;
        struct error err = {0};
        (void)state;

        test_keys_init(&keys, &p384);
        assert_int_equal(certificate_parse(view_of_string(""), &c, &err), -EBADMSG);
        assert_non_null(strstr(error_text(&err), "empty"));
        assert_int_equal(certificate_parse(buf_view(&keys.key_pem), &c, &err), -EBADMSG);
        assert_non_null(strstr(error_text(&err), "holds no certificate"));
        /* Cut in the middle. */
        assert_int_equal(certificate_parse(view_of(keys.certificate_pem.p, 200), &c, &err), -EBADMSG);
        assert_non_null(strstr(error_text(&err), "can't be decoded"));
        test_keys_init(&rsa, &(struct test_keys_spec){.group = "RSA", .not_after = UNTIL});
        assert_int_equal(certificate_parse(buf_view(&rsa.certificate_pem), &c, &err), -ENOTSUP);
        assert_string_equal(error_text(&err),
                            "the certificate: has a key of type RSA; use an elliptic-curve key on "
                            "P-256, P-384 or P-521");
        test_keys_init(&k1, &(struct test_keys_spec){.group = "secp256k1", .not_after = UNTIL});
        assert_int_equal(certificate_parse(buf_view(&k1.certificate_pem), &c, &err), -ENOTSUP);
        assert_non_null(strstr(error_text(&err), "curve secp256k1"));
        assert_null(c);
}

static void what_is_no_usable_key_is_refused_by_name(void **state)
{
        cleanup_test_keys struct test_keys encrypted = {0}, rsa = {0};
        struct private_key *k = NULL;
        struct error err = {0};
        (void)state;

        test_keys_init(&encrypted, &(struct test_keys_spec){.group = "P-256", .passphrase = "secret"});
        assert_int_equal(private_key_parse(buf_view(&encrypted.key_pem), &k, &err), -ENOTSUP);
        assert_non_null(strstr(error_text(&err), "is encrypted; decrypt it with openssl pkey"));
        assert_int_equal(private_key_parse(buf_view(&encrypted.certificate_pem), &k, &err), -EBADMSG);
        assert_non_null(strstr(error_text(&err), "holds no private key"));
        test_keys_init(&rsa, &(struct test_keys_spec){.group = "RSA"});
        assert_int_equal(private_key_parse(buf_view(&rsa.key_pem), &k, &err), -ENOTSUP);
        assert_non_null(strstr(error_text(&err), "type RSA"));
        assert_null(k);
}

static void files_are_named_in_errors(void **state)
{
        cleanup_test_keys struct test_keys keys = {0};
        cleanup_certificate struct certificate *c = NULL;
        cleanup_private_key struct private_key *k = NULL;
        struct error err = {0};
        char name[] = "/tmp/test-certificate-XXXXXX";
        int fd = mkstemp(name);
        (void)state;

        assert_true(fd >= 0);
        test_keys_init(&keys, &p384);
        assert_int_equal(write(fd, keys.key_pem.p, keys.key_pem.n), keys.key_pem.n);
        assert_int_equal(fchmod(fd, 0644), 0); /* readable by all: the owner's business */
        close(fd);
        assert_int_equal(private_key_read(AT_FDCWD, name, &k, &err), 0);
        assert_int_equal(certificate_read(AT_FDCWD, name, &c, &err), -EBADMSG);
        assert_true(strncmp(error_text(&err), name, strlen(name)) == 0);
        unlink(name);
        assert_int_equal(certificate_read(AT_FDCWD, name, &c, &err), -ENOENT);
        assert_true(strncmp(error_text(&err), name, strlen(name)) == 0);
        assert_int_equal(private_key_read(AT_FDCWD, "/tmp", &k, &err), -EISDIR);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_certificate_says_what_it_is),
                cmocka_unit_test(validity_ends_with_its_last_second),
                cmocka_unit_test(a_key_knows_its_certificate),
                cmocka_unit_test(what_is_no_certificate_is_refused_by_name),
                cmocka_unit_test(what_is_no_usable_key_is_refused_by_name),
                cmocka_unit_test(files_are_named_in_errors),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
