/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ENCLU in an enclave becomes another instruction after its first trap: what that saves, and that nobody can
 * take the one for the other.
 */
#include "lib/sgx/driver-abi.h"
#include "lib/sgx/sim-cpu.h"
#include "lib/sgx/sim-device.h"
#include "lib/sgx/sim-epc.h"
#include "lib/sgx/test-enclave.h"
#include "lib/sgx/test-traps.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>
#include <cmocka.h>

enum { CALLS = 1000, ENCLAVES = 100, OPCODE_ENCLU = 0x0f, OPCODE_HLT = 0xf4, SSA_RIP = 136 };

static struct sgx_signing_key *key;
static struct sgx_enclave enclave;

/* What the program's handler saw of exceptions in the enclave.  It goes on behind an HLT. */
static volatile struct {
        unsigned int exceptions, wrong;
} seen;

static uint64_t page_at(size_t page)
{
        return test_enclave_page(&enclave, page);
}

static void on_exception(int signal, siginfo_t *info, void *context)
{
        const greg_t *r = ((ucontext_t *)context)->uc_mcontext.gregs;
        uint64_t *rip = (uint64_t *)(uintptr_t)(page_at(TEST_SSA_A + 1) - SGX_GPRS_SIZE + SSA_RIP);

        seen.exceptions++;
        if (signal != SIGSEGV || info->si_code != SI_KERNEL || r[REG_RAX] != SGX_ERESUME ||
            r[REG_RIP] != r[REG_RCX] || *(const uint8_t *)(uintptr_t)*rip != OPCODE_HLT)
                seen.wrong++;
        *rip += 1;
}

static void make(void)
{
        struct error err = {0};
        int code;

        if (test_enclave_make(&sgx_driver_simulation, &sgx_os_simulated, key, NULL, &enclave, &code, &err) <
            0)
                fail_msg("%s", error_text(&err));
}

static uint64_t call(uint64_t number, uint64_t a, uint64_t b, uint64_t c)
{
        return sgx_sim_ecall(page_at(TEST_TCS_A), number, a, b, c);
}

static int make_key(void **state)
{
        (void)state;
        return sgx_sim_start(NULL, NULL) < 0 ? -1 : sgx_signing_key_generate(&key, NULL);
}

static int free_key(void **state)
{
        (void)state;
        sgx_sim_stop();
        sgx_signing_key_free(key);
        return 0;
}

/* A fresh enclave, for this thread, which has been in one already; cmocka has taken the signals. */
static void begin(void)
{
        sigaltstack(&(stack_t){.ss_flags = SS_DISABLE}, NULL);
        sgx_sim_stop();
        assert_int_equal(sgx_sim_start(NULL, NULL), 0);
        assert_int_equal(
                sgx_sim_sigaction(SIGSEGV,
                                  &(struct sigaction){.sa_sigaction = on_exception, .sa_flags = SA_SIGINFO},
                                  NULL),
                0);
        make();
        call(TEST_DIVIDE, 1, 1, 0);
        sgx_unload(&enclave);
        make();
        test_traps_count();
        seen.exceptions = seen.wrong = 0;
}

static void assert_traps(unsigned int enclu, unsigned int hlt)
{
        struct test_traps t = test_traps_take();

        assert_int_equal(t.enclu, enclu);
        assert_int_equal(t.hlt, hlt);
        assert_int_equal(t.other, 0);
}

/* n exceptions, each an HLT that was seen at the AEP. */
static void assert_exceptions(unsigned int n)
{
        assert_int_equal(seen.exceptions, n);
        assert_int_equal(seen.wrong, 0);
}

static void no_enclu_is_executed_after_the_first(void **state)
{
        (void)state;

        begin();
        for (int i = 0; i < CALLS; i++)
                assert_int_equal(call(TEST_DIVIDE, 42, 6, 0), 7);
        assert_traps(1, CALLS - 1);
        /* A program that executes ENCLU itself pays for its own. */
        for (int i = 0; i < CALLS; i++)
                assert_int_equal(sgx_ecall(page_at(TEST_TCS_A), TEST_DIVIDE, 42, 6, 0), 7);
        assert_traps(CALLS, CALLS);
        sgx_unload(&enclave);
}

