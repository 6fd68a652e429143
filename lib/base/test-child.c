/* SPDX-License-Identifier: Apache-2.0 */
/* test-child.c - what a program that we start has, and what it doesn't. */
#include "lib/base/child.h"

#include "lib/base/cleanup.h"
#include "lib/base/fd.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PATIENCE_SECONDS = 20 };

/* Runs a program, with `n` of fds and its standard output on a pipe, and gives what it says there. */
static void run(struct child_spec spec, const struct child_fd *fds, size_t n, char *ret_text, size_t size)
{
        struct child_fd all[8];
        struct child child = CHILD_NONE;
        int out[2], status = -1;
        struct error err = {0};
        size_t at = 0;
        ssize_t got;

        assert_int_equal(pipe2(out, O_CLOEXEC), 0);
        assert_true(n < ARRAY_SIZE(all));
        if (n > 0)
                memcpy(all, fds, n * sizeof(*all));
        all[n] = (struct child_fd){out[1], STDOUT_FILENO};
        spec.fds = all;
        spec.n_fds = n + 1;
        if (child_start(&spec, &child, &err) < 0)
                fail_msg("%s", error_text(&err));
        close(out[1]);
        while ((got = read(out[0], ret_text + at, size - 1 - at)) > 0)
                at += (size_t)got;
        ret_text[at] = '\0';
        assert_int_equal(child_wait(&child, &status), 0);
        assert_int_equal(status, 0);
        close(out[0]);
}

static void program_that_is_missing_is_an_error_of_the_start(void **state)
{
        const char *const argv[] = {"/nonexistent/program", NULL};
        const struct child_spec spec = {.argv = argv, .uid = (uid_t)-1};
        struct child child = CHILD_NONE;
        struct error err = {0};

        (void)state;
        assert_int_equal(child_start(&spec, &child, &err), -ENOENT);
        assert_string_equal(err.text, "start /nonexistent/program: No such file or directory");
        assert_int_equal(child.pid, 0);
}

static void child_gets_the_listed_descriptors_and_no_other(void **state)
{
        /* The list crosses over (a becomes b's number), which a naive row of dup2() gets wrong. */
        const char *const argv[] = {"/bin/sh", "-c", "cat <&3; cat <&4; ls /proc/self/fd | tr '\\n' ' '",
                                    NULL};
        int a[2], b[2], out[2];
        char text[64] = {0};
        struct child child = CHILD_NONE;
        int status = -1;

        (void)state;
        assert_int_equal(pipe2(a, O_CLOEXEC) | pipe2(b, O_CLOEXEC) | pipe2(out, O_CLOEXEC), 0);
        int leak = dup(out[1]);
        assert_int_equal(fd_write_full(a[1], "A", 1) | fd_write_full(b[1], "B", 1), 0);
        const struct child_fd fds[] = {{b[0], 3}, {a[0], 4}, {out[1], 1}};
        const struct child_spec spec = {.argv = argv, .fds = fds, .n_fds = 3, .uid = (uid_t)-1};
        close(a[1]);
        close(b[1]);
        assert_int_equal(child_start(&spec, &child, NULL), 0);
        close(out[1]);
        close(leak);
        assert_int_equal(child_wait(&child, &status), 0);
        assert_int_equal(status, 0);
        assert_true(read(out[0], text, sizeof(text) - 1) > 0);
        /* ls itself opens the folder: one more than we gave. */
        assert_string_equal(text, "BA0 1 2 3 4 5 ");
        close(a[0]);
        close(b[0]);
        close(out[0]);
}

/* The descriptor may be below the pipe's of the start, or above it. */
static void program_behind_a_descriptor_is_not_left_open(void **state)
{
        const char *const argv[] = {"ls", "/proc/self/fd", NULL};
        int lowest = open("/bin/ls", O_RDONLY | O_CLOEXEC);
        const int programs[] = {lowest, fcntl(lowest, F_DUPFD_CLOEXEC, 100)};

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(programs); i++) {
                int out[2], status = -1;
                char text[64] = {0};
                struct child child = CHILD_NONE;

                assert_int_equal(pipe2(out, O_CLOEXEC), 0);
                const struct child_fd fds[] = {{out[1], 1}};
                const struct child_spec spec = {
                        .argv = argv, .program = programs[i], .fds = fds, .n_fds = 1, .uid = (uid_t)-1};
                assert_int_equal(child_start(&spec, &child, NULL), 0);
                close(out[1]);
                assert_int_equal(child_wait(&child, &status), 0);
                assert_int_equal(status, 0);
                assert_true(read(out[0], text, sizeof(text) - 1) > 0);
                assert_string_equal(text, "0\n1\n2\n3\n");
                close(out[0]);
        }
        close(programs[0]);
        close(programs[1]);
}

