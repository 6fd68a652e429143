/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim-thread.h - what the simulated CPU keeps of a thread that enters enclaves, and what of a thread isn't in
 * its registers: the bases of FS and GS, the signal stack and the signal mask.
 *
 * Code in an enclave has FS, GS and a stack of its own, so no handler of the program's may run there: all
 * signals wait but those that are exceptions, and their handler runs on a stack of ours.
 */
#pragma once

#include "lib/sgx/sim-epc.h"

#include <signal.h>
#include <ucontext.h>

/* Functions that run while FS is an enclave's: whatever is kept in thread-local storage is out of reach, the
 * stack protector's word and the sanitizer's included. */
#define WITH_ANY_FS __attribute__((no_stack_protector, noinline))
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#undef WITH_ANY_FS
#define WITH_ANY_FS __attribute__((no_stack_protector, noinline, no_sanitize("address", "undefined")))
#endif
#elif defined(__SANITIZE_ADDRESS__)
#undef WITH_ANY_FS
#define WITH_ANY_FS __attribute__((no_stack_protector, noinline, no_sanitize("address", "undefined")))
#endif

/* Bytes of a thread's stack for traps out of enclaves, and its alignment: the thread's record is at its
 * start, where a handler finds it by its stack pointer alone. */
enum { TRAP_STACK_SIZE = 256 * 1024 };

/* A thread that has entered an enclave. */
struct sim_thread {
        uint64_t host_fs, host_gs;
        struct sim_enclave *enclave; /* NULL while outside */
        size_t tcs_page;
        uint64_t aep;
        uint64_t fs, gs;    /* of code in the enclave: as its TCS says, or as the enclave made them itself */
        stack_t host_stack; /* alternate stack and mask of the program, while inside */
        uint64_t host_mask;
        /* An entry that waits for the alternate stack to be exchanged: what it came with. */
        gregset_t parked;
        stack_t parked_stack;
        uint64_t parked_mask;
};

/* The signals that exceptions become, which the simulation takes. */
enum { SIM_SIGNALS = 5 };
extern const int sim_signals[SIM_SIGNALS];

/* The mask while in an enclave, as the kernel has it: all signals but those.  (The C library's own two are
 * in it, which its sigfillset(3) leaves out.) */
uint64_t sim_mask_inside(void);

/* The mask that a signal's return restores.  The kernel's has 8 bytes; behind it in the frame is the
 * siginfo_t, which a sigset_t of the C library's would cover. */
uint64_t sim_frame_mask(const ucontext_t *uc);
void sim_frame_set_mask(ucontext_t *uc, uint64_t mask);

/* Before everything else here; again is fine. */
void sim_thread_init(void);

/* This thread's record; NULL where it hasn't entered an enclave yet, and, from the second, where there is no
 * memory.  A thread's end frees it. */
struct sim_thread *sim_thread_self(void);
struct sim_thread *sim_thread_make(void);

/* The record of the thread that runs on its stack for traps. */
static inline struct sim_thread *sim_thread_on_stack(void *frame)
{
        return (struct sim_thread *)((uintptr_t)frame & ~(uintptr_t)(TRAP_STACK_SIZE - 1));
}

/* Its stack for traps, for sigaltstack(2).  It is disarmed while a handler is on it, so that the return from
 * that handler may put another in its place. */
stack_t sim_thread_trap_stack(struct sim_thread *thread);

/* True where code may change FS and GS itself. */
bool sim_has_fsgsbase(void);

/* The bases of FS and GS.  The second needs neither, before or after. */
void sim_bases_get(uint64_t *ret_fs, uint64_t *ret_gs);
void sim_bases_set(uint64_t fs, uint64_t gs) __attribute__((visibility("hidden")));