static void other_leaves_are_rewritten_too(void **state)
{
        uint64_t data;
        (void)state;

        begin();
        data = page_at(TEST_DATA);
        for (int i = 0; i < CALLS; i++) {
                sgx_secinfo_encode(SGX_SECINFO_FLAGS(SGX_TYPE_REG, SGX_PAGE_R), (uint8_t *)(uintptr_t)data);
                call(SGX_EMODPE, data, data, 0);
        }
        assert_traps(2, 2 * CALLS - 2);
        sgx_unload(&enclave);
}

static void an_hlt_of_the_enclaves_own_is_an_exception(void **state)
{
        (void)state;

        begin();
        for (unsigned int i = 1; i <= 3; i++) {
                assert_int_equal(call(TEST_HLT, 0, 0, 0), 3);
                assert_exceptions(i);
        }
        sgx_unload(&enclave);
}

/* Code that the enclave gets later, in a page that it may write to: out by EEXIT, with 42; but an
 * instruction of the same length can be in ENCLU's place, and then the result is 43. */
static const uint8_t code[] = {
        0x4c, 0x89, 0xdb,             /* mov %r11, %rbx */
        0xb8, 0x04, 0x00, 0x00, 0x00, /* mov $4, %eax */
        0xba, 0x2a, 0x00, 0x00, 0x00, /* mov $42, %edx */
        0x0f, 0x01, 0xd7,             /* enclu */
        0xba, 0x2b, 0x00, 0x00, 0x00, /* mov $43, %edx */
        0x0f, 0x01, 0xd7,             /* enclu */
};

enum { CODE_ENCLU = 13 };

static const uint8_t hlt_add[] = {0xf4, 0x01, 0xd7}, hlt_nop[] = {0xf4, 0x90, 0x90},
                     nops[] = {0x90, 0x90, 0x90};

static void put_code(const uint8_t *instead)
{
        uint8_t *page = (uint8_t *)(uintptr_t)page_at(TEST_AUGMENT);

        memcpy(page, code, sizeof(code));
        if (instead)
                memcpy(page + CODE_ENCLU, instead, 3);
}

static uint64_t put_secinfo(uint64_t flags)
{
        sgx_secinfo_encode(flags, (uint8_t *)(uintptr_t)page_at(TEST_DATA));
        return page_at(TEST_DATA);
}

static void map_code(void)
{
        uint64_t page = page_at(TEST_AUGMENT);

        call(SGX_EMODPE, put_secinfo(SGX_SECINFO_FLAGS(SGX_TYPE_REG, SGX_PAGE_RWX)), page, 0);
        assert_int_equal(enclave.driver->map(&enclave, TEST_AUGMENT * SGX_PAGE_SIZE, SGX_PAGE_SIZE,
                                             PROT_READ | PROT_WRITE | PROT_EXEC, NULL),
                         0);
}

static void add_code_page(void)
{
        uint64_t pending = SGX_SECINFO_FLAGS(SGX_TYPE_REG, SGX_PAGE_R | SGX_PAGE_W | SGX_PAGE_PENDING);

        assert_int_equal(call(SGX_EACCEPT, put_secinfo(pending), page_at(TEST_AUGMENT), 0), SGX_SUCCESS);
        map_code();
}

static void remove_code_page(void)
{
        struct sgx_enclave_modify_types trim = {
                .offset = TEST_AUGMENT * SGX_PAGE_SIZE, .length = SGX_PAGE_SIZE, .page_type = SGX_TYPE_TRIM};
        struct sgx_enclave_remove_pages gone = {.offset = TEST_AUGMENT * SGX_PAGE_SIZE,
                                                .length = SGX_PAGE_SIZE};
        uint64_t trimmed = SGX_SECINFO_FLAGS(SGX_TYPE_TRIM, SGX_PAGE_MODIFIED);

        assert_int_equal(enclave.os.ioctl(NULL, enclave.fd, SGX_IOC_ENCLAVE_MODIFY_TYPES, &trim), 0);
        assert_int_equal(call(SGX_EACCEPT, put_secinfo(trimmed), page_at(TEST_AUGMENT), 0), SGX_SUCCESS);
        assert_int_equal(enclave.os.ioctl(NULL, enclave.fd, SGX_IOC_ENCLAVE_REMOVE_PAGES, &gone), 0);
}

