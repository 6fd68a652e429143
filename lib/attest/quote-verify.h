/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quote-verify.h - whether a quote (lib/sgx/quote.h) is evidence, and of what.
 *
 * In this order, each refusal with a text of its own: the quote's form; whether it is a test quote, which
 * is refused unless it was asked for; the vendor of the quoting enclave (QE); the chain of the PCK
 * certificate up to the root that is trusted, dates and revocation; what that certificate says of the
 * platform; its signature of the QE's report; that this report is about the attestation key, and of
 * Intel's QE; the attestation key's signature of the enclave's report; what the caller wants the enclave to
 * be; and the platform's TCB.
 *
 * Source: Intel SGX ECDSA QuoteGenReference API, appendix "Quote Format", and Intel SGX DCAP, "Quote
 * Verification".
 */
#pragma once

#include "lib/attest/pck.h"
#include "lib/attest/tcb.h"
#include "lib/crypto/certificate-chain.h"
#include "lib/sgx/quote.h"

#include <stdbool.h>

/* What the caller asks of an enclave and its platform.  All pointers are the caller's. */
struct quote_policy {
        bool accept_test_quotes; /* those of simulated enclaves, which are evidence of nothing */
        bool allow_debug; /* enclaves that can be debugged, and so looked into; test quotes always are */
        const uint8_t *mrenclave; /* SGX_HASH_SIZE bytes, or NULL: any */
        const uint8_t *mrsigner;  /* likewise */
        int isv_prod_id;          /* -1: any */
        int min_isv_svn;
        struct view report_data; /* its first bytes; the rest must be 0 then.  Empty: any */
        const uint8_t *root_key; /* P256_PAIR_SIZE bytes of the root that is trusted; NULL: Intel's */
        struct crl *const *crls; /* of the PCK certificate's chain; none: revocation isn't checked */
        size_t n_crls;
        int64_t now;           /* seconds since 1970 */
        struct tcb_policy tcb; /* not looked at for test quotes: there is no platform */
};

struct quote_verdict {
        bool test;              /* a test quote */
        struct sgx_quote quote; /* its views are of the quote's bytes */
        struct pck pck;
        char valid_until[CERTIFICATE_TIME_MAX]; /* of the PCK certificate */
        struct tcb_verdict tcb;
};

/* x and y of Intel's SGX root CA's key. */
extern const uint8_t quote_intel_root_key[P256_PAIR_SIZE];

/* 0 where the quote is what `policy` asks for; else why not: -EBADMSG (form), -ENOTSUP (version, kind),
 * -EKEYREJECTED (signatures, certificates), -EPERM (a test quote, or not what was asked for). */
int quote_verify(struct view bytes, const struct quote_policy *policy, struct quote_verdict *ret_verdict,
                 struct error *err);
