/* SPDX-License-Identifier: Apache-2.0 */
/*
 * driver.h - the drivers of SGX that Linux machines have, behind one interface:
 *
 *      in-tree      /dev/sgx_enclave     Linux 5.11 and later
 *      dcap         /dev/sgx/enclave     Intel's for flexible launch control: the same ioctls
 *      isgx         /dev/isgx            Intel's legacy one: launch tokens, a mapping of all of ELRANGE first
 *
 * and `simulation`, which is the in-tree one's code over a simulated device (sim-device.h).
 */
#pragma once

#include "lib/base/error.h"
#include "lib/sgx/layout.h"
#include "lib/sgx/os.h"

/* An enclave in the making, or made. */
struct sgx_enclave {
        const struct sgx_driver *driver;
        struct sgx_os os;
        int fd;
        uint64_t base, size;
};

struct sgx_driver {
        const char *name;
        const char *device;
        bool needs_token;
        /* ECREATE over a reserved range at secs->base. 0 or -errno, as below. */
        int (*create)(struct sgx_enclave *e, const struct sgx_secs *secs, struct error *err);
        /* EADD and EEXTEND of a page, which is aligned to its size. */
        int (*add_page)(struct sgx_enclave *e, uint64_t offset, const uint8_t *page, uint64_t secinfo_flags,
                        struct error *err);
        /* EINIT. `token` is SGX_TOKEN_SIZE bytes or NULL.  *ret_code: as the driver tells it; -1: it
         * doesn't. */
        int (*init)(struct sgx_enclave *e, const uint8_t *sigstruct, const uint8_t *token, int *ret_code,
                    struct error *err);
        /* Maps pages of the enclave with these rights. */
        int (*map)(struct sgx_enclave *e, uint64_t offset, uint64_t length, int prot, struct error *err);
};

extern const struct sgx_driver sgx_driver_in_tree, sgx_driver_dcap, sgx_driver_isgx, sgx_driver_simulation;

/* The driver whose device is there, in the order isgx, dcap, in-tree; -ENODEV where none is. `os` opens it:
 * *ret_fd is the caller's. */
int sgx_driver_find(const struct sgx_os *os, const struct sgx_driver **ret_driver, int *ret_fd,
                    struct error *err);

/* For the drivers: hands `secs` to e's device, in the way that is common to all of them. */
int sgx_driver_ecreate(struct sgx_enclave *e, const struct sgx_secs *secs, struct error *err);
