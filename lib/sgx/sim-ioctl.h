/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim-ioctl.h - the ioctls of the simulated device, behind sim-device.h.
 */
#pragma once

#include "lib/sgx/sim-epc.h"

/* One ioctl. `argument` is the program's pointer, and may be bad.  0; a code of SGX (legacy EINIT);
 * -errno. */
int sim_ioctl_do(struct sim_enclave *e, unsigned long request, void *argument);

/* EADD of one page, and EEXTEND of all of it or of none. 0, -EINVAL, -EBUSY, -EIO. */
int sim_add_page(struct sim_enclave *e, uint64_t offset, const uint8_t page[static SGX_PAGE_SIZE],
                 const uint8_t secinfo[static SGX_SECINFO_SIZE], bool measured);

/* EINIT. `token` is NULL where there is none (flexible launch control).  SGX_SUCCESS, another code,
 * -errno. */
int sim_init(struct sim_enclave *e, const uint8_t sigstruct[static SGX_SIGSTRUCT_SIZE], const uint8_t *token);

/* Copies n bytes of the program's, which need not be there. 0 or -EFAULT. */
int sim_copy_in(void *to, uint64_t from, size_t n);
int sim_copy_out(uint64_t to, const void *from, size_t n);
