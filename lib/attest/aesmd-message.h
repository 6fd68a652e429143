/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aesmd-message.h - what is said to aesmd, Intel's service that has the quoting enclave (QE), and what it
 * answers.
 *
 * Messages are protocol buffers (proto2), each of one call, which lies in a field of the outer message that
 * has the same number in request and answer:
 *
 *      15  InitQuoteEx     asks   1 bytes key, 3 bool, 4 uint64 room, 9 uint32 timeout
 *                          gets   1 uint32 code, 2 bytes TARGETINFO of QE, 3 uint64, 4 bytes id of its key
 *      16  GetQuoteSizeEx  asks   1 bytes key, 9 uint32 timeout
 *                          gets   1 uint32 code, 2 uint32 size
 *      17  GetQuoteEx      asks   1 bytes report, 2 bytes key, 4 uint32 room, 9 uint32 timeout
 *                          gets   1 uint32 code, 2 bytes quote
 *      20  a call that it doesn't know     gets   1 uint32 code
 *
 * Timeouts are in milliseconds.  "key" is 256 bytes that name the kind of attestation key: here always that
 * of Intel's QE with ECDSA on P-256.  In InitQuoteEx "bool" asks for the id of the QE's key, for which there
 * is "room"; only a call that asks makes the key.
 *
 * Encoding and decoding are our own: rune, a static program, knows three messages of numbers and bytes, none
 * nested deeper than once.  Source: intel/linux-sgx, psw/ae/aesm_service, messages.proto and aesm_error.h;
 * the key's name is struct sgx_ql_att_key_id_t of the same.
 */
#pragma once

#include "lib/base/buf.h"
#include "lib/base/error.h"
#include "lib/sgx/quote.h"

enum aesmd_call {
        AESMD_INIT_QUOTE_EX = 15,
        AESMD_GET_QUOTE_SIZE_EX = 16,
        AESMD_GET_QUOTE_EX = 17,
};

enum {
        AESMD_KEY_NAME_SIZE = 256,
        AESMD_REQUEST_MAX = 2048,
        AESMD_ANSWER_MAX = SGX_QUOTE_MAX + 1024,
};

struct aesmd_answer {
        uint32_t code;     /* 0: success */
        struct view bytes; /* TARGETINFO or quote; of the message's bytes */
        uint64_t size;     /* of GetQuoteSizeEx */
};

/* Append a request.  `timeout_ms` is how long the service may take.  0 or -errno as buf_append(). */
int aesmd_put_init_quote(struct buf *b, uint32_t timeout_ms);
int aesmd_put_get_quote_size(struct buf *b, uint32_t timeout_ms);
int aesmd_put_get_quote(struct buf *b, struct view report, uint32_t room, uint32_t timeout_ms);

/* Reads the answer to `call`.  Fields that aren't known are skipped, as newer services may have more.
 * -EBADMSG: no such message, an answer to another call, a field twice or of another kind; -EOPNOTSUPP: the
 * service doesn't know the call. */
int aesmd_answer_parse(struct view message, enum aesmd_call call, struct aesmd_answer *ret_answer,
                       struct error *err);

/* What a code means, for people: "AESM_BUSY (18): it has too much to do".  The text is static, or NULL for a
 * code that isn't known. */
const char *aesmd_code_text(uint32_t code);
