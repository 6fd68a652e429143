/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/crypto/raw-signature.h"

#include "lib/crypto/ecdsa.h"
#include "lib/crypto/hash.h"
#include "lib/crypto/openssl-internal.h"

#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/param_build.h>
#include <string.h>

enum { COORDINATE_MAX = 66 /* P-521 */, DER_MAX = 1024, UNCOMPRESSED = 4, POINT_SIZE = 1 + P256_PAIR_SIZE };

DEFINE_CLEANUP(cleanup_params_p, OSSL_PARAM *, OSSL_PARAM_free)
#define cleanup_params CLEANUP(cleanup_params_p)
DEFINE_CLEANUP(cleanup_builder_p, OSSL_PARAM_BLD *, OSSL_PARAM_BLD_free)
#define cleanup_builder CLEANUP(cleanup_builder_p)
DEFINE_CLEANUP(cleanup_group_p, EC_GROUP *, EC_GROUP_free)
#define cleanup_group CLEANUP(cleanup_group_p)
DEFINE_CLEANUP(cleanup_point_p, EC_POINT *, EC_POINT_free)
#define cleanup_point CLEANUP(cleanup_point_p)
DEFINE_CLEANUP(cleanup_bn_p, BIGNUM *, BN_clear_free)
#define cleanup_bn CLEANUP(cleanup_bn_p)

static int append_raw(const ECDSA_SIG *signature, size_t half, struct buf *ret_signature, struct error *err)
{
        uint8_t raw[2 * COORDINATE_MAX];

        if (half > COORDINATE_MAX || BN_bn2binpad(ECDSA_SIG_get0_r(signature), raw, (int)half) != (int)half ||
            BN_bn2binpad(ECDSA_SIG_get0_s(signature), raw + half, (int)half) != (int)half)
                return error_openssl(err, -EBADMSG, "the signature is too large for its curve");
        return buf_append(ret_signature, raw, 2 * half) < 0 ? error_oom(err) : 0;
}

int raw_sign(EVP_PKEY *pkey, enum hash_algorithm algorithm, struct view message, size_t half,
             struct buf *ret_signature, struct error *err)
{
        struct digest digest;
        ECDSA_SIG *signature;
        int r = hash_view(algorithm, message, &digest);

        if (r < 0)
                return error_errno(err, -r, "can't hash what is to be signed");
        r = ecdsa_sign_digest(pkey, hash_method(algorithm), digest_view(&digest), &signature, err);
        if (r < 0)
                return r;
        r = append_raw(signature, half, ret_signature, err);
        ECDSA_SIG_free(signature);
        return r;
}

int raw_of_der(struct view der, size_t half, struct buf *ret_signature, struct error *err)
{
        const unsigned char *p = der.p;
        ECDSA_SIG *signature = der.n <= DER_MAX ? d2i_ECDSA_SIG(NULL, &p, (long)der.n) : NULL;
        int r;

        if (!signature)
                return error_openssl(err, -EBADMSG, "is no ECDSA signature in DER");
        r = p == der.p + der.n ? append_raw(signature, half, ret_signature, err)
                               : error_set(err, -EBADMSG, "has %zu bytes behind the signature",
                                           (size_t)(der.p + der.n - p));
        ECDSA_SIG_free(signature);
        return r;
}

/* r and s as DER, which is what OpenSSL takes; to be freed with OPENSSL_free(). NULL when out of memory. */
static unsigned char *signature_to_der(struct view raw, int *ret_n)
{
        size_t half = raw.n / 2;
        BIGNUM *r = BN_bin2bn(raw.p, (int)half, NULL);
        BIGNUM *s = BN_bin2bn(raw.p + half, (int)half, NULL);
        ECDSA_SIG *signature = ECDSA_SIG_new();
        unsigned char *der = NULL;

        if (r && s && signature && ECDSA_SIG_set0(signature, r, s) == 1) {
                r = s = NULL; /* the signature's now */
                *ret_n = i2d_ECDSA_SIG(signature, &der);
        }
        BN_free(r);
        BN_free(s);
        ECDSA_SIG_free(signature);
        return der;
}

