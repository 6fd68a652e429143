/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way into a simulated enclave without a trap (sgx_sim_gate) against the one by ENCLU: an enclave and a
 * program can't tell which it was.
 */
#include "lib/sgx/sim-cpu.h"
#include "lib/sgx/sim-device.h"
#include "lib/sgx/test-enclave.h"
#include "lib/sgx/test-traps.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>
#include <cmocka.h>

enum { CALLS = 1000 };

/* (tcs, number, a): enters with a pattern in all other registers, as `site` does; what is left in RDX.  The
 * AEP is not the ENCLU that enters, but another behind it. */
#define ENTER(name, site)                                                                                    \
        __asm__(".text\n" name ":\n"                                                                         \
                "        push %rbx\n"                                                                        \
                "        push %rbp\n"                                                                        \
                "        push %r12\n"                                                                        \
                "        push %r13\n"                                                                        \
                "        push %r14\n"                                                                        \
                "        push %r15\n"                                                                        \
                "        mov %rdi, %rbx\n"                                                                   \
                "        mov %rsi, %r10\n"                                                                   \
                "        mov %rdx, %rdi\n"                                                                   \
                "        mov $0x0202020202020202, %rdx\n"                                                    \
                "        mov $0x0505050505050505, %rbp\n"                                                    \
                "        mov $0x0606060606060606, %rsi\n"                                                    \
                "        mov $0x0808080808080808, %r8\n"                                                     \
                "        mov $0x0909090909090909, %r9\n"                                                     \
                "        mov $0x1111111111111111, %r11\n"                                                    \
                "        mov $0x1212121212121212, %r12\n"                                                    \
                "        mov $0x1313131313131313, %r13\n"                                                    \
                "        mov $0x1414141414141414, %r14\n"                                                    \
                "        mov $0x1515151515151515, %r15\n"                                                    \
                "        .irp i,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"                                     \
                "        movq %r15, %xmm\\i\n"                                                               \
                "        inc %r15\n"                                                                         \
                "        .endr\n"                                                                            \
                "        lea " name "_aep(%rip), %rcx\n" site name "_enclu: enclu\n"                         \
                "        mov %rdx, %rax\n"                                                                   \
                "        pop %r15\n"                                                                         \
                "        pop %r14\n"                                                                         \
                "        pop %r13\n"                                                                         \
                "        pop %r12\n"                                                                         \
                "        pop %rbp\n"                                                                         \
                "        pop %rbx\n"                                                                         \
                "        ret\n" name "_aep: enclu\n"                                                         \
                "        ud2\n")

ENTER("by_enclu", "mov $2, %eax\n");
ENTER("by_gate", "lea by_gate_enclu(%rip), %rax\n jmp sgx_sim_gate\n");
uint64_t by_enclu(uint64_t tcs, uint64_t number, void *a);
uint64_t by_gate(uint64_t tcs, uint64_t number, void *a);
extern const uint8_t by_enclu_enclu[], by_gate_enclu[], by_gate_aep[];

enum { ENCLU_SIZE = 3 };

static struct sgx_signing_key *key;
static struct sgx_enclave enclave;

static int set_up(void **state)
{
        (void)state;
        return test_enclave_simulated(&key, &enclave);
}

static int tear_down(void **state)
{
        (void)state;
        test_enclave_end(key, &enclave);
        return 0;
}

/* What the program's own handler saw. */
static volatile struct {
        int signal;
        uint64_t rax, rcx, rip, mask;
        void *mend; /* a page that is made readable, so that resuming helps */
} seen;

static void on_exception(int signal, siginfo_t *info, void *context)
{
        const ucontext_t *uc = context;
        (void)info;

        seen.signal = signal;
        seen.rax = (uint64_t)uc->uc_mcontext.gregs[REG_RAX];
        seen.rcx = (uint64_t)uc->uc_mcontext.gregs[REG_RCX];
        seen.rip = (uint64_t)uc->uc_mcontext.gregs[REG_RIP];
        memcpy((void *)(uintptr_t)&seen.mask, &uc->uc_sigmask, sizeof(seen.mask));
        if (!seen.mend)
                _exit(seen.rip == (uintptr_t)by_gate_enclu && seen.rax == SGX_EENTER && seen.mask == 0 ? 0
                                                                                                       : 1);
        mprotect(seen.mend, SGX_PAGE_SIZE, PROT_READ);
}

static uint64_t tcs(size_t page)
{
        return test_enclave_page(&enclave, page);
}

