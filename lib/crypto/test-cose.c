/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/crypto/cose.h"

#include "lib/base/text.h"
#include "lib/crypto/cbor-stream.h"
#include "lib/crypto/test-keys.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

enum { MESSAGE_MAX = 4096 };

struct signer {
        struct test_keys pem;
        struct certificate *certificate;
        struct private_key *key;
};

static void signer_init(struct signer *ret_s, const char *group)
{
        struct error err = {0};

        test_keys_init(&ret_s->pem, &(struct test_keys_spec){.group = group, .not_after = 4000000000});
        assert_int_equal(certificate_parse(buf_view(&ret_s->pem.certificate_pem), &ret_s->certificate, &err),
                         0);
        assert_int_equal(private_key_parse(buf_view(&ret_s->pem.key_pem), &ret_s->key, &err), 0);
}

static void signer_done(struct signer *s)
{
        test_keys_done(&s->pem);
        certificate_free(s->certificate);
        private_key_free(s->key);
}
#define cleanup_signer CLEANUP(signer_done)

static const struct {
        const char *group;
        const char *head; /* the message up to the payload's head */
        int64_t algorithm;
        size_t signature;
} curves[] = {
        {"P-256", "8443a10126a0", -7, 64},
        {"P-384", "8444a1013822a0", -35, 96},
        {"P-521", "8444a1013823a0", -36, 132},
};

static void every_curve_signs_in_the_expected_form_and_verifies(void **state)
{
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(curves); i++) {
                cleanup_signer struct signer s = {0};
                cleanup_buf struct buf message = buf_with_max(MESSAGE_MAX);
                char hex[2 * MESSAGE_MAX + 1];
                struct cose_sign1 sign1;
                struct error err = {0};

                signer_init(&s, curves[i].group);
                assert_int_equal(cose_sign1_sign(s.key, view_of_string("payload"), &message, &err), 0);
                hex_encode(message.p, message.n, hex);
                assert_true(string_starts_with(hex, curves[i].head));
                assert_int_equal(cose_sign1_decode(buf_view(&message), &sign1, &err), 0);
                assert_int_equal(sign1.algorithm, curves[i].algorithm);
                assert_int_equal(sign1.signature.n, curves[i].signature);
                assert_true(view_equal(sign1.payload, view_of_string("payload")));
                assert_int_equal(cose_sign1_verify(&sign1, s.certificate, &err), 0);
        }
}

/* Any single bit of protected header, payload or signature matters. */
static void a_flipped_bit_is_found_wherever_it_is(void **state)
{
        cleanup_signer struct signer s = {0};
        cleanup_buf struct buf message = buf_with_max(MESSAGE_MAX);
        struct cose_sign1 sign1;
        struct error err = {0};
        (void)state;

        signer_init(&s, "P-384");
        assert_int_equal(cose_sign1_sign(s.key, view_of_string("payload"), &message, &err), 0);
        for (size_t i = 0; i < message.n; i++) {
                message.p[i] ^= 1;
                if (cose_sign1_decode(buf_view(&message), &sign1, &err) == 0)
                        assert_true(cose_sign1_verify(&sign1, s.certificate, &err) < 0);
                message.p[i] ^= 1;
        }
        assert_int_equal(cose_sign1_decode(buf_view(&message), &sign1, &err), 0);
        assert_int_equal(cose_sign1_verify(&sign1, s.certificate, &err), 0);
}

static void another_key_of_the_same_curve_is_rejected(void **state)
{
        cleanup_signer struct signer a = {0}, b = {0};
        cleanup_buf struct buf message = buf_with_max(MESSAGE_MAX);
        struct cose_sign1 sign1;
        struct error err = {0};
        (void)state;

        signer_init(&a, "P-256");
        signer_init(&b, "P-256");
        assert_int_equal(cose_sign1_sign(a.key, view_of_string("x"), &message, &err), 0);
        assert_int_equal(cose_sign1_decode(buf_view(&message), &sign1, &err), 0);
        assert_int_equal(cose_sign1_verify(&sign1, b.certificate, &err), -EKEYREJECTED);
        assert_string_equal(error_text(&err), "the signature was not made with the certificate's key");
}

static void an_algorithm_of_another_curve_is_refused_before_any_arithmetic(void **state)
{
        cleanup_signer struct signer a = {0}, b = {0};
        cleanup_buf struct buf message = buf_with_max(MESSAGE_MAX);
        struct cose_sign1 sign1;
        struct error err = {0};
        (void)state;

        signer_init(&a, "P-256");
        signer_init(&b, "P-384");
        assert_int_equal(cose_sign1_sign(a.key, view_of_string("x"), &message, &err), 0);
        assert_int_equal(cose_sign1_decode(buf_view(&message), &sign1, &err), 0);
        assert_int_equal(cose_sign1_verify(&sign1, b.certificate, &err), -EBADMSG);
        assert_non_null(strstr(error_text(&err), "algorithm is -7, but the certificate's key on P-384"));
}

static void the_same_input_gives_the_same_signature_where_openssl_can(void **state)
{
        cleanup_signer struct signer s = {0};
        cleanup_buf struct buf a = buf_with_max(MESSAGE_MAX), b = buf_with_max(MESSAGE_MAX);
        struct error err = {0};
        (void)state;

        signer_init(&s, "P-384");
        assert_int_equal(cose_sign1_sign(s.key, view_of_string("x"), &a, &err), 0);
        assert_int_equal(cose_sign1_sign(s.key, view_of_string("x"), &b, &err), 0);
        assert_true(view_equal(buf_view(&a), buf_view(&b)));
}

