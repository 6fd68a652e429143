/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/eif/signature.h"

#include "lib/base/fd.h"
#include "lib/crypto/cbor-stream.h"
#include "lib/crypto/cose.h"
#include "lib/crypto/hash.h"
#include "lib/crypto/private-key.h"
#include "lib/crypto/test-keys.h"
#include "lib/eif/pcr.h"
#include "lib/eif/test-image.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

/* The certificates' validity, and a moment in it. */
enum { FROM = 1795132800, NOW = FROM + 1000, UNTIL = FROM + 86400 };

struct identity {
        struct test_keys pem;
        struct certificate *certificate;
        struct private_key *key;
        struct eif_signer signer;
};

static void identity_init(struct identity *ret_i, const char *group)
{
        struct error err = {0};

        test_keys_init(&ret_i->pem,
                       &(struct test_keys_spec){.group = group, .not_before = FROM, .not_after = UNTIL});
        assert_int_equal(certificate_parse(buf_view(&ret_i->pem.certificate_pem), &ret_i->certificate, &err),
                         0);
        assert_int_equal(private_key_parse(buf_view(&ret_i->pem.key_pem), &ret_i->key, &err), 0);
        ret_i->signer = (struct eif_signer){.certificate = ret_i->certificate, .key = ret_i->key};
}

static void identity_done(struct identity *i)
{
        test_keys_done(&i->pem);
        certificate_free(i->certificate);
        private_key_free(i->key);
}
#define cleanup_identity CLEANUP(identity_done)

static struct digest some_pcr0(void)
{
        struct digest d;

        assert_int_equal(hash_view(HASH_SHA384, view_of_string("pcr"), &d), 0);
        return d;
}

static void put_byte_array(struct buf *b, struct view v)
{
        cbor_put_array(b, v.n);
        for (size_t i = 0; i < v.n; i++)
                cbor_put_uint(b, v.p[i]);
}

/* A section whose message signs `payload`, whatever that is. */
static struct buf section_of(const struct identity *i, struct view payload)
{
        struct buf section = buf_with_max(EIF_SIGNATURE_MAX);
        cleanup_buf struct buf message = buf_with_max(EIF_SIGNATURE_MAX);
        struct error err = {0};

        assert_int_equal(cose_sign1_sign(i->key, payload, &message, &err), 0);
        cbor_put_array(&section, 1);
        cbor_put_map(&section, 2);
        cbor_put_text(&section, "signature"); /* the order of the keys is free for readers */
        put_byte_array(&section, buf_view(&message));
        cbor_put_text(&section, "signing_certificate");
        put_byte_array(&section, certificate_pem(i->certificate));
        return section;
}

static void put_payload(struct buf *b, const struct digest *pcr0)
{
        cbor_put_map(b, 2);
        cbor_put_text(b, "register_index");
        cbor_put_uint(b, 0);
        cbor_put_text(b, "register_value");
        put_byte_array(b, digest_view(pcr0));
}

static void signed_images_verify_on_every_curve(void **state)
{
        static const char *const groups[] = {"P-256", "P-384", "P-521"};
        (void)state;

        for (size_t i = 0; i < ARRAY_SIZE(groups); i++) {
                cleanup_identity struct identity id = {0};
                cleanup_fd int fd = test_empty_file();
                cleanup_eif struct eif *eif = NULL;
                cleanup_eif_measured struct eif_measured m = {0};
                struct error err = {0};
                struct eif_pcrs pcrs;

                identity_init(&id, groups[i]);
                test_write_image(fd, &id.signer, &pcrs);
                assert_int_equal(eif_open(fd, &eif, &err), 0);
                assert_int_equal(eif_find(eif, EIF_SECTION_SIGNATURE, 0), 5);
                assert_int_equal(eif_measure(eif, NULL, NULL, &m, &err), 0);
                assert_int_equal(eif_verify_crc(eif, &m, &err), 0);
                assert_int_equal(eif_verify_signature(&m, NOW, &err), 0);
                assert_true(digest_equal(&m.pcrs.pcr0, &pcrs.pcr0));
                /* One CBOR array, one map, the certificate first: what other readers insist on. */
                assert_true(view_equal(view_of(m.signature.p, 22),
                                       view_of("\x81\xa2\x73signing_certificate", 22)));
        }
}

