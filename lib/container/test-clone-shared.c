/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/container/clone-shared.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

/* cmocka wants these before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

struct seen {
        volatile pid_t pid;
        volatile uintptr_t stack;
};

static int look_around(void *user)
{
        struct seen *seen = user;
        char here;

        seen->pid = getpid();
        seen->stack = (uintptr_t)&here;
        _exit(7);
}

static void child_runs_in_our_memory_on_its_own_stack(void **state)
{
        static uint8_t stack[64 * 1024] __attribute__((aligned(16)));
        struct seen seen = {0};
        struct clone_args args = {
                .exit_signal = SIGCHLD, .stack = (uintptr_t)stack, .stack_size = sizeof(stack)};
        int status;

        (void)state;
        pid_t pid = clone_shared(&args, look_around, &seen);
        if (pid == -ENOSYS)
                skip();
        assert_true(pid > 0);
        assert_int_equal(seen.pid, pid);
        assert_in_range(seen.stack, (uintptr_t)stack, (uintptr_t)stack + sizeof(stack) - 1);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 7);
}

static void refusal_of_the_kernel_is_told_and_nothing_runs(void **state)
{
        static uint8_t stack[4096] __attribute__((aligned(16)));
        struct seen seen = {0};
        struct clone_args args = {.flags = CLONE_NEWNS | CLONE_FS, /* which exclude each other */
                                  .exit_signal = SIGCHLD,
                                  .stack = (uintptr_t)stack,
                                  .stack_size = sizeof(stack)};

        (void)state;
        pid_t pid = clone_shared(&args, look_around, &seen);
        if (pid == -ENOSYS)
                skip();
        assert_int_equal(pid, -EINVAL);
        assert_int_equal(seen.pid, 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(child_runs_in_our_memory_on_its_own_stack),
                cmocka_unit_test(refusal_of_the_kernel_is_told_and_nothing_runs),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
