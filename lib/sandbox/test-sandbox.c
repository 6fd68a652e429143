/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/sandbox/sandbox.h"

#include "lib/base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
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

/* The version of this kernel's Landlock, 0 where it has none. */
static long landlock_version(void)
{
        long version = syscall(SYS_landlock_create_ruleset, NULL, 0, 1);

        return version < 0 ? 0 : version;
}

/* What execve(2) says: 0 or its errno. */
static int run_program(const char *path)
{
        char name[] = "true";
        char *argv[] = {name, NULL};
        int status = -1;
        pid_t pid = fork();

        if (pid == 0) {
                (void)execv(path, argv);
                _exit(errno);
        }
        return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static bool can_use_tcp(void)
{
        const struct sockaddr_in local = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        bool can = bind(fd, (const struct sockaddr *)&local, sizeof(local)) == 0 || errno != EACCES;

        can = connect(fd, (const struct sockaddr *)&local, sizeof(local)) == 0 || errno != EACCES || can;
        close(fd);
        return can;
}

static char folder[] = "/tmp/test-sandbox-XXXXXX";
static char file[64];
static char own[64];
static char program[64];

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
        if (landlock_version() >= 3 && truncate(file, 0) == 0)
                return 11;
        if (landlock_version() >= 4 && can_use_tcp())
                return 12;
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

/* Where files can only be read, or managed, none is run. */
static int restricted_programs(void)
{
        const struct sandbox_path paths[] = {
                {.path = "/usr", .execute = true}, {.path = folder}, {.path = own, .manage = true}};
        char managed[96];

        snprintf(managed, sizeof(managed), "%s/program", own);
        if (link(program, managed) < 0 || run_program(program) != 0 || run_program(managed) != 0)
                return 1;
        int r = sandbox_restrict_files(paths, ARRAY_SIZE(paths));
        if (r == -ENOSYS || r == -EOPNOTSUPP)
                return LACKING;
        bool good = r == 0 && run_program(program) == EACCES && run_program(managed) == EACCES &&
                    run_program("/usr/bin/true") == 0 && can_open(program, O_RDONLY);
        return unlink(managed) < 0 || !good ? 2 : 0;
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

/* A copy, whose own folder decides about it. */
static void copy_program(void)
{
        static char bytes[1 << 20];
        cleanup_fd int from = open("/usr/bin/true", O_RDONLY | O_CLOEXEC);
        cleanup_fd int to = open(program, O_WRONLY | O_CREAT | O_CLOEXEC, 0700);
        ssize_t n = read(from, bytes, sizeof(bytes));

        assert_true(n > 0);
        assert_int_equal(write(to, bytes, (size_t)n), n);
}

static void only_listed_files_can_be_opened(void **state)
{
        (void)state;
        assert_non_null(mkdtemp(folder));
        snprintf(file, sizeof(file), "%s/file", folder);
        assert_true(can_open(file, O_WRONLY | O_CREAT));
        snprintf(own, sizeof(own), "%s/own", folder);
        assert_int_equal(mkdir(own, 0700), 0);
        snprintf(program, sizeof(program), "%s/program", folder);
        copy_program();
        int result = in_child(restricted_files), writes = in_child(restricted_writes);
        int programs = in_child(restricted_programs);
        assert_int_equal(rmdir(own), 0);
        assert_int_equal(unlink(file), 0);
        assert_int_equal(unlink(program), 0);
        assert_int_equal(rmdir(folder), 0);
        if (result == LACKING)
                skip();
        assert_int_equal(result, 0);
        assert_int_equal(writes, 0);
        assert_int_equal(programs, 0);
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
                {.number = SYS_fcntl, .argument = 1, .only_with = F_GETFD},
        };
        int r = sandbox_allow_calls(calls, ARRAY_SIZE(calls));

        if (r == -ENOSYS || r == -EINVAL)
                return LACKING;
        if (r < 0)
                return 1;
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0 || fcntl(fd, F_GETFD) < 0 || fcntl(fd, F_GETFL) >= 0 || close(fd) < 0 || getppid() <= 0)
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
        static const unsigned flags[] = {CLONE_NEWNS,  CLONE_NEWUTS, CLONE_NEWIPC,   CLONE_NEWUSER,
                                         CLONE_NEWPID, CLONE_NEWNET, CLONE_NEWCGROUP};

        if (sandbox_deny_calls() < 0)
                return LACKING;
        for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
                long made = syscall(SYS_clone, flags[i] | SIGCHLD, 0, 0, 0, 0);
                if (made == 0)
                        _exit(0);
                if (made > 0 || errno != EPERM)
                        return 1;
        }
        if (syscall(SYS_clone3, NULL, 0) >= 0 || errno != ENOSYS)
                return 4;
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

/* With arguments that all of them refuse, but not with EPERM. */
static int needless_calls(void)
{
        static const unsigned calls[] = {SYS_bpf,
                                         SYS_io_uring_setup,
                                         SYS_perf_event_open,
                                         SYS_userfaultfd,
                                         SYS_keyctl,
                                         SYS_add_key,
                                         SYS_request_key,
                                         SYS_setns,
                                         SYS_mount,
                                         SYS_move_mount,
                                         SYS_open_tree,
                                         SYS_fsopen,
                                         SYS_fspick,
                                         SYS_fsmount,
                                         SYS_init_module,
                                         SYS_kexec_load,
                                         SYS_kexec_file_load,
                                         SYS_pidfd_getfd,
                                         SYS_process_vm_writev};

        if (sandbox_deny_kernel_calls() < 0)
                return LACKING;
        for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
                if (syscall(calls[i], -1, 0, 0, -1, 0, 0) >= 0 || errno != EPERM)
                        return 1 + (int)i;
        }
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        return fd < 0 || close(fd) < 0 ? 100 : 0;
}

