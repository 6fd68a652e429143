/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim-modify.h - SGX2 in the simulated device: ioctls that change pages of a running enclave, and EAUG.
 */
#pragma once

#include "lib/sgx/driver-abi.h"
#include "lib/sgx/sim-epc.h"

union sim_modify {
        struct sgx_enclave_restrict_permissions restrict_permissions;
        struct sgx_enclave_modify_types modify_types;
        struct sgx_enclave_remove_pages remove_pages;
};

/* One of the three ioctls: 0, -errno; -ENOTTY where it is none. */
int sim_modify_do(struct sim_enclave *e, unsigned long request, union sim_modify *arg);

/* EAUG: a zero page that the enclave has to accept, where none is.  The driver does it when the page is
 * touched. False where the page is there already, or nothing may be added. */
bool sim_augment(struct sim_enclave *e, size_t page);