static uint64_t run_code(void)
{
        return call(TEST_JUMP, page_at(TEST_AUGMENT), 0, 0);
}

static uint8_t opcode(void)
{
        return ((const uint8_t *)(uintptr_t)page_at(TEST_AUGMENT))[CODE_ENCLU];
}

static void code_that_is_written_over_is_what_was_written(void **state)
{
        (void)state;

        begin();
        add_code_page();
        put_code(NULL);
        assert_int_equal(run_code(), 42);
        assert_int_equal(opcode(), OPCODE_HLT);
        assert_int_equal(run_code(), 42);
        put_code(nops);
        assert_int_equal(run_code(), 43);
        put_code(hlt_nop);
        assert_int_equal(run_code(), 43);
        assert_exceptions(1);
        put_code(NULL);
        assert_int_equal(run_code(), 42);
        assert_int_equal(opcode(), OPCODE_HLT);
        assert_exceptions(1);
        sgx_unload(&enclave);
}

static void a_page_in_a_removed_ones_place_has_none_of_its_records(void **state)
{
        (void)state;

        begin();
        add_code_page();
        put_code(NULL);
        assert_int_equal(run_code(), 42);
        remove_code_page();
        add_code_page();
        put_code(hlt_add);
        assert_int_equal(run_code(), 43);
        assert_exceptions(1);
        sgx_unload(&enclave);
}

static void an_enclave_at_anothers_address_has_none_of_its_records(void **state)
{
        uint64_t base;
        (void)state;

        begin();
        base = enclave.base;
        add_code_page();
        put_code(NULL);
        assert_int_equal(run_code(), 42);
        sgx_unload(&enclave);
        make();
        assert_int_equal(enclave.base, base);
        add_code_page();
        put_code(hlt_add);
        assert_int_equal(run_code(), 43);
        assert_exceptions(1);
        put_code(NULL);
        assert_int_equal(run_code(), 42);
        sgx_unload(&enclave);
}

static void a_copy_of_a_page_by_the_cpu_is_of_what_was_there_before(void **state)
{
        const uint8_t *from, *to;
        unsigned int different = 0;
        (void)state;

        begin();
        from = (const uint8_t *)(uintptr_t)page_at(TEST_CODE);
        to = (const uint8_t *)(uintptr_t)page_at(TEST_AUGMENT);
        assert_int_equal(call(SGX_EACCEPTCOPY, put_secinfo(SGX_SECINFO_FLAGS(SGX_TYPE_REG, SGX_PAGE_R)),
                              page_at(TEST_AUGMENT), page_at(TEST_CODE)),
                         SGX_SUCCESS);
        remove_code_page(); /* by now all of the enclave's ENCLU are rewritten */
        assert_int_equal(call(SGX_EACCEPTCOPY, put_secinfo(SGX_SECINFO_FLAGS(SGX_TYPE_REG, SGX_PAGE_R)),
                              page_at(TEST_AUGMENT), page_at(TEST_CODE)),
                         SGX_SUCCESS);
        for (size_t i = 0; i < SGX_PAGE_SIZE; i++) {
                if (from[i] == to[i])
                        continue;
                assert_int_equal(from[i], OPCODE_HLT);
                assert_int_equal(to[i], OPCODE_ENCLU);
                different++;
        }
        assert_int_equal(different, 2); /* one for EEXIT, one for all other leaves */
        sgx_unload(&enclave);
}

/* Starts in many threads at once: who executes ENCLU while another rewrites it, and who finds it done. */
static struct {
        pthread_barrier_t barrier;
        unsigned int wrong;
} race;

static void *call_many(void *which)
{
        sigaltstack(&(stack_t){.ss_flags = SS_DISABLE}, NULL);
        for (int i = 0; i < ENCLAVES; i++) {
                pthread_barrier_wait(&race.barrier);
                for (uint64_t k = 1; k <= 20; k++)
                        if (sgx_sim_ecall(page_at(*(size_t *)which), TEST_DIVIDE, 6 * k, 6, 0) != k)
                                __atomic_fetch_add(&race.wrong, 1, __ATOMIC_SEQ_CST);
                pthread_barrier_wait(&race.barrier);
        }
        return NULL;
}

