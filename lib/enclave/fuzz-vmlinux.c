/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/enclave/vmlinux.h"

#include "lib/base/fd.h"

#include <stdlib.h>
#include <sys/mman.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A kernel image that nobody has looked at yet. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        cleanup_fd int image = memfd_create("image", MFD_CLOEXEC);
        cleanup_fd int unpacked = memfd_create("unpacked", MFD_CLOEXEC);

        if (image < 0 || unpacked < 0 || fd_write_full(image, data, size) < 0)
                abort();
        (void)vmlinux_unpack(image, unpacked, NULL);
        return 0;
}
