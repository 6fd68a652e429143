/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/attest/quote-verify.h"

#include "lib/base/text.h"
#include "lib/crypto/hash.h"
#include "lib/crypto/openssl-internal.h"
#include "lib/sgx/sim-qe.h"

#include <string.h>

/* As in the certificate that Intel publishes at
 * https://certificates.trustedservices.intel.com/Intel_SGX_Provisioning_Certification_RootCA.pem */
const uint8_t quote_intel_root_key[P256_PAIR_SIZE] = {
        0x0b, 0xa9, 0xc4, 0xc0, 0xc0, 0xc8, 0x61, 0x93, 0xa3, 0xfe, 0x23, 0xd6, 0xb0, 0x2c, 0xda, 0x10,
        0xa8, 0xbb, 0xd4, 0xe8, 0x8e, 0x48, 0xb4, 0x45, 0x85, 0x61, 0xa3, 0x6e, 0x70, 0x55, 0x25, 0xf5,
        0x67, 0x91, 0x8e, 0x2e, 0xdc, 0x88, 0xe4, 0x0d, 0x86, 0x0b, 0xd0, 0xcc, 0x4e, 0xe2, 0x6a, 0xac,
        0xc9, 0x88, 0xe5, 0x05, 0xa9, 0x53, 0x55, 0x8c, 0x45, 0x3f, 0x6b, 0x09, 0x04, 0xae, 0x73, 0x94};

_Static_assert((int)SGX_QUOTE_ECDSA_SIZE == (int)P256_PAIR_SIZE, "quotes have keys and signatures on P-256");

/* ---- test quotes --------------------------------------------------------------------------------------- */

/* Any of the marks that the simulation leaves (sim-qe.h) makes it one. */
static bool is_test(const struct sgx_quote *q)
{
        return memcmp(q->qe_vendor, sgx_simulated_cpu_svn, sizeof(q->qe_vendor)) == 0 ||
               sgx_report_is_simulated(&q->report) || sgx_report_is_simulated(&q->qe_report) ||
               memcmp(q->qe_report.mrsigner, SGX_SIM_QE_MRSIGNER, SGX_HASH_SIZE) == 0;
}

static int check_vendor(const struct quote_verdict *v, const struct quote_policy *policy, struct error *err)
{
        const uint8_t *expected = v->test ? sgx_simulated_cpu_svn : sgx_intel_qe_vendor;
        char hex[2 * SGX_QUOTE_VENDOR_SIZE + 1];

        if (v->test && !policy->accept_test_quotes)
                return error_set(err, -EPERM,
                                 "this is a test quote, made by a simulation without any protection: it is "
                                 "evidence of nothing");
        hex_encode(v->quote.qe_vendor, sizeof(v->quote.qe_vendor), hex);
        if (memcmp(v->quote.qe_vendor, expected, sizeof(v->quote.qe_vendor)) != 0)
                return error_set(
                        err, -EKEYREJECTED,
                        "the vendor of the quoting enclave is %s, and not the one that is expected%s", hex,
                        v->test ? "" : ", Intel");
        return 0;
}

/* ---- the chain of keys --------------------------------------------------------------------------------- */

static struct certificate_trust trust_of(const struct quote_policy *policy, bool test)
{
        const uint8_t *intel = test ? NULL : quote_intel_root_key;

        return (struct certificate_trust){.root_key = policy->root_key ? policy->root_key : intel,
                                          .crls = policy->crls,
                                          .n_crls = test ? 0 : policy->n_crls,
                                          .now = policy->now};
}

static int check_chain(const struct certificate_chain *chain, const struct quote_policy *policy,
                       struct quote_verdict *v, struct error *err)
{
        const struct certificate_trust trust = trust_of(policy, v->test);
        cleanup_certificate_info struct certificate_info info = {.signature_algorithm = NULL};
        int r = certificate_chain_verify(chain, &trust, err);

