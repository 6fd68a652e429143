/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation.
 *
 * A trap costs 1.5 to 17 microseconds, by machine; what EENTER does, less than a tenth of one.  So code that
 * knows of the simulation comes here instead of executing ENCLU.  The gate is an optimisation only: it enters
 * where all is as it should be, and in any other case (a thread's first entry, an exception to be raised, a
 * handler on the alternate stack) it takes back what it did and has the ENCLU executed that it stands for,
 * whose trap is the one place where such cases are dealt with.
 *
 * Signals are held back before anything else, so that no handler of the program's sees a thread between two
 * states; they and the alternate stack are two system calls, and come back by the return from the trap of
 * EEXIT.  FS and GS are exchanged last, by what needs neither.
 *
 * EENTER leaves vector registers as they are.  So does the compiler in this folder (-mgeneral-regs-only), and
 * of other libraries nothing is called but syscall(2) and what reaches thread-local storage.
 */
#include "lib/sgx/sim-internal.h"

#include <sys/syscall.h>
#include <unistd.h>

enum { INSTRUCTION_SIZE = 3, KERNEL_MASK_SIZE = 8 };

/* What the assembly below keeps on the stack, in the order of addresses; RBX is the TCS, RCX the AEP, `rip`
 * the ENCLU that the gate stands for. */
struct sim_gate {
        uint64_t gs, fs;
        uint64_t rbp, r11, r10, r9, r8, rdi, rsi, rdx, rcx, rbx, rax, rflags;
        uint64_t rip;
};

/* Called by the assembly: true where FS, GS, RAX, RCX and RIP in *gate are those of the enclave's entry, and
 * nothing but they are missing; false where nothing happened. */
bool sim_gate_enter(struct sim_gate *gate) __attribute__((visibility("hidden")));

static bool prepare(struct sim_thread *thread, const uint64_t *mask, const stack_t *stack)
{
        uint64_t before;

        if (syscall(SYS_rt_sigprocmask, SIG_SETMASK, mask, &thread->host_mask, KERNEL_MASK_SIZE) < 0)
                return false;
        if (syscall(SYS_sigaltstack, stack, &thread->host_stack) == 0)
                return true;
        syscall(SYS_rt_sigprocmask, SIG_SETMASK, &thread->host_mask, &before, KERNEL_MASK_SIZE);
        return false;
}

static void take_back(const struct sim_thread *thread)
{
        stack_t ours;
        uint64_t before;

        syscall(SYS_sigaltstack, &thread->host_stack, &ours);
        syscall(SYS_rt_sigprocmask, SIG_SETMASK, &thread->host_mask, &before, KERNEL_MASK_SIZE);
}

static bool enter(struct sim_gate *gate, struct sim_thread *thread)
{
        struct sim_entry entry = {
                .tcs = gate->rbx, .aep = gate->rcx, .rsp = (uintptr_t)(gate + 1), .rbp = gate->rbp};
        uint64_t mask = sim_mask_inside();
        stack_t stack = sim_thread_trap_stack(thread);

        if (!prepare(thread, &mask, &stack))
                return false;
        if (sim_eenter(thread, &entry).vector >= 0) {
                take_back(thread);
                return false;
        }
        sim_bases_get(&thread->host_fs, &thread->host_gs);
        gate->fs = thread->fs;
        gate->gs = thread->gs;
        gate->rax = entry.cssa;
        gate->rcx = gate->rip + INSTRUCTION_SIZE;
        gate->rip = entry.rip;
        return true;
}

bool sim_gate_enter(struct sim_gate *gate)
{
        struct sim_thread *thread = sim_thread_self();
        int saved_errno = errno;
        bool entered = sim_root() && thread && enter(gate, thread);

        errno = saved_errno;
        return entered;
}

__asm__(".text\n"
        ".globl sgx_sim_gate\n"
        ".hidden sgx_sim_gate\n"
        ".type sgx_sim_gate, @function\n"
        "sgx_sim_gate:\n"
        "        endbr64\n"
        "        push %rax\n" /* where to go: the ENCLU, unless the enclave */
        "        pushfq\n"
        "        push $2\n" /* EENTER, for that ENCLU */
        "        push %rbx\n"
        "        push %rcx\n"
        "        push %rdx\n"
        "        push %rsi\n"
        "        push %rdi\n"
        "        push %r8\n"
        "        push %r9\n"
        "        push %r10\n"
        "        push %r11\n"
        "        push %rbp\n"
        "        sub $16, %rsp\n"
        "        mov %rsp, %rdi\n"
        "        mov %rsp, %rbp\n"
        "        and $-16, %rsp\n"
        "        cld\n"
        "        call sim_gate_enter\n"
        "        test %al, %al\n"
        "        jz 1f\n"
        "        mov 8(%rbp), %rdi\n"
        "        mov (%rbp), %rsi\n"
        "        call sim_bases_set\n"
        "1:      lea 16(%rbp), %rsp\n"
        "        pop %rbp\n"
        "        pop %r11\n"
        "        pop %r10\n"
        "        pop %r9\n"
        "        pop %r8\n"
        "        pop %rdi\n"
        "        pop %rsi\n"
        "        pop %rdx\n"
        "        pop %rcx\n"
        "        pop %rbx\n"
        "        pop %rax\n"
        "        popfq\n"
        "        lea 8(%rsp), %rsp\n"
        "        jmp *-8(%rsp)\n" /* no handler writes there: ours run on another stack */
        ".size sgx_sim_gate, .-sgx_sim_gate\n");
