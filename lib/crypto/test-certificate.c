/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/crypto/private-key.h"

#include "lib/base/text.h"
#include "lib/crypto/certificate-chain.h"
#include "lib/crypto/openssl-internal.h"
#include "lib/crypto/test-keys.h"

#include <fcntl.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
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

/* As PEM, with `old` in its DER overwritten by `new`, which is as long. */
static struct buf edited_pem(const struct certificate *c, const char *old, const void *new)
{
        struct buf pem = buf_with_max(PEM_FILE_MAX);
        cleanup_buf struct buf der = buf_with_max(PEM_FILE_MAX);

        assert_int_equal(buf_append_view(&der, certificate_der(c)), 0);
        for (uint8_t *at; (at = memmem(der.p, der.n, old, strlen(old)));)
                memcpy(at, new, strlen(old));
        buf_append_string(&pem, "-----BEGIN CERTIFICATE-----\n");
        base64_encode(buf_view(&der), &pem);
        assert_int_equal(buf_append_string(&pem, "\n-----END CERTIFICATE-----\n"), 0);
        return pem;
}

/* For whoever reads it as a string, "coffer" would be all of the name. */
static void a_name_with_a_nul_in_it_is_not_shown(void **state)
{
        cleanup_test_keys struct test_keys keys = {0};
        cleanup_certificate struct certificate *c = NULL, *forged = NULL;
        struct certificate_info info = {0};
        struct error err = {0};
        (void)state;

        test_keys_init(&keys, &p384);
        assert_int_equal(certificate_parse(buf_view(&keys.certificate_pem), &c, &err), 0);
        cleanup_buf struct buf pem = edited_pem(c, "coffer test", "coffer\0test");
        assert_int_equal(certificate_parse(buf_view(&pem), &forged, &err), 0);
        assert_int_equal(certificate_info_init(&info, forged, &err), -EBADMSG);
        assert_string_equal(error_text(&err), "field 2 of a name in the certificate can't be read");
}

static void what_is_too_large_is_refused_before_it_is_read(void **state)
{
        cleanup_test_keys struct test_keys keys = {0};
        cleanup_buf struct buf large = buf_with_max(PEM_FILE_MAX + 1);
        struct certificate *c = NULL;
        struct private_key *k = NULL;
        struct error err = {0};
        (void)state;

        test_keys_init(&keys, &p384);
        buf_append_view(&large, buf_view(&keys.certificate_pem));
        buf_append_view(&large, buf_view(&keys.key_pem));
        while (large.n <= PEM_FILE_MAX)
                buf_append_byte(&large, '\n');
        assert_int_equal(certificate_parse(buf_view(&large), &c, &err), -EBADMSG);
        assert_string_equal(error_text(&err), "too large; a PEM certificate has 1 to 65536 bytes");
        assert_int_equal(private_key_parse(buf_view(&large), &k, &err), -EBADMSG);
        assert_string_equal(error_text(&err), "too large; a PEM private key has 1 to 65536 bytes");
        assert_null(c);
        assert_null(k);
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

static EVP_PKEY *pkey_of(const struct test_keys *keys)
{
        BIO *bio = BIO_new_mem_buf(keys->key_pem.p, (int)keys->key_pem.n);
        EVP_PKEY *pkey = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);

        assert_non_null(pkey);
        BIO_free(bio);
        return pkey;
}

/* A list that revokes nothing, in DER. */
static struct buf empty_list(const struct test_keys *keys)
{
        struct buf der = buf_with_max(PEM_FILE_MAX);
        EVP_PKEY *pkey = pkey_of(keys);
        X509_NAME *issuer = X509_NAME_new();
        ASN1_TIME *now = ASN1_TIME_set(NULL, FROM);
        X509_CRL *crl = X509_CRL_new();
        unsigned char *bytes = NULL;

