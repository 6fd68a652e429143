/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sigstruct.h - an enclave's certificate: what it measures, what it may be started with, who signed it.
 *
 * Source: SDM 3D, "Enclave Signature Structure (SIGSTRUCT)" and "EINIT".  The signature is RSA-3072 with
 * exponent 3, PKCS #1 v1.5 with SHA-256, over bytes 0 to 127 and 900 to 1027.  Q1 and Q2 are the quotients
 * that spare the CPU its divisions: Q1 = s^2 / n, Q2 = s (s^2 mod n) / n.  Numbers are little-endian.
 */
#pragma once

#include "lib/crypto/digest.h"
#include "lib/sgx/layout.h"

enum { SGX_MODULUS_SIZE = 384 };

struct sgx_sigstruct {
        bool debug;      /* bit 31 of the word at 12: "not for production", which no CPU looks at */
        uint32_t vendor; /* 0, or 0x8086 for Intel's own */
        uint32_t date;   /* 0xyyyymmdd */
        uint32_t software_defined;
        uint8_t modulus[SGX_MODULUS_SIZE];
        uint8_t signature[SGX_MODULUS_SIZE];
        uint32_t misc_select;
        uint32_t misc_mask;
        uint8_t isv_family_id[16];
        struct sgx_attributes attributes;
        struct sgx_attributes attribute_mask; /* which attributes must be as said; the others are free */
        uint8_t mrenclave[SGX_HASH_SIZE];
        uint8_t isv_ext_prod_id[16];
        uint16_t isv_prod_id;
        uint16_t isv_svn;
        uint8_t q1[SGX_MODULUS_SIZE];
        uint8_t q2[SGX_MODULUS_SIZE];
};

/* Reads the form: size, constants, vendor, exponent, reserved bytes; nothing is verified.  -EBADMSG; the
 * error names the field. */
int sgx_sigstruct_decode(struct view bytes, struct sgx_sigstruct *ret_s, struct error *err);

/* Writes it. */
void sgx_sigstruct_encode(const struct sgx_sigstruct *s, uint8_t ret_bytes[static SGX_SIGSTRUCT_SIZE]);

/* SHA-256 of what the signature is over. 0 or -errno. */
int sgx_sigstruct_digest(const struct sgx_sigstruct *s, struct digest *ret_digest);

/* MRSIGNER: SHA-256 of the modulus as it is stored. 0 or -errno. */
int sgx_sigstruct_mrsigner(const struct sgx_sigstruct *s, uint8_t ret_mrsigner[static SGX_HASH_SIZE]);

/* Verifies signature, Q1 and Q2 by the modulus that it names.  0, -EBADMSG (the error names which),
 * -ENOMEM. */
int sgx_sigstruct_verify(const struct sgx_sigstruct *s, struct error *err);

/* What EINIT compares, in its order, once the form is read: signature, measurement, attributes,
 * MISCSELECT. `secs` has the attributes that the enclave was made with, and `mrenclave` is what was
 * measured. *ret_code is SGX_SUCCESS or what EINIT would give; the error then says which field and both
 * values.  0, or -errno where there was no memory to compare. */
int sgx_sigstruct_check(const struct sgx_sigstruct *s, const struct sgx_secs *secs,
                        const uint8_t mrenclave[static SGX_HASH_SIZE], int *ret_code, struct error *err);