/* cmocka takes these signals for each test anew, so each has to take them back.  The first entry of a thread
 * is always by a trap. */
static void take_signals(void)
{
        sigset_t none;

        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        sigaltstack(&(stack_t){.ss_flags = SS_DISABLE}, NULL);
        sgx_sim_stop();
        assert_int_equal(sgx_sim_start(NULL, NULL), 0);
        for (size_t i = 0; i < 2; i++)
                assert_int_equal(sgx_sim_sigaction(i ? SIGSEGV : SIGILL,
                                                   &(struct sigaction){.sa_sigaction = on_exception,
                                                                       .sa_flags = SA_SIGINFO},
                                                   NULL),
                                 0);
        sgx_sim_ecall(tcs(TEST_TCS_A), TEST_DIVIDE, 1, 1, 0);
        test_traps_count();
}

static unsigned int traps(void)
{
        struct test_traps t = test_traps_take();

        return t.enclu + t.hlt + t.other;
}

static void the_gate_enters_without_a_trap(void **state)
{
        (void)state;

        take_signals();
        for (int i = 0; i < CALLS; i++)
                assert_int_equal(sgx_sim_ecall(tcs(TEST_TCS_A), TEST_DIVIDE, 42, 6, 0), 7);
        assert_int_equal(traps(), CALLS);
        for (int i = 0; i < CALLS; i++)
                assert_int_equal(sgx_ecall(tcs(TEST_TCS_A), TEST_DIVIDE, 42, 6, 0), 7);
        assert_int_equal(traps(), 2 * CALLS);
}

static void the_enclave_finds_all_registers_as_after_enclu(void **state)
{
        static struct test_registers r[2];
        uint64_t (*const ways[])(uint64_t, uint64_t, void *) = {by_enclu, by_gate};
        const uint8_t *const sites[] = {by_enclu_enclu, by_gate_enclu};
        (void)state;

        take_signals();
        for (size_t i = 0; i < 2; i++) {
                ways[i](tcs(TEST_TCS_A), TEST_REGISTERS, &r[i]);
                assert_int_equal(r[i].rcx, (uintptr_t)sites[i] + ENCLU_SIZE);
                assert_int_equal(r[i].rdi, (uintptr_t)&r[i]);
                r[i].rcx = r[i].rdi = 0;
        }
        assert_int_equal(r[1].r8_to_r15[4], 0x1212121212121212);
        assert_int_equal(r[1].xmm[3][0], 0x18);
        assert_memory_equal(&r[0], &r[1], sizeof(r[0]));
        assert_int_equal(traps(), 3);
}

