/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pck.h - what Intel says of a platform in its PCK certificate (provisioning certification key): extension
 * 1.2.840.113741.1.13.1, a SEQUENCE of { number, value }, numbers below that arc:
 *
 *      1  PPID, 16 bytes
 *      2  TCB: SEQUENCE of { 2.1 to 2.16, INTEGER 0 to 255 }, { 2.17 PCESVN, INTEGER }, { 2.18 CPUSVN, 16
 *         bytes }
 *      3  PCEID, 2 bytes
 *      4  FMSPC, 6 bytes: family, model, stepping, platform, custom SKU
 *      5  kind of SGX: ENUMERATED
 *      6, 7  of platforms with several packages; not looked at
 *
 * Source: Intel SGX PCK Certificate and Certificate Revocation List Profile Specification.
 */
#pragma once

#include "lib/base/error.h"
#include "lib/base/view.h"
#include "lib/crypto/certificate.h"

enum { PCK_TCB_COMPONENTS = 16, PCK_FMSPC_SIZE = 6, PCK_PCE_ID_SIZE = 2, PCK_CPU_SVN_SIZE = 16 };

struct pck {
        uint8_t tcb[PCK_TCB_COMPONENTS]; /* security versions of the platform's parts */
        uint16_t pce_svn;
        uint8_t cpu_svn[PCK_CPU_SVN_SIZE];
        uint8_t pce_id[PCK_PCE_ID_SIZE];
        uint8_t fmspc[PCK_FMSPC_SIZE];
};

/* Reads the extension's value.  -EBADMSG where it isn't as above, or a part that we need is missing or there
 * twice. */
int pck_parse(struct view extension, struct pck *ret_pck, struct error *err);

/* As that, of a certificate; -EBADMSG also where it has no such extension. */
int pck_read(const struct certificate *certificate, struct pck *ret_pck, struct error *err);
