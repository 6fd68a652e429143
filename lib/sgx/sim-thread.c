/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/sgx/sim-thread.h"

#include <asm/prctl.h>
#include <pthread.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* <asm-generic/signal-defs.h>, which can't be included beside the C library's headers. */
#ifndef SS_AUTODISARM
#define SS_AUTODISARM (1U << 31)
#endif

enum { HWCAP2_HAS_FSGSBASE = 2 };

const int sim_signals[SIM_SIGNALS] = {SIGSEGV, SIGILL, SIGFPE, SIGBUS, SIGTRAP};

/* Of the process: what the kernel lets a program do, and whose destructor frees threads' stacks. */
static struct {
        bool fsgsbase;
        bool have_key;
        pthread_key_t key;
} threads;

static _Thread_local struct sim_thread *self;

uint64_t sim_mask_inside(void)
{
        uint64_t mask = ~0ULL;

        for (size_t i = 0; i < SIM_SIGNALS; i++)
                mask &= ~(1ULL << (sim_signals[i] - 1));
        return mask;
}

uint64_t sim_frame_mask(const ucontext_t *uc)
{
        uint64_t mask;

        memcpy(&mask, &uc->uc_sigmask, sizeof(mask));
        return mask;
}

void sim_frame_set_mask(ucontext_t *uc, uint64_t mask)
{
        memcpy(&uc->uc_sigmask, &mask, sizeof(mask));
}

static void free_thread(void *stack)
{
        self = NULL;
        munmap(stack, TRAP_STACK_SIZE);
}

void sim_thread_init(void)
{
        threads.fsgsbase = getauxval(AT_HWCAP2) & HWCAP2_HAS_FSGSBASE;
        if (!threads.have_key)
                threads.have_key = pthread_key_create(&threads.key, free_thread) == 0;
}

struct sim_thread *sim_thread_self(void)
{
        return self;
}

struct sim_thread *sim_thread_make(void)
{
        uint8_t *p, *aligned;
        size_t before;

        if (self)
                return self;
        p = mmap(NULL, (size_t)2 * TRAP_STACK_SIZE, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (p == MAP_FAILED)
                return NULL;
        before = -(uintptr_t)p % TRAP_STACK_SIZE;
        aligned = p + before;
        if (before)
                munmap(p, before);
        munmap(aligned + TRAP_STACK_SIZE, TRAP_STACK_SIZE - before);
        self = (void *)aligned;
        if (threads.have_key)
                pthread_setspecific(threads.key, aligned);
        return self;
}

stack_t sim_thread_trap_stack(struct sim_thread *thread)
{
        return (stack_t){.ss_sp = (uint8_t *)thread + sizeof(*thread),
                         .ss_flags = (int)SS_AUTODISARM,
                         .ss_size = TRAP_STACK_SIZE - sizeof(*thread)};
}

bool sim_has_fsgsbase(void)
{
        return threads.fsgsbase;
}

WITH_ANY_FS void sim_bases_set(uint64_t fs, uint64_t gs)
{
        if (threads.fsgsbase) {
                __asm__ volatile("wrfsbase %0\n\twrgsbase %1" : : "r"(fs), "r"(gs));
                return;
        }
        long r;
        __asm__ volatile("syscall"
                         : "=a"(r)
                         : "0"(SYS_arch_prctl), "D"(ARCH_SET_FS), "S"(fs)
                         : "rcx", "r11", "memory");
        __asm__ volatile("syscall"
                         : "=a"(r)
                         : "0"(SYS_arch_prctl), "D"(ARCH_SET_GS), "S"(gs)
                         : "rcx", "r11", "memory");
}

WITH_ANY_FS void sim_bases_get(uint64_t *ret_fs, uint64_t *ret_gs)
{
        if (threads.fsgsbase) {
                __asm__ volatile("rdfsbase %0\n\trdgsbase %1" : "=r"(*ret_fs), "=r"(*ret_gs));
                return;
        }
        syscall(SYS_arch_prctl, ARCH_GET_FS, ret_fs);
        syscall(SYS_arch_prctl, ARCH_GET_GS, ret_gs);
}
