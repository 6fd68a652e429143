/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tcb.h - how current a platform's trusted computing base is: microcode, firmware and quoting enclave (QE),
 * by what their vendor publishes and signs (collateral.h).
 */
#pragma once

#include "lib/attest/pck.h"
#include "lib/base/view.h"
#include "lib/crypto/certificate-chain.h"
#include "lib/sgx/report.h"

#include <stdbool.h>

enum tcb_status {
        TCB_NOT_CHECKED,
        TCB_UP_TO_DATE,
        TCB_SW_HARDENING_NEEDED,
        TCB_CONFIGURATION_NEEDED,
        TCB_CONFIGURATION_AND_SW_HARDENING_NEEDED,
        TCB_OUT_OF_DATE,
        TCB_OUT_OF_DATE_CONFIGURATION_NEEDED,
        TCB_REVOKED,
};

/* Documents as the vendor's service gives them, byte by byte. */
struct tcb_documents {
        struct view tcb_info;      /* of the platform's family */
        struct view qe_identity;   /* of the QE */
        struct view signing_chain; /* PEM: who signed both, and the root */
};

struct tcb_policy {
        bool skip;                             /* the caller takes a platform whose TCB nobody looked at */
        const struct tcb_documents *documents; /* NULL: none */
        unsigned int accepted;                 /* 1 << status for each that is taken beside TCB_UP_TO_DATE */
};

enum {
        TCB_DATE_MAX = sizeof("2026-11-30T00:00:00Z"),
        TCB_ADVISORIES_MAX = 512,
};

struct tcb_verdict {
        enum tcb_status status;
        char date[TCB_DATE_MAX];             /* of the platform's level; "" where not checked */
        char advisories[TCB_ADVISORIES_MAX]; /* "INTEL-SA-00334, INTEL-SA-00615", or "" */
};

/* The name as its vendor has it, "UpToDate"; "not checked" for TCB_NOT_CHECKED. */
const char *tcb_status_name(enum tcb_status status);

/* The status by its vendor's name. False where there is none. */
bool tcb_status_parse(const char *name, enum tcb_status *ret_status);

/* The platform's status where its QE has another: the worse of both, in the vendor's terms. */
enum tcb_status tcb_status_with_qe(enum tcb_status platform, enum tcb_status qe);

/* Whether a status passes: what is up to date does, what was revoked never. */
bool tcb_status_passes(enum tcb_status status, const struct tcb_policy *policy);

/* 0 where the platform is as `policy` asks.  -EPERM where not; -EBADMSG, -EKEYREJECTED where the documents
 * can't be believed, under the root, revocation lists and time of `trust`. */
int tcb_check(const struct pck *pck, const struct sgx_report *qe, const struct tcb_policy *policy,
              const struct certificate_trust *trust, struct tcb_verdict *ret_verdict, struct error *err);