/* r and s with a zero byte before each are the same numbers, and another message. */
static void a_signature_of_another_length_is_refused(void **state)
{
        cleanup_signer struct signer s = {0};
        cleanup_buf struct buf message = buf_with_max(MESSAGE_MAX);
        struct cose_sign1 sign1;
        struct error err = {0};
        uint8_t longer[66] = {0};
        (void)state;

        signer_init(&s, "P-256");
        assert_int_equal(cose_sign1_sign(s.key, view_of_string("x"), &message, &err), 0);
        assert_int_equal(cose_sign1_decode(buf_view(&message), &sign1, &err), 0);
        memcpy(longer + 1, sign1.signature.p, 32);
        memcpy(longer + 34, sign1.signature.p + 32, 32);
        sign1.signature = view_of(longer, sizeof(longer));
        assert_int_equal(cose_sign1_verify(&sign1, s.certificate, &err), -EBADMSG);
        assert_string_equal(error_text(&err), "the signature has 66 bytes instead of the 64 of P-256");
        sign1.signature.n = 63;
        assert_int_equal(cose_sign1_verify(&sign1, s.certificate, &err), -EBADMSG);
}

static void the_first_problem_of_a_reader_stays(void **state)
{
        struct cbor_reader r = cbor_reader_of(view_of("\x01\xf6", 2));
        struct error err = {0};
        (void)state;

        assert_int_equal(cbor_take_uint(&r), 1);
        assert_int_equal(cbor_take_text(&r).n, 0);
        cbor_fail(&r, "has another problem");
        assert_int_equal(cbor_take_uint(&r), 0);
        assert_int_equal(cbor_end(&r, "it", &err), -EBADMSG);
        assert_string_equal(error_text(&err), "it has something else where a text string belongs at byte 1");
}

static void malformed_messages_are_refused_by_name(void **state)
{
        static const struct {
                const char *hex, *text;
        } cases[] = {
                {"", "the COSE message ends early at byte 0"},
                {"d18443a10126a0417840", "a tag other than 18"},
                {"8343a10126a04178", "3 parts instead of 4"},
                {"8543a10126a0417841784178", "an array with too many items"},
                {"9f43a10126a041784178ff", "an item of indefinite length at byte 0"},
                {"9bffffffffffffffff43a10126", "an array with too many items at byte 0"},
                {"84a0a041784178", "something else where a byte string belongs at byte 1"},
                {"8443a10126f641784178", "no map as its second part"},
                {"8443a10126a0f64178", "something else where a byte string belongs at byte 6"},
                {"8443a10126a05bffffffffffffffff4178", "ends early at byte 6"},
                {"8443a10126a0417841", "ends early at byte 8"},
                {"8443a10126a04178417800", "1 bytes behind its end"},
                {"8440a041784178", "protected header ends early"},
                {"8441a0a041784178", "names no algorithm"},
                {"8445a201260126a041784178", "names its algorithm twice"},
                {"8446a20126028101a041784178", "critical headers"},
                {"8444a1014126a041784178", "something else where an integer belongs"},
                {"844ba1011bffffffffffffffffa041784178", "an integer that is too large"},
                {"8443a10126a1018181818181818181f641784178", "nested too deeply"},
                {"8443a10126bbffffffffffffffff41784178", "a map with too many entries"},
        };
        (void)state;

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                uint8_t bytes[64];
                size_t n = strlen(cases[i].hex) / 2;
                struct cose_sign1 sign1;
                struct error err = {0};

                assert_true(hex_decode(view_of_string(cases[i].hex), bytes, n));
                assert_int_equal(cose_sign1_decode(view_of(bytes, n), &sign1, &err), -EBADMSG);
                if (!strstr(error_text(&err), cases[i].text))
                        fail_msg("%s: \"%s\" lacks \"%s\"", cases[i].hex, error_text(&err), cases[i].text);
        }
}

/* Headers that others may add: key id in the unprotected map, a content type in the protected one, tag 18. */
static void what_others_may_write_is_read(void **state)
{
        static const char *const cases[] = {
                "d28443a10126a041784178",
                "8443a10126a10442313141784178",
                "8446a20126036178a041784178",
                "844aa20126656b696e647301a041784178",
                "8443a10126a1637878788183f4f6fb3ff199999999999a41784178",
                "8443a10126a10181818181818181f641784178", /* as deep as may be */
                "8443a10126a101d70041784178",
        };
        (void)state;

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                uint8_t bytes[64];
                size_t n = strlen(cases[i]) / 2;
                struct cose_sign1 sign1;
                struct error err = {0};

                assert_true(hex_decode(view_of_string(cases[i]), bytes, n));
                if (cose_sign1_decode(view_of(bytes, n), &sign1, &err) < 0)
                        fail_msg("%s: %s", cases[i], error_text(&err));
                assert_int_equal(sign1.algorithm, -7);
        }
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(every_curve_signs_in_the_expected_form_and_verifies),
                cmocka_unit_test(a_flipped_bit_is_found_wherever_it_is),
                cmocka_unit_test(another_key_of_the_same_curve_is_rejected),
                cmocka_unit_test(an_algorithm_of_another_curve_is_refused_before_any_arithmetic),
                cmocka_unit_test(the_same_input_gives_the_same_signature_where_openssl_can),
                cmocka_unit_test(a_signature_of_another_length_is_refused),
                cmocka_unit_test(the_first_problem_of_a_reader_stays),
                cmocka_unit_test(malformed_messages_are_refused_by_name),
                cmocka_unit_test(what_others_may_write_is_read),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
