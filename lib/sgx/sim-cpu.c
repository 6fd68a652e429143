/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation.
 *
 * on_trap() is called with the registers of ENCLU, or of whatever trapped.  Code in an enclave has the
 * enclave's FS, through which the C library's and the compiler's own data are reached, so on_trap() first
 * gives the thread's own back.  It can't ask the library which thread it is, for the same reason: while a
 * thread is in an enclave, its alternate signal stack is one of ours, whose start holds the thread's record
 * (sim_thread).  That stack, and a mask that holds back all signals but ours, are set by way of the frame
 * that the signal's return restores, so that entering an enclave costs no system call beside the trap
 * itself.
 *
 * ENCLU is executed by the program in straight code, never asynchronously, so handlers here may do what any
 * function may: allocate, call OpenSSL.
 *
 * A signal for the program (an asynchronous exit, a bad EENTER) is queued to the own thread with the
 * information that it came with, and `forward` remembers it: it is delivered when on_trap() has returned,
 * on the program's stack, and is handed to the program's handler then.
 */
#include "lib/sgx/sim-internal.h"

#include "lib/sgx/sim-rewrite.h"

#include <pthread.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { INSTRUCTION_SIZE = 3 };

/* The processor's state: signal handlers have no caller that could pass it to them. */
static struct {
        pthread_mutex_t lock;
        unsigned int users;
        struct sigaction previous[SIM_SIGNALS];
        struct sgx_root root;
        struct sgx_sim_vdso vdso;
} cpu = {.lock = PTHREAD_MUTEX_INITIALIZER};

static _Thread_local int forward; /* a signal that is on its way to the program */

const struct sgx_root *sim_root(void)
{
        return cpu.users ? &cpu.root : NULL;
}

static size_t index_of(int signal)
{
        size_t i = 0;

        while (i < SIM_SIGNALS && sim_signals[i] != signal)
                i++;
        return i;
}

/* False where this signal can't be of an ENCLU at `rip`: of another kind, or the instruction could not be
 * fetched. */
static bool may_be_enclu(const siginfo_t *info, uint64_t rip)
{
        uint64_t address = (uint64_t)(uintptr_t)info->si_addr;

        if (info->si_signo == SIGILL)
                return true;
        return info->si_signo == SIGSEGV &&
               (info->si_code <= 0 || info->si_code == SI_KERNEL || address - rip >= INSTRUCTION_SIZE);
}

/* The three bytes are looked at one by one: each says that the instruction has another. */
static bool is_enclu_outside(const siginfo_t *info, uint64_t rip)
{
        const uint8_t *p = (const uint8_t *)(uintptr_t)rip;

        return may_be_enclu(info, rip) && p[0] == 0x0f && p[1] == 0x01 && p[2] == 0xd7;
}

