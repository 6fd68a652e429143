/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/sgx/driver.h"

#include "lib/base/cleanup.h"
#include "lib/sgx/driver-abi.h"

#include <fcntl.h>

int sgx_driver_find(const struct sgx_os *os, const struct sgx_driver **ret_driver, int *ret_fd,
                    struct error *err)
{
        static const struct sgx_driver *const drivers[] = {&sgx_driver_isgx, &sgx_driver_dcap,
                                                           &sgx_driver_in_tree};

        for (size_t i = 0; i < ARRAY_SIZE(drivers); i++) {
                int fd = os->open(os->user, drivers[i]->device, O_RDWR | O_CLOEXEC);

                if (fd >= 0) {
                        *ret_driver = drivers[i];
                        *ret_fd = fd;
                        return 0;
                }
                if (errno != ENOENT && errno != ENOTDIR)
                        return error_errno(err, errno, "cannot open %s", drivers[i]->device);
        }
        error_set(err, -ENODEV,
                  "this machine has no SGX device (/dev/sgx_enclave, /dev/sgx/enclave, /dev/isgx)");
        error_hint(err, "to try enclaves without the hardware, and without its protection, pass the argument "
                        "\"simulate\"");
        return -ENODEV;
}

int sgx_driver_ecreate(struct sgx_enclave *e, const struct sgx_secs *secs, struct error *err)
{
        uint8_t page[SGX_PAGE_SIZE] __attribute__((aligned(SGX_PAGE_SIZE)));
        struct sgx_enclave_create arg = {.src = (uintptr_t)page};

        sgx_secs_encode(secs, page);
        if (e->os.ioctl(e->os.user, e->fd, SGX_IOC_ENCLAVE_CREATE, &arg) < 0)
                return error_errno(err, errno, "cannot create the enclave (SGX_IOC_ENCLAVE_CREATE)");
        return 0;
}
