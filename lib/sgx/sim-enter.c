/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ways into an enclave and out of it: EENTER, ERESUME, EEXIT, asynchronous exits.  Source: SDM 3D, the
 * instructions' operation, and "State Save Area (SSA) Frame".
 */
#include "lib/sgx/sim-internal.h"

#include "lib/sgx/little-endian.h"

#include <string.h>

enum { /* GPRSGX */
       GPR_RAX = 0,
       GPR_RFLAGS = 128,
       GPR_RIP = 136,
       GPR_URSP = 144,
       GPR_URBP = 152,
       GPR_EXITINFO = 160,
       GPR_FSBASE = 168,
       GPR_GSBASE = 176,
};

enum { EXINFO_SIZE = 16, EXIT_HARDWARE = 3, EXIT_SOFTWARE = 6, EXIT_TYPE_SHIFT = 8 };
#define EXIT_VALID (1U << 31)

/* In the order of GPRSGX, which is that of the instruction set's numbers. */
static const int registers[] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                                REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
enum { N_REGISTERS = sizeof(registers) / sizeof(registers[0]) };

_Static_assert(8 * N_REGISTERS == GPR_RFLAGS, "sixteen registers");

static uint8_t *tcs_of(const struct sim_enclave *e, size_t page)
{
        return e->epc + page * SGX_PAGE_SIZE;
}

static size_t frame_size(const struct sim_enclave *e)
{
        return (size_t)e->head->secs.ssa_frame_pages * SGX_PAGE_SIZE;
}

/* SSA frame `i` of a thread; NULL where its pages aren't there or can't be written. */
static uint8_t *ssa_frame(struct sim_enclave *e, const struct sgx_tcs *tcs, uint32_t i)
{
        uint64_t at = tcs->ossa + (uint64_t)i * frame_size(e);

        return sim_enclave_bytes(e, e->base + at, frame_size(e), SGX_PAGE_R | SGX_PAGE_W);
}

static uint8_t *gprs_of(const struct sim_enclave *e, uint8_t *frame)
{
        return frame + frame_size(e) - SGX_GPRS_SIZE;
}

static size_t xsave_room(const struct sim_enclave *e)
{
        size_t exinfo = e->head->secs.misc_select & SGX_MISC_EXINFO ? EXINFO_SIZE : 0;

        return frame_size(e) - SGX_GPRS_SIZE - exinfo;
}

/* Takes the TCS at RBX, which no thread may be in. */
static struct sim_fault take_tcs(uint64_t address, struct sim_enclave **ret_e, size_t *ret_page)
{
        struct sim_enclave *e = sim_enclave_at(address);
        struct sim_epcm *entry;

        if (address % SGX_PAGE_SIZE)
                return sim_gp();
        if (!e)
                return sim_pf(address);
        entry = &e->epcm[(address - e->base) / SGX_PAGE_SIZE];
        if (!entry->valid || entry->type != SGX_TYPE_TCS ||
            entry->state & (SGX_PAGE_PENDING | SGX_PAGE_MODIFIED))
                return sim_pf(address);
        if (!e->head->initialised || atomic_exchange(&entry->busy, 1))
                return sim_gp();
        *ret_e = e;
        *ret_page = (address - e->base) / SGX_PAGE_SIZE;
        return sim_none();
}

static void save_outside(uint8_t *gprs, uint64_t rsp, uint64_t rbp)
{
        put_le(gprs + GPR_URSP, rsp, 8);
        put_le(gprs + GPR_URBP, rbp, 8);
}

/* The thread is in, by a TCS that it has taken; or, where there is a fault, it isn't and has not. */
static struct sim_fault now_inside(struct sim_thread *thread, struct sim_enclave *e, size_t page,
                                   struct sim_fault fault)
{
        if (fault.vector >= 0) {
                atomic_store(&e->epcm[page].busy, 0);
                return fault;
        }
        thread->enclave = e;
        thread->tcs_page = page;
        return fault;
}

static struct sim_fault enter(struct sim_thread *thread, struct sim_entry *entry, struct sim_enclave *e,
                              const struct sgx_tcs *tcs)
{
        uint8_t *frame = tcs->cssa < tcs->nssa ? ssa_frame(e, tcs, tcs->cssa) : NULL;

        if (tcs->cssa >= tcs->nssa)
                return sim_gp();
        if (!frame)
                return sim_pf(e->base + tcs->ossa);
        save_outside(gprs_of(e, frame), entry->rsp, entry->rbp);
        thread->aep = entry->aep;
        thread->fs = e->base + tcs->ofsbase;
        thread->gs = e->base + tcs->ogsbase;
        entry->cssa = tcs->cssa;
        entry->rip = e->base + tcs->oentry;
        return sim_none();
}

struct sim_fault sim_eenter(struct sim_thread *thread, struct sim_entry *entry)
{
        struct sim_enclave *e;
        struct sgx_tcs tcs;
        size_t page;
        struct sim_fault fault = take_tcs(entry->tcs, &e, &page);

        if (fault.vector >= 0)
                return fault;
        sgx_tcs_decode(tcs_of(e, page), &tcs);
        return now_inside(thread, e, page, enter(thread, entry, e, &tcs));
}

