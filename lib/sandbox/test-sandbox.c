/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/sandbox/sandbox.h"

#include "lib/base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Exit status of a child whose kernel lacks the facility. */
enum { LACKING = 77 };

/* Runs it in a process of its own. */
static int in_child(int (*test)(void))
{
        int status = -1;
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid == 0)
                _exit(test());
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        return WEXITSTATUS(status);
}

static bool can_open(const char *path, int flags)
{
        int fd = open(path, flags | O_CLOEXEC, 0600);

        if (fd >= 0)
                close(fd);
        return fd >= 0;
}

static char folder[] = "/tmp/test-sandbox-XXXXXX";
static char file[64];
static char own[64];

static int restricted_files(void)
{
        int kept = open("/etc/hostname", O_RDONLY | O_CLOEXEC);

        const struct sandbox_path paths[] = {
                {.path = "/usr", .execute = true},       {.path = "/nonexistent"},
                {.path = "/dev/null", .write = true},    {.path = own, .manage = true},
                {.fd = kept >= 0 ? kept : STDIN_FILENO},
        };
        int r = sandbox_restrict_files(paths, ARRAY_SIZE(paths) - (kept < 0));
        if (r == -ENOSYS || r == -EOPNOTSUPP)
                return LACKING;
        if (r < 0)
                return 3;
        char made[96], renamed[96];
        snprintf(made, sizeof(made), "%s/made", own);
        snprintf(renamed, sizeof(renamed), "%s/renamed", own);
        if (!can_open(made, O_WRONLY | O_CREAT) || rename(made, renamed) < 0 || unlink(renamed) < 0)
                return 9;
        if (rmdir(own) == 0 || mknod(made, S_IFCHR | 0600, 0) == 0)
                return 10;
        if (can_open(file, O_RDONLY) || can_open(file, O_WRONLY) || unlink(file) == 0 || rmdir(folder) == 0)
                return 4;
        if (can_open("/etc/passwd", O_RDONLY) || can_open("/root", O_RDONLY | O_DIRECTORY))
                return 5;
        if (!can_open("/usr", O_RDONLY | O_DIRECTORY) || can_open("/usr/new", O_WRONLY | O_CREAT))
                return 6;
        if (!can_open("/dev/null", O_RDWR))
                return 7;
        if (kept >= 0 && !can_open("/etc/hostname", O_RDONLY))
                return 8;
        return 0;
}

/* What can't be restricted, or can't be had, is no reason to go without the rest. */
static int odd_paths(void)
{
        char pipe_path[64], long_path[5000];
        int pipe_fds[2];

        if (pipe2(pipe_fds, O_CLOEXEC) < 0)
                return 1;
        (void)snprintf(pipe_path, sizeof(pipe_path), "/proc/self/fd/%d", pipe_fds[0]);
        memset(long_path, 'x', sizeof(long_path) - 1);
        long_path[sizeof(long_path) - 1] = '\0';
        const struct sandbox_path paths[] = {
                {.path = pipe_path}, {.path = "/etc/passwd/x"}, {.path = long_path}, {.path = "/usr"}};
        int r = sandbox_restrict_files(paths, ARRAY_SIZE(paths));
        if (r == -ENOSYS || r == -EOPNOTSUPP)
                return LACKING;
        if (r < 0)
                return 2;
        if (!can_open(pipe_path, O_RDONLY | O_NONBLOCK) || !can_open("/usr", O_RDONLY))
                return 3;
        return can_open("/etc/passwd", O_RDONLY) ? 4 : 0;
}

static void paths_that_cannot_be_listed_are_left_out(void **state)
{
        (void)state;
        int result = in_child(odd_paths);
        if (result == LACKING)
                skip();
        assert_int_equal(result, 0);
}

static int restricted_writes(void)
{
        const struct sandbox_path paths[] = {{.path = own, .manage = true},
                                             {.path = "/dev/null", .write = true}};
        char made[96];
        int r = sandbox_restrict_writes(paths, ARRAY_SIZE(paths));

        if (r == -ENOSYS || r == -EOPNOTSUPP)
                return LACKING;
        if (r < 0)
                return 1;
        snprintf(made, sizeof(made), "%s/made", own);
        if (!can_open(made, O_WRONLY | O_CREAT) || unlink(made) < 0 || !can_open("/dev/null", O_RDWR))
                return 2;
        if (!can_open(file, O_RDONLY) || !can_open("/etc/passwd", O_RDONLY))
                return 3;
        return can_open(file, O_WRONLY) || unlink(file) == 0 ? 4 : 0;
}

static void only_listed_files_can_be_opened(void **state)
{
        (void)state;
        assert_non_null(mkdtemp(folder));
        snprintf(file, sizeof(file), "%s/file", folder);
        assert_true(can_open(file, O_WRONLY | O_CREAT));
        snprintf(own, sizeof(own), "%s/own", folder);
        assert_int_equal(mkdir(own, 0700), 0);
        int result = in_child(restricted_files), writes = in_child(restricted_writes);
        assert_int_equal(rmdir(own), 0);
        assert_int_equal(unlink(file), 0);
        assert_int_equal(rmdir(folder), 0);
        if (result == LACKING)
                skip();
        assert_int_equal(result, 0);
        assert_int_equal(writes, 0);
}