        if (r < 0) {
                error_wrap(err, "the PCK certificate");
                return r;
        }
        r = pck_read(chain->certificate[0], &v->pck, err);
        if (r == 0)
                r = certificate_info_init(&info, chain->certificate[0], err);
        if (r == 0)
                memcpy(v->valid_until, info.not_after, sizeof(v->valid_until));
        return r;
}

static int check_qe_signature(const struct certificate *leaf, const struct sgx_quote *q, struct error *err)
{
        uint8_t key[P256_PAIR_SIZE];
        int r = p256_point(certificate_pkey(leaf), key, err);

        if (r < 0) {
                error_wrap(err, "the PCK certificate");
                return r;
        }
        r = raw_verify(certificate_pkey(leaf), HASH_SHA256, q->qe_body, q->qe_signature, err);
        return r == -EKEYREJECTED
                       ? error_set(err, r,
                                   "the quoting enclave's report was not signed by the PCK certificate's key")
                       : r;
}

/* REPORTDATA of the QE is SHA-256(attestation key || authentication data), then zeros. */
static int check_key_binding(const struct sgx_quote *q, struct error *err)
{
        uint8_t expected[SGX_REPORT_DATA_SIZE] = {0};
        cleanup_hash struct hash h = HASH_NONE;
        struct digest d;
        int r = hash_init(&h, HASH_SHA256);

        hash_update(&h, q->attestation_key.p, q->attestation_key.n);
        hash_update(&h, q->authentication.p, q->authentication.n);
        if (r == 0)
                r = hash_final(&h, &d);
        if (r < 0)
                return error_errno(err, -r, "can't hash the attestation key");
        memcpy(expected, d.bytes, SGX_HASH_SIZE);
        if (memcmp(expected, q->qe_report.data, sizeof(expected)) != 0)
                return error_set(
                        err, -EKEYREJECTED,
                        "the quoting enclave's report is about another attestation key than the quote's");
        return 0;
}

static int check_qe(const struct quote_verdict *v, struct error *err)
{
        const struct sgx_report *qe = &v->quote.qe_report;
        const void *signer = v->test ? (const void *)SGX_SIM_QE_MRSIGNER : sgx_intel_qe_mrsigner;
        char hex[2 * SGX_HASH_SIZE + 1];

        hex_encode(qe->mrsigner, sizeof(qe->mrsigner), hex);
        if (memcmp(qe->mrsigner, signer, SGX_HASH_SIZE) != 0)
                return error_set(err, -EKEYREJECTED, "the quoting enclave was signed by %s, and not by %s",
                                 hex, v->test ? "the simulation" : "Intel");
        if (qe->isv_prod_id != SGX_INTEL_QE_PROD_ID)
                return error_set(err, -EKEYREJECTED,
                                 "what made the quote is product %u of its signer; the quoting enclave is %d",
                                 qe->isv_prod_id, SGX_INTEL_QE_PROD_ID);
        if (!v->test && (qe->attributes.flags & SGX_ATTRIBUTE_DEBUG))
                return error_set(err, -EKEYREJECTED,
                                 "the quoting enclave can be debugged: its keys are no secret");
        return 0;
}

static int check_quote_signature(const struct sgx_quote *q, struct error *err)
{
        cleanup_pkey EVP_PKEY *key = NULL;
        int r = p256_public_key(q->attestation_key, &key, err);

        if (r < 0) {
                error_wrap(err, "the quote's attestation key");
                return r;
        }
        r = raw_verify(key, HASH_SHA256, q->signed_part, q->signature, err);
        return r == -EKEYREJECTED ? error_set(err, r, "the quote was not signed by its attestation key") : r;
}

