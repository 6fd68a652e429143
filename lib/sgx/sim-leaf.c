/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an enclave asks of the CPU: EREPORT, EGETKEY, and the leaves of SGX2 by which it agrees to changes
 * of its pages.  Source: SDM 3D, the instructions' operation.
 */
#include "lib/sgx/sim-internal.h"

#include "lib/sgx/sim-modify.h"
#include "lib/sgx/sim-rewrite.h"

#include <string.h>

enum { KEYREQUEST_ALIGN = 512, TARGETINFO_ALIGN = 512, REPORT_ALIGN = 512, DATA_ALIGN = 128, KEY_ALIGN = 16 };

/* n bytes of the enclave at an address with this alignment; else *ret_fault says which exception it is. */
static void *operand(struct sim_enclave *e, greg_t address, size_t n, size_t align, uint8_t rights,
                     struct sim_fault *ret_fault)
{
        uint64_t at = (uint64_t)address;
        void *p;

        *ret_fault = sim_gp();
        if (at % align || at - e->base >= e->size)
                return NULL;
        *ret_fault = sim_pf(at & ~(uint64_t)(SGX_PAGE_SIZE - 1));
        p = sim_enclave_bytes(e, at, n, rights);
        if (p)
                *ret_fault = sim_none();
        return p;
}

static void set_code(struct sim_trap *trap, int code)
{
        trap->r[REG_RAX] = code;
        trap->r[REG_EFL] &= ~(greg_t)FLAGS_OF_STATUS;
        if (code)
                trap->r[REG_EFL] |= (greg_t)FLAG_ZF;
}

static struct sim_fault ereport(struct sim_trap *trap, struct sim_enclave *e)
{
        struct sim_fault fault;
        const uint8_t *target_bytes, *data;
        struct sgx_targetinfo target;
        struct sgx_report report;
        uint8_t *out;

        target_bytes =
                operand(e, trap->r[REG_RBX], SGX_TARGETINFO_SIZE, TARGETINFO_ALIGN, SGX_PAGE_R, &fault);
        if (!target_bytes)
                return fault;
        data = operand(e, trap->r[REG_RCX], SGX_REPORT_DATA_SIZE, DATA_ALIGN, SGX_PAGE_R, &fault);
        if (!data)
                return fault;
        out = operand(e, trap->r[REG_RDX], SGX_REPORT_SIZE, REPORT_ALIGN, SGX_PAGE_R | SGX_PAGE_W, &fault);
        if (!out)
                return fault;
        if (sgx_targetinfo_decode(target_bytes, &target) < 0 ||
            sgx_report_make(sim_root(), &e->head->secs, &target, data, &report) < 0)
                return sim_gp();
        sgx_report_encode(&report, out);
        return sim_none();
}

static struct sim_fault egetkey(struct sim_trap *trap, struct sim_enclave *e)
{
        struct sim_fault fault;
        struct sgx_keyrequest request;
        uint8_t key[SGX_KEY_SIZE], *out;
        const uint8_t *bytes;
        int code;

        bytes = operand(e, trap->r[REG_RBX], SGX_KEYREQUEST_SIZE, KEYREQUEST_ALIGN, SGX_PAGE_R, &fault);
        if (!bytes)
                return fault;
        out = operand(e, trap->r[REG_RCX], SGX_KEY_SIZE, KEY_ALIGN, SGX_PAGE_R | SGX_PAGE_W, &fault);
        if (!out)
                return fault;
        if (sgx_keyrequest_decode(bytes, &request) < 0 ||
            sgx_key_get(sim_root(), &e->head->secs, &request, key, &code) < 0)
                return sim_gp();
        if (code == SGX_SUCCESS)
                memcpy(out, key, sizeof(key));
        explicit_bzero(key, sizeof(key));
        set_code(trap, code);
        return sim_none();
}

/* SECINFO at RBX and the page at RCX, as three leaves have them. */
static struct sim_fault page_operands(struct sim_trap *trap, struct sim_enclave *e, uint64_t *ret_flags,
                                      size_t *ret_page)
{
        struct sim_fault fault;
        uint64_t at = (uint64_t)trap->r[REG_RCX] - e->base;
        const uint8_t *secinfo =
                operand(e, trap->r[REG_RBX], SGX_SECINFO_SIZE, SGX_SECINFO_SIZE, SGX_PAGE_R, &fault);

        if (!secinfo)
                return fault;
        if (at % SGX_PAGE_SIZE || at >= e->size || sgx_secinfo_decode(secinfo, ret_flags) < 0)
                return sim_gp();
        *ret_page = at / SGX_PAGE_SIZE;
        return sim_none();
}