static int denied_calls(void)
{
        int r = sandbox_deny_calls();
        int pair[2];

        if (r == -ENOSYS || r == -EINVAL)
                return LACKING;
        if (r < 0)
                return 1;
        if (socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0) >= 0 || errno != EPERM)
                return 2;
        if (socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0) >= 0 || errno != EPERM)
                return 3;
        if (syscall(SYS_ptrace, 0, 0, 0, 0) >= 0 || errno != EPERM)
                return 4;
        if (syscall(SYS_process_vm_readv, getppid(), NULL, 0, NULL, 0, 0) >= 0 || errno != EPERM)
                return 5;
        if (syscall(SYS_open_by_handle_at, -1, NULL, 0) >= 0 || errno != EPERM)
                return 6;
        /* What isn't in the list works. */
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0 || getppid() <= 0)
                return 7;
        return 0;
}

static int allowed_calls(void)
{
        const struct sandbox_call calls[] = {
                {.number = SYS_socket, .only_with = AF_UNIX},
                {.number = SYS_close},
                {.number = SYS_getppid},
                {.number = SYS_exit_group},
        };
        int r = sandbox_allow_calls(calls, ARRAY_SIZE(calls));

        if (r == -ENOSYS || r == -EINVAL)
                return LACKING;
        if (r < 0)
                return 1;
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0 || close(fd) < 0 || getppid() <= 0)
                return 2;
        if (socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) >= 0 || errno != EPERM)
                return 3;
        if (syscall(SYS_openat, AT_FDCWD, "/etc/passwd", O_RDONLY | O_CLOEXEC) >= 0 || errno != EPERM)
                return 4;
        if (syscall(SYS_clone3, NULL, 0) >= 0 || errno != ENOSYS)
                return 5;
        return syscall(SYS_execve, "/bin/true", NULL, NULL) >= 0 || errno != EPERM ? 6 : 0;
}

static void only_listed_calls_work_and_only_with_their_argument(void **state)
{
        (void)state;
        int result = in_child(allowed_calls);
        if (result == LACKING)
                skip();
        assert_int_equal(result, 0);
}

static int namespaces(void)
{
        if (sandbox_deny_calls() < 0)
                return LACKING;
        if (syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0) >= 0 || errno != EPERM)
                return 1;
        if (unshare(CLONE_NEWUSER) == 0 || errno != EPERM)
                return 2;
        pid_t pid = fork(); /* plain processes and threads are still made */
        if (pid == 0)
                _exit(0);
        return pid < 0 || waitpid(pid, NULL, 0) != pid ? 3 : 0;
}

static void no_namespace_is_made_by_any_call(void **state)
{
        (void)state;
        int result = in_child(namespaces);
        if (result == LACKING)
                skip();
        assert_int_equal(result, 0);
}

static void sockets_and_other_processes_are_out_of_reach(void **state)
{
        (void)state;
        int result = in_child(denied_calls);
        if (result == LACKING)
                skip();
        assert_int_equal(result, 0);
}

static int signals(void)
{
        int r = sandbox_restrict_signals();

        if (r == -ENOSYS || r == -EOPNOTSUPP)
                return LACKING;
        return r < 0 || kill(getppid(), 0) == 0 || kill(getpid(), 0) < 0;
}

static void others_cannot_be_signalled(void **state)
{
        (void)state;
        int result = in_child(signals);
        if (result == LACKING)
                skip();
        assert_int_equal(result, 0);
}

static int capabilities(void)
{
        enum { KILL = 5 };

        if (geteuid() != 0)
                return LACKING;
        if (sandbox_keep_capabilities(UINT64_C(1) << KILL) < 0)
                return 1;
        return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1 || chroot("/") == 0;
}

static void capabilities_are_given_up(void **state)
{
        (void)state;
        int result = in_child(capabilities);
        if (result == LACKING)
                skip();
        assert_int_equal(result, 0);
}

#ifdef __x86_64__
static int second_names(void)
{
        if (sandbox_deny_calls() < 0)
                return LACKING;
        /* x32's number of getpid(). */
        return syscall(0x40000000 | SYS_getpid) >= 0 || errno != EPERM;
}

static void calls_have_no_second_name(void **state)
{
        (void)state;
        int result = in_child(second_names);
        if (result == LACKING)
                skip();
        assert_int_equal(result, 0);
}
#endif

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(only_listed_files_can_be_opened),
                cmocka_unit_test(paths_that_cannot_be_listed_are_left_out),
                cmocka_unit_test(sockets_and_other_processes_are_out_of_reach),
                cmocka_unit_test(only_listed_calls_work_and_only_with_their_argument),
                cmocka_unit_test(no_namespace_is_made_by_any_call),
                cmocka_unit_test(others_cannot_be_signalled),
                cmocka_unit_test(capabilities_are_given_up),
#ifdef __x86_64__
                cmocka_unit_test(calls_have_no_second_name),
#endif
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
