/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/sgx/sim-rewrite.h"

#include <string.h>

enum { ENCLU_0 = 0x0f, ENCLU_1 = 0x01, ENCLU_2 = 0xd7, ENCLU_SIZE = 3, HLT = 0xf4 };

enum { SITES_A_BYTE = 8, SITES_OF_PAGE = SGX_PAGE_SIZE / SITES_A_BYTE };

/* Other threads write these bytes, and the enclave its own. */
static _Atomic uint8_t *shared(uint8_t *byte)
{
        return (_Atomic uint8_t *)byte;
}

static bool is_site(const struct sim_enclave *e, uint64_t offset)
{
        return atomic_load(shared(&e->sites[offset / SITES_A_BYTE])) >> offset % SITES_A_BYTE & 1;
}

bool sim_rewrite_is_enclu(const struct sim_enclave *e, uint64_t address)
{
        uint64_t offset = address - e->base;
        uint8_t first;

        if (offset >= e->size || e->size - offset < ENCLU_SIZE)
                return false;
        first = atomic_load(shared(&e->epc[offset]));
        return (first == ENCLU_0 || (first == HLT && is_site(e, offset))) && e->epc[offset + 1] == ENCLU_1 &&
               e->epc[offset + 2] == ENCLU_2;
}

void sim_rewrite_enclu(struct sim_enclave *e, uint64_t address)
{
        uint64_t offset = address - e->base;
        uint8_t first = ENCLU_0;

        if (e->epc[offset] != ENCLU_0)
                return;
        /* In this order: who sees the HLT finds its bit. */
        atomic_store(&e->epcm[offset / SGX_PAGE_SIZE].rewritten, 1);
        atomic_fetch_or(shared(&e->sites[offset / SITES_A_BYTE]), (uint8_t)(1U << offset % SITES_A_BYTE));
        atomic_compare_exchange_strong(shared(&e->epc[offset]), &first, HLT);
}

void sim_rewrite_forget(struct sim_enclave *e, size_t page)
{
        if (atomic_exchange(&e->epcm[page].rewritten, 0))
                memset(e->sites + page * SITES_OF_PAGE, 0, SITES_OF_PAGE);
}

void sim_rewrite_undo(const struct sim_enclave *e, size_t page, uint8_t copy[static SGX_PAGE_SIZE])
{
        if (!e->epcm[page].rewritten)
                return;
        for (size_t i = 0; i < SGX_PAGE_SIZE; i++)
                if (copy[i] == HLT && is_site(e, page * SGX_PAGE_SIZE + i))
                        copy[i] = ENCLU_0;
}
