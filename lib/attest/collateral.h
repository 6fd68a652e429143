/* SPDX-License-Identifier: Apache-2.0 */
/*
 * collateral.h - what a platform's vendor publishes of its platforms: JSON with a signature over its very
 * bytes,
 *
 *      {"<name>":{...},"signature":"<128 hex digits>"}
 *
 * with nothing between these parts.  The signature is ECDSA on P-256 over the inner object, r and s, by a
 * certificate "Intel SGX TCB Signing" that the root signed itself.  Each has the moment of its making and the
 * one when the next is due, after which it is not believed.  Source: Intel SGX Provisioning Certification
 * Service, version 3 and 4.
 */
#pragma once

#include "lib/attest/tcb.h"
#include "lib/format/strict-json.h"

enum { COLLATERAL_MAX = 1024 * 1024 };

/* The chain that signs collateral, checked. -EBADMSG, -EKEYREJECTED. */
int collateral_signer(struct view pem, const struct certificate_trust *trust,
                      struct certificate_chain *ret_chain, struct error *err);

/* Checks form, signature and time, then reads the inner object, for json_decref(). -EBADMSG, -EKEYREJECTED,
 * -EPERM. */
int collateral_open(struct view document, const char *name, const struct certificate_chain *signer,
                    int64_t now, json_t **ret_object, struct error *err);

/* The member `name`, which must be there, of n bytes in hex digits. -EBADMSG. */
int collateral_bytes(const json_t *object, const char *name, uint8_t *ret_bytes, size_t n, struct error *err);

/* The member `name`, which must be there, of at most `max`. -EBADMSG. */
int collateral_number(const json_t *object, const char *name, uint64_t max, uint64_t *ret_value,
                      struct error *err);

/* The members tcbStatus, tcbDate and advisoryIDs of a level. -EBADMSG. */
int collateral_level(const json_t *level, struct tcb_verdict *ret_verdict, struct error *err);

/* Finds the level of a platform in "TCB info"; -EBADMSG, or -EPERM where it is about other platforms or has
 * no level for this one. */
int tcb_info_level(const json_t *tcb_info, const struct pck *pck, struct tcb_verdict *ret_verdict,
                   struct error *err);

/* Checks the QE against its "identity" and finds its level. -EBADMSG, -EPERM as above. */
int qe_identity_level(const json_t *identity, const struct sgx_report *qe, struct tcb_verdict *ret_verdict,
                      struct error *err);