static void child_does_not_outlive_its_parent(void **state)
{
        int pipe_fds[2];

        (void)state;
        assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
        pid_t middle = fork();
        if (middle == 0) {
                const char *const argv[] = {"/bin/sleep", "1000", NULL};
                const struct child_fd fds[] = {{pipe_fds[1], 1}};
                const struct child_spec spec = {
                        .argv = argv, .fds = fds, .n_fds = 1, .uid = (uid_t)-1, .die_with_parent = true};
                struct child child;
                _exit(child_start(&spec, &child, NULL) == 0 ? 0 : 1);
        }
        int status;
        close(pipe_fds[1]);
        assert_int_equal(waitpid(middle, &status, 0), middle);
        assert_int_equal(status, 0);
        /* The sleeper holds the only writing end: end of file is its death. */
        char byte;
        assert_int_equal(read(pipe_fds[0], &byte, 1), 0);
        close(pipe_fds[0]);
}

/* Every number up to `last` that is free becomes a descriptor that an exec would keep. */
static void fill_up_to(int last)
{
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);

        for (int fd = 3; fd <= last; fd++)
                if (fcntl(fd, F_GETFD) < 0)
                        assert_int_equal(dup2(null, fd), fd);
        close(null);
}

static void close_from_to(int first, int last)
{
        for (int fd = first; fd <= last; fd++)
                close(fd);
}

/* Below the highest target, between what the child keeps for itself until the exec, and far above. */
static void what_others_left_inheritable_is_closed_wherever_it_is(void **state)
{
        const char *const argv[] = {"ls", "/proc/self/fd", NULL};
        enum { FIRST = 30, LAST = 120, FAR = 300 };
        int program = open("/bin/ls", O_RDONLY | O_CLOEXEC);
        const struct child_fd fds[] = {{program, 20}};
        char text[256];

        (void)state;
        fill_up_to(LAST);
        assert_int_equal(dup2(FIRST, FAR), FAR);
        /* Room for the two pipes here, and then for what the child keeps: far from each other. */
        close_from_to(40, 43);
        close(60);
        close(80);
        run((struct child_spec){.argv = argv, .program = program, .uid = (uid_t)-1}, fds, 1, text,
            sizeof(text));
        /* ls itself opens the folder: one more than we gave. */
        assert_string_equal(text, "0\n1\n2\n20\n3\n");
        run((struct child_spec){.argv = argv, .uid = (uid_t)-1}, fds, 1, text, sizeof(text));
        assert_string_equal(text, "0\n1\n2\n20\n3\n");
        close_from_to(FIRST, LAST);
        close(FAR);
        close(program);
}

static void standard_streams_are_there_even_where_we_have_none(void **state)
{
        const char *const argv[] = {"/bin/sh", "-c", "test -e /proc/self/fd/0 -a -e /proc/self/fd/2", NULL};
        const struct child_spec spec = {.argv = argv, .uid = (uid_t)-1};
        int status;

        (void)state;
        pid_t middle = fork();
        if (middle == 0) {
                struct child child = CHILD_NONE;
                close(0);
                close(1);
                close(2);
                int r = child_start(&spec, &child, NULL);
                _exit(r == 0 && child_wait(&child, &status) == 0 && status == 0 ? 0 : 1);
        }
        assert_int_equal(waitpid(middle, &status, 0), middle);
        assert_int_equal(status, 0);
}

static void path_environment_and_session_are_those_of_the_order(void **state)
{
        /* The sixth field of stat is the session's number. */
        static const char script[] = "read -r a b c d e session rest </proc/$$/stat; "
                                     "echo \"$0 $GIVEN ${HOME-none} $((session == $$))\"";
        const char *const argv[] = {"other-name", "-c", script, "zero", NULL};
        const char *const env[] = {"GIVEN=value", NULL};
        char text[64];

        (void)state;
        setenv("HOME", "/home", 1);
        run(
                (struct child_spec){
                        .path = "/bin/sh", .argv = argv, .env = env, .uid = (uid_t)-1, .new_session = true},
                NULL, 0, text, sizeof(text));
        assert_string_equal(text, "zero value none 1\n");
        run((struct child_spec){.path = "/bin/sh", .argv = argv, .uid = (uid_t)-1}, NULL, 0, text,
            sizeof(text));
        assert_string_equal(text, "zero  /home 0\n");
}