static struct sim_fault resume(struct sim_thread *thread, struct sim_trap *trap, struct sim_enclave *e,
                               uint8_t *tcs_page)
{
        uint64_t aep = (uint64_t)trap->r[REG_RCX];
        struct sgx_tcs tcs;
        uint8_t *frame, *gprs;

        sgx_tcs_decode(tcs_page, &tcs);
        if (!tcs.cssa)
                return sim_gp();
        frame = ssa_frame(e, &tcs, tcs.cssa - 1);
        if (!frame)
                return sim_pf(e->base + tcs.ossa);
        gprs = gprs_of(e, frame);
        save_outside(gprs, (uint64_t)trap->r[REG_RSP], (uint64_t)trap->r[REG_RBP]);
        thread->aep = aep;
        thread->fs = get_le(gprs + GPR_FSBASE, 8);
        thread->gs = get_le(gprs + GPR_GSBASE, 8);
        for (size_t i = 0; i < N_REGISTERS; i++)
                trap->r[registers[i]] = (greg_t)get_le(gprs + GPR_RAX + 8 * i, 8);
        trap->r[REG_RIP] = (greg_t)get_le(gprs + GPR_RIP, 8);
        trap->r[REG_EFL] = (trap->r[REG_EFL] & ~(greg_t)FLAGS_OF_STATUS) |
                           (greg_t)(get_le(gprs + GPR_RFLAGS, 8) & FLAGS_OF_STATUS);
        sim_xrstor(trap->uc, frame, xsave_room(e), e->head->secs.attributes.xfrm);
        put_le(tcs_page + SGX_TCS_CSSA, tcs.cssa - 1, 4);
        return sim_none();
}

struct sim_fault sim_eresume(struct sim_thread *thread, struct sim_trap *trap)
{
        struct sim_enclave *e;
        size_t page;
        struct sim_fault fault = take_tcs((uint64_t)trap->r[REG_RBX], &e, &page);

        return fault.vector >= 0 ? fault
                                 : now_inside(thread, e, page, resume(thread, trap, e, tcs_of(e, page)));
}

struct sim_fault sim_eexit(struct sim_thread *thread, struct sim_trap *trap)
{
        uint64_t target = (uint64_t)trap->r[REG_RBX];

        if ((int64_t)(target << 16) >> 16 != (int64_t)target)
                return sim_gp();
        trap->r[REG_RIP] = (greg_t)target;
        trap->r[REG_RCX] = (greg_t)thread->aep;
        atomic_store(&thread->enclave->epcm[thread->tcs_page].busy, 0);
        return sim_none();
}

static bool is_reported(int vector, uint32_t misc_select)
{
        switch (vector) {
        case VECTOR_GP:
        case VECTOR_PF:
                return misc_select & SGX_MISC_EXINFO;
        case VECTOR_DE:
        case VECTOR_DB:
        case VECTOR_BP:
        case VECTOR_UD:
        case VECTOR_MF:
        case VECTOR_XM:
        case 5:  /* #BR */
        case 17: /* #AC */
                return true;
        default:
                return false;
        }
}

static void save_cause(const struct sim_enclave *e, uint8_t *frame, const struct sim_fault *fault)
{
        uint32_t misc = e->head->secs.misc_select, info = 0;
        uint8_t *gprs = gprs_of(e, frame), *exinfo = gprs - EXINFO_SIZE;

        if (is_reported(fault->vector, misc))
                info = (uint32_t)fault->vector | EXIT_VALID |
                       (uint32_t)(fault->vector == VECTOR_BP ? EXIT_SOFTWARE : EXIT_HARDWARE)
                               << EXIT_TYPE_SHIFT;
        put_le(gprs + GPR_EXITINFO, info, 8);
        if (misc & SGX_MISC_EXINFO && (fault->vector == VECTOR_GP || fault->vector == VECTOR_PF)) {
                put_le(exinfo, fault->vector == VECTOR_PF ? fault->address : 0, 8);
                put_le(exinfo + 8, fault->error_code, 8);
        }
}

bool sim_aex(struct sim_trap *trap, struct sim_thread *thread, const struct sim_fault *fault)
{
        struct sim_enclave *e = thread->enclave;
        uint8_t *tcs_page = tcs_of(e, thread->tcs_page), *frame, *gprs;
        struct sgx_tcs tcs;

        sgx_tcs_decode(tcs_page, &tcs);
        frame = ssa_frame(e, &tcs, tcs.cssa);
        if (!frame)
                return false;
        gprs = gprs_of(e, frame);
        for (size_t i = 0; i < N_REGISTERS; i++) {
                put_le(gprs + GPR_RAX + 8 * i, (uint64_t)trap->r[registers[i]], 8);
                trap->r[registers[i]] = 0;
        }
        put_le(gprs + GPR_RFLAGS, (uint64_t)trap->r[REG_EFL], 8);
        put_le(gprs + GPR_RIP, (uint64_t)trap->r[REG_RIP], 8);
        put_le(gprs + GPR_FSBASE, thread->fs, 8);
        put_le(gprs + GPR_GSBASE, thread->gs, 8);
        save_cause(e, frame, fault);
        sim_xsave(trap->uc, frame, xsave_room(e), e->head->secs.attributes.xfrm);
        trap->r[REG_RSP] = (greg_t)get_le(gprs + GPR_URSP, 8);
        trap->r[REG_RBP] = (greg_t)get_le(gprs + GPR_URBP, 8);
        trap->r[REG_RAX] = SGX_ERESUME;
        trap->r[REG_RBX] = (greg_t)e->base + (greg_t)(thread->tcs_page * SGX_PAGE_SIZE);
        trap->r[REG_RCX] = (greg_t)thread->aep;
        trap->r[REG_RIP] = (greg_t)thread->aep;
        trap->r[REG_EFL] &= ~(greg_t)FLAGS_OF_STATUS;
        put_le(tcs_page + SGX_TCS_CSSA, tcs.cssa + 1, 4);
        atomic_store(&e->epcm[thread->tcs_page].busy, 0);
        return true;
}
