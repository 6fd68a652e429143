/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Several threads in an enclave, and the signals of a process that has some there.
 */
#include "lib/base/file.h"
#include "lib/base/text.h"
#include "lib/sgx/sim-cpu.h"
#include "lib/sgx/sim-device.h"
#include "lib/sgx/test-enclave.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

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

/* cmocka takes the signals for each test anew, so each has to take them back. */
static void take_signals(void)
{
        sgx_sim_stop();
        assert_int_equal(sgx_sim_start(NULL, NULL), 0);
}

static uint64_t call(size_t tcs, uint64_t number, uint64_t a, uint64_t b)
{
        return sgx_ecall(test_enclave_page(&enclave, tcs), number, a, b, 0);
}

typedef uint64_t (*ecall)(uint64_t tcs, uint64_t number, uint64_t a, uint64_t b, uint64_t c);

/* A thread that is in the enclave until it is told to leave. */
static struct {
        ecall ecall;
        atomic_int tid;
        volatile uint8_t leave;
        pthread_t thread;
} inside;

/* A sanitizer gives threads an alternate stack; none of these tests is about one. */
static void *stay(void *arg)
{
        (void)arg;
        sigaltstack(&(stack_t){.ss_flags = SS_DISABLE}, NULL);
        call(TEST_TCS_B, TEST_DIVIDE, 1, 1);
        atomic_store(&inside.tid, gettid());
        inside.ecall(test_enclave_page(&enclave, TEST_TCS_B), TEST_SPIN, (uintptr_t)&inside.leave, 0, 0);
        return NULL;
}

/* The mask of a kind of signals of a thread (proc(5)), or 0. */
static uint64_t signals_of(int tid, const char *kind)
{
        cleanup_buf struct buf text = buf_with_max(1 << 14);
        char *path = string_printf("/proc/self/task/%d/status", tid);
        const char *at = NULL;

        if (path && file_read(AT_FDCWD, path, text.max, &text, NULL) == 0 && buf_append(&text, "", 1) == 0)
                at = strstr((const char *)text.p, kind);
        free(path);
        return at ? strtoull(at + strlen(kind), NULL, 16) : 0;
}

static bool has_signal(uint64_t mask, int signal)
{
        return mask >> (signal - 1) & 1;
}

/* It is in the enclave once its signals wait. */
static void send_in(ecall way)
{
        inside.ecall = way;
        atomic_store(&inside.tid, 0);
        inside.leave = 0;
        assert_int_equal(pthread_create(&inside.thread, NULL, stay, NULL), 0);
        while (!atomic_load(&inside.tid) || !has_signal(signals_of(inside.tid, "SigBlk:"), SIGUSR2))
                sched_yield();
}

static void let_out(void)
{
        inside.leave = 1;
        assert_int_equal(pthread_join(inside.thread, NULL), 0);
}

static void two_threads_are_in_the_enclave_at_once(void **state)
{
        int status;
        pid_t pid;
        (void)state;

        take_signals();
        send_in(sgx_ecall);
        for (int i = 0; i < 1000; i++)
                assert_int_equal(call(TEST_TCS_A, TEST_DIVIDE, 42, 6), 7);
        /* A thread control structure takes one thread at a time. */
        pid = fork();
        if (pid == 0) {
                sgx_sim_sigaction(SIGSEGV, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
                _exit((int)call(TEST_TCS_B, TEST_DIVIDE, 1, 1));
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
        let_out();
}

static atomic_int handled_by;

static void on_signal(int signal)
{
        (void)signal;
        atomic_store(&handled_by, gettid());
}

static void signals_wait_until_the_enclave_is_left(void **state)
{
        static const ecall ways[] = {sgx_ecall, sgx_sim_ecall};
        struct sigaction old;
        (void)state;

        take_signals();
        sigaction(SIGUSR1, &(struct sigaction){.sa_handler = on_signal}, &old);
        for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
                atomic_store(&handled_by, 0);
                send_in(ways[i]);
                pthread_kill(inside.thread, SIGUSR1);
                assert_true(has_signal(signals_of(inside.tid, "SigPnd:"), SIGUSR1));
                assert_int_equal(atomic_load(&handled_by), 0);
                let_out();
                assert_int_equal(atomic_load(&handled_by), inside.tid);
        }
        sigaction(SIGUSR1, &old, NULL);
}

/* Of the whole process: the C library has each thread change its ids by a signal of its own, which must not
 * find a thread that has the enclave's FS. */
static void *change_ids(void *arg)
{
        (void)arg;
        return (void *)(intptr_t)setresuid((uid_t)-1, (uid_t)-1, (uid_t)-1);
}

enum { SIGNAL_OF_SETXID = 33 };

static void the_c_librarys_own_signals_wait_until_the_enclave_is_left(void **state)
{
        pthread_t changer;
        void *result;
        (void)state;

        take_signals();
        send_in(sgx_sim_ecall);
        assert_int_equal(pthread_create(&changer, NULL, change_ids, NULL), 0);
        while (!has_signal(signals_of(inside.tid, "SigPnd:"), SIGNAL_OF_SETXID))
                sched_yield();
        let_out();
        assert_int_equal(pthread_join(changer, &result), 0);
        assert_null(result);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(two_threads_are_in_the_enclave_at_once),
                cmocka_unit_test(signals_wait_until_the_enclave_is_left),
                cmocka_unit_test(the_c_librarys_own_signals_wait_until_the_enclave_is_left),
        };

        return cmocka_run_group_tests(tests, set_up, tear_down);
}
