/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quote.h - quotes of version 3: a report that a quoting enclave (QE) signed with ECDSA on P-256, for others
 * than this machine.
 *
 *      offset  size
 *           0     2  version, 3
 *           2     2  kind of attestation key: 2, ECDSA on P-256
 *           4     4  reserved (in later versions the kind of enclave; 0 is SGX)
 *           8     2  QE's ISVSVN
 *          10     2  ISVSVN of the provisioning certification enclave (PCE)
 *          12    16  vendor of the QE: 939a7233-f79c-4ca9-940a-0db3957f0607 is Intel
 *          28    20  the QE's own data
 *          48   384  body of the enclave's report (report.h, without key's name and MAC)
 *         432     4  bytes of what follows
 *         436    64  signature over bytes 0 to 431, by the attestation key
 *         500    64  attestation key
 *         564   384  body of the QE's report; its REPORTDATA begins with
 *                    SHA-256(attestation key || authentication data), the rest is 0
 *         948    64  signature over that body, by the key of the platform's PCK certificate
 *        1012     2  bytes of authentication data, n
 *        1014     n  authentication data
 *      1014+n     2  kind of certification data: 5, the PCK certificate's chain in PEM, leaf first
 *      1016+n     4  bytes of it, m
 *      1020+n     m  certification data; Intel's QE ends the text with a NUL
 *
 * Signatures are r and s, keys x and y, 32 bytes each with the high byte first; all other integers are
 * little-endian.  Source: Intel SGX ECDSA QuoteGenReference API, appendix "Quote Format".
 */
#pragma once

#include "lib/base/buf.h"
#include "lib/sgx/report.h"

enum {
        SGX_QUOTE_MAX = 32 * 1024, /* ours: those of Intel's QE have less than 5 kB */
        SGX_QUOTE_VERSION = 3,
        SGX_QUOTE_KEY_ECDSA_P256 = 2,
        SGX_QUOTE_CERTIFICATION_CHAIN = 5,
        SGX_QUOTE_VENDOR_SIZE = 16,
        SGX_QUOTE_USER_DATA_SIZE = 20,
        SGX_QUOTE_SIGNED = 432,     /* bytes that the attestation key signs */
        SGX_QUOTE_BODY_SIZE = 384,  /* of a report */
        SGX_QUOTE_ECDSA_SIZE = 64,  /* of a signature, and of a key */
        SGX_QUOTE_AUTH_MAX = 16384, /* ours, of authentication data */
};

/* Intel's quoting enclave: vendor, signer, product. */
extern const uint8_t sgx_intel_qe_vendor[SGX_QUOTE_VENDOR_SIZE];
extern const uint8_t sgx_intel_qe_mrsigner[SGX_HASH_SIZE];
enum { SGX_INTEL_QE_PROD_ID = 1 };

struct sgx_quote {
        uint16_t qe_svn;
        uint16_t pce_svn;
        uint8_t qe_vendor[SGX_QUOTE_VENDOR_SIZE];
        uint8_t user_data[SGX_QUOTE_USER_DATA_SIZE];
        struct sgx_report report;    /* key's name and MAC are 0 */
        struct sgx_report qe_report; /* likewise */
        /* Views into the quote's bytes. */
        struct view signed_part;
        struct view signature;
        struct view attestation_key;
        struct view qe_body;
        struct view qe_signature;
        struct view authentication;
        uint16_t certification_kind;
        struct view certification;
};

/* Reads a quote.  Nothing but form is checked.  -EBADMSG where lengths don't fit, -ENOTSUP for another
 * version or kind of key, with what was found. */
int sgx_quote_parse(struct view bytes, struct sgx_quote *ret_quote, struct error *err);

/* Appends the 432 bytes that are to be signed: header, and the body of `report`, an encoded report. */
int sgx_quote_put_signed(struct buf *b, const struct sgx_quote *quote,
                         const uint8_t report[static SGX_QUOTE_BODY_SIZE]);

/* Appends the rest, which the views of `quote` name, behind sgx_quote_put_signed(). */
int sgx_quote_put_signature(struct buf *b, const struct sgx_quote *quote);
