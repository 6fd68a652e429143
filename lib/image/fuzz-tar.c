/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/image/fuzz-tar.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 512, AT_CHECKSUM = 148, CHECKSUM_SIZE = 8, AT_MAGIC = 257 };

/* The sum of all bytes, with blanks for the checksum itself. */
static void mend(uint8_t *block)
{
        char digits[CHECKSUM_SIZE];
        unsigned sum = 0;

        memset(block + AT_CHECKSUM, ' ', CHECKSUM_SIZE);
        for (size_t i = 0; i < BLOCK; i++)
                sum += block[i];
        (void)snprintf(digits, sizeof(digits), "%06o", sum);
        memcpy(block + AT_CHECKSUM, digits, CHECKSUM_SIZE - 1);
}

uint8_t *fuzz_tar_mended(const uint8_t *tar, size_t size)
{
        uint8_t *copy = malloc(size + 1);

        if (!copy)
                abort();
        memcpy(copy, tar, size);
        for (size_t at = 0; at + BLOCK <= size; at += BLOCK)
                if (memcmp(copy + at + AT_MAGIC, "ustar", 5) == 0)
                        mend(copy + at);
        return copy;
}
