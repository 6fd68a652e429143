/* SPDX-License-Identifier: Apache-2.0 */
/*
 * driver-abi.h - ioctls of SGX drivers that <asm/sgx.h> doesn't have: those of the legacy driver,
 * /dev/isgx.  (The kernel's own header has the others, of which older distributions lack the ones for
 * SGX2.)
 */
#pragma once

#include <asm/sgx.h>
#include <stdint.h>
#include <sys/ioctl.h>

/* Packed, as that driver's header says; addresses are the process's. */
struct isgx_add_page {
        uint64_t address; /* absolute, in ELRANGE */
        uint64_t source;
        uint64_t secinfo;
        uint16_t measure_mask; /* a bit for each 256 bytes */
} __attribute__((packed));

struct isgx_init {
        uint64_t address;
        uint64_t sigstruct;
        uint64_t token;
} __attribute__((packed));

#define ISGX_ADD_PAGE _IOW(SGX_MAGIC, 0x01, struct isgx_add_page)
#define ISGX_INIT     _IOW(SGX_MAGIC, 0x02, struct isgx_init)

_Static_assert(ISGX_ADD_PAGE == 0x401aa401, "the driver's number");
_Static_assert(ISGX_INIT == 0x4018a402, "the driver's number");
_Static_assert(SGX_IOC_ENCLAVE_ADD_PAGES == 0xc030a401, "the driver's number");
