/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/loop.h"

#include "lib/base/fd.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/time.h>
#include <unistd.h>

struct two_sources {
        struct loop *loop;
        struct loop_source *sources[2];
        int calls;
};

static int remove_the_other(struct loop_source *source, int fd, uint32_t events, void *user)
{
        struct two_sources *two = user;

        (void)fd;
        (void)events;
        two->calls++;
        loop_remove(source == two->sources[0] ? &two->sources[1] : &two->sources[0]);
        return 0;
}

static void removed_source_is_not_called_from_the_same_batch(void **state)
{
        struct two_sources two = {0};
        int a[2], b[2];

        (void)state;
        assert_int_equal(pipe2(a, O_CLOEXEC) | pipe2(b, O_CLOEXEC), 0);
        assert_int_equal(fd_write_full(a[1], "x", 1) | fd_write_full(b[1], "x", 1), 0);
        assert_int_equal(loop_new(&two.loop, NULL), 0);
        assert_int_equal(loop_add_fd(two.loop, a[0], EPOLLIN, remove_the_other, &two, &two.sources[0], NULL),
                         0);
        assert_int_equal(loop_add_fd(two.loop, b[0], EPOLLIN, remove_the_other, &two, &two.sources[1], NULL),
                         0);
        assert_int_equal(loop_turn(two.loop), 0);
        assert_int_equal(two.calls, 1);
        loop_free(two.loop);
        close(a[0]);
        close(a[1]);
        close(b[0]);
        close(b[1]);
}

static int raise_signal(struct loop_source *source, void *user)
{
        (void)source;
        (void)user;
        return raise(SIGUSR1);
}

static int quit_with_signal(struct loop_source *source, int sig, void *user)
{
        (void)source;
        loop_quit(user, sig);
        return 0;
}

static void timers_and_signals_reach_their_callbacks(void **state)
{
        cleanup_loop struct loop *loop = NULL;

        (void)state;
        assert_int_equal(loop_new(&loop, NULL), 0);
        assert_int_equal(loop_add_signal(loop, SIGUSR1, quit_with_signal, loop, NULL, NULL), 0);
        assert_int_equal(loop_add_timer(loop, 0, raise_signal, NULL, NULL, NULL), 0);
        assert_int_equal(loop_run(loop), SIGUSR1);
}

static int take_byte(struct loop_source *source, int fd, uint32_t events, void *user)
{
        char byte;

        (void)source, (void)events;
        assert_int_equal(read(fd, &byte, 1), 1);
        ++*(int *)user;
        return byte == '!' ? -EPIPE : 0;
}

static void a_turn_does_what_is_ready_and_waits_for_nothing(void **state)
{
        cleanup_loop struct loop *loop = NULL;
        int fds[2], taken = 0;

        (void)state;
        assert_int_equal(loop_new(&loop, NULL), 0);
        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        assert_int_equal(loop_add_fd(loop, fds[0], EPOLLIN, take_byte, &taken, NULL, NULL), 0);
        assert_int_equal(loop_turn(loop), 0);
        assert_int_equal(taken, 0);
        assert_int_equal(write(fds[1], "a!", 2), 2);
        assert_int_equal(loop_turn(loop), 0);
        assert_int_equal(taken, 1);
        assert_int_equal(loop_turn(loop), -EPIPE);
        assert_int_equal(taken, 2);
        close(fds[0]);
        close(fds[1]);
}

static int fail_with_pipe(struct loop_source *source, void *user)
{
        (void)source;
        (void)user;
        return -EPIPE;
}

static void callback_error_ends_the_loop(void **state)
{
        cleanup_loop struct loop *loop = NULL;

        (void)state;
        assert_int_equal(loop_new(&loop, NULL), 0);
        assert_int_equal(loop_add_timer(loop, 1, fail_with_pipe, NULL, NULL, NULL), 0);
        assert_int_equal(loop_run(loop), -EPIPE);
}

static int count_and_quit(struct loop_source *source, int fd, uint32_t events, void *user)
{
        struct two_sources *two = user;

        (void)source, (void)fd, (void)events;
        two->calls++;
        loop_quit(two->loop, 42);
        return 0;
}

