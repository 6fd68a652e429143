/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cose.c - COSE_Sign1 = [protected: bstr, unprotected: map, payload: bstr, signature: bstr].
 *
 * What is signed is not the message but the Sig_structure ["Signature1", protected, external data, payload],
 * built anew from the received bytes on both sides.
 */
#include "lib/crypto/cose.h"

#include "lib/crypto/cbor-stream.h"
#include "lib/crypto/openssl-internal.h"
#include "lib/crypto/raw-signature.h"

enum {
        TAG_SIGN1 = 18,
        LABEL_ALGORITHM = 1,
        LABEL_CRITICAL = 2,
        HEADERS_MAX = 16,
        MESSAGE_OVERHEAD_MAX = 256, /* heads, names and header of a message or a Sig_structure of ours */
};

/* A Sig_structure with no external data. */
static int sig_structure(struct view protected_header, struct view payload, struct buf *ret_b,
                         struct error *err)
{
        *ret_b = buf_with_max(MESSAGE_OVERHEAD_MAX + protected_header.n + payload.n);
        cbor_put_array(ret_b, 4);
        cbor_put_text(ret_b, "Signature1");
        cbor_put_bytes(ret_b, protected_header);
        cbor_put_bytes(ret_b, view_of(NULL, 0));
        cbor_put_bytes(ret_b, payload);
        return ret_b->failed ? error_oom(err) : 0;
}

/* {1: the curve's algorithm} */
static int protected_header(const struct curve *curve, struct buf *header, struct error *err)
{
        cbor_put_map(header, 1);
        cbor_put_int(header, LABEL_ALGORITHM);
        cbor_put_int(header, curve->cose_algorithm);
        return header->failed ? error_oom(err) : 0;
}

int cose_sign1_to_sign(const struct curve *curve, struct view payload, struct buf *ret_b, struct error *err)
{
        cleanup_buf struct buf header = buf_with_max(MESSAGE_OVERHEAD_MAX);
        cleanup_buf struct buf to_sign = buf_with_max(0);
        int r = protected_header(curve, &header, err);

        if (r == 0)
                r = sig_structure(buf_view(&header), payload, &to_sign, err);
        if (r < 0)
                return r;
        return buf_append_view(ret_b, buf_view(&to_sign)) < 0 ? error_oom(err) : 0;
}

int cose_sign1_assemble(const struct curve *curve, struct view payload, struct view signature,
                        struct buf *ret_message, struct error *err)
{
        cleanup_buf struct buf header = buf_with_max(MESSAGE_OVERHEAD_MAX);
        int r = protected_header(curve, &header, err);

        if (r < 0)
                return r;
        cbor_put_array(ret_message, 4);
        cbor_put_bytes(ret_message, buf_view(&header));
        cbor_put_map(ret_message, 0);
        cbor_put_bytes(ret_message, payload);
        cbor_put_bytes(ret_message, signature);
        return ret_message->failed ? error_oom(err) : 0;
}

int cose_sign1_sign(const struct private_key *key, struct view payload, struct buf *ret_message,
                    struct error *err)
{
        const struct curve *curve = private_key_curve(key);
        cleanup_buf struct buf to_sign = buf_with_max(MESSAGE_OVERHEAD_MAX + payload.n);
        cleanup_buf struct buf signature = buf_with_max(MESSAGE_OVERHEAD_MAX);
        int r = cose_sign1_to_sign(curve, payload, &to_sign, err);

        if (r == 0)
                r = private_key_sign(key, buf_view(&to_sign), &signature, err);
        return r < 0 ? r : cose_sign1_assemble(curve, payload, buf_view(&signature), ret_message, err);
}

/* The algorithm in a protected header.  Labels may be integers or texts; each at most once matters only for
 * the one that we read. */
static int decode_header(struct view header, int64_t *ret_algorithm, struct error *err)
{
        struct cbor_reader r = cbor_reader_of(header);
        bool found = false;
        int64_t algorithm = 0;
        int e;

        for (uint64_t n = cbor_take_map(&r, HEADERS_MAX); n > 0 && !r.problem; n--) {
                int64_t label = 0;

                if (cbor_peek(&r) == CBOR_KIND_TEXT)
                        (void)cbor_take_text(&r);
                else
                        label = cbor_take_int(&r);
                if (label == LABEL_CRITICAL)
                        return error_set(err, -EBADMSG,
                                         "the COSE message has critical headers, none of which is known");
                if (label != LABEL_ALGORITHM) {
                        cbor_skip(&r);
                        continue;
                }
                if (found)
                        return error_set(err, -EBADMSG, "the COSE message names its algorithm twice");
                found = true;
                algorithm = cbor_take_int(&r);
        }
        e = cbor_end(&r, "the COSE message's protected header", err);
        if (e < 0)
                return e;
        if (!found)
                return error_set(err, -EBADMSG, "the COSE message names no algorithm");
        *ret_algorithm = algorithm;
        return 0;
}

int cose_sign1_decode(struct view message, struct cose_sign1 *ret_sign1, struct error *err)
{
        struct cbor_reader r = cbor_reader_of(message);
        struct cose_sign1 sign1 = {0};
        uint64_t n;
        int e;

        if (cbor_peek(&r) == CBOR_KIND_TAG && cbor_take_tag(&r) != TAG_SIGN1)
                return error_set(err, -EBADMSG, "the COSE message has a tag other than 18 (COSE_Sign1)");
        n = cbor_take_array(&r, 4);
        if (!r.problem && n != 4)
                return error_set(err, -EBADMSG, "the COSE message has %u parts instead of 4",
                                 (unsigned int)n);
        sign1.protected_header = cbor_take_bytes(&r);
        if (!r.problem && cbor_peek(&r) != CBOR_KIND_MAP)
                return error_set(err, -EBADMSG, "the COSE message has no map as its second part");
        cbor_skip(&r);
        sign1.payload = cbor_take_bytes(&r);
        sign1.signature = cbor_take_bytes(&r);
        e = cbor_end(&r, "the COSE message", err);
        if (e == 0)
                e = decode_header(sign1.protected_header, &sign1.algorithm, err);
        if (e == 0)
                *ret_sign1 = sign1;
        return e;
}

int cose_sign1_verify(const struct cose_sign1 *sign1, const struct certificate *certificate,
                      struct error *err)
{
        const struct curve *curve = certificate_curve(certificate);
        cleanup_buf struct buf message = buf_with_max(0);
        int r;

        if (sign1->algorithm != curve->cose_algorithm)
                return error_set(
                        err, -EBADMSG,
                        "the signature's algorithm is %lld, but the certificate's key on %s signs with %d",
                        (long long)sign1->algorithm, curve->name, curve->cose_algorithm);
        if (sign1->signature.n != 2 * curve->coordinate_size)
                return error_set(err, -EBADMSG, "the signature has %zu bytes instead of the %zu of %s",
                                 sign1->signature.n, 2 * curve->coordinate_size, curve->name);
        r = sig_structure(sign1->protected_header, sign1->payload, &message, err);
        if (r < 0)
                return r;
        r = raw_verify(certificate_pkey(certificate), curve->hash, buf_view(&message), sign1->signature, err);
        if (r == -EKEYREJECTED)
                error_set(err, r, "the signature was not made with the certificate's key");
        return r;
}
