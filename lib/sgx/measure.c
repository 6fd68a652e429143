/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/sgx/measure.h"

#include "lib/sgx/little-endian.h"

#include <string.h>

enum { RECORD_SIZE = 64 };

static void record(struct hash *h, const char tag[static 8], uint64_t a, uint64_t b, unsigned int b_at)
{
        uint8_t bytes[RECORD_SIZE] = {0};

        memcpy(bytes, tag, 8);
        put_le(bytes + 8, a, b_at - 8);
        put_le(bytes + b_at, b, 8);
        hash_update(h, bytes, sizeof(bytes));
}

int sgx_measure_create(struct hash *ret_h, uint32_t ssa_frame_pages, uint64_t size)
{
        int r = hash_init(ret_h, HASH_SHA256);

        record(ret_h, "ECREATE", ssa_frame_pages, size, 12);
        return r;
}

void sgx_measure_add(struct hash *h, uint64_t offset, uint64_t secinfo_flags)
{
        record(h, "EADD\0\0\0", offset, secinfo_flags, 16);
}

void sgx_measure_extend(struct hash *h, uint64_t offset, const uint8_t chunk[static SGX_CHUNK_SIZE])
{
        record(h, "EEXTEND", offset, 0, 16);
        hash_update(h, chunk, SGX_CHUNK_SIZE);
}

void sgx_measure_page(struct hash *h, uint64_t offset, uint64_t secinfo_flags,
                      const uint8_t page[static SGX_PAGE_SIZE])
{
        sgx_measure_add(h, offset, secinfo_flags);
        for (unsigned int at = 0; at < SGX_PAGE_SIZE; at += SGX_CHUNK_SIZE)
                sgx_measure_extend(h, offset + at, page + at);
}

int sgx_measure_final(struct hash *h, uint8_t ret_mrenclave[static SGX_HASH_SIZE])
{
        struct digest d;
        int r = hash_final(h, &d);

        if (r == 0)
                memcpy(ret_mrenclave, d.bytes, SGX_HASH_SIZE);
        return r;
}
