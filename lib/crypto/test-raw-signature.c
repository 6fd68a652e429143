/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/crypto/raw-signature.h"

#include "lib/crypto/openssl-internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

/* RFC 6979, appendix A.2.5: the key's point, and the signature of "sample" with SHA-256. */
static const uint8_t point[P256_PAIR_SIZE] = {
        0x60, 0xfe, 0xd4, 0xba, 0x25, 0x5a, 0x9d, 0x31, 0xc9, 0x61, 0xeb, 0x74, 0xc6, 0x35, 0x6d, 0x68,
        0xc0, 0x49, 0xb8, 0x92, 0x3b, 0x61, 0xfa, 0x6c, 0xe6, 0x69, 0x62, 0x2e, 0x60, 0xf2, 0x9f, 0xb6,
        0x79, 0x03, 0xfe, 0x10, 0x08, 0xb8, 0xbc, 0x99, 0xa4, 0x1a, 0xe9, 0xe9, 0x56, 0x28, 0xbc, 0x64,
        0xf2, 0xf1, 0xb2, 0x0c, 0x2d, 0x7e, 0x9f, 0x51, 0x77, 0xa3, 0xc2, 0x94, 0xd4, 0x46, 0x22, 0x99};
static const uint8_t signature[P256_PAIR_SIZE] = {
        0xef, 0xd4, 0x8b, 0x2a, 0xac, 0xb6, 0xa8, 0xfd, 0x11, 0x40, 0xdd, 0x9c, 0xd4, 0x5e, 0x81, 0xd6,
        0x9d, 0x2c, 0x87, 0x7b, 0x56, 0xaa, 0xf9, 0x91, 0xc3, 0x4d, 0x0e, 0xa8, 0x4e, 0xaf, 0x37, 0x16,
        0xf7, 0xcb, 0x1c, 0x94, 0x2d, 0x65, 0x7c, 0x41, 0xd4, 0x36, 0xc7, 0xa1, 0xb6, 0xe2, 0x9f, 0x65,
        0xf3, 0xe9, 0x00, 0xdb, 0xb9, 0xaf, 0xf4, 0x06, 0x4d, 0xc4, 0xab, 0x2f, 0x84, 0x3a, 0xcd, 0xa8};

static void a_known_signature_verifies_and_no_other(void **state)
{
        struct view message = view_of_string("sample");
        uint8_t edited[P256_PAIR_SIZE], zero[P256_PAIR_SIZE] = {0};
        EVP_PKEY *key = NULL;
        (void)state;

        assert_int_equal(p256_public_key(view_of(point, sizeof(point)), &key, NULL), 0);
        assert_int_equal(raw_verify(key, HASH_SHA256, message, view_of(signature, 64), NULL), 0);
        assert_int_equal(raw_verify(key, HASH_SHA256, view_of_string("test"), view_of(signature, 64), NULL),
                         -EKEYREJECTED);
        for (size_t i = 0; i < sizeof(edited); i++) {
                memcpy(edited, signature, sizeof(edited));
                edited[i] ^= 0x80;
                assert_int_equal(raw_verify(key, HASH_SHA256, message, view_of(edited, 64), NULL),
                                 -EKEYREJECTED);
        }
        assert_int_equal(raw_verify(key, HASH_SHA256, message, view_of(zero, 64), NULL), -EKEYREJECTED);
        EVP_PKEY_free(key);
}

static void a_point_that_is_not_on_the_curve_is_no_key(void **state)
{
        uint8_t edited[P256_PAIR_SIZE], longer[P256_PAIR_SIZE + 1] = {0};
        EVP_PKEY *key = NULL;
        struct error err = {0};
        (void)state;

        memcpy(longer, point, sizeof(point));
        memcpy(edited, point, sizeof(edited));
        edited[63] ^= 1;
        assert_int_equal(p256_public_key(view_of(edited, 64), &key, NULL), -EBADMSG);
        memset(edited, 0, sizeof(edited));
        assert_int_equal(p256_public_key(view_of(edited, 64), &key, NULL), -EBADMSG);
        assert_int_equal(p256_public_key(view_of(point, 63), &key, &err), -EBADMSG);
        assert_string_equal(error_text(&err), "is no key on P-256: it has 63 bytes");
        assert_int_equal(p256_public_key(view_of(longer, 65), &key, NULL), -EBADMSG);
        assert_null(key);
}