static void what_no_machine_needs_fails(void **state)
{
        (void)state;
        int result = in_child(needless_calls);
        if (result == LACKING)
                skip();
        assert_int_equal(result, 0);
}

static int too_many_calls(void)
{
        static struct sandbox_call calls[SANDBOX_CALLS_MAX + 1];

        if (sandbox_allow_calls(calls, SANDBOX_CALLS_MAX + 1) != -E2BIG)
                return 1;
        for (size_t i = 0; i < SANDBOX_CALLS_MAX; i++)
                calls[i] = (struct sandbox_call){.number = SYS_exit_group};
        int r = sandbox_allow_calls(calls, SANDBOX_CALLS_MAX);
        return r == -ENOSYS || r == -EINVAL ? LACKING : r < 0 ? 2 : 0;
}

static void more_calls_than_fit_are_refused(void **state)
{
        (void)state;
        int result = in_child(too_many_calls);
        if (result == LACKING)
                skip();
        assert_int_equal(result, 0);
}

/* Returns what socket(2) says once a byte has come. */
static void *use_a_socket(void *user)
{
        static int result;
        char byte;

        result = read(*(int *)user, &byte, 1) == 1 && socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0) < 0
                         ? errno
                         : 0;
        return &result;
}

static int threads(void)
{
        pthread_t thread = 0;
        void *result = NULL;
        int fds[2];

        if (pipe2(fds, O_CLOEXEC) < 0 || pthread_create(&thread, NULL, use_a_socket, &fds[0]) != 0)
                return 1;
        if (sandbox_deny_calls() < 0)
                return LACKING;
        if (write(fds[1], "", 1) != 1 || pthread_join(thread, &result) != 0)
                return 2;
        return *(int *)result == EPERM ? 0 : 3;
}

static void threads_that_run_already_are_restricted_too(void **state)
{
        (void)state;
        int result = in_child(threads);
        if (result == LACKING)
                skip();
        assert_int_equal(result, 0);
}

static int signals(void)
{
        const struct sockaddr_un abstract = {.sun_family = AF_UNIX, .sun_path = "\0test-sandbox"};
        int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        if (bind(listener, (const struct sockaddr *)&abstract, sizeof(abstract)) < 0 ||
            listen(listener, 1) < 0)
                return 2;
        int r = sandbox_restrict_signals();
        if (r == -ENOSYS || r == -EOPNOTSUPP)
                return LACKING;
        /* That socket was made before, and so by somebody else. */
        if (connect(fd, (const struct sockaddr *)&abstract, sizeof(abstract)) == 0 || errno != EPERM)
                return 3;
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
        struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
        struct __user_cap_data_struct has[_LINUX_CAPABILITY_U32S_3];
        const uint32_t kill_only = UINT32_C(1) << CAP_KILL;

        if (geteuid() != 0)
                return LACKING;
        if (sandbox_keep_capabilities(UINT64_C(1) << CAP_KILL) < 0)
                return 1;
        if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1 || chroot("/") == 0)
                return 2;
        if (syscall(SYS_capget, &header, has) < 0 || has[0].effective != kill_only ||
            has[0].permitted != kill_only || has[0].inheritable != 0 || has[1].effective != 0 ||
            has[1].permitted != 0)
                return 3;
        /* What was given up before is no error. */
        return sandbox_keep_capabilities(UINT64_C(1) << CAP_SYS_ADMIN) < 0 ? 4 : 0;
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
/* getpid() by its 32-bit number and way. */
static long old_getpid(void)
{
        long result;

        __asm__ volatile("int $0x80" : "=a"(result) : "a"(20) : "memory", "r8", "r9", "r10", "r11");
        return result;
}

static int plain_old_calls(void)
{
        const struct sigaction plain = {.sa_handler = SIG_DFL};

        /* What a kernel without them sends, for cmocka has a handler. */
        if (sigaction(SIGSEGV, &plain, NULL) < 0)
                return 2;
        return old_getpid() == getpid() ? 0 : 1;
}

static int old_calls(void)
{
        if (sandbox_deny_calls() < 0)
                return LACKING;
        return old_getpid() == -EPERM ? 0 : 1;
}

static void calls_of_another_architecture_fail(void **state)
{
        int status = -1;
        pid_t pid = fork();

        (void)state;
        if (pid == 0)
                _exit(plain_old_calls());
        assert_int_equal(waitpid(pid, &status, 0), pid);
        if (status != 0)
                skip(); /* a kernel without */
        int result = in_child(old_calls);
        if (result == LACKING)
                skip();
        assert_int_equal(result, 0);
}

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
                cmocka_unit_test(what_no_machine_needs_fails),
                cmocka_unit_test(more_calls_than_fit_are_refused),
                cmocka_unit_test(threads_that_run_already_are_restricted_too),
                cmocka_unit_test(others_cannot_be_signalled),
                cmocka_unit_test(capabilities_are_given_up),
#ifdef __x86_64__
                cmocka_unit_test(calls_have_no_second_name),
                cmocka_unit_test(calls_of_another_architecture_fail),
#endif
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