/* Hands a signal to the program's own handler, as the kernel would have; the frame is the program's. */
static void give_to_previous(int signal, siginfo_t *info, ucontext_t *uc)
{
        struct sigaction previous = cpu.previous[index_of(signal)];
        sigset_t mask;

        if (previous.sa_handler == SIG_DFL || previous.sa_handler == SIG_IGN) {
                /* Exceptions can't be ignored.  Where the instruction is executed again it raises it again; a
                 * queued one has to be sent again. */
                sigaction(signal, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
                if (forward == signal)
                        syscall(SYS_tgkill, getpid(), gettid(), signal);
                return;
        }
        sigorset(&mask, &uc->uc_sigmask, &previous.sa_mask);
        if (!(previous.sa_flags & SA_NODEFER))
                sigaddset(&mask, signal);
        /* The handler may enter enclaves. */
        sigdelset(&mask, SIGSEGV);
        sigdelset(&mask, SIGILL);
        forward = 0;
        pthread_sigmask(SIG_SETMASK, &mask, NULL);
        if (previous.sa_flags & SA_SIGINFO)
                previous.sa_sigaction(signal, info, uc);
        else
                previous.sa_handler(signal);
}

static int signal_of(int vector)
{
        switch (vector) {
        case VECTOR_DE:
        case VECTOR_MF:
        case VECTOR_XM:
                return SIGFPE;
        case VECTOR_UD:
                return SIGILL;
        case VECTOR_DB:
        case VECTOR_BP:
                return SIGTRAP;
        default:
                return SIGSEGV;
        }
}

/* An exception is over for the CPU: now the kernel's part.  The registers are those of the program. */
static void raise_in_program(struct sim_trap *trap, const struct sim_fault *fault, const siginfo_t *info)
{
        siginfo_t queued = {.si_signo = signal_of(fault->vector), .si_code = SI_KERNEL};
        uint64_t rip = (uint64_t)trap->r[REG_RIP];

        if (cpu.vdso.enclu && rip == cpu.vdso.enclu && fault->vector != VECTOR_DB &&
            fault->vector != VECTOR_BP) {
                trap->r[REG_RDI] = fault->vector;
                trap->r[REG_RSI] = fault->error_code;
                trap->r[REG_RDX] = (greg_t)fault->address;
                trap->r[REG_RIP] = (greg_t)cpu.vdso.fixup;
                return;
        }
        if (info && info->si_signo == queued.si_signo)
                queued = *info;
        queued.si_addr = (void *)(uintptr_t)(fault->vector == VECTOR_PF   ? fault->address
                                             : fault->vector == VECTOR_GP ? 0
                                                                          : rip);
        forward = queued.si_signo;
        syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), queued.si_signo, &queued);
}

/* sigaltstack(2), with its operands in the registers already, and ENCLU again. */
__asm__(".text\n"
        ".globl sim_exchange_stack, sim_exchanged_stack\n"
        ".hidden sim_exchange_stack, sim_exchanged_stack\n"
        ".type sim_exchange_stack, @function\n"
        "sim_exchange_stack:\n"
        "        syscall\n"
        "sim_exchanged_stack:\n"
        "        enclu\n"
        "        ud2\n"
        ".size sim_exchange_stack, .-sim_exchange_stack\n");
extern const uint8_t sim_exchange_stack[] __attribute__((visibility("hidden")));
extern const uint8_t sim_exchanged_stack[] __attribute__((visibility("hidden")));

/* A program with an alternate stack of its own: this handler is on it, and so it can't be exchanged by
 * the return. The entry is parked; the program's thread is sent to exchange the stack itself, and to
 * come back here. */
static void park(struct sim_trap *trap, struct sim_thread *thread)
{
        static _Thread_local stack_t ours;

        ours = sim_thread_trap_stack(thread);
        memcpy(&thread->parked, trap->r, sizeof(thread->parked));
        thread->parked_stack = trap->uc->uc_stack;
        thread->parked_mask = sim_frame_mask(trap->uc);
        sim_frame_set_mask(trap->uc, sim_mask_inside());
        trap->r[REG_RAX] = SYS_sigaltstack;
        trap->r[REG_RDI] = (greg_t)(uintptr_t)&ours;
        trap->r[REG_RSI] = 0;
        trap->r[REG_RIP] = (greg_t)(uintptr_t)sim_exchange_stack;
}

/* Back again: the entry's own registers, mask and stack are as though nothing had been. */
static void unpark(struct sim_trap *trap, const struct sim_thread *thread)
{
        memcpy(trap->r, &thread->parked, sizeof(thread->parked));
        trap->uc->uc_stack = thread->parked_stack;
        sim_frame_set_mask(trap->uc, thread->parked_mask);
}

static bool on_stack(const stack_t *stack, uint64_t sp)
{
        return !(stack->ss_flags & SS_DISABLE) && sp - (uint64_t)(uintptr_t)stack->ss_sp < stack->ss_size;
}

/* EENTER, with its operands in the trap's registers. */
static struct sim_fault enter(struct sim_thread *thread, struct sim_trap *trap)
{
        struct sim_entry entry = {.tcs = (uint64_t)trap->r[REG_RBX],
                                  .aep = (uint64_t)trap->r[REG_RCX],
                                  .rsp = (uint64_t)trap->r[REG_RSP],
                                  .rbp = (uint64_t)trap->r[REG_RBP]};
        struct sim_fault fault = sim_eenter(thread, &entry);