/* Lines of status(5), in the file's order. */
static void signals_are_as_at_the_start_of_a_system(void **state)
{
        const char *const argv[] = {"grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status", NULL};
        const struct sigaction ignore = {.sa_handler = SIG_IGN};
        struct sigaction old;
        sigset_t usr1, before;
        char text[128];

        (void)state;
        sigemptyset(&usr1);
        sigaddset(&usr1, SIGUSR1);
        assert_int_equal(sigprocmask(SIG_BLOCK, &usr1, &before), 0);
        assert_int_equal(sigaction(SIGPIPE, &ignore, &old), 0);
        run((struct child_spec){.argv = argv, .uid = (uid_t)-1}, NULL, 0, text, sizeof(text));
        assert_int_equal(sigaction(SIGPIPE, &old, NULL), 0);
        assert_int_equal(sigprocmask(SIG_SETMASK, &before, NULL), 0);
        assert_string_equal(text, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
}

static void another_user_has_that_users_ids_and_groups_and_no_other(void **state)
{
        const char *const argv[] = {"grep", "-E", "^(Uid|Gid|Groups)", "/proc/self/status", NULL};
        const gid_t groups[] = {65531, 65532};
        struct child_spec spec = {
                .argv = argv, .uid = 65533, .gid = 65534, .groups = groups, .n_groups = ARRAY_SIZE(groups)};
        char text[256];

        (void)state;
        if (getuid() != 0)
                skip(); /* takes root */
        run(spec, NULL, 0, text, sizeof(text));
        assert_string_equal(text, "Uid:\t65533\t65533\t65533\t65533\n"
                                  "Gid:\t65534\t65534\t65534\t65534\n"
                                  "Groups:\t65531 65532 \n");
        spec.n_groups = 0;
        run(spec, NULL, 0, text, sizeof(text));
        assert_non_null(strstr(text, "Groups:\t \n"));
}

/* Where the user changes, too: that takes the request back. */
static void other_users_child_does_not_outlive_its_parent(void **state)
{
        int pipe_fds[2], status;
        char byte;

        (void)state;
        if (getuid() != 0)
                skip(); /* takes root */
        assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
        pid_t middle = fork();
        if (middle == 0) {
                const char *const argv[] = {"/bin/sleep", "1000", NULL};
                const struct child_fd fds[] = {{pipe_fds[1], 1}};
                const struct child_spec spec = {.argv = argv,
                                                .fds = fds,
                                                .n_fds = 1,
                                                .uid = 65533,
                                                .gid = 65533,
                                                .die_with_parent = true};
                struct child child;
                _exit(child_start(&spec, &child, NULL) == 0 ? 0 : 1);
        }
        close(pipe_fds[1]);
        assert_int_equal(waitpid(middle, &status, 0), middle);
        assert_int_equal(status, 0);
        alarm(PATIENCE_SECONDS);
        assert_int_equal(read(pipe_fds[0], &byte, 1), 0);
        alarm(0);
        close(pipe_fds[0]);
}

static int refuse(void *user)
{
        return *(const int *)user;
}

static void confinement_that_fails_is_an_error_of_the_start(void **state)
{
        const char *const argv[] = {"/bin/true", NULL};
        int code = -EXDEV;
        const struct child_spec spec = {
                .argv = argv, .uid = (uid_t)-1, .confine = refuse, .confine_user = &code};
        struct child child = CHILD_NONE;

        (void)state;
        assert_int_equal(child_start(&spec, &child, NULL), -EXDEV);
        assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* nothing is left to be reaped */
}

static void a_child_that_is_killed_is_gone_with_its_descriptor(void **state)
{
        const char *const argv[] = {"/bin/sleep", "1000", NULL};
        const struct child_spec spec = {.argv = argv, .uid = (uid_t)-1};
        struct child child = CHILD_NONE;
        int status;

        (void)state;
        assert_int_equal(child_start(&spec, &child, NULL), 0);
        int pidfd = child.pidfd;
        assert_true(fcntl(pidfd, F_GETFD) & FD_CLOEXEC);
        alarm(PATIENCE_SECONDS);
        child_kill(&child);
        alarm(0);
        assert_int_equal(child.pid, 0);
        assert_int_equal(fcntl(pidfd, F_GETFD), -1);
        assert_int_equal(child_wait(&child, &status), -ECHILD);
        child_kill(&child);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(program_that_is_missing_is_an_error_of_the_start),
                cmocka_unit_test(child_gets_the_listed_descriptors_and_no_other),
                cmocka_unit_test(program_behind_a_descriptor_is_not_left_open),
                cmocka_unit_test(what_others_left_inheritable_is_closed_wherever_it_is),
                cmocka_unit_test(standard_streams_are_there_even_where_we_have_none),
                cmocka_unit_test(path_environment_and_session_are_those_of_the_order),
                cmocka_unit_test(signals_are_as_at_the_start_of_a_system),
                cmocka_unit_test(another_user_has_that_users_ids_and_groups_and_no_other),
                cmocka_unit_test(child_does_not_outlive_its_parent),
                cmocka_unit_test(other_users_child_does_not_outlive_its_parent),
                cmocka_unit_test(confinement_that_fails_is_an_error_of_the_start),
                cmocka_unit_test(a_child_that_is_killed_is_gone_with_its_descriptor),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
