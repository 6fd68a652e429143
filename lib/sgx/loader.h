/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loader.h - an enclave from its files, through a driver, into this process; and calls into it.
 *
 * Base address: a multiple of ELRANGE's size, reserved by us.  Attributes, XFRM and MISCSELECT are those of
 * SIGSTRUCT, so that what was signed is what is made; a simulation, and `debug` where the signature leaves it
 * open, add DEBUG.
 */
#pragma once

#include "lib/base/view.h"
#include "lib/sgx/driver.h"

struct sgx_load {
        const struct sgx_driver *driver;
        const struct sgx_os *os;
        int fd;                /* of the device, open; the enclave's from then on, whatever happens */
        struct view image;     /* flat (image.h) */
        struct view sigstruct; /* SGX_SIGSTRUCT_SIZE bytes */
        struct view token;     /* SGX_TOKEN_SIZE bytes, or empty: none */
        bool debug;            /* add DEBUG where the signature leaves it open */
        bool simulated;        /* `os` is a simulation: it adds DEBUG in any case */
};

/* Makes the enclave; end it with sgx_unload().  -EINVAL where a file is not as it must be, -EPERM where
 * the CPU refuses (the error names EINIT's code, by our own comparison where the driver doesn't tell),
 * else as the driver says. */
int sgx_load(const struct sgx_load *load, struct sgx_enclave *ret_enclave, struct error *err);

/* Unmaps and closes it. Safe on one whose fd is -1. */
void sgx_unload(struct sgx_enclave *e);

/* EENTER by the thread control structure at `tcs`, with `number` in R10 and a, b, c in RDI, RSI, RDX;
 * what the enclave leaves in RDX when it is back.  Asynchronous exits are resumed.  Nobody else may be
 * in by this TCS. */
uint64_t sgx_ecall(uint64_t tcs, uint64_t number, uint64_t a, uint64_t b, uint64_t c);
