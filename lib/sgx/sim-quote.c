/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/crypto/hash.h"
#include "lib/crypto/openssl-internal.h"
#include "lib/crypto/raw-signature.h"
#include "lib/sgx/quote.h"
#include "lib/sgx/sim-pck.h"
#include "lib/sgx/sim-qe.h"

#include <string.h>

enum { PEM_MAX = 8192 };

static const char authentication[] = "COFFER-SIMULATED: this is a test quote, evidence of nothing";

/* What the parts of a quote are that its signatures are over, in the order of their making. */
struct parts {
        EVP_PKEY *pck;
        EVP_PKEY *attestation;
        uint8_t key[SGX_QUOTE_ECDSA_SIZE];
        uint8_t qe_report[SGX_REPORT_SIZE];
        struct buf chain;
        struct buf qe_signature;
        struct buf signature;
};

static void parts_done(struct parts *p)
{
        EVP_PKEY_free(p->pck);
        EVP_PKEY_free(p->attestation);
        buf_done(&p->chain);
        buf_done(&p->qe_signature);
        buf_done(&p->signature);
}

/* The QE's word for the attestation key, as hardware would report it. */
static int report_key(struct parts *p, struct error *err)
{
        struct sgx_report report = {.isv_prod_id = 1};
        struct sgx_targetinfo self;
        struct digest d;
        cleanup_hash struct hash h = HASH_NONE;
        int r = hash_init(&h, HASH_SHA256);

        hash_update(&h, p->key, sizeof(p->key));
        hash_update(&h, authentication, sizeof(authentication) - 1);
        if (r == 0)
                r = hash_final(&h, &d);
        if (r < 0)
                return error_oom(err);
        sgx_sim_qe_target(&self);
        report.attributes = self.attributes;
        memcpy(report.cpu_svn, sgx_simulated_cpu_svn, SGX_KEY_SIZE);
        memcpy(report.mrenclave, SGX_SIM_QE_MRENCLAVE, SGX_HASH_SIZE);
        memcpy(report.mrsigner, SGX_SIM_QE_MRSIGNER, SGX_HASH_SIZE);
        memcpy(report.data, d.bytes, SGX_HASH_SIZE);
        sgx_report_encode(&report, p->qe_report);
        return raw_sign(p->pck, HASH_SHA256, view_of(p->qe_report, SGX_QUOTE_BODY_SIZE), P256_COORDINATE_SIZE,
                        &p->qe_signature, err);
}

static int make_keys(const struct sgx_root *root, int64_t now, struct parts *p, struct error *err)
{
        int r = sgx_sim_key(root, SGX_SIM_KEY_PCK, &p->pck, err);

        if (r == 0)
                r = sgx_sim_key(root, SGX_SIM_KEY_ATTESTATION, &p->attestation, err);
        if (r == 0)
                r = p256_point(p->attestation, p->key, err);
        return r == 0 ? sgx_sim_pck_chain(root, now, &p->chain, err) : r;
}

static int put_quote(struct parts *p, const uint8_t *report, struct buf *quote, struct error *err)
{
        struct sgx_quote q = {
                .attestation_key = view_of(p->key, sizeof(p->key)),
                .qe_body = view_of(p->qe_report, SGX_QUOTE_BODY_SIZE),
                .qe_signature = buf_view(&p->qe_signature),
                .authentication = view_of(authentication, sizeof(authentication) - 1),
                .certification_kind = SGX_QUOTE_CERTIFICATION_CHAIN,
                .certification = buf_view(&p->chain),
        };
        size_t begin = quote->n;
        int r;

        memcpy(q.qe_vendor, sgx_simulated_cpu_svn, sizeof(q.qe_vendor));
        if (sgx_quote_put_signed(quote, &q, report) < 0)
                return error_oom(err);
        r = raw_sign(p->attestation, HASH_SHA256, view_of(quote->p + begin, SGX_QUOTE_SIGNED),
                     P256_COORDINATE_SIZE, &p->signature, err);
        if (r < 0)
                return r;
        q.signature = buf_view(&p->signature);
        return sgx_quote_put_signature(quote, &q) < 0 ? error_oom(err) : 0;
}

int sgx_sim_quote(const struct sgx_root *root, const uint8_t report[static SGX_REPORT_SIZE], int64_t now,
                  struct buf *quote, struct error *err)
{
        CLEANUP(parts_done)
        struct parts p = {.chain = buf_with_max(PEM_MAX),
                          .qe_signature = buf_with_max(SGX_QUOTE_ECDSA_SIZE),
                          .signature = buf_with_max(SGX_QUOTE_ECDSA_SIZE)};
        struct sgx_targetinfo self;
        int r;

        sgx_sim_qe_target(&self);
        r = sgx_report_verify(root, report, &self, err);
        if (r == 0)
                r = make_keys(root, now, &p, err);
        if (r == 0)
                r = report_key(&p, err);
        return r == 0 ? put_quote(&p, report, quote, err) : r;
}
