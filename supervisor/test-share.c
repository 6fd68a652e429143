/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "supervisor/share.h"

#include "lib/base/file.h"
#include "lib/base/path.h"
#include "lib/base/text.h"

#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* A CPU that this process may run on. */
static unsigned own_cpu(void)
{
        cpu_set_t set;
        unsigned cpu = 0;

        assert_int_equal(sched_getaffinity(0, sizeof(set), &set), 0);
        while (!CPU_ISSET(cpu, &set))
                cpu++;
        return cpu;
}

/* What the child got: 0 where it runs on CPU `expected` alone. */
static int take(const char *folder, unsigned cpus, unsigned expected)
{
        const struct enclave_info info = {.mem_mib = 1, .cpus = cpus};
        struct pool_share share;
        struct error err = {0};
        cpu_set_t set;

        if (share_take(folder, &info, &share, &err) < 0)
                return strstr(error_text(&err), "cpu_list names CPUs that aren't online") ? 1 : 2;
        return share.pinned && sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_COUNT(&set) == 1 &&
                               CPU_ISSET(expected, &set)
                       ? 0
                       : 3;
}

static int take_in_child(const char *folder, unsigned cpus, unsigned expected)
{
        int status = -1;
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid == 0)
                _exit(take(folder, cpus, expected));
        assert_int_equal(waitpid(pid, &status, 0), pid);
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* The kernel takes a set with CPUs that it can't give, and leaves those out. */
static void test_an_enclave_has_all_its_cpus_or_does_not_start(void **state)
{
        char folder[] = "/tmp/test-share-XXXXXX";
        unsigned cpu = own_cpu();

        (void)state;
        assert_non_null(mkdtemp(folder));
        cleanup_free char *path = string_printf("%s/" LIMITS_FILE, folder);
        cleanup_free char *text = string_printf("cpu_list = %u,1023\n", cpu);
        assert_int_equal(file_write_atomic(AT_FDCWD, path, view_of_string(text), 0644, NULL), 0);
        assert_int_equal(take_in_child(folder, 1, cpu), 0);
        assert_int_equal(take_in_child(folder, 2, cpu), 1);
        assert_int_equal(path_remove_tree(AT_FDCWD, folder, NULL), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_an_enclave_has_all_its_cpus_or_does_not_start),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