static void a_pair_depends_on_its_secret_alone_and_signs_for_its_point(void **state)
{
        uint8_t secret[48] = {7}, first[P256_PAIR_SIZE], again[P256_PAIR_SIZE];
        cleanup_buf struct buf made = buf_with_max(P256_PAIR_SIZE);
        EVP_PKEY *pair = NULL, *public = NULL;
        (void)state;

        for (size_t i = 0; i < 2; i++) {
                assert_int_equal(p256_key_pair(view_of(secret, sizeof(secret)), &pair, NULL), 0);
                assert_int_equal(p256_point(pair, i ? again : first, NULL), 0);
                if (i == 0)
                        EVP_PKEY_free(pair);
        }
        assert_memory_equal(first, again, sizeof(first));
        assert_int_equal(raw_sign(pair, HASH_SHA256, view_of_string("m"), 32, &made, NULL), 0);
        assert_int_equal(p256_public_key(view_of(first, 64), &public, NULL), 0);
        assert_int_equal(raw_verify(public, HASH_SHA256, view_of_string("m"), buf_view(&made), NULL), 0);
        EVP_PKEY_free(pair);
        secret[47] = 1;
        assert_int_equal(p256_key_pair(view_of(secret, sizeof(secret)), &pair, NULL), 0);
        assert_int_equal(p256_point(pair, again, NULL), 0);
        assert_memory_not_equal(first, again, sizeof(first));
        EVP_PKEY_free(pair);
        EVP_PKEY_free(public);
}

/* FIPS 186-4, B.4.1: the order less one is the modulus, so that every scalar from 1 to it can come out. */
static void secrets_are_taken_modulo_the_order_less_one(void **state)
{
        static const uint8_t order_less_one[48] = {[16] = 0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00,
                                                   0xff,        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                                   0xbc,        0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84,
                                                   0xf3,        0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x50};
        static const uint8_t zero[48];
        const uint8_t *const secrets[] = {order_less_one, zero};
        /* The generator, that is the scalar 1. */
        static const uint8_t generator_x[] = {0x6b, 0x17, 0xd1, 0xf2, 0xe1, 0x2c, 0x42, 0x47};
        (void)state;

        for (size_t i = 0; i < 2; i++) {
                uint8_t xy[P256_PAIR_SIZE];
                EVP_PKEY *pair = NULL;

                assert_int_equal(p256_key_pair(view_of(secrets[i], 48), &pair, NULL), 0);
                assert_int_equal(p256_point(pair, xy, NULL), 0);
                assert_memory_equal(xy, generator_x, sizeof(generator_x));
                EVP_PKEY_free(pair);
        }
}

static void a_signature_in_der_is_the_same_in_raw_form(void **state)
{
        /* 3 and 128: the second with the zero byte in front that keeps it positive. */
        static const uint8_t der[] = {0x30, 0x07, 0x02, 0x01, 0x03, 0x02, 0x02, 0x00, 0x80};
        uint8_t expected[P256_PAIR_SIZE] = {[31] = 3, [63] = 128};
        cleanup_buf struct buf raw = buf_with_max(P256_PAIR_SIZE);
        struct error err = {0};
        (void)state;

        assert_int_equal(raw_of_der(view_of(der, sizeof(der)), 32, &raw, &err), 0);
        assert_int_equal(raw.n, sizeof(expected));
        assert_memory_equal(raw.p, expected, sizeof(expected));
}

static void what_is_no_signature_in_der_is_refused(void **state)
{
#define CASE(text, bytes)                                                                                    \
        {                                                                                                    \
                text, bytes, sizeof(bytes) - 1                                                               \
        }
        static const struct {
                const char *name, *bytes;
                size_t n;
        } cases[] = {
                CASE("empty", ""),
                CASE("cut short", "\x30\x07\x02\x01\x03\x02\x02\x00"),
                CASE("bytes behind", "\x30\x06\x02\x01\x03\x02\x01\x04\x00"),
                CASE("one integer", "\x30\x03\x02\x01\x03"),
                CASE("negative", "\x30\x06\x02\x01\x83\x02\x01\x04"),
                CASE("too large", "\x30\x08\x02\x03\x01\x00\x00\x02\x01\x04"),
        };
#undef CASE
        (void)state;

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                cleanup_buf struct buf raw = buf_with_max(P256_PAIR_SIZE);
                struct error err = {0};
                /* Coordinates of two bytes, so that the last case is small. */
                if (raw_of_der(view_of(cases[i].bytes, cases[i].n), 2, &raw, &err) != -EBADMSG || raw.n > 0)
                        fail_msg("%s: taken", cases[i].name);
        }
}

static void a_key_of_another_curve_has_no_such_point(void **state)
{
        uint8_t xy[P256_PAIR_SIZE];
        EVP_PKEY *other = EVP_EC_gen("P-384");
        struct error err = {0};
        (void)state;

        assert_non_null(other);
        assert_int_equal(p256_point(other, xy, &err), -ENOTSUP);
        EVP_PKEY_free(other);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_known_signature_verifies_and_no_other),
                cmocka_unit_test(a_point_that_is_not_on_the_curve_is_no_key),
                cmocka_unit_test(a_pair_depends_on_its_secret_alone_and_signs_for_its_point),
                cmocka_unit_test(secrets_are_taken_modulo_the_order_less_one),
                cmocka_unit_test(a_signature_in_der_is_the_same_in_raw_form),
                cmocka_unit_test(what_is_no_signature_in_der_is_refused),
                cmocka_unit_test(a_key_of_another_curve_has_no_such_point),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
