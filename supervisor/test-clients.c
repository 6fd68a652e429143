/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test-clients.c - the control socket, when many come.  It is served by a child process, which ends when it
 * is asked to stop.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "supervisor/clients.h"

#include "lib/base/fd.h"
#include "lib/base/path.h"
#include "lib/base/unix-socket.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MANY = 64, PATIENCE_MS = 20000, STRANGER = 54321 };

struct fixture {
        char folder[64];
        int dirfd;
        pid_t pid;
        int fds[MANY];
};

static void on_stop(uint32_t grace_ms, void *user)
{
        (void)grace_ms;
        loop_quit(user, 0);
}

/* Says on ready_fd that it listens. */
static int serve(int dirfd, int ready_fd)
{
        const struct enclave_info info = {
                .cid = 4, .cpus = 1, .mem_mib = 1, .state = ENCLAVE_EXITED, .exit_status = 0};
        struct loop *loop = NULL;
        struct clients *clients = NULL;

        if (loop_new(&loop, NULL) < 0)
                return 1;
        const struct clients_options options = {.entry_dirfd = dirfd, .stop = on_stop, .user = loop};
        if (clients_new(loop, &options, &clients, NULL) < 0 || write(ready_fd, "", 1) != 1 ||
            loop_run(loop) < 0)
                return 1;
        clients_finish(clients, &info);
        clients_free(clients);
        loop_free(loop);
        return 0;
}