static void quitting_ends_the_loop_behind_the_callback(void **state)
{
        struct two_sources two = {0};
        int fds[2];

        (void)state;
        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        int twin = dup(fds[0]);
        assert_int_equal(fd_write_full(fds[1], "x", 1), 0);
        assert_int_equal(loop_new(&two.loop, NULL), 0);
        assert_int_equal(loop_add_fd(two.loop, fds[0], EPOLLIN, count_and_quit, &two, NULL, NULL), 0);
        assert_int_equal(loop_add_fd(two.loop, twin, EPOLLIN, count_and_quit, &two, NULL, NULL), 0);
        assert_int_equal(loop_run(two.loop), 42);
        assert_int_equal(two.calls, 1);
        loop_free(two.loop);
        close(fds[0]);
        close(fds[1]);
        close(twin);
}

static void a_source_can_be_paused_and_resumed(void **state)
{
        cleanup_loop struct loop *loop = NULL;
        struct loop_source *source = NULL;
        int fds[2], taken = 0;

        (void)state;
        assert_int_equal(loop_new(&loop, NULL), 0);
        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        assert_int_equal(loop_add_fd(loop, fds[0], EPOLLIN, take_byte, &taken, &source, NULL), 0);
        assert_int_equal(fd_write_full(fds[1], "a", 1), 0);
        assert_int_equal(loop_set_events(source, 0), 0);
        assert_int_equal(loop_turn(loop), 0);
        assert_int_equal(taken, 0);
        assert_int_equal(loop_set_events(source, EPOLLIN), 0);
        assert_int_equal(loop_turn(loop), 0);
        assert_int_equal(taken, 1);
        close(fds[0]);
        close(fds[1]);
}

static int count_descriptors(void)
{
        int n = 0;

        for (int fd = 0; fd < 1024; fd++)
                n += fcntl(fd, F_GETFD) >= 0;
        return n;
}

/* What the loop opened itself: the caller's descriptors stay. */
static void ended_sources_leave_no_descriptor(void **state)
{
        int fds[2];

        (void)state;
        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        int before = count_descriptors();
        for (int removed = 0; removed < 2; removed++) {
                struct loop *loop = NULL;
                struct loop_source *timer = NULL, *sig = NULL, *fd = NULL;
                assert_int_equal(loop_new(&loop, NULL), 0);
                assert_int_equal(loop_add_timer(loop, 1000, fail_with_pipe, NULL, &timer, NULL), 0);
                assert_int_equal(loop_add_signal(loop, SIGUSR2, quit_with_signal, loop, &sig, NULL), 0);
                assert_int_equal(loop_add_fd(loop, fds[0], EPOLLIN, take_byte, NULL, &fd, NULL), 0);
                if (removed) {
                        loop_remove(&timer);
                        loop_remove(&sig);
                        loop_remove(&fd);
                        assert_null(timer);
                        loop_remove(&timer);
                        assert_int_equal(loop_turn(loop), 0);
                }
                loop_free(loop);
                assert_int_equal(count_descriptors(), before);
        }
        close(fds[0]);
        close(fds[1]);
}

static void note_alarm(int sig)
{
        (void)sig;
}

static void a_signal_of_another_kind_does_not_end_the_loop(void **state)
{
        const struct itimerval soon = {.it_value.tv_usec = 1000, .it_interval.tv_usec = 1000}, never = {0};
        const struct sigaction action = {.sa_handler = note_alarm};
        cleanup_loop struct loop *loop = NULL;
        struct sigaction before;

        (void)state;
        assert_int_equal(sigaction(SIGALRM, &action, &before), 0);
        assert_int_equal(loop_new(&loop, NULL), 0);
        assert_int_equal(loop_add_timer(loop, 20, fail_with_pipe, NULL, NULL, NULL), 0);
        assert_int_equal(setitimer(ITIMER_REAL, &soon, NULL), 0);
        int r = loop_run(loop);
        assert_int_equal(setitimer(ITIMER_REAL, &never, NULL), 0);
        assert_int_equal(sigaction(SIGALRM, &before, NULL), 0);
        assert_int_equal(r, -EPIPE);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(removed_source_is_not_called_from_the_same_batch),
                cmocka_unit_test(quitting_ends_the_loop_behind_the_callback),
                cmocka_unit_test(timers_and_signals_reach_their_callbacks),
                cmocka_unit_test(a_turn_does_what_is_ready_and_waits_for_nothing),
                cmocka_unit_test(callback_error_ends_the_loop),
                cmocka_unit_test(a_source_can_be_paused_and_resumed),
                cmocka_unit_test(ended_sources_leave_no_descriptor),
                cmocka_unit_test(a_signal_of_another_kind_does_not_end_the_loop),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
