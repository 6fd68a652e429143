/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/crypto/openssl-internal.h"
#include "lib/sgx/sigstruct.h"

#include <openssl/bn.h>
#include <string.h>

DEFINE_CLEANUP(cleanup_bn_ctx_p, BN_CTX *, BN_CTX_free)
#define cleanup_bn_ctx CLEANUP(cleanup_bn_ctx_p)

/* RFC 8017, section 9.2: what SHA-256 with PKCS #1 v1.5 looks like in 384 bytes, most significant first. */
static void padded_message(const struct digest *d, uint8_t ret_message[static SGX_MODULUS_SIZE])
{
        static const uint8_t algorithm[] = {0x00, 0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48,
                                            0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20};
        size_t tail = sizeof(algorithm) + SGX_HASH_SIZE;

        memset(ret_message, 0xff, SGX_MODULUS_SIZE);
        ret_message[0] = 0;
        ret_message[1] = 1;
        memcpy(ret_message + SGX_MODULUS_SIZE - tail, algorithm, sizeof(algorithm));
        memcpy(ret_message + SGX_MODULUS_SIZE - SGX_HASH_SIZE, d->bytes, SGX_HASH_SIZE);
}

/* All numbers live in the context, between BN_CTX_start() and BN_CTX_end(). */
static int verify_numbers(BN_CTX *context, const struct sgx_sigstruct *s, const struct digest *d,
                          struct error *err)
{
        uint8_t message[SGX_MODULUS_SIZE];
        BIGNUM *n = BN_CTX_get(context), *sig = BN_CTX_get(context), *product = BN_CTX_get(context),
               *q = BN_CTX_get(context), *rest = BN_CTX_get(context), *should = BN_CTX_get(context);

        if (!should || !BN_lebin2bn(s->modulus, SGX_MODULUS_SIZE, n) ||
            !BN_lebin2bn(s->signature, SGX_MODULUS_SIZE, sig))
                return error_oom(err);
        if (BN_num_bits(n) != 8 * SGX_MODULUS_SIZE || !BN_is_odd(n))
                return error_set(err, -EBADMSG, "SIGSTRUCT: MODULUS is no number of %d bits of a key",
                                 8 * SGX_MODULUS_SIZE);
        if (BN_cmp(sig, n) >= 0)
                return error_set(err, -EBADMSG, "SIGSTRUCT: SIGNATURE is not below MODULUS");
        if (!BN_sqr(product, sig, context) || !BN_div(q, rest, product, n, context) ||
            !BN_lebin2bn(s->q1, SGX_MODULUS_SIZE, should))
                return error_oom(err);
        if (BN_cmp(q, should) != 0)
                return error_set(err, -EBADMSG, "SIGSTRUCT: Q1 is not SIGNATURE^2 / MODULUS");
        if (!BN_mul(product, sig, rest, context) || !BN_div(q, rest, product, n, context) ||
            !BN_lebin2bn(s->q2, SGX_MODULUS_SIZE, should))
                return error_oom(err);
        if (BN_cmp(q, should) != 0)
                return error_set(err, -EBADMSG,
                                 "SIGSTRUCT: Q2 is not SIGNATURE (SIGNATURE^2 mod MODULUS) / MODULUS");
        padded_message(d, message);
        if (!BN_bin2bn(message, sizeof(message), should))
                return error_oom(err);
        if (BN_cmp(rest, should) != 0)
                return error_set(err, -EBADMSG, "SIGSTRUCT: SIGNATURE is not over these fields");
        return 0;
}

int sgx_sigstruct_verify(const struct sgx_sigstruct *s, struct error *err)
{
        cleanup_bn_ctx BN_CTX *context = BN_CTX_new();
        struct digest d;
        int r = sgx_sigstruct_digest(s, &d);

        if (r < 0 || !context)
                return error_oom(err);
        BN_CTX_start(context);
        r = verify_numbers(context, s, &d, err);
        BN_CTX_end(context);
        return r;
}
