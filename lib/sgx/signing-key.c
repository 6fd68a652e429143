/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/sgx/signing-key.h"

#include "lib/crypto/openssl-internal.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <string.h>

DEFINE_CLEANUP(cleanup_bn_p, BIGNUM *, BN_free)
#define cleanup_bn CLEANUP(cleanup_bn_p)
DEFINE_CLEANUP(cleanup_bn_ctx_p, BN_CTX *, BN_CTX_free)
#define cleanup_bn_ctx CLEANUP(cleanup_bn_ctx_p)

enum { EXPONENT = 3, BITS = 8 * SGX_MODULUS_SIZE };

struct sgx_signing_key {
        EVP_PKEY *pkey;
        uint8_t modulus[SGX_MODULUS_SIZE]; /* little-endian */
};

static int adopt(EVP_PKEY **pkey, struct sgx_signing_key **ret_key, struct error *err)
{
        cleanup_bn BIGNUM *n = NULL, *e = NULL;
        cleanup_free struct sgx_signing_key *key = calloc(1, sizeof(*key));

        if (!key)
                return error_oom(err);
        if (EVP_PKEY_get_base_id(*pkey) != EVP_PKEY_RSA || EVP_PKEY_get_bits(*pkey) != BITS ||
            !EVP_PKEY_get_bn_param(*pkey, OSSL_PKEY_PARAM_RSA_N, &n) ||
            !EVP_PKEY_get_bn_param(*pkey, OSSL_PKEY_PARAM_RSA_E, &e) || !BN_is_word(e, EXPONENT))
                return error_set(
                        err, -ENOTSUP,
                        "is no RSA key of 3072 bits with exponent 3; make one with: openssl genrsa -3 "
                        "-out FILE 3072");
        if (BN_bn2lebinpad(n, key->modulus, SGX_MODULUS_SIZE) != SGX_MODULUS_SIZE)
                return error_oom(err);
        key->pkey = take_pointer(pkey);
        *ret_key = take_pointer(&key);
        return 0;
}

int sgx_signing_key_generate(struct sgx_signing_key **ret_key, struct error *err)
{
        cleanup_pkey_ctx EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
        cleanup_bn BIGNUM *e = BN_new();
        cleanup_pkey EVP_PKEY *pkey = NULL;

        if (!context || !e || !BN_set_word(e, EXPONENT) || EVP_PKEY_keygen_init(context) != 1 ||
            EVP_PKEY_CTX_set_rsa_keygen_bits(context, BITS) != 1 ||
            EVP_PKEY_CTX_set1_rsa_keygen_pubexp(context, e) != 1 || EVP_PKEY_generate(context, &pkey) != 1)
                return error_openssl(err, -EIO, "cannot generate a key");
        return adopt(&pkey, ret_key, err);
}

/* Nobody is asked. */
static int no_passphrase(char *buffer, int size, int writing, void *user)
{
        (void)buffer, (void)size, (void)writing, (void)user;
        return -1;
}

int sgx_signing_key_parse(struct view pem, struct sgx_signing_key **ret_key, struct error *err)
{
        cleanup_bio BIO *bio = pem.n <= INT32_MAX ? BIO_new_mem_buf(pem.p, (int)pem.n) : NULL;
        cleanup_pkey EVP_PKEY *pkey = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;

        if (!pkey)
                return error_openssl(err, -EBADMSG, "has no private key in PEM that is not encrypted");
        return adopt(&pkey, ret_key, err);
}

int sgx_signing_key_pem(const struct sgx_signing_key *key, struct buf *pem, struct error *err)
{
        cleanup_bio BIO *bio = BIO_new(BIO_s_secmem());
        char *text;
        long n;

        if (!bio || PEM_write_bio_PKCS8PrivateKey(bio, key->pkey, NULL, NULL, 0, NULL, NULL) != 1)
                return error_openssl(err, -ENOMEM, "cannot write the key");
        n = BIO_get_mem_data(bio, &text);
        return n > 0 && buf_append(pem, text, (size_t)n) == 0 ? 0 : error_oom(err);
}

static int rsa_sign(const struct sgx_signing_key *key, const struct digest *d,
                    uint8_t ret_signature[static SGX_MODULUS_SIZE], struct error *err)
{
        cleanup_pkey_ctx EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(key->pkey, NULL);
        uint8_t bytes[SGX_MODULUS_SIZE];
        size_t n = sizeof(bytes);

        if (!context || EVP_PKEY_sign_init(context) != 1 ||
            EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PADDING) != 1 ||
            EVP_PKEY_CTX_set_signature_md(context, EVP_sha256()) != 1 ||
            EVP_PKEY_sign(context, bytes, &n, d->bytes, SGX_HASH_SIZE) != 1 || n != sizeof(bytes))
                return error_openssl(err, -EIO, "cannot sign");
        for (size_t i = 0; i < sizeof(bytes); i++)
                ret_signature[i] = bytes[sizeof(bytes) - 1 - i];
        return 0;
}

static int quotients(struct sgx_sigstruct *s, struct error *err)
{
        cleanup_bn_ctx BN_CTX *context = BN_CTX_new();
        cleanup_bn BIGNUM *n = BN_lebin2bn(s->modulus, SGX_MODULUS_SIZE, NULL),
                          *sig = BN_lebin2bn(s->signature, SGX_MODULUS_SIZE, NULL), *product = BN_new(),
                          *q = BN_new(), *rest = BN_new();

        if (!context || !n || !sig || !product || !q || !rest || !BN_sqr(product, sig, context) ||
            !BN_div(q, rest, product, n, context) || BN_bn2lebinpad(q, s->q1, SGX_MODULUS_SIZE) < 0 ||
            !BN_mul(product, sig, rest, context) || !BN_div(q, NULL, product, n, context) ||
            BN_bn2lebinpad(q, s->q2, SGX_MODULUS_SIZE) < 0)
                return error_oom(err);
        return 0;
}

int sgx_signing_key_sign(const struct sgx_signing_key *key, struct sgx_sigstruct *s, struct error *err)
{
        struct digest d;
        int r;

        memcpy(s->modulus, key->modulus, SGX_MODULUS_SIZE);
        if (sgx_sigstruct_digest(s, &d) < 0)
                return error_oom(err);
        r = rsa_sign(key, &d, s->signature, err);
        return r < 0 ? r : quotients(s, err);
}

void sgx_signing_key_free(struct sgx_signing_key *key)
{
        if (!key)
                return;
        EVP_PKEY_free(key->pkey);
        free(key);
}