static struct sim_fault protect(struct sim_enclave *e, size_t page)
{
        return sim_enclave_protect(e, page, page + 1) < 0 ? sim_gp() : sim_none();
}

static struct sim_fault eaccept(struct sim_trap *trap, struct sim_enclave *e)
{
        uint64_t flags;
        size_t page;
        struct sim_fault fault = page_operands(trap, e, &flags, &page);
        struct sim_epcm *entry;

        if (fault.vector >= 0)
                return fault;
        entry = &e->epcm[page];
        if (!entry->valid && !sim_augment(e, page))
                return sim_pf((uint64_t)trap->r[REG_RCX]);
        if (entry->type != flags >> 8 || entry->state != (flags & 0xff)) {
                set_code(trap, SGX_PAGE_ATTRIBUTES_MISMATCH);
                return sim_none();
        }
        entry->state &= SGX_PAGE_RWX;
        set_code(trap, SGX_SUCCESS);
        return protect(e, page);
}

static struct sim_fault emodpe(struct sim_trap *trap, struct sim_enclave *e)
{
        uint64_t flags;
        size_t page;
        struct sim_fault fault = page_operands(trap, e, &flags, &page);
        struct sim_epcm *entry;

        if (fault.vector >= 0)
                return fault;
        entry = &e->epcm[page];
        if (!entry->valid || entry->type != SGX_TYPE_REG ||
            entry->state & (SGX_PAGE_PENDING | SGX_PAGE_MODIFIED))
                return sim_pf((uint64_t)trap->r[REG_RCX]);
        if (flags & SGX_PAGE_W && !(flags & SGX_PAGE_R))
                return sim_gp();
        entry->state |= (uint8_t)(flags & SGX_PAGE_RWX);
        return protect(e, page);
}

static struct sim_fault eacceptcopy(struct sim_trap *trap, struct sim_enclave *e)
{
        uint64_t flags;
        size_t page;
        struct sim_fault fault = page_operands(trap, e, &flags, &page);
        struct sim_epcm *entry;
        const uint8_t *source;

        if (fault.vector >= 0)
                return fault;
        source = operand(e, trap->r[REG_RDX], SGX_PAGE_SIZE, SGX_PAGE_SIZE, SGX_PAGE_R, &fault);
        if (!source)
                return fault;
        if (flags >> 8 != SGX_TYPE_REG || (flags & SGX_PAGE_W && !(flags & SGX_PAGE_R)))
                return sim_gp();
        entry = &e->epcm[page];
        if (!entry->valid && !sim_augment(e, page))
                return sim_pf((uint64_t)trap->r[REG_RCX]);
        if (entry->type != SGX_TYPE_REG || entry->state != (SGX_PAGE_PENDING | SGX_PAGE_R | SGX_PAGE_W)) {
                set_code(trap, SGX_PAGE_ATTRIBUTES_MISMATCH);
                return sim_none();
        }
        memcpy(e->epc + page * SGX_PAGE_SIZE, source, SGX_PAGE_SIZE);
        sim_rewrite_undo(e, ((uint64_t)trap->r[REG_RDX] - e->base) / SGX_PAGE_SIZE,
                         e->epc + page * SGX_PAGE_SIZE);
        entry->state = (uint8_t)(flags & SGX_PAGE_RWX);
        set_code(trap, SGX_SUCCESS);
        return protect(e, page);
}

struct sim_fault sim_leaf(struct sim_trap *trap, struct sim_enclave *e, uint32_t leaf)
{
        switch (leaf) {
        case SGX_EREPORT:
                return ereport(trap, e);
        case SGX_EGETKEY:
                return egetkey(trap, e);
        case SGX_EACCEPT:
                return eaccept(trap, e);
        case SGX_EMODPE:
                return emodpe(trap, e);
        case SGX_EACCEPTCOPY:
                return eacceptcopy(trap, e);
        default:
                return sim_gp();
        }
}
