/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim-pck.h - the keys of the simulated quoting enclave, and the certificates that go with them: a root, and
 * below it a leaf in the form of Intel's provisioning certification key (PCK) certificates, with their
 * extension 1.2.840.113741.1.13.1.
 */
#pragma once

#include "lib/base/buf.h"
#include "lib/sgx/keys.h"

#include <openssl/evp.h>

enum sgx_sim_key {
        SGX_SIM_KEY_ROOT,        /* of the certificate that signs the leaf */
        SGX_SIM_KEY_PCK,         /* of the leaf: signs the QE's report */
        SGX_SIM_KEY_ATTESTATION, /* signs quotes */
};

/* A key pair on P-256 that depends on the simulation's root key alone, for EVP_PKEY_free(). 0 or -errno. */
int sgx_sim_key(const struct sgx_root *root, enum sgx_sim_key which, EVP_PKEY **ret_pkey, struct error *err);

/* Appends leaf and root as PEM, valid from a day before `now` (seconds since 1970) to a year behind it.  0 or
 * -errno. */
int sgx_sim_pck_chain(const struct sgx_root *root, int64_t now, struct buf *pem, struct error *err);
