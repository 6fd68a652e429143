/* SPDX-License-Identifier: Apache-2.0 */
#define OPENSSL_SUPPRESS_DEPRECATED /* keys are made from the vectors' private scalars */

#include "lib/crypto/ecdsa.h"

#include "lib/crypto/hash.h"
#include "lib/crypto/openssl-internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <strings.h>
#include <openssl/ecdsa.h>
#include <openssl/rsa.h>
#include <cmocka.h>

/* RFC 6979, appendices A.2.5 to A.2.7, each curve with the hash that COSE pairs it with. */
static const struct vector {
        int curve;
        enum hash_algorithm hash;
        const char *message, *key, *r, *s;
} vectors[] = {
        {NID_X9_62_prime256v1, HASH_SHA256, "sample",
         "C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721",
         "EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716",
         "F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8"},
        {NID_X9_62_prime256v1, HASH_SHA256, "test",
         "C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721",
         "F1ABB023518351CD71D881567B1EA663ED3EFCF6C5132B354F28D3B0B7D38367",
         "019F4113742A2B14BD25926B49C649155F267E60D3814B4C0CC84250E46F0083"},
        {NID_secp384r1, HASH_SHA384, "sample",
         "6B9D3DAD2E1B8C1C05B19875B6659F4DE23C3B667BF297BA9AA47740787137D896D5724E4C70A825F872C9EA60D2EDF5",
         "94EDBB92A5ECB8AAD4736E56C691916B3F88140666CE9FA73D64C4EA95AD133C81A648152E44ACF96E36DD1E80FABE46",
         "99EF4AEB15F178CEA1FE40DB2603138F130E740A19624526203B6351D0A3A94FA329C145786E679E7B82C71A38628AC8"},
        {NID_secp521r1, HASH_SHA512, "sample",
         "00FAD06DAA62BA3B25D2FB40133DA757205DE67F5BB0018FEE8C86E1B68C7E75CAA896EB32F1F47C70855836A6D16FCC146"
         "6"
         "F6D8FBEC67DB89EC0C08B0E996B83538",
         "00C328FAFCBD79DD77850370C46325D987CB525569FB63C5D3BC53950E6D4C5F174E25A1EE9017B5D450606ADD152B53493"
         "1"
         "D7D4E8455CC91F9B15BF05EC36E377FA",
         "00617CCE7CF5064806C467F678D3B4080D6F1CC50AF26CA209417308281B68AF282623EAA63E5B5C0723D8B8C37FF0777B1"
         "A"
         "20F8CCB1DCCC43997F1EE0E44DA4A67A"},
};

static EVP_PKEY *key_of(const struct vector *v)
{
        EC_KEY *key = EC_KEY_new_by_curve_name(v->curve);
        EVP_PKEY *pkey = EVP_PKEY_new();
        BIGNUM *scalar = NULL;

        assert_true(key && pkey && BN_hex2bn(&scalar, v->key));
        EC_POINT *point = EC_POINT_new(EC_KEY_get0_group(key));
        assert_int_equal(EC_POINT_mul(EC_KEY_get0_group(key), point, scalar, NULL, NULL, NULL), 1);
        assert_int_equal(EC_KEY_set_private_key(key, scalar), 1);
        assert_int_equal(EC_KEY_set_public_key(key, point), 1);
        assert_int_equal(EVP_PKEY_assign_EC_KEY(pkey, key), 1);
        EC_POINT_free(point);
        BN_free(scalar);
        return pkey;
}

static void assert_number(const BIGNUM *number, const char *hex)
{
        BIGNUM *expected = NULL;

        assert_true(BN_hex2bn(&expected, hex));
        assert_int_equal(BN_cmp(number, expected), 0);
        BN_free(expected);
}

static void signatures_are_those_of_rfc_6979(void **state)
{
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(vectors); i++) {
                const struct vector *v = &vectors[i];
                cleanup_pkey EVP_PKEY *pkey = key_of(v);
                ECDSA_SIG *signature = NULL;
                struct digest digest;

                assert_int_equal(hash_view(v->hash, view_of_string(v->message), &digest), 0);
                assert_int_equal(
                        ecdsa_sign_digest(pkey, hash_method(v->hash), digest_view(&digest), &signature, NULL),
                        0);
                assert_number(ECDSA_SIG_get0_r(signature), v->r);
                assert_number(ECDSA_SIG_get0_s(signature), v->s);
                ECDSA_SIG_free(signature);
        }
}

/* bits2octets: a digest above the order is the number that it leaves over it. */
static void a_digest_above_the_order_is_reduced_first(void **state)
{
        static const uint8_t reduced[32] = {0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00,
                                            0x00, 0x00, 0x00, 0x00, 0x00, 0x43, 0x19, 0x05, 0x52, 0x58, 0xe8,
                                            0x61, 0x7b, 0x0c, 0x46, 0x35, 0x3d, 0x03, 0x9c, 0xda, 0xae};
        cleanup_pkey EVP_PKEY *pkey = key_of(&vectors[0]);
        ECDSA_SIG *a = NULL, *b = NULL;
        uint8_t above[32];

        (void)state;
        memset(above, 0xff, sizeof(above));
        assert_int_equal(ecdsa_sign_digest(pkey, EVP_sha256(), view_of(above, 32), &a, NULL), 0);
        assert_int_equal(ecdsa_sign_digest(pkey, EVP_sha256(), view_of(reduced, 32), &b, NULL), 0);
        assert_int_equal(BN_cmp(ECDSA_SIG_get0_r(a), ECDSA_SIG_get0_r(b)), 0);
        assert_int_equal(BN_cmp(ECDSA_SIG_get0_s(a), ECDSA_SIG_get0_s(b)), 0);
        ECDSA_SIG_free(a);
        ECDSA_SIG_free(b);
}

static void key_of_another_kind_is_an_error(void **state)
{
        cleanup_pkey EVP_PKEY *rsa = EVP_RSA_gen(1024);
        ECDSA_SIG *signature = NULL;
        struct digest digest;
        struct error err = {0};

        (void)state;
        assert_int_equal(hash_view(HASH_SHA256, view_of_string("x"), &digest), 0);
        assert_int_equal(ecdsa_sign_digest(rsa, EVP_sha256(), digest_view(&digest), &signature, &err), -EIO);
        assert_non_null(strstr(err.text, "can't begin to sign"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(signatures_are_those_of_rfc_6979),
                cmocka_unit_test(a_digest_above_the_order_is_reduced_first),
                cmocka_unit_test(key_of_another_kind_is_an_error),
        };

        return cmocka_run_group_tests_name("ecdsa", tests, NULL, NULL);
}
