/* SPDX-License-Identifier: Apache-2.0 */
/*
 * describe.h - everything in an enclave image file, as JSON for people and scripts.
 */
#pragma once

#include "lib/eif/eif.h"

#include <jansson.h>

/* An object with, in this order: EifVersion, Measurements{HashAlgorithm, PCR0, PCR1, PCR2[, PCR8]}, IsSigned,
 * [SigningCertificate{IssuerName, Algorithm, NotBefore, NotAfter, Signature}], CheckCRC,
 * [SignatureCheck[, SignatureError]], ImageName, ImageVersion, Metadata, Flags, Architecture, DefaultMemory,
 * DefaultCPUs, FileSize, Cmdline, Sections[{Type, Offset, Size}].  In brackets: only where signed
 * (SignatureError: only where it doesn't hold at `now`).  What is wrong inside the file becomes a value, not
 * an error.  The object is the caller's. */
int eif_describe(const struct eif *eif, const struct eif_measured *measured, int64_t now, json_t **ret_object,
                 struct error *err);

/* {HashAlgorithm: "SHA384", PCR0, PCR1, PCR2[, PCR8]}; pcr8 may be NULL. The object is the caller's; NULL
 * when out of memory. */
json_t *eif_describe_pcrs(const struct eif_pcrs *pcrs, const struct digest *pcr8);
