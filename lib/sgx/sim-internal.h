/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim-internal.h - what the files of the simulated CPU share: a trap, a thread, and the leaves of ENCLU.
 */
#pragma once

#include "lib/sgx/sim-cpu.h"
#include "lib/sgx/sim-thread.h"

/* Vectors of exceptions. */
enum {
        VECTOR_DE = 0,
        VECTOR_DB = 1,
        VECTOR_BP = 3,
        VECTOR_UD = 6,
        VECTOR_GP = 13,
        VECTOR_PF = 14,
        VECTOR_MF = 16,
        VECTOR_XM = 19,
};

/* EFLAGS */
#define FLAG_ZF         0x40ULL
#define FLAGS_OF_STATUS 0x8d5ULL /* CF PF AF ZF SF OF */

/* An exception that a leaf of ENCLU raises. */
struct sim_fault {
        int vector; /* below 0: none */
        uint32_t error_code;
        uint64_t address;
};

/* One trap: registers as the signal's frame has them, and what FS and GS become on return. */
struct sim_trap {
        ucontext_t *uc;
        greg_t *r; /* its registers */
        uint64_t fs, gs;
};

/* EENTER: what it takes from the registers, and what it makes of them. */
struct sim_entry {
        uint64_t tcs, aep, rsp, rbp;
        uint64_t rip;  /* in the enclave, with `fs` and `gs` of the thread's record */
        uint32_t cssa; /* RAX */
};

/* EENTER and ERESUME, from outside; EEXIT, from inside. */
struct sim_fault sim_eenter(struct sim_thread *thread, struct sim_entry *entry);
struct sim_fault sim_eresume(struct sim_thread *thread, struct sim_trap *trap);
struct sim_fault sim_eexit(struct sim_thread *thread, struct sim_trap *trap);

/* The leaves that an enclave uses: EREPORT, EGETKEY, EACCEPT, EMODPE, EACCEPTCOPY. */
struct sim_fault sim_leaf(struct sim_trap *trap, struct sim_enclave *e, uint32_t leaf);

/* Asynchronous exit: state to the SSA, registers of the exit. False where the SSA isn't there any more. */
bool sim_aex(struct sim_trap *trap, struct sim_thread *thread, const struct sim_fault *fault);

/* Saves the frame's extended state to `area` (of `size` bytes), leaving it as after a reset; and back. */
void sim_xsave(ucontext_t *uc, uint8_t *area, size_t size, uint64_t xfrm);
void sim_xrstor(ucontext_t *uc, const uint8_t *area, size_t size, uint64_t xfrm);

/* No exception; a general protection fault; a page fault. */
static inline struct sim_fault sim_none(void)
{
        return (struct sim_fault){.vector = -1};
}

/* #GP(0) */
static inline struct sim_fault sim_gp(void)
{
        return (struct sim_fault){.vector = VECTOR_GP};
}

/* #PF of the enclave's own kind: bit 15 of the error code */
static inline struct sim_fault sim_pf(uint64_t address)
{
        return (struct sim_fault){.vector = VECTOR_PF, .error_code = 0x8007, .address = address};
}
