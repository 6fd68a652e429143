/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The legacy driver looks for a mapping of its own that is exactly ELRANGE when ECREATE comes, and for
 * nothing later: the whole range is mapped with all rights before, and map() has nothing left to do.
 */
#include "lib/sgx/driver.h"

#include "lib/sgx/driver-abi.h"

#include <sys/mman.h>

enum { MEASURE_ALL = 0xffff };

static int create(struct sgx_enclave *e, const struct sgx_secs *secs, struct error *err)
{
        if (e->os.mmap(e->os.user, (void *)(uintptr_t)secs->base, secs->size,
                       PROT_READ | PROT_WRITE | PROT_EXEC, MAP_SHARED | MAP_FIXED, e->fd, 0) == MAP_FAILED)
                return error_errno(err, errno, "cannot map /dev/isgx");
        return sgx_driver_ecreate(e, secs, err);
}

static int add_page(struct sgx_enclave *e, uint64_t offset, const uint8_t *page, uint64_t secinfo_flags,
                    struct error *err)
{
        uint8_t secinfo[SGX_SECINFO_SIZE] __attribute__((aligned(SGX_SECINFO_SIZE)));
        struct isgx_add_page arg = {
                .address = e->base + offset,
                .source = (uintptr_t)page,
                .secinfo = (uintptr_t)secinfo,
                .measure_mask = MEASURE_ALL,
        };
        int r;

        sgx_secinfo_encode(secinfo_flags, secinfo);
        do
                r = e->os.ioctl(e->os.user, e->fd, ISGX_ADD_PAGE, &arg);
        while (r < 0 && errno == EINTR);
        if (r < 0)
                return error_errno(err, errno, "cannot add the page at %#llx (SGX_IOC_ENCLAVE_ADD_PAGE)",
                                   (unsigned long long)offset);
        return 0;
}

static int init(struct sgx_enclave *e, const uint8_t *sigstruct, const uint8_t *token, int *ret_code,
                struct error *err)
{
        static const uint8_t none[SGX_TOKEN_SIZE];
        struct isgx_init arg = {
                .address = e->base,
                .sigstruct = (uintptr_t)sigstruct,
                .token = (uintptr_t)(token ? token : none),
        };
        int r;

        *ret_code = -1;
        do
                r = e->os.ioctl(e->os.user, e->fd, ISGX_INIT, &arg);
        while ((r < 0 && errno == EINTR) || r == SGX_UNMASKED_EVENT);
        if (r < 0)
                return error_errno(err, errno, "cannot initialise the enclave (SGX_IOC_ENCLAVE_INIT)");
        *ret_code = r;
        return r ? error_set(err, -EPERM, "EINIT gave %s", sgx_code_text(r)) : 0;
}

static int map(struct sgx_enclave *e, uint64_t offset, uint64_t length, int prot, struct error *err)
{
        (void)e, (void)offset, (void)length, (void)prot, (void)err;
        return 0;
}

const struct sgx_driver sgx_driver_isgx = {
        .name = "isgx",
        .device = "/dev/isgx",
        .needs_token = true,
        .create = create,
        .add_page = add_page,
        .init = init,
        .map = map,
};