int raw_verify(EVP_PKEY *pkey, enum hash_algorithm algorithm, struct view message, struct view signature,
               struct error *err)
{
        cleanup_md_ctx EVP_MD_CTX *md = EVP_MD_CTX_new();
        unsigned char *der;
        int n = 0, r;

        if (!md)
                return error_oom(err);
        if (EVP_DigestVerifyInit(md, NULL, hash_method(algorithm), NULL, pkey) != 1)
                return error_openssl(err, -EIO, "can't begin to verify");
        der = signature_to_der(signature, &n);
        if (!der || n <= 0)
                return error_oom(err);
        r = EVP_DigestVerify(md, der, (size_t)n, message.p, message.n);
        OPENSSL_free(der);
        ERR_clear_error();
        return r == 1 ? 0 : error_set(err, -EKEYREJECTED, "the signature was not made with that key");
}

/* ---- keys on P-256 ------------------------------------------------------------------------------------- */

/* `secret` may be NULL: the public half alone. */
static int key_of(const uint8_t point[static POINT_SIZE], const BIGNUM *secret, EVP_PKEY **ret_pkey,
                  struct error *err)
{
        cleanup_builder OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
        cleanup_pkey_ctx EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
        cleanup_params OSSL_PARAM *params = NULL;
        cleanup_pkey EVP_PKEY *pkey = NULL;

        if (!builder || !context ||
            !OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, SN_X9_62_prime256v1, 0) ||
            !OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point, POINT_SIZE) ||
            (secret && !OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_PRIV_KEY, secret)))
                return error_oom(err);
        params = OSSL_PARAM_BLD_to_param(builder);
        if (!params || EVP_PKEY_fromdata_init(context) != 1)
                return error_oom(err);
        if (EVP_PKEY_fromdata(context, &pkey, secret ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY, params) != 1)
                return error_openssl(err, -EBADMSG, "is no key on P-256");
        *ret_pkey = take_pointer(&pkey);
        return 0;
}

int p256_public_key(struct view xy, EVP_PKEY **ret_pkey, struct error *err)
{
        uint8_t point[POINT_SIZE] = {UNCOMPRESSED};

        if (xy.n != P256_PAIR_SIZE)
                return error_set(err, -EBADMSG, "is no key on P-256: it has %zu bytes", xy.n);
        memcpy(point + 1, xy.p, xy.n);
        return key_of(point, NULL, ret_pkey, err);
}

int p256_point(const EVP_PKEY *pkey, uint8_t ret_xy[static P256_PAIR_SIZE], struct error *err)
{
        const struct curve *curve;
        uint8_t point[POINT_SIZE];
        size_t n = 0;
        int r = curve_of_pkey(pkey, &curve, err);

        if (r < 0)
                return r;
        if (curve->coordinate_size != P256_COORDINATE_SIZE ||
            EVP_PKEY_get_octet_string_param(pkey, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point), &n) != 1 ||
            n != POINT_SIZE || point[0] != UNCOMPRESSED)
                return error_openssl(err, -ENOTSUP, "has no key on P-256 with its whole point");
        memcpy(ret_xy, point + 1, P256_PAIR_SIZE);
        return 0;
}

int p256_key_pair(struct view secret, EVP_PKEY **ret_pkey, struct error *err)
{
        cleanup_group EC_GROUP *group = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
        cleanup_point EC_POINT *point = group ? EC_POINT_new(group) : NULL;
        cleanup_bn BIGNUM *scalar = BN_secure_new(),
                          *limit = group ? BN_dup(EC_GROUP_get0_order(group)) : NULL;
        BN_CTX *context = BN_CTX_secure_new();
        uint8_t bytes[POINT_SIZE];
        bool ok = point && scalar && limit && context && BN_sub_word(limit, 1) &&
                  BN_bin2bn(secret.p, (int)secret.n, scalar) && BN_nnmod(scalar, scalar, limit, context) &&
                  BN_add_word(scalar, 1) && EC_POINT_mul(group, point, scalar, NULL, NULL, context) &&
                  EC_POINT_point2oct(group, point, POINT_CONVERSION_UNCOMPRESSED, bytes, sizeof(bytes),
                                     context) == sizeof(bytes);

        BN_CTX_free(context);
        return ok ? key_of(bytes, scalar, ret_pkey, err) : error_openssl(err, -EIO, "can't make a key");
}