static int check_signatures(const struct quote_policy *policy, struct quote_verdict *v, struct error *err)
{
        cleanup_certificate_chain struct certificate_chain chain = {.n = 0};
        const struct sgx_quote *q = &v->quote;
        int r;

        if (q->certification_kind != SGX_QUOTE_CERTIFICATION_CHAIN)
                return error_set(
                        err, -ENOTSUP,
                        "the quote's certification data are of kind %u; only %d, a chain of certificates, "
                        "can be checked without Intel's service",
                        q->certification_kind, SGX_QUOTE_CERTIFICATION_CHAIN);
        r = certificate_chain_parse(q->certification, &chain, err);
        if (r < 0) {
                error_wrap(err, "the quote's certification data");
                return r;
        }
        r = check_chain(&chain, policy, v, err);
        if (r == 0)
                r = check_qe_signature(chain.certificate[0], q, err);
        if (r == 0)
                r = check_key_binding(q, err);
        if (r == 0)
                r = check_qe(v, err);
        return r == 0 ? check_quote_signature(q, err) : r;
}

/* ---- what was asked for -------------------------------------------------------------------------------- */

static int check_hash(const char *name, const uint8_t *wanted, const uint8_t *found, struct error *err)
{
        char a[2 * SGX_HASH_SIZE + 1], b[2 * SGX_HASH_SIZE + 1];

        if (!wanted || memcmp(wanted, found, SGX_HASH_SIZE) == 0)
                return 0;
        hex_encode(found, SGX_HASH_SIZE, a);
        hex_encode(wanted, SGX_HASH_SIZE, b);
        return error_set(err, -EPERM, "%s is %s, and not %s as asked for", name, a, b);
}

static int check_report_data(struct view wanted, const struct sgx_report *report, struct error *err)
{
        uint8_t all[SGX_REPORT_DATA_SIZE] = {0};
        char hex[2 * SGX_REPORT_DATA_SIZE + 1];

        if (wanted.n == 0)
                return 0;
        memcpy(all, wanted.p, wanted.n < sizeof(all) ? wanted.n : sizeof(all));
        if (wanted.n <= sizeof(all) && memcmp(all, report->data, sizeof(all)) == 0)
                return 0;
        hex_encode(report->data, sizeof(report->data), hex);
        return error_set(err, -EPERM, "REPORTDATA is %s, and not as asked for", hex);
}

static int check_enclave(const struct quote_policy *policy, const struct quote_verdict *v, struct error *err)
{
        const struct sgx_report *report = &v->quote.report;
        int r;

        if ((report->attributes.flags & SGX_ATTRIBUTE_DEBUG) && !policy->allow_debug && !v->test)
                return error_set(err, -EPERM,
                                 "the enclave can be debugged: whoever runs it can look into it");
        r = check_hash("MRENCLAVE", policy->mrenclave, report->mrenclave, err);
        if (r == 0)
                r = check_hash("MRSIGNER", policy->mrsigner, report->mrsigner, err);
        if (r < 0)
                return r;
        if (policy->isv_prod_id >= 0 && report->isv_prod_id != policy->isv_prod_id)
                return error_set(err, -EPERM, "ISVPRODID is %u, and not %d as asked for", report->isv_prod_id,
                                 policy->isv_prod_id);
        if (report->isv_svn < policy->min_isv_svn)
                return error_set(err, -EPERM, "ISVSVN is %u, below the %d that was asked for",
                                 report->isv_svn, policy->min_isv_svn);
        return check_report_data(policy->report_data, report, err);
}

int quote_verify(struct view bytes, const struct quote_policy *policy, struct quote_verdict *ret_verdict,
                 struct error *err)
{
        struct quote_verdict v = {.test = false};
        struct certificate_trust trust;
        int r = sgx_quote_parse(bytes, &v.quote, err);

        if (r < 0)
                return r;
        v.test = is_test(&v.quote);
        trust = trust_of(policy, v.test);
        r = check_vendor(&v, policy, err);
        if (r == 0)
                r = check_signatures(policy, &v, err);
        if (r == 0)
                r = check_enclave(policy, &v, err);
        if (r == 0 && !v.test)
                r = tcb_check(&v.pck, &v.quote.qe_report, &policy->tcb, &trust, &v.tcb, err);
        if (r == 0)
                *ret_verdict = v;
        return r;
}
