/* SPDX-License-Identifier: Apache-2.0 */
/*
 * signature.c - the section is CBOR: [{"signing_certificate": [bytes], "signature": [bytes]}], where [bytes]
 * is an array of unsigned integers, one for each byte.  Certificate: PEM.  Signature: COSE_Sign1 of
 * {"register_index": 0, "register_value": [bytes of PCR0]}.  Readers of others want the certificate first.
 */
#include "lib/eif/signature.h"

#include "lib/crypto/cbor-stream.h"
#include "lib/crypto/cose.h"
#include "lib/eif/pcr.h"

#include <string.h>

static const char key_certificate[] = "signing_certificate";
static const char key_signature[] = "signature";
static const char key_index[] = "register_index";
static const char key_value[] = "register_value";

/* The register that is signed: of which there is no other than PCR0. */
enum { SIGNED_REGISTER = 0 };

enum {
        PAYLOAD_MAX = 256,  /* of the COSE message; ours has 134 bytes at most */
        MESSAGE_MAX = 2048, /* COSE message that we write */
};

static void put_byte_array(struct buf *b, struct view v)
{
        cbor_put_array(b, v.n);
        for (size_t i = 0; i < v.n; i++)
                cbor_put_uint(b, v.p[i]);
}

/* Takes an array of integers 0 to 255, at most max.  Not more than there is input for. */
static void take_byte_array(struct cbor_reader *r, uint64_t max, struct buf *b)
{
        for (uint64_t n = cbor_take_array(r, max); n > 0 && !r->problem; n--) {
                uint64_t value = cbor_take_uint(r);

                if (value > UINT8_MAX)
                        cbor_fail(r, "has an integer above 255 where a byte belongs");
                buf_append_byte(b, (uint8_t)value);
        }
}

/* {"register_index": 0, "register_value": pcr0} */
static int encode_payload(const struct digest *pcr0, struct buf *payload, struct error *err)
{
        cbor_put_map(payload, 2);
        cbor_put_text(payload, key_index);
        cbor_put_uint(payload, SIGNED_REGISTER);
        cbor_put_text(payload, key_value);
        put_byte_array(payload, digest_view(pcr0));
        return payload->failed ? error_oom(err) : 0;
}

int eif_signature_to_sign(const struct certificate *certificate, const struct digest *pcr0, struct buf *ret_b,
                          struct error *err)
{
        cleanup_buf struct buf payload = buf_with_max(PAYLOAD_MAX);
        int r = encode_payload(pcr0, &payload, err);

        return r < 0 ? r : cose_sign1_to_sign(certificate_curve(certificate), buf_view(&payload), ret_b, err);
}

/* The COSE message, signed here or elsewhere, and verified as whoever reads the file will. */
static int sign(const struct eif_signer *signer, const struct digest *pcr0, struct buf *message,
                struct error *err)
{
        cleanup_buf struct buf payload = buf_with_max(PAYLOAD_MAX);
        struct cose_sign1 sign1;
        int r = encode_payload(pcr0, &payload, err);

        if (r < 0)
                return r;
        r = signer->key ? cose_sign1_sign(signer->key, buf_view(&payload), message, err)
                        : cose_sign1_assemble(certificate_curve(signer->certificate), buf_view(&payload),
                                              signer->signature, message, err);
        if (r == 0)
                r = cose_sign1_decode(buf_view(message), &sign1, err);
        return r < 0 ? r : cose_sign1_verify(&sign1, signer->certificate, err);
}

int eif_signature_encode(const struct eif_signer *signer, const struct digest *pcr0, struct buf *ret_section,
                         struct error *err)
{
        cleanup_buf struct buf message = buf_with_max(MESSAGE_MAX);
        int r = sign(signer, pcr0, &message, err);

        if (r < 0)
                return r;
        cbor_put_array(ret_section, 1);
        cbor_put_map(ret_section, 2);
        cbor_put_text(ret_section, key_certificate);
        put_byte_array(ret_section, certificate_pem(signer->certificate));
        cbor_put_text(ret_section, key_signature);
        put_byte_array(ret_section, buf_view(&message));
        if (ret_section->failed == -E2BIG)
                return error_set(err, -E2BIG,
                                 "the signature section has more than %zu bytes; use a smaller certificate",
                                 ret_section->max);
        return ret_section->failed ? error_oom(err) : 0;
}

/* One map of the section. */
static int decode_entry(struct cbor_reader *r, struct buf *pem, struct buf *message, struct error *err)
{
        uint64_t n = cbor_take_map(r, 2);

        for (uint64_t i = 0; i < n && !r->problem; i++) {
                struct view key = cbor_take_text(r);
                struct buf *b = view_equal(key, view_of_string(key_certificate)) ? pem
                                : view_equal(key, view_of_string(key_signature)) ? message
                                                                                 : NULL;
                if (!r->problem && (!b || b->n > 0))
                        return error_set(err, -EBADMSG,
                                         "the signature section has an entry with %s; exactly \"%s\" and "
                                         "\"%s\" belong "
                                         "there",
                                         b ? "a key twice" : "an unknown key", key_certificate,
                                         key_signature);
                if (b)
                        take_byte_array(r, EIF_SIGNATURE_MAX, b);
        }
        if (!r->problem && (pem->n == 0 || message->n == 0))
                return error_set(err, -EBADMSG, "the signature section has an entry without %s",
                                 pem->n ? key_signature : key_certificate);
        return pem->failed || message->failed ? error_oom(err) : 0;
}