        if (fault.vector >= 0)
                return fault;
        trap->r[REG_RCX] = trap->r[REG_RIP] + INSTRUCTION_SIZE;
        trap->r[REG_RAX] = entry.cssa;
        trap->r[REG_RIP] = (greg_t)entry.rip;
        return fault;
}

static struct sim_fault do_leaf_outside(struct sim_thread *thread, struct sim_trap *trap)
{
        /* The kernel would not exchange the alternate stack that the program is on. */
        if (!thread || on_stack(&trap->uc->uc_stack, (uint64_t)trap->r[REG_RSP]))
                return sim_gp();
        switch ((uint32_t)trap->r[REG_RAX]) {
        case SGX_EENTER:
                return enter(thread, trap);
        case SGX_ERESUME:
                return sim_eresume(thread, trap);
        default:
                return sim_gp();
        }
}

static void enclu_outside(struct sim_trap *trap, siginfo_t *info)
{
        struct sim_thread *thread = sim_thread_make();
        struct sim_fault fault;

        if (thread && trap->r[REG_RIP] == (greg_t)(uintptr_t)sim_exchanged_stack) {
                unpark(trap, thread);
        } else if (thread && !(trap->uc->uc_stack.ss_flags & SS_DISABLE) &&
                   !on_stack(&trap->uc->uc_stack, (uint64_t)trap->r[REG_RSP])) {
                park(trap, thread);
                return;
        }
        fault = do_leaf_outside(thread, trap);
        if (fault.vector >= 0) {
                raise_in_program(trap, &fault, info);
                return;
        }
        thread->host_fs = trap->fs;
        thread->host_gs = trap->gs;
        trap->fs = thread->fs;
        trap->gs = thread->gs;
        thread->host_mask = sim_frame_mask(trap->uc);
        thread->host_stack = trap->uc->uc_stack;
        sim_frame_set_mask(trap->uc, sim_mask_inside());
        trap->uc->uc_stack = sim_thread_trap_stack(thread);
}

/* The program's signal stack and mask, FS and GS come back with the frame. */
static void leave(struct sim_trap *trap, struct sim_thread *thread)
{
        sim_frame_set_mask(trap->uc, thread->host_mask);
        trap->uc->uc_stack = thread->host_stack;
        trap->fs = thread->host_fs;
        trap->gs = thread->host_gs;
        thread->enclave = NULL;
}