static void an_unsigned_image_has_no_signature_to_verify(void **state)
{
        cleanup_eif_measured struct eif_measured m = {0};
        struct error err = {0};
        (void)state;

        assert_int_equal(eif_verify_signature(&m, NOW, &err), -ENODATA);
        assert_string_equal(error_text(&err), "the enclave image is not signed");
}

static void a_signature_for_another_image_is_refused(void **state)
{
        cleanup_identity struct identity id = {0};
        cleanup_buf struct buf section = buf_with_max(EIF_SIGNATURE_MAX);
        cleanup_eif_signature struct eif_signature s = {0};
        struct digest pcr0 = some_pcr0(), other = some_pcr0();
        struct error err = {0};
        (void)state;

        other.bytes[47] ^= 1;
        identity_init(&id, "P-384");
        assert_int_equal(eif_signature_encode(&id.signer, &pcr0, &section, &err), 0);
        assert_int_equal(eif_signature_decode(buf_view(&section), &s, &err), 0);
        assert_int_equal(eif_signature_verify(&s, &pcr0, NOW, &err), 0);
        assert_int_equal(eif_signature_verify(&s, &other, NOW, &err), -EBADMSG);
        assert_true(strncmp(error_text(&err), "the signature is for PCR0 ", 26) == 0);
        assert_non_null(strstr(error_text(&err), ", but the file measures "));
}

static void a_certificate_outside_its_time_is_refused(void **state)
{
        cleanup_identity struct identity id = {0};
        cleanup_buf struct buf section = buf_with_max(EIF_SIGNATURE_MAX);
        cleanup_eif_signature struct eif_signature s = {0};
        struct digest pcr0 = some_pcr0();
        struct error err = {0};
        (void)state;

        identity_init(&id, "P-384");
        assert_int_equal(eif_signature_encode(&id.signer, &pcr0, &section, &err), 0);
        assert_int_equal(eif_signature_decode(buf_view(&section), &s, &err), 0);
        assert_int_equal(eif_signature_verify(&s, &pcr0, UNTIL + 1, &err), -EKEYEXPIRED);
        assert_non_null(strstr(error_text(&err), "the certificate expired at "));
        assert_int_equal(eif_signature_verify(&s, &pcr0, FROM - 1, &err), -EKEYREJECTED);
}

/* A certificate swapped for somebody else's is the classic forgery. */
static void a_certificate_that_did_not_sign_is_refused(void **state)
{
        cleanup_identity struct identity a = {0}, b = {0}, mixed = {0};
        cleanup_eif_signature struct eif_signature s = {0};
        struct digest pcr0 = some_pcr0();
        cleanup_buf struct buf payload = buf_with_max(1024), refused = buf_with_max(EIF_SIGNATURE_MAX);
        struct error err = {0};
        (void)state;

        identity_init(&a, "P-384");
        identity_init(&b, "P-384");
        mixed.signer = (struct eif_signer){.certificate = b.certificate, .key = a.key};
        assert_int_equal(eif_signature_encode(&mixed.signer, &pcr0, &refused, &err), -EKEYREJECTED);
        assert_int_equal(refused.n, 0);
        put_payload(&payload, &pcr0);
        cleanup_buf struct buf section = section_of(
                &(struct identity){.certificate = b.certificate, .key = a.key}, buf_view(&payload));
        assert_int_equal(eif_signature_decode(buf_view(&section), &s, &err), 0);
        assert_int_equal(eif_signature_verify(&s, &pcr0, NOW, &err), -EKEYREJECTED);
        assert_string_equal(error_text(&err), "the signature was not made with the certificate's key");
}

