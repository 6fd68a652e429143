/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test-client.c - the parent's end of the process service against a guest that is a thread of the test, and
 * hostile where that is the point.
 */
#include "pal/vm/client.h"

#include "lib/base/clock.h"
#include "lib/base/fd.h"
#include "lib/enclave/service-protocol.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { PATIENCE_MS = 10000, BIG = 600 * 1024, PIPE_SIZE = 64 * 1024 };

struct guest {
        int fd;
        struct buf in;
        struct buf out;
};

struct fixture {
        struct guest guest;
        pthread_t thread;
        bool thread_ended;
        struct client *client;
        int input;  /* the writing end of the process's stdin */
        int output; /* the reading end of its stdout */
        struct client_stdio stdio;
};

/* ---- the guest: calls that fail end its thread, and the test sees what comes of it ----------------------
 * */

static void say(struct guest *guest, struct service_frame frame)
{
        cleanup_buf struct buf b = buf_with_max(SERVICE_FROM_GUEST_MAX);

        if (service_frame_encode(&frame, &b) == 0)
                (void)fd_write_full(guest->fd, b.p, b.n);
}

/* The next frame of the parent; it is valid until the one behind it. False at the end. */
static bool hear(struct guest *guest, struct service_frame *ret_frame)
{
        static _Thread_local size_t used;
        int r;

        buf_consume(&guest->in, used);
        used = 0;
        while ((r = service_frame_decode(buf_view(&guest->in), SERVICE_PARENT, ret_frame, &used, NULL)) ==
               0) {
                uint8_t bytes[65536];
                ssize_t n = read(guest->fd, bytes, sizeof(bytes));
                if (n <= 0 || buf_append(&guest->in, bytes, (size_t)n) < 0)
                        return false;
        }
        return r > 0;
}

static bool hear_type(struct guest *guest, enum service_type type, struct service_frame *ret_frame)
{
        while (hear(guest, ret_frame)) {
                if (ret_frame->type == type)
                        return true;
        }
        return false;
}

static void say_simple(struct guest *guest, enum service_type type, uint32_t process)
{
        say(guest, (struct service_frame){.type = type, .process = process});
}

static void say_data(struct guest *guest, uint32_t process, struct view bytes)
{
        struct service_frame frame = {.type = SERVICE_DATA, .process = process, .stream = SERVICE_STDOUT};

        frame.bytes = bytes;
        say(guest, frame);
}

static void say_exited(struct guest *guest, uint32_t process, uint32_t status)
{
        say(guest, (struct service_frame){.type = SERVICE_EXITED, .process = process, .status = status});
}

/* Up to process 1, which isn't started yet. */
static bool begin_created(struct guest *guest)
{
        struct service_frame frame;

        say(guest, (struct service_frame){.type = SERVICE_HELLO, .version = SERVICE_VERSION});
        if (!hear_type(guest, SERVICE_SETUP, &frame))
                return false;
        say_simple(guest, SERVICE_READY, 0);
        if (!hear_type(guest, SERVICE_CREATE, &frame))
                return false;
        say_simple(guest, SERVICE_CREATED, 1);
        return true;
}

static void say_started(struct guest *guest)
{
        say(guest, (struct service_frame){.type = SERVICE_STARTED, .process = 1, .pid = 7});
}

/* Up to a started process 1. */
static bool begin(struct guest *guest)
{
        struct service_frame frame;

        if (!begin_created(guest) || !hear_type(guest, SERVICE_START, &frame))
                return false;
        say_started(guest);
        return true;
}

/* ---- the fixture
 * ------------------------------------------------------------------------------------------ */

