/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/crypto/test-keys.h"

#include "lib/crypto/openssl-internal.h"

#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include <stdlib.h>
#include <string.h>

enum { TEST_PEM_MAX = 16 * 1024 };

static void must(bool ok)
{
        if (!ok) {
                ERR_print_errors_fp(stderr);
                abort();
        }
}

static void take_bio(BIO *bio, struct buf *ret_b)
{
        char *p = NULL;
        long n = BIO_get_mem_data(bio, &p);

        *ret_b = buf_with_max(TEST_PEM_MAX);
        must(n > 0 && buf_append(ret_b, p, (size_t)n) == 0);
}

static void add_name(X509_NAME *name, const char *field, const char *value)
{
        must(X509_NAME_add_entry_by_txt(name, field, MBSTRING_UTF8, (const unsigned char *)value, -1, -1,
                                        0) == 1);
}

static X509 *make_certificate(EVP_PKEY *pkey, const struct test_keys_spec *spec)
{
        X509 *x509 = X509_new();
        X509_NAME *name = X509_NAME_new();

        must(x509 && name);
        add_name(name, "C", "DE");
        add_name(name, "O", "Coffer");
        add_name(name, "CN", "coffer test \xc3\xa4");
        must(X509_set_version(x509, 2) == 1 && ASN1_INTEGER_set(X509_get_serialNumber(x509), 1) == 1 &&
             X509_set_subject_name(x509, name) == 1 && X509_set_issuer_name(x509, name) == 1 &&
             ASN1_TIME_set(X509_getm_notBefore(x509), spec->not_before) &&
             ASN1_TIME_set(X509_getm_notAfter(x509), spec->not_after) && X509_set_pubkey(x509, pkey) == 1 &&
             X509_sign(x509, pkey, EVP_sha384()) > 0);
        X509_NAME_free(name);
        return x509;
}

void test_keys_init(struct test_keys *ret_keys, const struct test_keys_spec *spec)
{
        bool rsa = strcmp(spec->group, "RSA") == 0;
        cleanup_pkey EVP_PKEY *pkey = rsa ? EVP_RSA_gen(2048U) : EVP_EC_gen(spec->group);
        cleanup_bio BIO *certificate = BIO_new(BIO_s_mem());
        cleanup_bio BIO *key = BIO_new(BIO_s_mem());
        const char *passphrase = spec->passphrase;
        X509 *x509;

        must(pkey && certificate && key);
        x509 = make_certificate(pkey, spec);
        must(PEM_write_bio_X509(certificate, x509) == 1);
        must(PEM_write_bio_PKCS8PrivateKey(key, pkey, passphrase ? EVP_aes_128_cbc() : NULL, passphrase,
                                           passphrase ? (int)strlen(passphrase) : 0, NULL, NULL) == 1);
        take_bio(certificate, &ret_keys->certificate_pem);
        take_bio(key, &ret_keys->key_pem);
        X509_free(x509);
}

void test_keys_done(struct test_keys *keys)
{
        buf_done(&keys->certificate_pem);
        buf_done(&keys->key_pem);
}
