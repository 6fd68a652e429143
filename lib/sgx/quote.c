/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/sgx/quote.h"

#include <string.h>

/* Bytes of the signature's part without its two parts of variable size. */
enum { FIXED_SIZE = 3 * SGX_QUOTE_ECDSA_SIZE + SGX_QUOTE_BODY_SIZE + 2 + 2 + 4 };

const uint8_t sgx_intel_qe_vendor[SGX_QUOTE_VENDOR_SIZE] = {0x93, 0x9a, 0x72, 0x33, 0xf7, 0x9c, 0x4c, 0xa9,
                                                            0x94, 0x0a, 0x0d, 0xb3, 0x95, 0x7f, 0x06, 0x07};

const uint8_t sgx_intel_qe_mrsigner[SGX_HASH_SIZE] = {
        0x8c, 0x4f, 0x57, 0x75, 0xd7, 0x96, 0x50, 0x3e, 0x96, 0x13, 0x7f, 0x77, 0xc6, 0x8a, 0x82, 0x9a,
        0x00, 0x56, 0xac, 0x8d, 0xed, 0x70, 0x14, 0x0b, 0x08, 0x1b, 0x09, 0x44, 0x90, 0xc5, 0x7b, 0xff};

static struct sgx_report read_body(struct view body)
{
        uint8_t bytes[SGX_REPORT_SIZE] = {0};
        struct sgx_report report = {0};

        if (body.n == SGX_QUOTE_BODY_SIZE)
                memcpy(bytes, body.p, body.n);
        sgx_report_decode(bytes, &report);
        return report;
}

static void take_bytes(struct cursor *c, uint8_t *ret_bytes, size_t n)
{
        struct view v = cursor_take(c, n);

        if (v.n == n)
                memcpy(ret_bytes, v.p, n);
}

/* The header up to the report. */
static int read_header(struct cursor *c, struct sgx_quote *q, struct error *err)
{
        unsigned int version = cursor_le16(c), kind = cursor_le16(c);
        uint32_t reserved = cursor_le32(c);

        if (!cursor_ok(c))
                return error_set(err, -EBADMSG, "the quote ends in its header");
        if (version != SGX_QUOTE_VERSION)
                return error_set(err, -ENOTSUP, "a quote of version %u; only version %d is known", version,
                                 SGX_QUOTE_VERSION);
        if (kind != SGX_QUOTE_KEY_ECDSA_P256)
                return error_set(
                        err, -ENOTSUP,
                        "the quote's attestation key is of kind %u; only %d, ECDSA on P-256, is known", kind,
                        SGX_QUOTE_KEY_ECDSA_P256);
        if (reserved != 0)
                return error_set(err, -EBADMSG, "bytes 4 to 7 of the quote are not 0, but %#x", reserved);
        q->qe_svn = cursor_le16(c);
        q->pce_svn = cursor_le16(c);
        take_bytes(c, q->qe_vendor, sizeof(q->qe_vendor));
        take_bytes(c, q->user_data, sizeof(q->user_data));
        return 0;
}

static int read_signature(struct view part, struct sgx_quote *q, struct error *err)
{
        struct cursor c = cursor_of(part);
        size_t n;

        q->signature = cursor_take(&c, SGX_QUOTE_ECDSA_SIZE);
        q->attestation_key = cursor_take(&c, SGX_QUOTE_ECDSA_SIZE);
        q->qe_body = cursor_take(&c, SGX_QUOTE_BODY_SIZE);
        q->qe_signature = cursor_take(&c, SGX_QUOTE_ECDSA_SIZE);
        n = cursor_le16(&c);
        if (n > SGX_QUOTE_AUTH_MAX)
                return error_set(err, -EBADMSG,
                                 "the quote claims %zu bytes of authentication data; the limit is %d", n,
                                 SGX_QUOTE_AUTH_MAX);
        q->authentication = cursor_take(&c, n);
        q->certification_kind = cursor_le16(&c);
        n = cursor_le32(&c);
        if (!cursor_ok(&c))
                return error_set(err, -EBADMSG, "the quote's signature data end before their last part");
        if (n != cursor_rest(&c).n)
                return error_set(err, -EBADMSG,
                                 "the quote claims %zu bytes of certification data, and has %zu", n,
                                 cursor_rest(&c).n);
        q->certification = cursor_take(&c, n);
        q->qe_report = read_body(q->qe_body);
        return 0;
}

int sgx_quote_parse(struct view bytes, struct sgx_quote *ret_quote, struct error *err)
{
        struct cursor c = cursor_of(bytes);
        struct sgx_quote q = {0};
        size_t n;
        int r;

        if (bytes.n > SGX_QUOTE_MAX)
                return error_set(err, -EBADMSG, "a quote of %zu bytes; the limit is %d", bytes.n,
                                 SGX_QUOTE_MAX);
        r = read_header(&c, &q, err);
        if (r < 0)
                return r;
        q.report = read_body(cursor_take(&c, SGX_QUOTE_BODY_SIZE));
        n = cursor_le32(&c);
        if (!cursor_ok(&c))
                return error_set(err, -EBADMSG, "the quote ends before its signature");
        if (n != cursor_rest(&c).n)
                return error_set(err, -EBADMSG, "the quote claims %zu bytes of signature data, and has %zu",
                                 n, cursor_rest(&c).n);
        q.signed_part = view_of(bytes.p, SGX_QUOTE_SIGNED);
        r = read_signature(cursor_take(&c, n), &q, err);
        if (r == 0)
                *ret_quote = q;
        return r;
}

static void append_le(struct buf *b, uint64_t value, unsigned int n)
{
        for (unsigned int i = 0; i < n; i++)
                buf_append_byte(b, (uint8_t)(value >> (8 * i)));
}

int sgx_quote_put_signed(struct buf *b, const struct sgx_quote *q,
                         const uint8_t report[static SGX_QUOTE_BODY_SIZE])
{
        append_le(b, SGX_QUOTE_VERSION, 2);
        append_le(b, SGX_QUOTE_KEY_ECDSA_P256, 2);
        append_le(b, 0, 4);
        append_le(b, q->qe_svn, 2);
        append_le(b, q->pce_svn, 2);
        buf_append(b, q->qe_vendor, sizeof(q->qe_vendor));
        buf_append(b, q->user_data, sizeof(q->user_data));
        buf_append(b, report, SGX_QUOTE_BODY_SIZE);
        return b->failed;
}

int sgx_quote_put_signature(struct buf *b, const struct sgx_quote *q)
{
        if (q->authentication.n > SGX_QUOTE_AUTH_MAX || q->certification.n > SGX_QUOTE_MAX)
                return -E2BIG;
        append_le(b, FIXED_SIZE + q->authentication.n + q->certification.n, 4);
        buf_append_view(b, q->signature);
        buf_append_view(b, q->attestation_key);
        buf_append_view(b, q->qe_body);
        buf_append_view(b, q->qe_signature);
        append_le(b, q->authentication.n, 2);
        buf_append_view(b, q->authentication);
        append_le(b, q->certification_kind, 2);
        append_le(b, q->certification.n, 4);
        buf_append_view(b, q->certification);
        return b->failed;
}