        assert_true(crl && issuer && now && X509_CRL_set_version(crl, 1) &&
                    X509_CRL_set_issuer_name(crl, issuer) && X509_CRL_set1_lastUpdate(crl, now) &&
                    X509_CRL_sign(crl, pkey, EVP_sha256()) > 0);
        int n = i2d_X509_CRL(crl, &bytes);
        assert_true(n > 0);
        assert_int_equal(buf_append(&der, bytes, (size_t)n), 0);
        OPENSSL_free(bytes);
        X509_CRL_free(crl);
        ASN1_TIME_free(now);
        X509_NAME_free(issuer);
        EVP_PKEY_free(pkey);
        return der;
}

static void a_revocation_list_is_all_that_is_in_its_bytes(void **state)
{
        cleanup_test_keys struct test_keys keys = {0};
        struct crl *crl = NULL;
        struct error err = {0};
        (void)state;

        test_keys_init(&keys, &p384);
        cleanup_buf struct buf der = empty_list(&keys);
        assert_int_equal(crl_parse(buf_view(&der), &crl, &err), 0);
        crl_free(crl);
        crl = NULL;
        assert_int_equal(buf_append_byte(&der, 0), 0);
        assert_int_equal(crl_parse(buf_view(&der), &crl, &err), -EBADMSG);
        assert_string_equal(error_text(&err), "there is more behind the revocation list");
        assert_int_equal(crl_parse(view_of(der.p, der.n - 2), &crl, &err), -EBADMSG);
        assert_int_equal(crl_parse(view_of(NULL, 0), &crl, &err), -EBADMSG);
        assert_null(crl);
}

/* The key that is expected in the end, and one that is the same in its first coordinate alone. */
static void a_root_is_known_by_its_whole_key(void **state)
{
        static const struct test_keys_spec p256 = {.group = "P-256", .not_before = FROM, .not_after = UNTIL};
        cleanup_test_keys struct test_keys keys = {0};
        cleanup_certificate_chain struct certificate_chain chain = {.n = 0};
        cleanup_buf struct buf pem = buf_with_max(PEM_FILE_MAX);
        struct error err = {0};
        uint8_t key[P256_PAIR_SIZE];
        (void)state;

        test_keys_init(&keys, &p256);
        buf_append_view(&pem, buf_view(&keys.certificate_pem));
        buf_append_view(&pem, buf_view(&keys.certificate_pem));
        assert_int_equal(certificate_chain_parse(buf_view(&pem), &chain, &err), 0);
        EVP_PKEY *pkey = pkey_of(&keys);
        assert_int_equal(p256_point(pkey, key, &err), 0);
        EVP_PKEY_free(pkey);
        struct certificate_trust trust = {.root_key = key, .now = FROM};
        /* Not a CA: this far it comes where the key is right. */
        assert_int_equal(certificate_chain_verify(&chain, &trust, &err), -EKEYREJECTED);
        assert_non_null(strstr(error_text(&err), "doesn't say that it may sign others"));
        key[P256_PAIR_SIZE - 1] ^= 1;
        assert_int_equal(certificate_chain_verify(&chain, &trust, &err), -EKEYREJECTED);
        assert_non_null(strstr(error_text(&err), "root whose key is another"));
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_certificate_says_what_it_is),
                cmocka_unit_test(validity_ends_with_its_last_second),
                cmocka_unit_test(a_key_knows_its_certificate),
                cmocka_unit_test(what_is_no_certificate_is_refused_by_name),
                cmocka_unit_test(a_name_with_a_nul_in_it_is_not_shown),
                cmocka_unit_test(what_is_too_large_is_refused_before_it_is_read),
                cmocka_unit_test(what_is_no_usable_key_is_refused_by_name),
                cmocka_unit_test(files_are_named_in_errors),
                cmocka_unit_test(a_revocation_list_is_all_that_is_in_its_bytes),
                cmocka_unit_test(a_root_is_known_by_its_whole_key),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
