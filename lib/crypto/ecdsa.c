/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation (RFC 6979, section 3.2; names K, V, T as there).  An HMAC generator is seeded with the
 * private key and the digest, and asked for candidates until one is a valid nonce k: 0 < k < n, and r != 0.
 * OpenSSL's ECDSA_do_sign_ex() takes 1/k and r and does the rest, blinded and in constant time.
 *
 * Secret: the key, K, V, T, k and 1/k.  They live in this file's struct and in BIGNUMs that are wiped.
 */
#define OPENSSL_SUPPRESS_DEPRECATED /* no other call takes a nonce before OpenSSL 3.2 */

#include "lib/crypto/ecdsa.h"

#include "lib/base/cleanup.h"
#include "lib/crypto/openssl-internal.h"

#include <openssl/crypto.h>
#include <openssl/ecdsa.h>
#include <openssl/hmac.h>
#include <string.h>

enum {
        COORDINATE_MAX = 66, /* P-521 */
        CANDIDATE_MAX = 2 * EVP_MAX_MD_SIZE,
        TRIES_MAX = 64, /* the chance that one fails is below 2^-32: more are a defect */
};

DEFINE_CLEANUP(cleanup_ec_key_p, EC_KEY *, EC_KEY_free)
DEFINE_CLEANUP(cleanup_bn_ctx_p, BN_CTX *, BN_CTX_free)
DEFINE_CLEANUP(cleanup_bn_p, BIGNUM *, BN_clear_free)
DEFINE_CLEANUP(cleanup_point_p, EC_POINT *, EC_POINT_clear_free)

struct generator {
        const EVP_MD *method;
        size_t n; /* bytes of K and V: the hash's */
        uint8_t k[EVP_MAX_MD_SIZE];
        uint8_t v[EVP_MAX_MD_SIZE];
};

static void generator_wipe(struct generator *g)
{
        OPENSSL_cleanse(g, sizeof(*g));
}

/* V = HMAC_K(V) */
static bool generator_step(struct generator *g)
{
        unsigned int n = 0;

        return HMAC(g->method, g->k, (int)g->n, g->v, g->n, g->v, &n) && n == g->n;
}

/* K = HMAC_K(V || separator || seed); V = HMAC_K(V) */
static bool generator_mix(struct generator *g, uint8_t separator, struct view seed)
{
        uint8_t text[EVP_MAX_MD_SIZE + 1 + 2 * COORDINATE_MAX];
        unsigned int n = 0;

        memcpy(text, g->v, g->n);
        text[g->n] = separator;
        if (seed.n)
                memcpy(text + g->n + 1, seed.p, seed.n);
        bool ok = HMAC(g->method, g->k, (int)g->n, text, g->n + 1 + seed.n, g->k, &n) && n == g->n;
        OPENSSL_cleanse(text, sizeof(text));
        return ok && generator_step(g);
}

/* bits2int: the leftmost bits of `bytes`, as many as the order has. */
static bool bits_to_number(struct view bytes, const BIGNUM *order, BIGNUM *ret_number)
{
        int extra = (int)bytes.n * 8 - BN_num_bits(order);

        return BN_bin2bn(bytes.p, (int)bytes.n, ret_number) &&
               (extra <= 0 || BN_rshift(ret_number, ret_number, extra));
}

/* int2octets(key) || bits2octets(digest), which seeds the generator. */
static bool seed_generator(struct generator *g, const BIGNUM *secret, const BIGNUM *order, struct view digest,
                           BN_CTX *ctx)
{
        uint8_t seed[2 * COORDINATE_MAX];
        int size = BN_num_bytes(order);
        CLEANUP(cleanup_bn_p) BIGNUM *reduced = BN_new();

        memset(g->k, 0, g->n);
        memset(g->v, 1, g->n);
        bool ok = size <= COORDINATE_MAX && reduced && bits_to_number(digest, order, reduced) &&
                  BN_nnmod(reduced, reduced, order, ctx) && BN_bn2binpad(secret, seed, size) == size &&
                  BN_bn2binpad(reduced, seed + size, size) == size &&
                  generator_mix(g, 0, view_of(seed, 2 * (size_t)size)) &&
                  generator_mix(g, 1, view_of(seed, 2 * (size_t)size));
        OPENSSL_cleanse(seed, sizeof(seed));
        return ok;
}