static int set_up(void **state)
{
        struct fixture *f = calloc(1, sizeof(*f));
        int ready[2];
        char byte;

        snprintf(f->folder, sizeof(f->folder), "/tmp/test-clients-XXXXXX");
        assert_non_null(mkdtemp(f->folder));
        f->dirfd = open(f->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(f->dirfd >= 0);
        assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
        f->pid = fork();
        assert_true(f->pid >= 0);
        if (f->pid == 0)
                _exit(serve(f->dirfd, ready[1]));
        assert_int_equal(fd_read_full(ready[0], &byte, 1), 0);
        close(ready[0]);
        close(ready[1]);
        for (size_t i = 0; i < MANY; i++)
                f->fds[i] = -1;
        *state = f;
        return 0;
}

static int tear_down(void **state)
{
        struct fixture *f = *state;
        int status = -1;

        for (size_t i = 0; i < MANY; i++)
                fd_close_p(&f->fds[i]);
        assert_int_equal(waitpid(f->pid, &status, 0), f->pid);
        assert_int_equal(status, 0);
        close(f->dirfd);
        assert_int_equal(path_remove_tree(AT_FDCWD, f->folder, NULL), 0);
        free(f);
        return 0;
}

static int dial(struct fixture *f)
{
        int fd = -1;

        assert_int_equal(unix_socket_connect_wait(f->dirfd, CONTROL_SOCKET, PATIENCE_MS, &fd, NULL), 0);
        return fd;
}

static int ask(struct fixture *f, enum control_op op)
{
        const struct control_request request = {.op = op, .signal = 15};
        cleanup_buf struct buf line = buf_with_max(CONTROL_REQUEST_MAX);
        int fd = dial(f);

        assert_int_equal(control_append_request(&request, &line), 0);
        assert_int_equal(fd_write_full(fd, line.p, line.n), 0);
        return fd;
}

/* Its code. */
static int answer_to(int fd)
{
        cleanup_buf struct buf line = buf_with_max(CONTROL_LINE_MAX);
        struct pollfd fds = {.fd = fd, .events = POLLIN};
        struct control_reply reply;
        uint8_t byte = 0;

        while (byte != '\n') {
                assert_int_equal(poll(&fds, 1, PATIENCE_MS), 1);
                assert_int_equal(read(fd, &byte, 1), 1);
                assert_int_equal(buf_append_byte(&line, byte), 0);
        }
        assert_int_equal(control_decode_reply(view_of(line.p, line.n - 1), &reply, NULL), 0);
        return reply.code;
}

static void test_not_so_many_can_wait_that_nobody_can_stop(void **state)
{
        struct fixture *f = *state;

        for (size_t i = 0; i < MANY; i++)
                f->fds[i] = ask(f, CONTROL_WAIT);
        assert_int_equal(answer_to(f->fds[MANY - 1]), -EBUSY);
        cleanup_fd int stopper = ask(f, CONTROL_STOP);
        assert_int_equal(answer_to(stopper), 0);
        assert_int_equal(answer_to(f->fds[0]), 0);
}

static void test_who_says_nothing_gives_way_to_who_comes(void **state)
{
        struct fixture *f = *state;

        for (size_t i = 0; i < MANY; i++)
                f->fds[i] = dial(f);
        cleanup_fd int stopper = ask(f, CONTROL_STOP);
        assert_int_equal(answer_to(stopper), 0);
        assert_int_equal(answer_to(f->fds[0]), -ETIMEDOUT);
}

static void test_request_without_an_end_is_refused_at_its_limit(void **state)
{
        struct fixture *f = *state;
        char line[CONTROL_REQUEST_MAX];

        memset(line, ' ', sizeof(line));
        f->fds[0] = dial(f);
        assert_int_equal(fd_write_full(f->fds[0], line, sizeof(line)), 0);
        assert_int_equal(answer_to(f->fds[0]), -EBADMSG);
        cleanup_fd int stopper = ask(f, CONTROL_STOP);
        assert_int_equal(answer_to(stopper), 0);
}

static void test_request_for_leashes_is_refused(void **state)
{
        struct fixture *f = *state;

        f->fds[0] = ask(f, CONTROL_SIGNAL);
        assert_int_equal(answer_to(f->fds[0]), -EBADMSG);
        cleanup_fd int stopper = ask(f, CONTROL_STOP);
        assert_int_equal(answer_to(stopper), 0);
}

static void test_what_stands_behind_a_request_is_nothing(void **state)
{
        struct fixture *f = *state;
        char nonsense[3 * CONTROL_REQUEST_MAX];

        f->fds[0] = ask(f, CONTROL_WAIT);
        /* The answer to a later client says that the earlier one was heard. */
        f->fds[1] = ask(f, CONTROL_SIGNAL);
        assert_int_equal(answer_to(f->fds[1]), -EBADMSG);
        memset(nonsense, 'x', sizeof(nonsense));
        assert_int_equal(fd_write_full(f->fds[0], nonsense, sizeof(nonsense)), 0);
        f->fds[2] = ask(f, CONTROL_SIGNAL);
        assert_int_equal(answer_to(f->fds[2]), -EBADMSG);
        cleanup_fd int stopper = ask(f, CONTROL_STOP);
        assert_int_equal(answer_to(stopper), 0);
        assert_int_equal(answer_to(f->fds[0]), 0);
}

/* 0 where it was hung up on without a word. */
static int ask_as_a_stranger(struct fixture *f)
{
        static const char stop[] = "{\"op\":\"stop\"}\n";
        int fd = -1;
        char byte;

        if (setresgid(STRANGER, STRANGER, STRANGER) < 0 || setresuid(STRANGER, STRANGER, STRANGER) < 0 ||
            unix_socket_connect_wait(f->dirfd, CONTROL_SOCKET, PATIENCE_MS, &fd, NULL) < 0)
                return 1;
        (void)!write(fd, stop, sizeof(stop) - 1);
        ssize_t n = read(fd, &byte, 1);
        return n == 0 || (n < 0 && errno == ECONNRESET) ? 0 : 2;
}

/* Even where the modes let him in. */
static void test_another_user_is_hung_up_on(void **state)
{
        struct fixture *f = *state;
        int status = -1;

        if (geteuid() == 0) {
                assert_int_equal(fchmod(f->dirfd, 0755), 0);
                assert_int_equal(fchmodat(f->dirfd, CONTROL_SOCKET, 0666, 0), 0);
                pid_t pid = fork();
                assert_true(pid >= 0);
                if (pid == 0)
                        _exit(ask_as_a_stranger(f));
                assert_int_equal(waitpid(pid, &status, 0), pid);
                assert_int_equal(status, 0);
        }
        cleanup_fd int stopper = ask(f, CONTROL_STOP);
        assert_int_equal(answer_to(stopper), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_not_so_many_can_wait_that_nobody_can_stop, set_up,
                                                tear_down),
                cmocka_unit_test_setup_teardown(test_who_says_nothing_gives_way_to_who_comes, set_up,
                                                tear_down),
                cmocka_unit_test_setup_teardown(test_request_without_an_end_is_refused_at_its_limit, set_up,
                                                tear_down),
                cmocka_unit_test_setup_teardown(test_request_for_leashes_is_refused, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_what_stands_behind_a_request_is_nothing, set_up,
                                                tear_down),
                cmocka_unit_test_setup_teardown(test_another_user_is_hung_up_on, set_up, tear_down),
        };
        struct sigaction ignore = {.sa_handler = SIG_IGN};
        (void)sigaction(SIGPIPE, &ignore, NULL);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
