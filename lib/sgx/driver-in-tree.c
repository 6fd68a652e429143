/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/sgx/driver.h"

#include "lib/sgx/driver-abi.h"

#include <sys/mman.h>

/* Signals that arrive while pages are added end the call early, as often as they like. */
static int add_pages(struct sgx_enclave *e, struct sgx_enclave_add_pages *arg, struct error *err)
{
        while (arg->length) {
                int r;

                arg->count = 0;
                r = e->os.ioctl(e->os.user, e->fd, SGX_IOC_ENCLAVE_ADD_PAGES, arg);
                if (r < 0 && errno != EINTR && errno != EAGAIN)
                        return error_errno(err, errno,
                                           "cannot add the page at %#llx (SGX_IOC_ENCLAVE_ADD_PAGES)",
                                           (unsigned long long)arg->offset);
                if (arg->count > arg->length)
                        return error_set(err, -EIO, "the driver says it added more than it was given");
                arg->src += arg->count;
                arg->offset += arg->count;
                arg->length -= arg->count;
        }
        return 0;
}

static int add_page(struct sgx_enclave *e, uint64_t offset, const uint8_t *page, uint64_t secinfo_flags,
                    struct error *err)
{
        uint8_t secinfo[SGX_SECINFO_SIZE] __attribute__((aligned(SGX_SECINFO_SIZE)));
        struct sgx_enclave_add_pages arg = {
                .src = (uintptr_t)page,
                .offset = offset,
                .length = SGX_PAGE_SIZE,
                .secinfo = (uintptr_t)secinfo,
                .flags = SGX_PAGE_MEASURE,
        };

        sgx_secinfo_encode(secinfo_flags, secinfo);
        return add_pages(e, &arg, err);
}

/* Flexible launch control needs no token; the driver says no more than EPERM. */
static int init(struct sgx_enclave *e, const uint8_t *sigstruct, const uint8_t *token, int *ret_code,
                struct error *err)
{
        struct sgx_enclave_init arg = {.sigstruct = (uintptr_t)sigstruct};
        int r;
        (void)token;

        *ret_code = -1;
        do
                r = e->os.ioctl(e->os.user, e->fd, SGX_IOC_ENCLAVE_INIT, &arg);
        while (r < 0 && errno == EINTR);
        if (r < 0)
                return error_errno(err, errno, "cannot initialise the enclave (SGX_IOC_ENCLAVE_INIT)");
        *ret_code = r;
        return r ? error_set(err, -EPERM, "EINIT gave %s", sgx_code_text(r)) : 0;
}

static int map(struct sgx_enclave *e, uint64_t offset, uint64_t length, int prot, struct error *err)
{
        void *address = (void *)(uintptr_t)(e->base + offset);

        if (e->os.mmap(e->os.user, address, length, prot, MAP_SHARED | MAP_FIXED, e->fd, 0) == MAP_FAILED)
                return error_errno(err, errno, "cannot map the enclave's pages at %#llx",
                                   (unsigned long long)offset);
        return 0;
}

const struct sgx_driver sgx_driver_in_tree = {
        .name = "in-tree",
        .device = "/dev/sgx_enclave",
        .create = sgx_driver_ecreate,
        .add_page = add_page,
        .init = init,
        .map = map,
};

const struct sgx_driver sgx_driver_dcap = {
        .name = "dcap",
        .device = "/dev/sgx/enclave",
        .create = sgx_driver_ecreate,
        .add_page = add_page,
        .init = init,
        .map = map,
};

const struct sgx_driver sgx_driver_simulation = {
        .name = "simulation",
        .device = "/dev/sgx_enclave",
        .create = sgx_driver_ecreate,
        .add_page = add_page,
        .init = init,
        .map = map,
};