/* What a device signs is what our own key would have signed: its raw signature in place of the key gives
 * the same file. */
static void a_signature_made_elsewhere_is_taken_and_another_refused(void **state)
{
        cleanup_identity struct identity id = {0};
        struct digest pcr0 = some_pcr0(), other = some_pcr0();
        cleanup_buf struct buf here = buf_with_max(EIF_SIGNATURE_MAX),
                               elsewhere = buf_with_max(EIF_SIGNATURE_MAX);
        cleanup_buf struct buf message = buf_with_max(1024), raw = buf_with_max(1024);
        struct error err = {0};
        (void)state;

        identity_init(&id, "P-384");
        assert_int_equal(eif_signature_encode(&id.signer, &pcr0, &here, &err), 0);
        assert_int_equal(eif_signature_to_sign(id.certificate, &pcr0, &message, &err), 0);
        assert_int_equal(private_key_sign(id.key, buf_view(&message), &raw, &err), 0);
        struct eif_signer signer = {.certificate = id.certificate, .signature = buf_view(&raw)};
        assert_int_equal(eif_signature_encode(&signer, &pcr0, &elsewhere, &err), 0);
        assert_true(view_equal(buf_view(&here), buf_view(&elsewhere)));

        other.bytes[0] ^= 1;
        buf_done(&elsewhere);
        elsewhere = buf_with_max(EIF_SIGNATURE_MAX);
        assert_int_equal(eif_signature_encode(&signer, &other, &elsewhere, &err), -EKEYREJECTED);
        signer.signature.n--;
        assert_int_equal(eif_signature_encode(&signer, &pcr0, &elsewhere, &err), -EBADMSG);
        assert_int_equal(elsewhere.n, 0);
}

static void what_is_signed_must_be_pcr0_and_nothing_else(void **state)
{
        static const struct {
                const char *key_1, *key_2;
                uint64_t index;
                size_t value;
                const char *text;
        } cases[] = {
                {"register_index", "register_value", 1, 48, "the signature is for PCR1 instead of PCR0"},
                {"register_index", "register_value", 0, 47, "the signed PCR0 has 47 bytes instead of 48"},
                {"register_index", "register_value", 0, 49, "the signed PCR0 has 49 bytes instead of 48"},
                {"register_index", "register_value", 0, 64, "the signed PCR0 has 64 bytes instead of 48"},
                {"register_index", "register_value", 0, 65,
                 "what is signed has an array with too many items"},
                {"register_index", "other", 0, 48, "what is signed has an unknown or repeated key"},
                {"other", "register_value", 0, 48, "what is signed has an unknown or repeated key"},
        };
        cleanup_identity struct identity id = {0};
        struct digest pcr0 = some_pcr0();
        (void)state;

        identity_init(&id, "P-256");
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                cleanup_buf struct buf payload = buf_with_max(1024);
                cleanup_eif_signature struct eif_signature s = {0};
                uint8_t value[80] = {0};
                struct error err = {0};

                memcpy(value, pcr0.bytes, PCR_SIZE);
                cbor_put_map(&payload, 2);
                cbor_put_text(&payload, cases[i].key_1);
                cbor_put_uint(&payload, cases[i].index);
                cbor_put_text(&payload, cases[i].key_2);
                put_byte_array(&payload, view_of(value, cases[i].value));
                cleanup_buf struct buf section = section_of(&id, buf_view(&payload));
                assert_int_equal(eif_signature_decode(buf_view(&section), &s, &err), 0);
                assert_int_equal(eif_signature_verify(&s, &pcr0, NOW, &err), -EBADMSG);
                if (!strstr(error_text(&err), cases[i].text))
                        fail_msg("\"%s\" lacks \"%s\"", error_text(&err), cases[i].text);
        }
}

