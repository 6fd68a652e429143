/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/enclave/ramdisk-size.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The first byte cuts the rest into pieces; however it is cut, the count is the same. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct ramdisk_size whole = ramdisk_size_new("a/b"), pieces = ramdisk_size_new("a/b");

        if (size == 0)
                return 0;
        size_t step = (size_t)data[0] + 1;
        struct view rest = view_of(data + 1, size - 1);
        ramdisk_size_feed(&whole, rest);
        while (rest.n > 0) {
                size_t n = rest.n < step ? rest.n : step;
                ramdisk_size_feed(&pieces, view_of(rest.p, n));
                rest = view_of(rest.p + n, rest.n - n);
        }
        if (ramdisk_size_unpacked(&whole) != ramdisk_size_unpacked(&pieces))
                abort();
        return 0;
}
