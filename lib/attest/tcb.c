/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/attest/tcb.h"

#include "lib/attest/collateral.h"

#include <string.h>

static const char *const names[] = {
        [TCB_NOT_CHECKED] = "not checked",
        [TCB_UP_TO_DATE] = "UpToDate",
        [TCB_SW_HARDENING_NEEDED] = "SWHardeningNeeded",
        [TCB_CONFIGURATION_NEEDED] = "ConfigurationNeeded",
        [TCB_CONFIGURATION_AND_SW_HARDENING_NEEDED] = "ConfigurationAndSWHardeningNeeded",
        [TCB_OUT_OF_DATE] = "OutOfDate",
        [TCB_OUT_OF_DATE_CONFIGURATION_NEEDED] = "OutOfDateConfigurationNeeded",
        [TCB_REVOKED] = "Revoked",
};

const char *tcb_status_name(enum tcb_status status)
{
        return names[status];
}

bool tcb_status_parse(const char *name, enum tcb_status *ret_status)
{
        for (size_t i = TCB_UP_TO_DATE; i < ARRAY_SIZE(names); i++) {
                if (strcmp(name, names[i]) != 0)
                        continue;
                *ret_status = (enum tcb_status)i;
                return true;
        }
        return false;
}

enum tcb_status tcb_status_with_qe(enum tcb_status platform, enum tcb_status qe)
{
        if (qe == TCB_UP_TO_DATE || platform == TCB_REVOKED)
                return platform;
        if (qe != TCB_OUT_OF_DATE)
                return TCB_REVOKED; /* a quoting enclave has no other status */
        if (platform == TCB_UP_TO_DATE || platform == TCB_SW_HARDENING_NEEDED)
                return TCB_OUT_OF_DATE;
        return platform == TCB_OUT_OF_DATE ? TCB_OUT_OF_DATE : TCB_OUT_OF_DATE_CONFIGURATION_NEEDED;
}

bool tcb_status_passes(enum tcb_status status, const struct tcb_policy *policy)
{
        if (status == TCB_UP_TO_DATE || status == TCB_REVOKED)
                return status == TCB_UP_TO_DATE;
        return policy->accepted & 1U << status;
}

static int judge(const struct pck *pck, const struct sgx_report *qe, const struct tcb_documents *documents,
                 const struct certificate_trust *trust, struct tcb_verdict *ret_verdict, struct error *err)
{
        cleanup_certificate_chain struct certificate_chain signer = {.n = 0};
        cleanup_json json_t *info = NULL, *identity = NULL;
        struct tcb_verdict platform, enclave;
        int r = collateral_signer(documents->signing_chain, trust, &signer, err);

        if (r == 0)
                r = collateral_open(documents->tcb_info, "tcbInfo", &signer, trust->now, &info, err);
        if (r == 0)
                r = collateral_open(documents->qe_identity, "enclaveIdentity", &signer, trust->now, &identity,
                                    err);
        if (r == 0)
                r = tcb_info_level(info, pck, &platform, err);
        if (r == 0)
                r = qe_identity_level(identity, qe, &enclave, err);
        if (r < 0)
                return r;
        platform.status = tcb_status_with_qe(platform.status, enclave.status);
        *ret_verdict = platform;
        return 0;
}

int tcb_check(const struct pck *pck, const struct sgx_report *qe, const struct tcb_policy *policy,
              const struct certificate_trust *trust, struct tcb_verdict *ret_verdict, struct error *err)
{
        struct tcb_verdict v = {.status = TCB_NOT_CHECKED};
        int r;

        if (policy->skip) {
                *ret_verdict = v;
                return 0;
        }
        if (!policy->documents)
                return error_set(err, -EPERM,
                                 "the platform's TCB can't be checked: there is nothing to check it by");
        r = judge(pck, qe, policy->documents, trust, &v, err);
        if (r < 0)
                return r;
        if (!tcb_status_passes(v.status, policy))
                return error_set(err, -EPERM, "the platform's TCB is %s, of %s%s%s",
                                 tcb_status_name(v.status), v.date, v.advisories[0] ? ": " : "",
                                 v.advisories);
        *ret_verdict = v;
        return 0;
}
