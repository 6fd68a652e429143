/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim-device.h - /dev/sgx_enclave without the hardware: open, ioctl, mmap and close as the kernel's driver
 * has them, with its checks and its error numbers, over enclaves in ordinary memory (sim-epc.h).  ECREATE,
 * EADD, EEXTEND and EINIT are done here: what was added is measured, and an enclave starts only if its
 * SIGSTRUCT verifies, is for that measurement, and its masks allow what the enclave is.  Code in it is run
 * by sim-cpu.h.
 *
 * It knows the ioctls of Linux (5.11, and those for SGX2 of 6.0) at /dev/sgx_enclave and /dev/sgx/enclave,
 * and those of the legacy driver at /dev/isgx.  DEBUG is set in every enclave; so one that was signed to
 * run without (a product) is refused with SGX_INVALID_ATTRIBUTE: its secrets never come into a process that
 * can't keep them.
 */
#pragma once

#include "lib/base/error.h"
#include "lib/sgx/os.h"
#include "lib/sgx/sgx.h"

#include <stdbool.h>

/* The simulated device; open() knows no other path. */
extern const struct sgx_os sgx_os_simulated;

/* What EINIT said last in this thread: its code in *ret_code, or SGX_SUCCESS, and why. */
void sgx_sim_last_einit(int *ret_code, struct error *ret_why);

/* Takes an enclave over that another process made, by its descriptor, and maps all its pages at their
 * address. *ret_base and *ret_size are where. -EINVAL where it is no simulated enclave that runs. */
int sgx_sim_attach(int fd, uint64_t *ret_base, uint64_t *ret_size, struct error *err);

/* mprotect(2) where pages of a simulated enclave are in the range, with the driver's check: -EACCES
 * where a page was not added with these rights.  -ENOENT where none is. */
int sgx_sim_mprotect(void *address, size_t size, int prot);

/* True where fd is a simulated enclave's. */
bool sgx_sim_is_enclave(int fd);
