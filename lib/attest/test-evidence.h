/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test-evidence.h - quotes as Intel's quoting enclave would make them, but under a root of the tests', with
 * any field set as a test wants it before everything is signed.  Nothing of it is linked into a program.
 */
#pragma once

#include "lib/base/buf.h"
#include "lib/crypto/raw-signature.h"
#include "lib/sgx/quote.h"

struct test_evidence {
        struct sgx_quote quote; /* header, `report` and `qe_report` are signed as they are */
        const char *authentication;
        const char *bound_to; /* what the QE's report is about instead of the authentication data, or NULL */
        int64_t now;          /* when the certificates begin to be valid */
};

/* One that is accepted under test_root_key(). */
struct test_evidence test_evidence_good(void);

/* The quote, on the heap; aborts the test where it can't be made. */
struct buf test_evidence_quote(const struct test_evidence *evidence);

/* The public key of the tests' root, P256_PAIR_SIZE bytes. */
const uint8_t *test_root_key(void);