static void threads_race_for_the_first_trap(void **state)
{
        size_t tcs[] = {TEST_TCS_A, TEST_TCS_B};
        pthread_t threads[ARRAY_SIZE(tcs)];
        (void)state;

        begin();
        assert_int_equal(pthread_barrier_init(&race.barrier, NULL, ARRAY_SIZE(tcs) + 1), 0);
        for (size_t i = 0; i < ARRAY_SIZE(tcs); i++)
                assert_int_equal(pthread_create(&threads[i], NULL, call_many, &tcs[i]), 0);
        for (int i = 0; i < ENCLAVES; i++) {
                pthread_barrier_wait(&race.barrier);
                pthread_barrier_wait(&race.barrier);
                sgx_unload(&enclave);
                make();
        }
        for (size_t i = 0; i < ARRAY_SIZE(tcs); i++)
                assert_int_equal(pthread_join(threads[i], NULL), 0);
        pthread_barrier_destroy(&race.barrier);
        sgx_unload(&enclave);
        assert_int_equal(race.wrong, 0);
        assert_exceptions(0);
}

static int status_of(pid_t pid)
{
        int status = -1;

        assert_int_equal(waitpid(pid, &status, 0), pid);
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void a_fork_knows_what_its_parent_rewrites_later(void **state)
{
        int ready[2];
        char byte = 0;
        pid_t pid;
        (void)state;

        begin();
        add_code_page();
        put_code(NULL);
        assert_int_equal(pipe(ready), 0);
        pid = fork();
        if (pid == 0) {
                if (read(ready[0], &byte, 1) != 1 || opcode() != OPCODE_HLT)
                        _exit(1);
                _exit(run_code() == 42 && seen.exceptions == 0 ? 0 : 2);
        }
        assert_int_equal(run_code(), 42);
        assert_int_equal(write(ready[1], &byte, 1), 1);
        assert_int_equal(status_of(pid), 0);
        close(ready[0]);
        close(ready[1]);
        sgx_unload(&enclave);
}

/* As a process that got the descriptor from elsewhere: nothing of the enclave is in it. */
static void a_process_that_takes_the_enclave_over_knows_what_was_rewritten(void **state)
{
        pid_t pid;
        (void)state;

        begin();
        assert_int_equal(call(TEST_DIVIDE, 42, 6, 0), 7);
        pid = fork();
        if (pid == 0) {
                uint64_t base, size;
                int fd = dup(enclave.fd);

                sgx_unload(&enclave);
                if (sim_enclave_by_fd(fd) || sgx_sim_attach(fd, &base, &size, NULL) < 0)
                        _exit(1);
                enclave.base = base;
                _exit(call(TEST_DIVIDE, 42, 6, 0) == 7 && call(TEST_HLT, 0, 0, 0) == 3 &&
                                      seen.exceptions == 1 && seen.wrong == 0
                              ? 0
                              : 2);
        }
        assert_int_equal(status_of(pid), 0);
        sgx_unload(&enclave);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(no_enclu_is_executed_after_the_first),
                cmocka_unit_test(other_leaves_are_rewritten_too),
                cmocka_unit_test(an_hlt_of_the_enclaves_own_is_an_exception),
                cmocka_unit_test(code_that_is_written_over_is_what_was_written),
                cmocka_unit_test(a_page_in_a_removed_ones_place_has_none_of_its_records),
                cmocka_unit_test(an_enclave_at_anothers_address_has_none_of_its_records),
                cmocka_unit_test(a_copy_of_a_page_by_the_cpu_is_of_what_was_there_before),
                cmocka_unit_test(threads_race_for_the_first_trap),
                cmocka_unit_test(a_fork_knows_what_its_parent_rewrites_later),
                cmocka_unit_test(a_process_that_takes_the_enclave_over_knows_what_was_rewritten),
        };

        return cmocka_run_group_tests(tests, make_key, free_key);
}