/* `n` of index and value, each as often as wanted, signed. */
static void refuse_payload(const struct identity *id, size_t n_indexes, size_t n_values, const char *text)
{
        cleanup_buf struct buf payload = buf_with_max(1024);
        cleanup_eif_signature struct eif_signature s = {0};
        struct digest pcr0 = some_pcr0();
        struct error err = {0};

        cbor_put_map(&payload, n_indexes + n_values);
        for (size_t i = 0; i < n_indexes; i++) {
                cbor_put_text(&payload, "register_index");
                cbor_put_uint(&payload, 0);
        }
        for (size_t i = 0; i < n_values; i++) {
                cbor_put_text(&payload, "register_value");
                put_byte_array(&payload, digest_view(&pcr0));
        }
        cleanup_buf struct buf section = section_of(id, buf_view(&payload));
        assert_int_equal(eif_signature_decode(buf_view(&section), &s, &err), 0);
        assert_int_equal(eif_signature_verify(&s, &pcr0, NOW, &err), -EBADMSG);
        if (!strstr(error_text(&err), text))
                fail_msg("\"%s\" lacks \"%s\"", error_text(&err), text);
}

static void what_is_signed_has_each_member_once(void **state)
{
        cleanup_identity struct identity id = {0};
        (void)state;

        identity_init(&id, "P-256");
        refuse_payload(&id, 0, 0, "what is signed has no register_index");
        refuse_payload(&id, 0, 1, "what is signed has no register_index");
        refuse_payload(&id, 1, 0, "what is signed has no register_value");
        refuse_payload(&id, 2, 0, "what is signed has an unknown or repeated key");
        refuse_payload(&id, 0, 2, "what is signed has an unknown or repeated key");
        refuse_payload(&id, 1, 2, "what is signed has a map with too many entries");
}

static void a_section_larger_than_its_limit_is_refused_before_it_is_read(void **state)
{
        cleanup_free uint8_t *large = calloc(1, EIF_SIGNATURE_MAX + 1);
        struct eif_signature s = {0};
        struct error err = {0};
        (void)state;

        assert_int_equal(eif_signature_decode(view_of(large, EIF_SIGNATURE_MAX + 1), &s, &err), -EBADMSG);
        assert_string_equal(error_text(&err), "the signature section has 32769 bytes, more than 32768");
}

static void malformed_sections_are_refused_by_name(void **state)
{
#define CERTIFICATE "\x73signing_certificate"
#define SIGNATURE   "\x69signature"
        static const struct {
                const char *bytes;
                size_t n;
                const char *text;
        } cases[] = {
#define CASE(bytes, text) {bytes, sizeof(bytes) - 1, text}
                CASE("", "the signature section ends early at byte 0"),
                CASE("\x80", "the signature section has no entry"),
                CASE("\xa0", "something else where an array belongs at byte 0"),
                CASE("\x89", "an array with too many items at byte 0"),
                CASE("\x9f\xff", "an item of indefinite length"),
                CASE("\x81\x80", "something else where a map belongs at byte 1"),
                CASE("\x81\xa0", "an entry without signing_certificate"),
                CASE("\x81\xa1" CERTIFICATE "\x81\x18\x41", "an entry without signature"),
                CASE("\x81\xa1" SIGNATURE "\x81\x18\x41", "an entry without signing_certificate"),
                CASE("\x81\xa1\x65other\x00", "an entry with an unknown key"),
                CASE("\x81\xa2" SIGNATURE "\x81\x01" SIGNATURE "\x81\x01", "an entry with a key twice"),
                CASE("\x81\xa3", "a map with too many entries at byte 1"),
                CASE("\x81\xa2" CERTIFICATE "\x42\x41\x41", "something else where an array belongs"),
                CASE("\x81\xa2" CERTIFICATE "\x81\x19\x01\x00",
                     "an integer above 255 where a byte belongs at byte 23"),
                CASE("\x81\xa2" CERTIFICATE "\x81\x20", "something else where an unsigned integer belongs"),
                CASE("\x81\xa2" CERTIFICATE "\x9b\xff\xff\xff\xff\xff\xff\xff\xff\x01",
                     "an array with too many items"),
                CASE("\x81\xa2" CERTIFICATE "\x99\x7f\xff\x01", "ends early"),
                CASE("\x81\xa2" CERTIFICATE "\x81\x01" SIGNATURE "\x81\x01\x00", "1 bytes behind its end"),
                CASE("\x81\xa2" CERTIFICATE "\x81\x01" SIGNATURE "\x81\x01",
                     "the signature section's certificate: holds no certificate"),
        };
        (void)state;

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct eif_signature s = {0};
                struct error err = {0};

                if (eif_signature_decode(view_of(cases[i].bytes, cases[i].n), &s, &err) != -EBADMSG)
                        fail_msg("case %zu is not refused", i);
                if (!strstr(error_text(&err), cases[i].text))
                        fail_msg("case %zu: \"%s\" lacks \"%s\"", i, error_text(&err), cases[i].text);
        }
}

