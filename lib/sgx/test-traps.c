/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/sgx/test-traps.h"

#include "lib/sgx/sim-thread.h"

enum { OPCODE_ENCLU = 0x0f, OPCODE_HLT = 0xf4 };

static struct {
        void (*next[SIM_SIGNALS])(int, siginfo_t *, void *);
        atomic_uint enclu, hlt, other;
} traps;

WITH_ANY_FS static void on_trap(int signal, siginfo_t *info, void *context)
{
        const ucontext_t *uc = context;
        uint64_t rip = (uint64_t)uc->uc_mcontext.gregs[REG_RIP];
        uint8_t opcode = info->si_code > 0 && (uint64_t)(uintptr_t)info->si_addr == rip && signal == SIGSEGV
                                 ? 0 /* there is none that could be read */
                                 : *(const uint8_t *)(uintptr_t)rip;
        size_t i = 0;

        atomic_fetch_add(opcode == OPCODE_ENCLU ? &traps.enclu
                         : opcode == OPCODE_HLT ? &traps.hlt
                                                : &traps.other,
                         1);
        while (sim_signals[i] != signal)
                i++;
        traps.next[i](signal, info, context);
}

void test_traps_count(void)
{
        for (size_t i = 0; i < SIM_SIGNALS; i++) {
                struct sigaction action;

                if (sigaction(sim_signals[i], NULL, &action) < 0)
                        abort();
                traps.next[i] = action.sa_sigaction;
                action.sa_sigaction = on_trap;
                if (sigaction(sim_signals[i], &action, NULL) < 0)
                        abort();
        }
        test_traps_take();
}

struct test_traps test_traps_take(void)
{
        return (struct test_traps){
                .enclu = atomic_exchange(&traps.enclu, 0),
                .hlt = atomic_exchange(&traps.hlt, 0),
                .other = atomic_exchange(&traps.other, 0),
        };
}