static void exit_asynchronously(struct sim_trap *trap, struct sim_thread *thread,
                                const struct sim_fault *fault, siginfo_t *info)
{
        if (!sim_aex(trap, thread, fault)) {
                /* The SSA went away under the thread: hardware would not have let it.  There is no state
                 * to go on with. */
                sigaction(SIGSEGV, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
                abort();
        }
        leave(trap, thread);
        raise_in_program(trap, fault, info);
}

/* An ENCLU in the enclave that does all that it has to becomes one whose next trap is cheap. */
static struct sim_fault enclu_inside(struct sim_trap *trap, struct sim_thread *thread)
{
        struct sim_enclave *e = thread->enclave;
        uint64_t at = (uint64_t)trap->r[REG_RIP];
        uint32_t leaf = (uint32_t)trap->r[REG_RAX];
        struct sim_fault fault = leaf == SGX_EEXIT ? sim_eexit(thread, trap) : sim_leaf(trap, e, leaf);

        if (fault.vector >= 0)
                return fault;
        if (leaf == SGX_EEXIT)
                leave(trap, thread);
        else
                trap->r[REG_RIP] += INSTRUCTION_SIZE;
        sim_rewrite_enclu(e, at);
        return fault;
}

static void trap_inside(struct sim_trap *trap, struct sim_thread *thread, siginfo_t *info)
{
        uint64_t rip = (uint64_t)trap->r[REG_RIP];
        struct sim_fault fault = {
                .vector = (int)trap->r[REG_TRAPNO],
                .error_code = (uint32_t)trap->r[REG_ERR],
                .address = (uint64_t)(uintptr_t)info->si_addr & ~(uint64_t)(SGX_PAGE_SIZE - 1),
        };

        if (may_be_enclu(info, rip) && sim_rewrite_is_enclu(thread->enclave, rip))
                fault = enclu_inside(trap, thread);
        if (fault.vector >= 0)
                exit_asynchronously(trap, thread, &fault, info);
}

/* With the program's FS; what FS and GS become comes back in *trap. */
static __attribute__((noinline)) void handle(int signal, siginfo_t *info, struct sim_trap *trap,
                                             struct sim_thread *inside)
{
        int saved_errno = errno;

        if (inside) {
                trap->fs = inside->fs;
                trap->gs = inside->gs;
                trap_inside(trap, inside, info);
                errno = saved_errno;
                return;
        }
        sim_bases_get(&trap->fs, &trap->gs);
        if (forward == signal) {
                give_to_previous(signal, info, trap->uc);
                forward = 0;
        } else if (is_enclu_outside(info, (uint64_t)trap->r[REG_RIP])) {
                enclu_outside(trap, info);
        } else {
                give_to_previous(signal, info, trap->uc);
        }
        errno = saved_errno;
}

WITH_ANY_FS static void on_trap(int signal, siginfo_t *info, void *context)
{
        struct sim_trap trap;
        struct sim_thread *inside = NULL;

        trap.uc = context;
        trap.r = trap.uc->uc_mcontext.gregs;
        if (sim_enclave_at((uint64_t)trap.r[REG_RIP])) {
                inside = sim_thread_on_stack(__builtin_frame_address(0));
                if (sim_has_fsgsbase()) /* an enclave may have changed them itself */
                        sim_bases_get(&inside->fs, &inside->gs);
                sim_bases_set(inside->host_fs, inside->host_gs);
        }
        handle(signal, info, &trap, inside);
        sim_bases_set(trap.fs, trap.gs);
}

static int take_signals(struct error *err)
{
        struct sigaction action = {.sa_sigaction = on_trap, .sa_flags = SA_SIGINFO | SA_ONSTACK};

        memset(&action.sa_mask, 0xff, sizeof(action.sa_mask)); /* the C library's own, too: FS changes */
        for (size_t i = 0; i < SIM_SIGNALS; i++)
                if (sigaction(sim_signals[i], &action, &cpu.previous[i]) < 0)
                        return error_errno(err, errno, "cannot take over signal %d", sim_signals[i]);
        return 0;
}

int sgx_sim_start(const struct sgx_sim_vdso *vdso, struct error *err)
{
        bool shared;
        int r = 0;

        pthread_mutex_lock(&cpu.lock);
        if (cpu.users == 0) {
                sim_thread_init();
                cpu.vdso = vdso ? *vdso : (struct sgx_sim_vdso){0};
                r = sgx_root_load(&cpu.root, &shared, err);
                if (r == 0)
                        r = take_signals(err);
        }
        if (r == 0)
                cpu.users++;
        pthread_mutex_unlock(&cpu.lock);
        return r;
}

void sgx_sim_stop(void)
{
        pthread_mutex_lock(&cpu.lock);
        if (cpu.users == 1) {
                for (size_t i = 0; i < SIM_SIGNALS; i++) {
                        struct sigaction now;

                        if (sigaction(sim_signals[i], NULL, &now) == 0 && now.sa_sigaction == on_trap)
                                sigaction(sim_signals[i], &cpu.previous[i], NULL);
                }
                explicit_bzero(&cpu.root, sizeof(cpu.root));
        }
        if (cpu.users)
                cpu.users--;
        pthread_mutex_unlock(&cpu.lock);
}

int sgx_sim_sigaction(int signal, const struct sigaction *action, struct sigaction *ret_old)
{
        size_t i = index_of(signal);

        if (i == SIM_SIGNALS)
                return -EINVAL;
        pthread_mutex_lock(&cpu.lock);
        if (ret_old)
                *ret_old = cpu.previous[i];
        if (action)
                cpu.previous[i] = *action;
        pthread_mutex_unlock(&cpu.lock);
        return 0;
}
