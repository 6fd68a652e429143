/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/sgx/keys.h"
#include "lib/sgx/driver-abi.h"
#include "lib/sgx/sim-cpu.h"
#include "lib/sgx/sim-device.h"
#include "lib/sgx/sim-qe.h"
#include "lib/sgx/test-enclave.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>
#include <cmocka.h>

static struct sgx_signing_key *key;
static struct sgx_enclave enclave;

/* What the program's own handler saw, and what it does. */
static volatile struct {
        int signal, code;
        uint64_t rax, rbx, rcx, rip, address;
        uint64_t nested;     /* a call from the handler, on top of the exception */
        void *mend;          /* a page that is made readable, so that resuming helps */
        bool no_nesting;     /* no call from the handler */
        bool (*check)(void); /* ends the process by what this finds */
} seen;

static void on_exception(int signal, siginfo_t *info, void *context)
{
        const greg_t *r = ((ucontext_t *)context)->uc_mcontext.gregs;

        seen.signal = signal;
        seen.code = info->si_code;
        seen.rax = (uint64_t)r[REG_RAX];
        seen.rbx = (uint64_t)r[REG_RBX];
        seen.rcx = (uint64_t)r[REG_RCX];
        seen.rip = (uint64_t)r[REG_RIP];
        seen.address = (uint64_t)(uintptr_t)info->si_addr;
        if (seen.rax == SGX_ERESUME && seen.rip == seen.rcx && !seen.no_nesting)
                seen.nested = sgx_ecall(seen.rbx, TEST_DIVIDE, 1, 1, 0);
        if (seen.check)
                _exit(seen.check() ? 0 : 1);
        mprotect(seen.mend, SGX_PAGE_SIZE, PROT_READ);
}

static const int caught[] = {SIGSEGV, SIGILL, SIGFPE, SIGTRAP};

/* cmocka takes these signals for each test anew, so each has to take them back. */
static void take_signals(void)
{
        struct sigaction action = {.sa_sigaction = on_exception, .sa_flags = SA_SIGINFO};

        /* A sanitizer gives threads an alternate stack, on which handlers can't enter enclaves. */
        sigaltstack(&(stack_t){.ss_flags = SS_DISABLE}, NULL);
        sgx_sim_stop();
        for (size_t i = 0; i < ARRAY_SIZE(caught); i++)
                sigaction(caught[i], &action, NULL);
        if (sgx_sim_start(NULL, NULL) < 0)
                abort();
}

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

static uint64_t call(uint64_t number, uint64_t a, uint64_t b, uint64_t c)
{
        return sgx_ecall(test_enclave_page(&enclave, TEST_TCS_A), number, a, b, c);
}

static uint8_t *data(size_t at)
{
        return (uint8_t *)(uintptr_t)(test_enclave_page(&enclave, TEST_DATA) + at);
}

/* An address of the enclave's as one of another. */
static uint64_t moved(uint64_t address, const struct sgx_enclave *from, const struct sgx_enclave *to)
{
        return address - from->base < from->size ? address - from->base + to->base : address;
}

/* Calls in a child, in an enclave of its own, since an exception that is given up stays in the SSA;
 * `check` says whether what was seen is right. */