static void an_exception_comes_out_at_the_aep_that_the_gate_was_given(void **state)
{
        uint64_t *page =
                mmap(NULL, SGX_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        (void)state;

        take_signals();
        page[0] = 0x1234567;
        mprotect(page, SGX_PAGE_SIZE, PROT_NONE);
        seen.mend = page;
        assert_int_equal(by_gate(tcs(TEST_TCS_A), TEST_READ, page), 0x1234567);
        assert_int_equal(seen.signal, SIGSEGV);
        assert_int_equal(seen.rax, SGX_ERESUME);
        assert_int_equal(seen.rcx, (uintptr_t)by_gate_aep);
        assert_int_equal(seen.rip, (uintptr_t)by_gate_aep);
        assert_int_equal(seen.mask, 0);
        munmap(page, SGX_PAGE_SIZE);
}

/* In a child, whose handler ends it by what it sees. */
static int status_of_entry(uint64_t at, void (*before)(void))
{
        int status;
        pid_t pid = fork();

        if (pid == 0) {
                seen.mend = NULL;
                before();
                by_gate(at, TEST_DIVIDE, NULL);
                _exit(3);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        return status;
}

static void nothing(void)
{
}

static void a_fault_of_the_entry_is_at_the_enclu_and_nothing_is_left_of_the_try(void **state)
{
        (void)state;

        take_signals();
        assert_int_equal(status_of_entry(tcs(TEST_DATA), nothing), 0); /* no TCS */
        assert_int_equal(status_of_entry(tcs(TEST_TCS_A) + 8, nothing), 0);
        assert_int_equal(status_of_entry((uintptr_t)&enclave & ~0xfffUL, nothing), 0); /* no enclave */
}

static void stop(void)
{
        sgx_sim_stop();
        for (size_t i = 0; i < 2; i++)
                sigaction(i ? SIGSEGV : SIGILL, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
}

static void enter_from_handler(int signal)
{
        (void)signal;
        by_gate(tcs(TEST_TCS_A), TEST_DIVIDE, NULL);
}

static void go_on_alternate_stack(void)
{
        static char stack[1 << 17];

        sigaltstack(&(stack_t){.ss_sp = stack, .ss_size = sizeof(stack)}, NULL);
        sigaction(SIGUSR2,
                  &(struct sigaction){.sa_handler = enter_from_handler, .sa_flags = SA_ONSTACK | SA_NODEFER},
                  NULL);
        raise(SIGUSR2);
        _exit(4);
}

static void a_handler_on_the_alternate_stack_cannot_enter(void **state)
{
        (void)state;

        take_signals();
        assert_int_equal(status_of_entry(tcs(TEST_TCS_A), go_on_alternate_stack), 0);
}

static void without_a_simulation_the_gate_executes_enclu(void **state)
{
        int status;
        (void)state;

        take_signals();
        status = status_of_entry(tcs(TEST_TCS_A), stop);
        assert_true(WIFSIGNALED(status) && (WTERMSIG(status) == SIGILL || WTERMSIG(status) == SIGSEGV));
}

static void a_program_keeps_its_alternate_stack(void **state)
{
        stack_t own = {.ss_sp = malloc(1 << 18), .ss_size = 1 << 18}, before, now;
        (void)state;

        take_signals();
        assert_int_equal(sigaltstack(&own, &before), 0);
        for (int i = 0; i < CALLS; i++)
                assert_int_equal(sgx_sim_ecall(tcs(TEST_TCS_A), TEST_DIVIDE, 42, 6, 0), 7);
        assert_int_equal(traps(), CALLS);
        assert_int_equal(sigaltstack(NULL, &now), 0);
        assert_ptr_equal(now.ss_sp, own.ss_sp);
        assert_int_equal(now.ss_size, own.ss_size);
        assert_int_equal(sigaltstack(&before, NULL), 0);
        free(own.ss_sp);
}

/* Signals of the program come whenever they like; their handlers have its FS, and may enter themselves. */
static struct {
        atomic_uint handled, wrong;
        pthread_t thread;
        atomic_bool end;
} storm;

static _Thread_local uint64_t known;

static void on_storm(int signal)
{
        (void)signal;
        if (known != 0x5eed || sgx_sim_ecall(tcs(TEST_TCS_A), TEST_DIVIDE, 63, 7, 0) != 9)
                atomic_fetch_add(&storm.wrong, 1);
        atomic_fetch_add(&storm.handled, 1);
}

static void *send_storm(void *arg)
{
        (void)arg;
        while (!atomic_load(&storm.end)) {
                unsigned int before = atomic_load(&storm.handled);

                pthread_kill(storm.thread, SIGUSR1);
                while (atomic_load(&storm.handled) == before && !atomic_load(&storm.end))
                        sched_yield();
        }
        return NULL;
}

static void signals_find_a_thread_outside_or_wait(void **state)
{
        pthread_t sender;
        (void)state;

        take_signals();
        known = 0x5eed;
        storm.thread = pthread_self();
        sigaction(SIGUSR1, &(struct sigaction){.sa_handler = on_storm}, NULL);
        assert_int_equal(pthread_create(&sender, NULL, send_storm, NULL), 0);
        while (atomic_load(&storm.handled) < CALLS)
                assert_int_equal(sgx_sim_ecall(tcs(TEST_TCS_A), TEST_DIVIDE, 42, 6, 0), 7);
        atomic_store(&storm.end, true);
        assert_int_equal(pthread_join(sender, NULL), 0);
        sigaction(SIGUSR1, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
        assert_int_equal(atomic_load(&storm.wrong), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_gate_enters_without_a_trap),
                cmocka_unit_test(the_enclave_finds_all_registers_as_after_enclu),
                cmocka_unit_test(an_exception_comes_out_at_the_aep_that_the_gate_was_given),
                cmocka_unit_test(a_fault_of_the_entry_is_at_the_enclu_and_nothing_is_left_of_the_try),
                cmocka_unit_test(a_handler_on_the_alternate_stack_cannot_enter),
                cmocka_unit_test(without_a_simulation_the_gate_executes_enclu),
                cmocka_unit_test(a_program_keeps_its_alternate_stack),
                cmocka_unit_test(signals_find_a_thread_outside_or_wait),
        };

        return cmocka_run_group_tests(tests, set_up, tear_down);
}