/* All entries: the first into pem and message, the others for their form alone. */
static int decode_entries(struct view section, struct buf *pem, struct buf *message, size_t *ret_n,
                          struct error *err)
{
        struct cbor_reader r = cbor_reader_of(section);
        uint64_t n = cbor_take_array(&r, EIF_CERTIFICATES_MAX);
        int e;

        if (!r.problem && n == 0)
                return error_set(err, -EBADMSG, "the signature section has no entry");
        for (uint64_t i = 0; i < n && !r.problem; i++) {
                cleanup_buf struct buf other_pem = buf_with_max(EIF_SIGNATURE_MAX);
                cleanup_buf struct buf other_message = buf_with_max(EIF_SIGNATURE_MAX);

                e = decode_entry(&r, i ? &other_pem : pem, i ? &other_message : message, err);
                if (e < 0)
                        return e;
        }
        e = cbor_end(&r, "the signature section", err);
        if (e == 0)
                *ret_n = n;
        return e;
}

int eif_signature_decode(struct view section, struct eif_signature *ret_signature, struct error *err)
{
        struct eif_signature s = {.message = buf_with_max(EIF_SIGNATURE_MAX)};
        cleanup_buf struct buf pem = buf_with_max(EIF_SIGNATURE_MAX);
        int r;

        if (section.n > EIF_SIGNATURE_MAX)
                return error_set(err, -EBADMSG, "the signature section has %zu bytes, more than %d",
                                 section.n, EIF_SIGNATURE_MAX);
        r = decode_entries(section, &pem, &s.message, &s.n, err);
        if (r == 0) {
                r = certificate_parse(buf_view(&pem), &s.certificate, err);
                if (r < 0)
                        error_wrap(err, "the signature section's certificate");
        }
        if (r == 0)
                *ret_signature = s;
        else
                eif_signature_done(&s);
        return r;
}

void eif_signature_done(struct eif_signature *s)
{
        certificate_free(s->certificate);
        s->certificate = NULL;
        buf_done(&s->message);
}

/* The signed register's value. */
static int decode_payload(struct view payload, uint64_t *ret_index, struct buf *ret_value, struct error *err)
{
        struct cbor_reader r = cbor_reader_of(payload);
        bool have_index = false;
        int e;

        for (uint64_t n = cbor_take_map(&r, 2); n > 0 && !r.problem; n--) {
                struct view key = cbor_take_text(&r);

                if (view_equal(key, view_of_string(key_index)) && !have_index) {
                        *ret_index = cbor_take_uint(&r);
                        have_index = true;
                } else if (view_equal(key, view_of_string(key_value)) && ret_value->n == 0) {
                        take_byte_array(&r, DIGEST_SIZE_MAX, ret_value);
                } else if (!r.problem) {
                        return error_set(err, -EBADMSG, "what is signed has an unknown or repeated key");
                }
        }
        e = cbor_end(&r, "what is signed", err);
        if (e == 0 && (!have_index || ret_value->n == 0))
                return error_set(err, -EBADMSG, "what is signed has no %s",
                                 have_index ? key_value : key_index);
        return ret_value->failed ? error_oom(err) : e;
}

static int check_pcr0(struct view payload, const struct digest *pcr0, struct error *err)
{
        cleanup_buf struct buf value = buf_with_max(DIGEST_SIZE_MAX);
        struct digest is = {.algorithm = HASH_SHA384};
        char is_hex[DIGEST_HEX_MAX], should_hex[DIGEST_HEX_MAX];
        uint64_t index = 0;
        int r = decode_payload(payload, &index, &value, err);

        if (r < 0)
                return r;
        if (index != SIGNED_REGISTER)
                return error_set(err, -EBADMSG, "the signature is for PCR%llu instead of PCR0",
                                 (unsigned long long)index);
        if (value.n != PCR_SIZE)
                return error_set(err, -EBADMSG, "the signed PCR0 has %zu bytes instead of %d", value.n,
                                 PCR_SIZE);
        memcpy(is.bytes, value.p, PCR_SIZE);
        if (digest_equal(&is, pcr0))
                return 0;
        digest_hex(&is, is_hex);
        digest_hex(pcr0, should_hex);
        return error_set(err, -EBADMSG, "the signature is for PCR0 %s, but the file measures %s", is_hex,
                         should_hex);
}

int eif_signature_verify(const struct eif_signature *s, const struct digest *pcr0, int64_t now,
                         struct error *err)
{
        struct cose_sign1 sign1;
        int r = cose_sign1_decode(buf_view(&s->message), &sign1, err);

        if (r == 0)
                r = cose_sign1_verify(&sign1, s->certificate, err);
        if (r == 0)
                r = check_pcr0(sign1.payload, pcr0, err);
        if (r == 0)
                r = certificate_check_time(s->certificate, now, err);
        return r;
}

int eif_verify_signature(const struct eif_measured *measured, int64_t now, struct error *err)
{
        cleanup_eif_signature struct eif_signature s = {0};
        int r;

        if (measured->signature.n == 0)
                return error_set(err, -ENODATA, "the enclave image is not signed");
        r = eif_signature_decode(buf_view(&measured->signature), &s, err);
        return r < 0 ? r : eif_signature_verify(&s, &measured->pcrs.pcr0, now, err);
}

int eif_pcr8(const struct certificate *certificate, struct digest *ret_pcr8)
{
        return pcr_of_content(certificate_der(certificate), ret_pcr8);
}
