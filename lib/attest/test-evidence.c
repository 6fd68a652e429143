/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/attest/test-evidence.h"

#include "lib/crypto/hash.h"
#include "lib/sgx/sim-pck.h"

#include <stdlib.h>
#include <string.h>

enum { PEM_MAX = 8192, NOW = 1000000000 };

static const struct sgx_root root = {.key = "of these tests.."};

static void must(bool ok)
{
        if (!ok)
                abort();
}

static EVP_PKEY *key(enum sgx_sim_key which)
{
        EVP_PKEY *pkey = NULL;

        must(sgx_sim_key(&root, which, &pkey, NULL) == 0);
        return pkey;
}

static void point(enum sgx_sim_key which, uint8_t ret_xy[static P256_PAIR_SIZE])
{
        EVP_PKEY *pkey = key(which);

        must(p256_point(pkey, ret_xy, NULL) == 0);
        EVP_PKEY_free(pkey);
}

static struct buf sign(enum sgx_sim_key which, struct view message)
{
        struct buf signature = buf_with_max(SGX_QUOTE_ECDSA_SIZE);
        EVP_PKEY *pkey = key(which);

        must(raw_sign(pkey, HASH_SHA256, message, P256_COORDINATE_SIZE, &signature, NULL) == 0);
        EVP_PKEY_free(pkey);
        return signature;
}

struct test_evidence test_evidence_good(void)
{
        struct test_evidence e = {
                .quote = {.qe_svn = 8,
                          .pce_svn = 13,
                          .certification_kind = SGX_QUOTE_CERTIFICATION_CHAIN,
                          .report = {.attributes = {SGX_ATTRIBUTE_INIT | SGX_ATTRIBUTE_MODE64,
                                                    SGX_XFRM_LEGACY},
                                     .mrenclave = {1, 2, 3},
                                     .mrsigner = {4, 5, 6},
                                     .isv_prod_id = 7,
                                     .isv_svn = 8,
                                     .data = {9, 10}},
                          .qe_report = {.attributes = {SGX_ATTRIBUTE_INIT | SGX_ATTRIBUTE_MODE64, 0xe7},
                                        .isv_prod_id = SGX_INTEL_QE_PROD_ID,
                                        .isv_svn = 8}},
                .authentication = "authentication data",
                .now = NOW,
        };

        memcpy(e.quote.qe_vendor, sgx_intel_qe_vendor, sizeof(e.quote.qe_vendor));
        memcpy(e.quote.qe_report.mrsigner, sgx_intel_qe_mrsigner, SGX_HASH_SIZE);
        return e;
}

/* REPORTDATA of the QE. */
static void bind(const struct test_evidence *e, const uint8_t *attestation_key, struct sgx_report *qe)
{
        const char *text = e->bound_to ? e->bound_to : e->authentication;
        struct digest d;
        struct hash h = HASH_NONE;

        must(hash_init(&h, HASH_SHA256) == 0);
        hash_update(&h, attestation_key, P256_PAIR_SIZE);
        hash_update(&h, text, strlen(text));
        must(hash_final(&h, &d) == 0);
        memcpy(qe->data, d.bytes, SGX_HASH_SIZE);
}

struct buf test_evidence_quote(const struct test_evidence *e)
{
        uint8_t body[SGX_REPORT_SIZE], qe_body[SGX_REPORT_SIZE], xy[P256_PAIR_SIZE];
        struct buf bytes = buf_with_max(SGX_QUOTE_MAX), chain = buf_with_max(PEM_MAX);
        struct sgx_quote q = e->quote;

        point(SGX_SIM_KEY_ATTESTATION, xy);
        bind(e, xy, &q.qe_report);
        sgx_report_encode(&q.report, body);
        sgx_report_encode(&q.qe_report, qe_body);
        must(sgx_sim_pck_chain(&root, e->now, &chain, NULL) == 0);
        must(sgx_quote_put_signed(&bytes, &q, body) == 0);
        struct buf signature = sign(SGX_SIM_KEY_ATTESTATION, buf_view(&bytes));
        struct buf qe_signature = sign(SGX_SIM_KEY_PCK, view_of(qe_body, SGX_QUOTE_BODY_SIZE));
        q.signature = buf_view(&signature);
        q.attestation_key = view_of(xy, sizeof(xy));
        q.qe_body = view_of(qe_body, SGX_QUOTE_BODY_SIZE);
        q.qe_signature = buf_view(&qe_signature);
        q.authentication = view_of_string(e->authentication);
        q.certification = buf_view(&chain);
        must(sgx_quote_put_signature(&bytes, &q) == 0);
        buf_done(&signature);
        buf_done(&qe_signature);
        buf_done(&chain);
        return bytes;
}

const uint8_t *test_root_key(void)
{
        static uint8_t xy[P256_PAIR_SIZE];

        point(SGX_SIM_KEY_ROOT, xy);
        return xy;
}