static void exception(uint64_t number, uint64_t a, uint64_t b, bool (*check)(void))
{
        int status;
        pid_t pid = fork();

        if (pid == 0) {
                struct sgx_enclave own;
                int code;

                if (test_enclave_make(&sgx_driver_simulation, &sgx_os_simulated, key, NULL, &own, &code,
                                      NULL) < 0)
                        _exit(2);
                a = moved(a, &enclave, &own);
                b = moved(b, &enclave, &own);
                enclave = own;
                seen.check = check;
                call(number, a, b, 0);
                _exit(3);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
}

static bool is_fault_of_the_entry(void)
{
        return seen.signal == SIGSEGV && seen.rax == SGX_EENTER;
}

/* Enters, in a child, by what is at `tcs`, and fails. */
static void bad_entry(uint64_t tcs)
{
        int status;
        pid_t pid = fork();

        if (pid == 0) {
                seen.check = is_fault_of_the_entry;
                sgx_ecall(tcs, TEST_DIVIDE, 1, 1, 0);
                _exit(3);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
}

static void calls_run_in_the_enclave_and_come_back(void **state)
{
        (void)state;

        take_signals();
        assert_int_equal(call(TEST_DIVIDE, 42, 6, 0), 7);
        assert_int_equal(call(TEST_FS, 0, 0, 0), test_enclave_page(&enclave, TEST_DATA));
        errno = 7; /* reached by FS, which is ours again */
        assert_int_equal(call(TEST_DIVIDE, 9, 3, 0), 3);
        assert_int_equal(errno, 7);
}

static bool is_division_seen_at_the_aep(void)
{
        return seen.signal == SIGFPE && seen.rax == SGX_ERESUME && seen.rip == seen.rcx &&
               seen.rbx == test_enclave_page(&enclave, TEST_TCS_A) && seen.nested == TEST_NESTED;
}

static bool is_invalid_opcode(void)
{
        const uint8_t *gprs =
                (const uint8_t *)(uintptr_t)(test_enclave_page(&enclave, TEST_SSA_A + 1) - SGX_GPRS_SIZE);

        /* EXITINFO: valid, hardware exception, #UD. RIP is in the page of code. */
        return seen.signal == SIGILL && memcmp(gprs + 160, "\x06\x03\x00\x80", 4) == 0 &&
               *(const uint64_t *)(const void *)(gprs + 136) - test_enclave_page(&enclave, TEST_CODE) <
                       SGX_PAGE_SIZE;
}

static bool is_trap(void)
{
        return seen.signal == SIGTRAP && seen.rip == seen.rcx;
}

static bool is_fault_of_an_unmapped_page(void)
{
        return seen.signal == SIGSEGV && seen.code == SEGV_MAPERR && seen.address == SGX_PAGE_SIZE;
}

static bool is_protection_fault(void)
{
        return seen.signal == SIGSEGV && seen.rax == SGX_ERESUME;
}

static void exceptions_leave_the_enclave_by_the_aep(void **state)
{
        (void)state;

        take_signals();
        exception(TEST_DIVIDE, 1, 0, is_division_seen_at_the_aep);
        exception(TEST_UD2, 0, 0, is_invalid_opcode);
        exception(TEST_BREAK, 0, 0, is_trap);
        exception(TEST_READ, SGX_PAGE_SIZE + 8, 0, is_fault_of_an_unmapped_page);
}

static void resuming_goes_on_where_the_exception_was(void **state)
{
        uint64_t *page =
                mmap(NULL, SGX_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        (void)state;

        take_signals();
        page[0] = 0x1234567;
        mprotect(page, SGX_PAGE_SIZE, PROT_NONE);
        seen.mend = page;
        seen.nested = 0;
        assert_int_equal(call(TEST_READ, (uintptr_t)page, 0, 0), 0x1234567);
        assert_int_equal(seen.signal, SIGSEGV);
        assert_int_equal(seen.address, (uintptr_t)page);
        assert_int_equal(seen.nested, TEST_NESTED);

        /* Vector registers survive the exit, too. */
        mprotect(page, SGX_PAGE_SIZE, PROT_NONE);
        assert_int_equal(call(TEST_VECTOR, (uintptr_t)page, 0xabcdef, 0), 0xabcdef);
        munmap(page, SGX_PAGE_SIZE);
}

static void pages_have_the_rights_that_they_were_added_with(void **state)
{
        struct error err = {0};
        (void)state;

        take_signals();
        assert_int_equal(enclave.driver->map(&enclave, TEST_DATA * SGX_PAGE_SIZE, SGX_PAGE_SIZE,
                                             PROT_READ | PROT_WRITE | PROT_EXEC, &err),
                         -EACCES);
        assert_int_equal(enclave.driver->map(&enclave, TEST_CODE * SGX_PAGE_SIZE, SGX_PAGE_SIZE,
                                             PROT_READ | PROT_WRITE, &err),
                         -EACCES);
        /* The thread control structure is the CPU's alone. */
        exception(TEST_READ, test_enclave_page(&enclave, TEST_TCS_B), 0, is_protection_fault);
}

static void bad_entries_are_faults_of_the_program(void **state)
{
        (void)state;

        take_signals();
        bad_entry(test_enclave_page(&enclave, TEST_DATA)); /* no TCS */
        bad_entry(test_enclave_page(&enclave, TEST_TCS_A) + 8);
        bad_entry((uintptr_t)&enclave & ~0xfffUL); /* no enclave */
}

static void signals_that_are_not_ours_reach_the_previous_handler(void **state)
{
        char *page = mmap(NULL, SGX_PAGE_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        (void)state;

        take_signals();
        seen.mend = page;
        seen.signal = 0;
        assert_int_equal(*(volatile char *)page, 0);
        assert_int_equal(seen.signal, SIGSEGV);
        munmap(page, SGX_PAGE_SIZE);
}

/* The enclave's own SECS, as EREPORT shows it. */
static void self_target(struct sgx_targetinfo *ret_target)
{
        *ret_target = (struct sgx_targetinfo){
                .attributes = {SGX_ATTRIBUTE_INIT | SGX_ATTRIBUTE_DEBUG | SGX_ATTRIBUTE_MODE64,
                               SGX_XFRM_LEGACY}};
        test_enclave_measure(ret_target->mrenclave);
}

static void reports_say_what_the_enclave_is_and_verify(void **state)
{
        struct sgx_targetinfo target;
        struct sgx_report report;
        struct error err = {0};
        uint8_t bytes[SGX_REPORT_SIZE];
        (void)state;

        take_signals();
        self_target(&target);
        sgx_targetinfo_encode(&target, data(0));
        memset(data(1024), 'd', SGX_REPORT_DATA_SIZE);
        call(SGX_EREPORT, (uintptr_t)data(0), (uintptr_t)data(1024), (uintptr_t)data(2048));
        memcpy(bytes, data(2048), sizeof(bytes));
        sgx_report_decode(bytes, &report);
        assert_memory_equal(report.mrenclave, target.mrenclave, SGX_HASH_SIZE);
        assert_memory_equal(report.cpu_svn, "COFFER-SIMULATED", SGX_KEY_SIZE);
        assert_memory_equal(report.data, data(1024), SGX_REPORT_DATA_SIZE);
        assert_int_equal(report.attributes.flags, target.attributes.flags);
        assert_int_equal(report.isv_prod_id, 7);
        assert_int_equal(report.isv_svn, 3);
        assert_int_equal(sgx_report_verify(sim_root(), bytes, &target, &err), 0);
        bytes[64] ^= 1; /* MRENCLAVE */
        assert_int_equal(sgx_report_verify(sim_root(), bytes, &target, &err), -EBADMSG);
        bytes[64] ^= 1;
        target.mrenclave[0] ^= 1; /* for another enclave */
        assert_int_equal(sgx_report_verify(sim_root(), bytes, &target, &err), -EBADMSG);
        exception(SGX_EREPORT, (uintptr_t)data(8), (uintptr_t)data(1024), is_protection_fault);
        exception(SGX_EREPORT, (uintptr_t)bytes & ~511UL, (uintptr_t)data(1024), is_protection_fault);
}

static uint64_t get_key(const struct sgx_keyrequest *request, uint8_t ret_key[static SGX_KEY_SIZE])
{
        uint64_t code;

        sgx_keyrequest_encode(request, data(0));
        code = call(SGX_EGETKEY, (uintptr_t)data(0), (uintptr_t)data(1024), 0);
        memcpy(ret_key, data(1024), SGX_KEY_SIZE);
        return code;
}

static void keys_depend_on_what_was_asked_for(void **state)
{
        struct sgx_keyrequest request = {.name = SGX_KEY_SEAL, .policy = SGX_POLICY_MRENCLAVE, .isv_svn = 3};
        uint8_t first[SGX_KEY_SIZE], again[SGX_KEY_SIZE], other[SGX_KEY_SIZE];
        (void)state;

        take_signals();
        memcpy(request.cpu_svn, sgx_simulated_cpu_svn, SGX_KEY_SIZE);
        assert_int_equal(get_key(&request, first), SGX_SUCCESS);
        assert_int_equal(get_key(&request, again), SGX_SUCCESS);
        assert_memory_equal(first, again, SGX_KEY_SIZE);
        request.policy = SGX_POLICY_MRSIGNER;
        assert_int_equal(get_key(&request, other), SGX_SUCCESS);
        assert_memory_not_equal(first, other, SGX_KEY_SIZE);
        request.isv_svn = 4;
        assert_int_equal(get_key(&request, other), SGX_INVALID_ISVSVN);
        request.isv_svn = 2;
        assert_int_equal(get_key(&request, other), SGX_SUCCESS);
        request.cpu_svn[0] = 0;
        assert_int_equal(get_key(&request, other), SGX_INVALID_CPUSVN);
        request.name = 5;
        assert_int_equal(get_key(&request, other), SGX_INVALID_KEYNAME);
        request.name = SGX_KEY_PROVISION;
        assert_int_equal(get_key(&request, other), SGX_INVALID_ATTRIBUTE);
}

static void put_secinfo(uint64_t flags)
{
        sgx_secinfo_encode(flags, data(0));
}

static void pages_are_added_and_changed_by_agreement(void **state)
{
        uint64_t page = test_enclave_page(&enclave, TEST_AUGMENT), secinfo = (uintptr_t)data(0);
        struct sgx_enclave_modify_types trim = {
                .offset = TEST_AUGMENT * SGX_PAGE_SIZE, .length = SGX_PAGE_SIZE, .page_type = SGX_TYPE_TRIM};
        struct sgx_enclave_remove_pages gone = {.offset = TEST_AUGMENT * SGX_PAGE_SIZE,
                                                .length = SGX_PAGE_SIZE};
        (void)state;

        take_signals();
        put_secinfo(SGX_SECINFO_FLAGS(SGX_TYPE_REG, SGX_PAGE_R | SGX_PAGE_PENDING));
        assert_int_equal(call(SGX_EACCEPT, secinfo, page, 0), SGX_PAGE_ATTRIBUTES_MISMATCH);
        put_secinfo(SGX_SECINFO_FLAGS(SGX_TYPE_REG, SGX_PAGE_R | SGX_PAGE_W | SGX_PAGE_PENDING));
        assert_int_equal(call(SGX_EACCEPT, secinfo, page, 0), SGX_SUCCESS);
        *(uint64_t *)(uintptr_t)page = 99;
        assert_int_equal(call(TEST_READ, page, 0, 0), 99);
        put_secinfo(SGX_SECINFO_FLAGS(SGX_TYPE_REG, SGX_PAGE_RWX));
        call(SGX_EMODPE, secinfo, page, 0);
        assert_int_equal(enclave.driver->map(&enclave, TEST_AUGMENT * SGX_PAGE_SIZE, SGX_PAGE_SIZE,
                                             PROT_READ | PROT_EXEC, NULL),
                         0);

        /* Away with it: trimmed by the driver, accepted by the enclave, removed by the driver. */
        assert_int_equal(enclave.os.ioctl(NULL, enclave.fd, SGX_IOC_ENCLAVE_REMOVE_PAGES, &gone), -1);
        assert_int_equal(errno, EPERM);
        assert_int_equal(enclave.os.ioctl(NULL, enclave.fd, SGX_IOC_ENCLAVE_MODIFY_TYPES, &trim), 0);
        put_secinfo(SGX_SECINFO_FLAGS(SGX_TYPE_TRIM, SGX_PAGE_MODIFIED));
        assert_int_equal(call(SGX_EACCEPT, secinfo, page, 0), SGX_SUCCESS);
        assert_int_equal(enclave.os.ioctl(NULL, enclave.fd, SGX_IOC_ENCLAVE_REMOVE_PAGES, &gone), 0);

        /* And another in its place, with content from the start. */
        memset(data(0), 0, SGX_PAGE_SIZE);
        put_secinfo(SGX_SECINFO_FLAGS(SGX_TYPE_REG, SGX_PAGE_R));
        assert_int_equal(call(SGX_EACCEPTCOPY, secinfo, page, (uintptr_t)data(0)), SGX_SUCCESS);
        assert_memory_equal((void *)(uintptr_t)page, data(0), SGX_PAGE_SIZE);
}

static volatile bool on_own_stack;
static stack_t own_stack;

static void note_stack(int signal, siginfo_t *info, void *context)
{
        uint64_t here = (uint64_t)(uintptr_t)__builtin_frame_address(0);

        on_own_stack = here - (uint64_t)(uintptr_t)own_stack.ss_sp < own_stack.ss_size;
        on_exception(signal, info, context);
}

static void a_program_keeps_its_own_alternate_stack(void **state)
{
        struct sigaction action = {.sa_sigaction = note_stack, .sa_flags = SA_SIGINFO | SA_ONSTACK};
        uint64_t *page =
                mmap(NULL, SGX_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        stack_t before, now;
        (void)state;

        take_signals();
        own_stack = (stack_t){.ss_sp = malloc(1 << 18), .ss_size = 1 << 18};
        assert_int_equal(sigaltstack(&own_stack, &before), 0);
        assert_int_equal(sgx_sim_sigaction(SIGSEGV, &action, NULL), 0);
        for (int i = 0; i < 100; i++)
                assert_int_equal(call(TEST_DIVIDE, 42, 6, 0), 7);
        assert_int_equal(sigaltstack(NULL, &now), 0);
        assert_ptr_equal(now.ss_sp, own_stack.ss_sp);

        /* An exception is seen there; hardware would let its handler enter again, which can't be done
         * here. */
        page[0] = 77;
        mprotect(page, SGX_PAGE_SIZE, PROT_NONE);
        seen.mend = page;
        seen.no_nesting = true;
        assert_int_equal(call(TEST_READ, (uintptr_t)page, 0, 0), 77);
        assert_true(on_own_stack);
        seen.no_nesting = false;
        assert_int_equal(sigaltstack(&before, NULL), 0);
        free(own_stack.ss_sp);
        munmap(page, SGX_PAGE_SIZE);
}

static void a_child_has_the_same_enclave(void **state)
{
        int status;
        pid_t pid;
        (void)state;

        take_signals();
        pid = fork();
        if (pid == 0) {
                *data(100) = 'c';
                _exit((int)call(TEST_DIVIDE, 42, 6, 0));
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(WEXITSTATUS(status), 7);
        assert_int_equal(*data(100), 'c');
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(calls_run_in_the_enclave_and_come_back),
                cmocka_unit_test(exceptions_leave_the_enclave_by_the_aep),
                cmocka_unit_test(resuming_goes_on_where_the_exception_was),
                cmocka_unit_test(pages_have_the_rights_that_they_were_added_with),
                cmocka_unit_test(bad_entries_are_faults_of_the_program),
                cmocka_unit_test(signals_that_are_not_ours_reach_the_previous_handler),
                cmocka_unit_test(reports_say_what_the_enclave_is_and_verify),
                cmocka_unit_test(keys_depend_on_what_was_asked_for),
                cmocka_unit_test(pages_are_added_and_changed_by_agreement),
                cmocka_unit_test(a_program_keeps_its_own_alternate_stack),
                cmocka_unit_test(a_child_has_the_same_enclave),
        };

        return cmocka_run_group_tests(tests, set_up, tear_down);
}