/* The first entry counts; others must have its form and no more. */
static void more_than_one_certificate_is_tolerated(void **state)
{
        cleanup_identity struct identity a = {0}, b = {0};
        cleanup_buf struct buf first = buf_with_max(EIF_SIGNATURE_MAX),
                               second = buf_with_max(EIF_SIGNATURE_MAX);
        cleanup_buf struct buf both = buf_with_max(EIF_SIGNATURE_MAX);
        cleanup_eif_signature struct eif_signature s = {0};
        struct digest pcr0 = some_pcr0();
        struct error err = {0};
        (void)state;

        identity_init(&a, "P-256");
        identity_init(&b, "P-384");
        assert_int_equal(eif_signature_encode(&a.signer, &pcr0, &first, &err), 0);
        assert_int_equal(eif_signature_encode(&b.signer, &pcr0, &second, &err), 0);
        cbor_put_array(&both, 2);
        buf_append(&both, first.p + 1, first.n - 1);
        buf_append(&both, second.p + 1, second.n - 1);
        assert_int_equal(eif_signature_decode(buf_view(&both), &s, &err), 0);
        assert_int_equal(s.n, 2);
        assert_true(view_equal(certificate_der(s.certificate), certificate_der(a.certificate)));
        assert_int_equal(eif_signature_verify(&s, &pcr0, NOW, &err), 0);
}

static void pcr8_is_the_double_hash_of_the_der_certificate(void **state)
{
        cleanup_identity struct identity id = {0};
        struct digest pcr8, expected;
        (void)state;

        identity_init(&id, "P-384");
        assert_int_equal(eif_pcr8(id.certificate, &pcr8), 0);
        assert_int_equal(pcr_of_content(certificate_der(id.certificate), &expected), 0);
        assert_true(digest_equal(&pcr8, &expected));
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(signed_images_verify_on_every_curve),
                cmocka_unit_test(an_unsigned_image_has_no_signature_to_verify),
                cmocka_unit_test(a_signature_for_another_image_is_refused),
                cmocka_unit_test(a_certificate_outside_its_time_is_refused),
                cmocka_unit_test(a_certificate_that_did_not_sign_is_refused),
                cmocka_unit_test(a_signature_made_elsewhere_is_taken_and_another_refused),
                cmocka_unit_test(what_is_signed_must_be_pcr0_and_nothing_else),
                cmocka_unit_test(what_is_signed_has_each_member_once),
                cmocka_unit_test(a_section_larger_than_its_limit_is_refused_before_it_is_read),
                cmocka_unit_test(malformed_sections_are_refused_by_name),
                cmocka_unit_test(more_than_one_certificate_is_tolerated),
                cmocka_unit_test(pcr8_is_the_double_hash_of_the_der_certificate),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