static struct fixture *start(void *(*run)(void *guest))
{
        struct fixture *f = calloc(1, sizeof(*f));
        int pair[2], input[2], output[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        assert_int_equal(pipe(input), 0);
        assert_int_equal(pipe(output), 0);
        f->guest = (struct guest){.fd = pair[1], .in = buf_with_max(SERVICE_FROM_PARENT_MAX + 65536)};
        f->input = input[1];
        f->output = output[0];
        f->stdio = (struct client_stdio){.fds = {input[0], output[1], output[1]}};
        assert_int_equal(pthread_create(&f->thread, NULL, run, &f->guest), 0);
        assert_int_equal(client_new(pair[0], PATIENCE_MS, &f->client, NULL), 0);
        return f;
}

static void finish(struct fixture *f)
{
        client_free(f->client);
        if (!f->thread_ended)
                pthread_join(f->thread, NULL);
        fd_close_p(&f->input);
        fd_close_p(&f->output);
        fd_close_p(&f->stdio.fds[0]);
        fd_close_p(&f->stdio.fds[1]);
        buf_done(&f->guest.in);
        close(f->guest.fd);
        free(f);
}

/* Sets up and makes process 1. */
static void prepare(struct fixture *f)
{
        const struct service_container container = {.hostname = "h"};
        cleanup_service_process struct service_process process = {.cwd = "/"};
        struct error err = {0};
        int pid = -1;

        assert_int_equal(client_set_up(f->client, &container, &err), 0);
        assert_int_equal(client_run(f->client, &err), 0);
        assert_int_equal(service_process_add_arg(&process, "x"), 0);
        assert_int_equal(client_create(f->client, &process, &f->stdio, &pid, &err), 0);
        assert_int_equal(pid, 1);
}

/* ---- tests
 * ------------------------------------------------------------------------------------------------ */

static void *echo_and_exit(void *user)
{
        struct guest *guest = user;
        struct service_frame frame;
        cleanup_buf struct buf heard = buf_with_max(4096);

        if (!begin(guest))
                return NULL;
        while (hear(guest, &frame) && frame.type != SERVICE_END) {
                if (frame.type == SERVICE_DATA)
                        buf_append_view(&heard, frame.bytes);
        }
        say_data(guest, 1, buf_view(&heard));
        say_exited(guest, 1, 42);
        while (hear(guest, &frame))
                ;
        return NULL;
}

static void test_streams_and_status_come_through(void **state)
{
        struct fixture *f = start(echo_and_exit);
        char got[6] = {0};
        int status = -1;

        (void)state;
        prepare(f);
        assert_int_equal(fd_write_full(f->input, "hello", 5), 0);
        fd_close_p(&f->input);
        assert_int_equal(client_exec(f->client, 1, &status, NULL), 0);
        assert_int_equal(status, 42);
        assert_int_equal(fd_read_full(f->output, got, 5), 0);
        assert_string_equal(got, "hello");
        finish(f);
}

/* As fast as it may, and no faster. */
static void *flood(void *user)
{
        static uint8_t zeros[SERVICE_DATA_MAX];
        struct guest *guest = user;
        struct service_frame frame;
        size_t window = SERVICE_WINDOW, sent = 0;

        if (!begin(guest))
                return NULL;
        while (sent < BIG) {
                size_t n = BIG - sent < sizeof(zeros) ? BIG - sent : sizeof(zeros);
                if (n <= window) {
                        say_data(guest, 1, view_of(zeros, n));
                        window -= n;
                        sent += n;
                } else if (hear(guest, &frame) && frame.type == SERVICE_GRANT) {
                        window += frame.taken;
                }
        }
        say_exited(guest, 1, 0);
        while (hear(guest, &frame))
                ;
        return NULL;
}

static void *read_all(void *user)
{
        const struct fixture *f = user;
        static uint8_t bytes[BIG];

        return fd_read_full(f->output, bytes, sizeof(bytes)) == 0 ? user : NULL;
}

static void test_all_output_is_passed_on_before_the_end(void **state)
{
        struct fixture *f = start(flood);
        pthread_t reader;
        void *whole = NULL;
        int status = -1;

        (void)state;
        prepare(f);
        assert_int_equal(pthread_create(&reader, NULL, read_all, f), 0);
        assert_int_equal(client_exec(f->client, 1, &status, NULL), 0);
        assert_int_equal(pthread_join(reader, &whole), 0);
        assert_non_null(whole);
        assert_int_equal(status, 0);
        finish(f);
}

static void *flood_beyond_the_window(void *user)
{
        static uint8_t zeros[SERVICE_DATA_MAX];
        struct guest *guest = user;
        struct service_frame frame;

        if (!begin(guest))
                return NULL;
        /* What the pipe takes is granted again: 64 KiB. */
        for (size_t sent = 0; sent <= (size_t)2 * SERVICE_WINDOW; sent += sizeof(zeros))
                say_data(guest, 1, view_of(zeros, sizeof(zeros)));
        while (hear(guest, &frame))
                ;
        return NULL;
}

/* All that it may, and then one byte. */
static void *write_one_byte_beyond_the_window(void *user)
{
        static uint8_t zeros[SERVICE_DATA_MAX];
        struct guest *guest = user;
        struct service_frame frame;
        size_t granted = 0;

        if (!begin(guest))
                return NULL;
        for (size_t sent = 0; sent < SERVICE_WINDOW; sent += sizeof(zeros))
                say_data(guest, 1, view_of(zeros, sizeof(zeros)));
        while (granted < PIPE_SIZE && hear_type(guest, SERVICE_GRANT, &frame))
                granted += frame.taken;
        for (size_t sent = 0; sent < granted; sent += sizeof(zeros))
                say_data(guest, 1, view_of(zeros, sizeof(zeros)));
        say_data(guest, 1, view_of(zeros, 1));
        while (hear(guest, &frame))
                ;
        return NULL;
}

static void *write_to_an_input(void *user)
{
        struct service_frame data = {.type = SERVICE_DATA, .process = 1, .stream = SERVICE_STDIN};
        struct service_frame frame;

        data.bytes = view_of_string("x");
        if (begin(user))
                say(user, data);
        while (hear(user, &frame))
                ;
        return NULL;
}

static void *write_before_the_start(void *user)
{
        struct service_frame frame;

        if (begin_created(user))
                say_data(user, 1, view_of_string("x"));
        while (hear(user, &frame))
                ;
        return NULL;
}

/* Of its own stream, where as much was sent on the parent's. */
static void *grant_of_an_output(void *user)
{
        struct service_frame grant = {.type = SERVICE_GRANT, .process = 1, .stream = SERVICE_STDOUT};
        struct service_frame frame;

        grant.taken = 1;
        if (begin(user) && hear_type(user, SERVICE_DATA, &frame))
                say(user, grant);
        while (hear(user, &frame))
                ;
        return NULL;
}

static void *exit_of_nobody(void *user)
{
        struct service_frame frame;

        if (begin(user))
                say_exited(user, 77, 0);
        while (hear(user, &frame))
                ;
        return NULL;
}

static void *start_twice(void *user)
{
        struct service_frame frame;

        if (begin(user))
                say(user, (struct service_frame){.type = SERVICE_STARTED, .process = 1, .pid = 7});
        while (hear(user, &frame))
                ;
        return NULL;
}

static void *grant_what_was_not_sent(void *user)
{
        struct service_frame grant = {.type = SERVICE_GRANT, .process = 1, .stream = SERVICE_STDIN};
        struct service_frame frame;

        grant.taken = 1;
        if (begin(user))
                say(user, grant);
        while (hear(user, &frame))
                ;
        return NULL;
}

static void *nonsense(void *user)
{
        struct guest *guest = user;

        if (begin(guest))
                (void)fd_write_full(guest->fd, "\xff\xff\xff\xff", 4);
        return NULL;
}

static void *hang_up(void *user)
{
        struct guest *guest = user;

        if (begin(guest))
                (void)shutdown(guest->fd, SHUT_RDWR);
        return NULL;
}

/* Reads only when the guest has seen the end: nothing was granted to it before. */
static void *read_afterwards(void *user)
{
        struct fixture *f = user;

        pthread_join(f->thread, NULL);
        f->thread_ended = true;
        return read_all(user);
}

static void test_a_guest_that_breaks_the_rules_is_the_end_of_its_process(void **state)
{
        void *(*const hostile[])(void *user) = {flood_beyond_the_window,
                                                write_one_byte_beyond_the_window,
                                                write_to_an_input,
                                                write_before_the_start,
                                                grant_of_an_output,
                                                exit_of_nobody,
                                                start_twice,
                                                grant_what_was_not_sent,
                                                nonsense,
                                                hang_up};

        (void)state;
        for (size_t i = 0; i < sizeof(hostile) / sizeof(*hostile); i++) {
                struct fixture *f = start(hostile[i]);
                struct error err = {0};
                pthread_t reader;
                int status = -1;

                prepare(f);
                assert_int_equal(fcntl(f->stdio.fds[1], F_SETPIPE_SZ, PIPE_SIZE), PIPE_SIZE);
                if (hostile[i] == grant_of_an_output)
                        assert_int_equal(fd_write_full(f->input, "input", 5), 0);
                assert_int_equal(pthread_create(&reader, NULL, read_afterwards, f), 0);
                assert_int_equal(client_exec(f->client, 1, &status, &err), -EIO);
                assert_true(error_text(&err)[0]);
                fd_close_p(&f->stdio.fds[1]);
                pthread_join(reader, NULL);
                finish(f);
        }
}

static void *refuse_set_up(void *user)
{
        struct guest *guest = user;
        struct service_frame frame;

        say(guest, (struct service_frame){.type = SERVICE_HELLO, .version = SERVICE_VERSION});
        if (hear_type(guest, SERVICE_SETUP, &frame))
                say(guest, service_frame_failed(0, ENODEV, "mount \x1b[2Jthing", "/x"));
        while (hear(guest, &frame))
                ;
        return NULL;
}

static void test_why_a_container_cannot_be_made_is_told(void **state)
{
        const struct service_container container = {.hostname = "h"};
        struct fixture *f = start(refuse_set_up);
        struct error err = {0};

        (void)state;
        assert_int_equal(client_set_up(f->client, &container, &err), -ENODEV);
        assert_string_equal(error_text(&err), "in the enclave: cannot mount ?[2Jthing: /x: No such device");
        finish(f);
}

static void *refuse_to_create(void *user)
{
        struct guest *guest = user;
        struct service_frame frame;

        say(guest, (struct service_frame){.type = SERVICE_HELLO, .version = SERVICE_VERSION});
        if (hear_type(guest, SERVICE_SETUP, &frame))
                say_simple(guest, SERVICE_READY, 0);
        if (hear_type(guest, SERVICE_CREATE, &frame))
                say(guest, service_frame_failed(1, EAGAIN, "run so many", NULL));
        while (hear(guest, &frame))
                ;
        return NULL;
}

static void test_a_process_that_was_not_made_is_none(void **state)
{
        const struct service_container container = {.hostname = "h"};
        cleanup_service_process struct service_process process = {.cwd = "/"};
        struct fixture *f = start(refuse_to_create);
        int pid = -1, status = -1;

        (void)state;
        assert_int_equal(client_set_up(f->client, &container, NULL), 0);
        assert_int_equal(client_run(f->client, NULL), 0);
        assert_int_equal(service_process_add_arg(&process, "x"), 0);
        assert_int_equal(client_create(f->client, &process, &f->stdio, &pid, NULL), -EAGAIN);
        assert_int_equal(client_kill(f->client, 1, SIGKILL, NULL), -ESRCH);
        assert_int_equal(client_exec(f->client, 1, &status, NULL), -ESRCH);
        finish(f);
}

static void *other_version(void *user)
{
        struct service_frame frame;

        say(user, (struct service_frame){.type = SERVICE_HELLO, .version = 9});
        while (hear(user, &frame))
                ;
        return NULL;
}

static void test_another_version_is_refused(void **state)
{
        struct guest guest = {.in = buf_with_max(65536)};
        struct client *client = NULL;
        pthread_t thread;
        int pair[2];

        (void)state;
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        guest.fd = pair[1];
        assert_int_equal(pthread_create(&thread, NULL, other_version, &guest), 0);
        assert_int_equal(client_new(pair[0], PATIENCE_MS, &client, NULL), -EPROTO);
        pthread_join(thread, NULL);
        buf_done(&guest.in);
        close(guest.fd);
}

static void *wait_for_signal(void *user)
{
        struct guest *guest = user;
        struct service_frame frame;

        if (begin(guest) && hear_type(guest, SERVICE_SIGNAL, &frame)) {
                struct service_frame end = {.type = SERVICE_SIGNALED, .process = frame.process};
                end.signaled.signal = frame.signal;
                say(guest, end);
        }
        while (hear(guest, &frame))
                ;
        return NULL;
}

static void *kill_soon(void *user)
{
        const struct fixture *f = user;

        /* Again until it is the end. */
        while (client_kill(f->client, 1, SIGUSR1, NULL) == 0)
                clock_sleep_us(10000);
        return NULL;
}

static void test_signals_go_to_the_process_and_come_back_as_its_status(void **state)
{
        struct fixture *f = start(wait_for_signal);
        pthread_t killer;
        int status = -1;

        (void)state;
        prepare(f);
        assert_int_equal(client_kill(f->client, 99, SIGTERM, NULL), -ESRCH);
        assert_int_equal(pthread_create(&killer, NULL, kill_soon, f), 0);
        assert_int_equal(client_exec(f->client, 1, &status, NULL), 0);
        pthread_join(killer, NULL);
        assert_int_equal(status, 128 + SIGUSR1);
        finish(f);
}

/* As init does: what comes for a process before its start reaches nobody. */
static void *die_of_the_signals_behind_the_start(void *user)
{
        struct guest *guest = user;
        struct service_frame frame;
        bool came_before = false;

        if (!begin_created(guest))
                return NULL;
        while (hear(guest, &frame) && frame.type != SERVICE_START)
                came_before |= frame.type == SERVICE_SIGNAL && frame.process == 1;
        say_started(guest);
        if (came_before) {
                say_exited(guest, 1, 0);
        } else if (hear_type(guest, SERVICE_SIGNAL, &frame)) {
                struct service_frame end = {.type = SERVICE_SIGNALED, .process = frame.process};
                end.signaled.signal = frame.signal;
                say(guest, end);
        }
        while (hear(guest, &frame))
                ;
        return NULL;
}

static void test_a_signal_from_before_the_start_reaches_the_process(void **state)
{
        static const int targets[] = {1, 0 /* all */};

        (void)state;
        for (size_t i = 0; i < sizeof(targets) / sizeof(*targets); i++) {
                struct fixture *f = start(die_of_the_signals_behind_the_start);
                int status = -1;
                prepare(f);
                assert_int_equal(client_kill(f->client, targets[i], SIGKILL, NULL), 0);
                assert_int_equal(client_exec(f->client, 1, &status, NULL), 0);
                assert_int_equal(status, 128 + SIGKILL);
                finish(f);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_streams_and_status_come_through),
                cmocka_unit_test(test_all_output_is_passed_on_before_the_end),
                cmocka_unit_test(test_a_guest_that_breaks_the_rules_is_the_end_of_its_process),
                cmocka_unit_test(test_why_a_container_cannot_be_made_is_told),
                cmocka_unit_test(test_a_process_that_was_not_made_is_none),
                cmocka_unit_test(test_another_version_is_refused),
                cmocka_unit_test(test_signals_go_to_the_process_and_come_back_as_its_status),
                cmocka_unit_test(test_a_signal_from_before_the_start_reaches_the_process),
        };
        (void)sigaction(SIGPIPE, &(const struct sigaction){.sa_handler = SIG_IGN}, NULL);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