static bool next_candidate(struct generator *g, const BIGNUM *order, BIGNUM *k)
{
        uint8_t t[CANDIDATE_MAX];
        size_t n = 0, wanted = (size_t)BN_num_bytes(order);

        while (n < wanted) {
                if (!generator_step(g))
                        return false;
                memcpy(t + n, g->v, g->n);
                n += g->n;
        }
        bool ok = bits_to_number(view_of(t, n), order, k);
        OPENSSL_cleanse(t, sizeof(t));
        return ok;
}

/* r = x(k G) mod n, and 1/k = k^(n-2) mod n, n being prime. */
static bool expand_nonce(const EC_GROUP *group, const BIGNUM *k, BIGNUM *r, BIGNUM *inverse, BN_CTX *ctx)
{
        const BIGNUM *order = EC_GROUP_get0_order(group);
        CLEANUP(cleanup_point_p) EC_POINT *point = EC_POINT_new(group);
        CLEANUP(cleanup_bn_p) BIGNUM *exponent = BN_dup(order);

        return point && exponent && EC_POINT_mul(group, point, k, NULL, NULL, ctx) &&
               EC_POINT_get_affine_coordinates(group, point, r, NULL, ctx) && BN_nnmod(r, r, order, ctx) &&
               BN_sub_word(exponent, 2) &&
               BN_mod_exp_mont_consttime(inverse, k, exponent, order, ctx, EC_GROUP_get_mont_data(group));
}

static bool make_nonce(const EC_KEY *key, const EVP_MD *method, struct view digest, BIGNUM *r,
                       BIGNUM *inverse)
{
        const EC_GROUP *group = EC_KEY_get0_group(key);
        const BIGNUM *order = EC_GROUP_get0_order(group);
        CLEANUP(cleanup_bn_ctx_p) BN_CTX *ctx = BN_CTX_secure_new();
        CLEANUP(cleanup_bn_p) BIGNUM *k = BN_secure_new();
        CLEANUP(generator_wipe) struct generator g = {.method = method, .n = (size_t)EVP_MD_get_size(method)};

        if (!ctx || !k || !seed_generator(&g, EC_KEY_get0_private_key(key), order, digest, ctx))
                return false;
        BN_set_flags(k, BN_FLG_CONSTTIME);
        for (int i = 0; i < TRIES_MAX; i++) {
                if (!next_candidate(&g, order, k))
                        return false;
                if (!BN_is_zero(k) && BN_cmp(k, order) < 0) {
                        if (!expand_nonce(group, k, r, inverse, ctx))
                                return false;
                        if (!BN_is_zero(r))
                                return true;
                }
                if (!generator_mix(&g, 0, view_of(NULL, 0)))
                        return false;
        }
        return false;
}

int ecdsa_sign_digest(EVP_PKEY *pkey, const EVP_MD *method, struct view digest, ECDSA_SIG **ret_signature,
                      struct error *err)
{
        CLEANUP(cleanup_ec_key_p) EC_KEY *key = EVP_PKEY_get1_EC_KEY(pkey);
        CLEANUP(cleanup_bn_p) BIGNUM *r = BN_new();
        CLEANUP(cleanup_bn_p) BIGNUM *inverse = BN_secure_new();

        if (!key || !r || !inverse || !make_nonce(key, method, digest, r, inverse))
                return error_openssl(err, -EIO, "can't begin to sign");
        ECDSA_SIG *signature = ECDSA_do_sign_ex(digest.p, (int)digest.n, inverse, r, key);
        if (!signature)
                return error_openssl(err, -EIO, "can't sign");
        *ret_signature = signature;
        return 0;
}
