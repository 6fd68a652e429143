/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/crypto/hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#define ABC_256 "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define ABC_384                                                                                              \
        "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7"

/* FIPS 180-4 example values. */
static void abc_hashes_to_the_published_values(void **state)
{
        struct digest d;
        char text[DIGEST_TEXT_MAX];
        char hex[DIGEST_HEX_MAX];
        (void)state;

        assert_int_equal(hash_view(HASH_SHA256, view_of("abc", 3), &d), 0);
        digest_format(&d, text);
        assert_string_equal(text, "sha256:" ABC_256);
        assert_int_equal(hash_view(HASH_SHA384, view_of("abc", 3), &d), 0);
        digest_hex(&d, hex);
        assert_string_equal(hex, ABC_384);
        assert_int_equal(hash_view(HASH_SHA512, view_of("abc", 3), &d), 0);
        digest_format(&d, text);
        assert_int_equal(strncmp(text, "sha512:ddaf35a193617aba", 23), 0);
        assert_int_equal(strlen(text), DIGEST_TEXT_MAX - 1);
}

static void pieces_hash_as_the_whole(void **state)
{
        cleanup_hash struct hash h = HASH_NONE;
        cleanup_hash struct hash fork = HASH_NONE;
        struct digest pieces, forked, whole;
        (void)state;

        assert_int_equal(hash_init(&h, HASH_SHA384), 0);
        hash_update(&h, "a", 1);
        hash_update(&h, "", 0);
        assert_int_equal(hash_copy(&h, &fork), 0);
        hash_update(&h, "bc", 2);
        hash_update(&fork, "bd", 2);
        assert_int_equal(hash_final(&h, &pieces), 0);
        assert_int_equal(hash_final(&fork, &forked), 0);
        assert_int_equal(hash_view(HASH_SHA384, view_of("abc", 3), &whole), 0);
        assert_true(digest_equal(&pieces, &whole));
        assert_false(digest_equal(&forked, &whole));
        /* A finished hash has nothing more to give. */
        assert_int_equal(hash_final(&h, &pieces), -EINVAL);
}

static void digest_text_survives_a_round_trip(void **state)
{
        struct digest d;
        struct error err = {0};
        char text[DIGEST_TEXT_MAX];
        (void)state;

        assert_int_equal(digest_parse(view_of_string("sha256:" ABC_256), &d, &err), 0);
        assert_int_equal(d.algorithm, HASH_SHA256);
        digest_format(&d, text);
        assert_string_equal(text, "sha256:" ABC_256);
        assert_int_equal(digest_parse(view_of_string("sha384:" ABC_384), &d, &err), 0);
        assert_int_equal(digest_view(&d).n, 48);
}

static void anything_else_is_no_digest(void **state)
{
        static const struct {
                const char *text;
                int code;
        } cases[] = {
                {"", -EBADMSG},
                {"sha256", -EBADMSG},
                {"sha256:", -EBADMSG},
                {":" ABC_256, -EBADMSG},
                {"sha256:" ABC_256 "0", -EBADMSG},
                {"sha256: " ABC_256, -EBADMSG},
                {"sha256:BA7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", -EBADMSG},
                {"sha256:../../../../../../etc/passwd", -EBADMSG},
                {"sha384:" ABC_256, -EBADMSG},
                {"SHA256:" ABC_256, -ENOTSUP},
                {"blake3:" ABC_256, -ENOTSUP},
        };
        (void)state;

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct error err = {0};
                struct digest d = {.algorithm = HASH_SHA512};

                assert_int_equal(digest_parse(view_of_string(cases[i].text), &d, &err), cases[i].code);
                assert_int_equal(err.code, cases[i].code);
                assert_non_null(strstr(error_text(&err), "digest"));
                assert_int_equal(d.algorithm, HASH_SHA512);
        }
}

static void control_bytes_of_a_bad_digest_are_not_quoted(void **state)
{
        struct error err = {0};
        struct digest d;
        (void)state;

        assert_int_equal(digest_parse(view_of("sha256\0\033[2J", 11), &d, &err), -EBADMSG);
        assert_null(strchr(error_text(&err), '\033'));
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(abc_hashes_to_the_published_values),
                cmocka_unit_test(pieces_hash_as_the_whole),
                cmocka_unit_test(digest_text_survives_a_round_trip),
                cmocka_unit_test(anything_else_is_no_digest),
                cmocka_unit_test(control_bytes_of_a_bad_digest_are_not_quoted),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
