/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz-collateral.c - hostile TCB info and identities, as though their signer had signed them: a status comes
 * out, or a reason.
 */
#include "lib/attest/collateral.h"

#include "lib/base/cleanup.h"
#include "lib/sgx/quote.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int r, const struct tcb_verdict *verdict, const struct error *err)
{
        if (r < 0 && !err->text[0])
                abort();
        if (r == 0 && (verdict->status == TCB_NOT_CHECKED || strlen(verdict->date) + 1 != TCB_DATE_MAX))
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        const struct pck pck = {.fmspc = "FMSPC6", .pce_svn = 13, .tcb = {1, 2, 3}};
        struct sgx_report qe = {.isv_prod_id = SGX_INTEL_QE_PROD_ID, .isv_svn = 8, .attributes = {1, 0}};
        struct tcb_verdict verdict = {.status = TCB_NOT_CHECKED};
        struct certificate_chain chain = {.n = 0};
        cleanup_json json_t *json = NULL;
        struct error err = {0};

        memcpy(qe.mrsigner, sgx_intel_qe_mrsigner, sizeof(qe.mrsigner));
        if (certificate_chain_parse(view_of(data, size), &chain, NULL) == 0)
                certificate_chain_done(&chain);
        if (strict_json_parse(view_of(data, size), COLLATERAL_MAX, &json, NULL) < 0)
                return 0;
        check(tcb_info_level(json, &pck, &verdict, &err), &verdict, &err);
        err = (struct error){0};
        verdict = (struct tcb_verdict){.status = TCB_NOT_CHECKED};
        check(qe_identity_level(json, &qe, &verdict, &err), &verdict, &err);
        return 0;
}
