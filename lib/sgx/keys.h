/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keys.h - the secrets of the simulated CPU, and what is made from them: keys, reports, launch tokens.
 *
 * A real CPU has fuses; ours has a random root key that lives until the machine is started again, in
 * /run/coffer/sgx-simulation.key (root) or $XDG_RUNTIME_DIR/coffer/sgx-simulation.key (others, and root of a
 * user namespace, who can't use the former), mode 0600, so that the enclaves of one user verify each other's
 * reports.  Whoever can read that file, or the memory of a process, can forge anything that is made here:
 * nothing of it is evidence to anybody else.  So that no verifier takes it for more, CPUSVN is the text
 * "COFFER-SIMULATED" (sim-qe.h) and DEBUG is always set.
 *
 * Keys are AES-128-CMAC under the root key over a structure of what they depend on, in the shape that SDM 3D,
 * "EGETKEY", gives; Intel's own values can't be had this way, nor are meant to be.
 */
#pragma once

#include "lib/sgx/report.h"

struct sgx_root {
        uint8_t key[SGX_KEY_SIZE];
        uint8_t report_key_id[SGX_HASH_SIZE];
};

/* Reads the root key of this boot and user, making it where there is none.  Where no place for it can be
 * had (a container's root that can't be written) the key is random and this process's own; *ret_shared
 * says which. The caller wipes it with explicit_bzero(). 0 or -errno. */
int sgx_root_load(struct sgx_root *ret_root, bool *ret_shared, struct error *err);

/* AES-128-CMAC (NIST SP 800-38B). 0 or -errno. */
int sgx_cmac(const uint8_t key[static SGX_KEY_SIZE], struct view v, uint8_t ret_mac[static SGX_KEY_SIZE]);

/* The key that `request` names, for an enclave: EGETKEY.  *ret_code is SGX_SUCCESS, or why it is refused. */
int sgx_key_get(const struct sgx_root *root, const struct sgx_secs *secs,
                const struct sgx_keyrequest *request, uint8_t ret_key[static SGX_KEY_SIZE], int *ret_code);

/* The report of an enclave to `target`: EREPORT. 0 or -errno. */
int sgx_report_make(const struct sgx_root *root, const struct sgx_secs *secs,
                    const struct sgx_targetinfo *target, const uint8_t data[static SGX_REPORT_DATA_SIZE],
                    struct sgx_report *ret_report);

/* 0 where the report was made on this machine, in simulation, for `target`; else -EBADMSG. */
int sgx_report_verify(const struct sgx_root *root, const uint8_t report[static SGX_REPORT_SIZE],
                      const struct sgx_targetinfo *target, struct error *err);

/* Sets the MAC of a token, as a launch enclave does. 0 or -errno. */
int sgx_token_sign(const struct sgx_root *root, struct sgx_token *token);

/* What EINIT makes of a token for an enclave whose SECS has its identity: SGX_SUCCESS,
 * SGX_INVALID_EINITTOKEN, or -errno. */
int sgx_token_check(const struct sgx_root *root, const struct sgx_token *token, const struct sgx_secs *secs);
