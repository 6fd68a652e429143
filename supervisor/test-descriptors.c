/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "supervisor/descriptors.h"

#include "lib/base/fd.h"

#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* In a process of its own, with these limits. */
static size_t vsock_share(rlim_t soft, rlim_t hard)
{
        size_t share = 0;
        int fds[2], status;

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                const struct rlimit limit = {.rlim_cur = soft, .rlim_max = hard};
                if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
                        _exit(1);
                share = descriptors_for_vsock();
                _exit(fd_write_full(fds[1], &share, sizeof(share)) < 0);
        }
        close(fds[1]);
        assert_int_equal(fd_read_full(fds[0], &share, sizeof(share)), 0);
        close(fds[0]);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        return share;
}

static void test_connections_of_a_guest_leave_descriptors_to_stop_it(void **state)
{
        (void)state;
        assert_int_equal(vsock_share(1024, 1024), 1024 - 256);
        assert_int_equal(vsock_share(512, 1024), 1024 - 256);
        assert_int_equal(vsock_share(1024, 8192), 4096);
        assert_int_equal(vsock_share(64, 64), 1);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_connections_of_a_guest_leave_descriptors_to_stop_it),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
