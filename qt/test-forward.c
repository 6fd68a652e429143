/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/fd.h"
#include "qt/forward-spec.h"
#include "qt/relay.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

static void ports_are_read_as_people_type_them(void **state)
{
        static const struct {
                const char *text;
                struct forward_spec spec;
        } cases[] = {
                {"6379:6379", {"127.0.0.1", 6379, 6379}},       {"0:80", {"127.0.0.1", 0, 80}},
                {"0.0.0.0:8080:80", {"0.0.0.0", 8080, 80}},     {"localhost:1:2", {"localhost", 1, 2}},
                {"[::1]:8080:80", {"::1", 8080, 80}},           {"[::]:65535:65535", {"::", 65535, 65535}},
                {"[fe80::1%eth0]:1:2", {"fe80::1%eth0", 1, 2}},
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct forward_spec spec;
                struct error err = {0};
                if (forward_spec_parse(cases[i].text, &spec, &err) < 0)
                        fail_msg("%s: %s", cases[i].text, error_text(&err));
                assert_string_equal(spec.host, cases[i].spec.host);
                assert_int_equal(spec.port, cases[i].spec.port);
                assert_int_equal(spec.guest_port, cases[i].spec.guest_port);
        }
}

static void anything_else_is_refused_with_an_example(void **state)
{
        static const char *const texts[] = {
                "",          "80",     "80:",      ":80",  "a:80",  "80:0", "80:65536", "65536:80",
                "::1:80:80", "[]:1:2", "[::1:1:2", ":1:2", "-1:80", "1:2 ", "1:2:",     "[::1]:80"};

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
                struct forward_spec spec;
                struct error err = {0};
                if (forward_spec_parse(texts[i], &spec, &err) != -EINVAL)
                        fail_msg("'%s' was taken", texts[i]);
                assert_non_null(strstr(error_text(&err), "[HOST:]PORT:GUESTPORT"));
        }
}

static void host_has_its_longest_name(void **state)
{
        char text[FORWARD_HOST_MAX + sizeof(":1:2")];
        struct forward_spec spec;

        (void)state;
        memset(text, 'h', sizeof(text));
        memcpy(text + FORWARD_HOST_MAX - 1, ":1:2", sizeof(":1:2"));
        assert_int_equal(forward_spec_parse(text, &spec, NULL), 0);
        assert_int_equal(strlen(spec.host), FORWARD_HOST_MAX - 1);
        memcpy(text + FORWARD_HOST_MAX - 1, "h:1:2", sizeof("h:1:2"));
        assert_int_equal(forward_spec_parse(text, &spec, NULL), -EINVAL);
}

/* A relay between two pairs of sockets; the test holds the outer ends. */
struct fixture {
        struct loop *loop;
        struct relays relays;
        int left;
        int right;
        int ended;
};

static void on_ended(void *user)
{
        struct fixture *f = user;

        f->ended++;
        loop_quit(f->loop, 0);
}

static int on_time_out(struct loop_source *source, void *user)
{
        (void)source;
        loop_quit(user, 1);
        return 0;
}

static void unix_pair(int ret_fds[2])
{
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ret_fds), 0);
}

static void tcp_pair(int ret_fds[2])
{
        struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t size = sizeof(address);
        cleanup_fd int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        assert_int_equal(bind(listener, (struct sockaddr *)&address, size), 0);
        assert_int_equal(listen(listener, 1), 0);
        assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
        ret_fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(connect(ret_fds[0], (struct sockaddr *)&address, size), 0);
        ret_fds[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        assert_true(ret_fds[1] >= 0);
}

static int setup_pairs(void **state, void (*left)(int[2]), void (*right)(int[2]))
{
        static struct fixture f;
        int a[2], b[2];
        struct error err;

        f = (struct fixture){0};
        assert_int_equal(loop_new(&f.loop, &err), 0);
        f.relays = (struct relays){.loop = f.loop, .ended = on_ended, .user = &f};
        left(a);
        right(b);
        assert_int_equal(relay_add(&f.relays, a[1], b[1], &err), 0);
        f.left = a[0];
        f.right = b[0];
        assert_int_equal(fd_set_nonblocking(f.left), 0);
        assert_int_equal(fd_set_nonblocking(f.right), 0);
        *state = &f;
        return 0;
}

static int setup(void **state)
{
        return setup_pairs(state, unix_pair, unix_pair);
}

static int setup_tcp(void **state)
{
        return setup_pairs(state, tcp_pair, tcp_pair);
}

static int setup_unix_to_tcp(void **state)
{
        return setup_pairs(state, unix_pair, tcp_pair);
}

static int teardown(void **state)
{
        struct fixture *f = *state;

        relays_done(&f->relays);
        fd_close_p(&f->left);
        fd_close_p(&f->right);
        loop_free(f->loop);
        return 0;
}

/* Runs the loop until the relay ended, or for a moment: 0 or 1. */
static int turn(struct fixture *f)
{
        struct loop_source *timer;
        struct error err;

        assert_int_equal(loop_add_timer(f->loop, 20, on_time_out, f->loop, &timer, &err), 0);
        int r = loop_run(f->loop);
        loop_remove(&timer);
        return r;
}

/* Turns until `fd` gives n bytes; they must be what `fill` says. */
static void expect_bytes(struct fixture *f, int fd, size_t n, int fill)
{
        static char chunk[1 << 16];
        size_t got = 0;

        for (int i = 0; got < n && i < 1000; i++) {
                ssize_t r = recv(fd, chunk, sizeof(chunk), 0);
                for (ssize_t j = 0; j < r; j++)
                        assert_int_equal(chunk[j], fill);
                got += r > 0 ? (size_t)r : 0;
                if (r <= 0)
                        turn(f);
        }
        assert_int_equal(got, n);
}

static void half_close_is_passed_on_and_the_other_direction_lives(void **state)
{
        struct fixture *f = *state;
        char byte;

        assert_int_equal(send(f->left, "aaaa", 4, 0), 4);
        assert_int_equal(shutdown(f->left, SHUT_WR), 0);
        expect_bytes(f, f->right, 4, 'a');
        assert_int_equal(turn(f), 1);
        assert_int_equal(recv(f->right, &byte, 1, 0), 0);
        assert_int_equal(send(f->right, "bb", 2, 0), 2);
        expect_bytes(f, f->left, 2, 'b');
        fd_close_p(&f->right);
        assert_int_equal(turn(f), 0);
        assert_int_equal(f->ended, 1);
        assert_int_equal(f->relays.n, 0);
        assert_int_equal(recv(f->left, &byte, 1, 0), 0);
}

static void a_side_that_does_not_read_stops_the_other_and_loses_nothing(void **state)
{
        struct fixture *f = *state;
        static char chunk[1 << 16];
        size_t sent = 0;
        int stuck = 0;

        memset(chunk, 'x', sizeof(chunk));
        /* Until the relay has really stopped reading: nothing goes in over several turns. */
        while (stuck < 3) {
                ssize_t n = send(f->left, chunk, sizeof(chunk), 0);
                sent += n > 0 ? (size_t)n : 0;
                stuck = n > 0 ? 0 : stuck + 1;
                if (n <= 0)
                        turn(f);
        }
        assert_in_range(sent, 1, 16 * sizeof(chunk));
        expect_bytes(f, f->right, sent, 'x');
}

static void what_was_sent_before_a_close_arrives(void **state)
{
        struct fixture *f = *state;
        static char chunk[1 << 17];
        size_t sent = 0;
        char byte;

        memset(chunk, 'y', sizeof(chunk));
        for (ssize_t n; (n = send(f->left, chunk, sizeof(chunk), 0)) > 0; turn(f))
                sent += (size_t)n;
        fd_close_p(&f->left);
        expect_bytes(f, f->right, sent, 'y');
        for (int i = 0; !f->ended && i < 100; i++)
                turn(f);
        assert_int_equal(recv(f->right, &byte, 1, 0), 0);
        assert_int_equal(f->ended, 1);
}

static void a_peer_that_vanished_ends_the_relay(void **state)
{
        struct fixture *f = *state;

        assert_int_equal(send(f->right, "zz", 2, 0), 2);
        fd_close_p(&f->left);
        fd_close_p(&f->right);
        assert_int_equal(turn(f), 0);
        assert_int_equal(f->ended, 1);
}

/* An orderly end would make what arrived look like all there was. */
static void a_cut_stream_stays_a_cut_stream(void **state)
{
        struct fixture *f = *state;
        char byte;

        assert_int_equal(send(f->left, "half", 4, 0), 4);
        assert_int_equal(turn(f), 1);
        assert_int_equal(recv(f->right, &byte, 1, 0), 1);
        fd_reset_on_close(f->left);
        fd_close_p(&f->left);
        assert_int_equal(turn(f), 0);
        assert_int_equal(f->ended, 1);
        ssize_t n;
        while ((n = recv(f->right, &byte, 1, 0)) > 0)
                ;
        assert_int_equal(n, -1);
        assert_int_equal(errno, ECONNRESET);
}

static void a_side_that_reads_no_more_still_sends(void **state)
{
        struct fixture *f = *state;

        assert_int_equal(shutdown(f->right, SHUT_RD), 0);
        assert_int_equal(send(f->left, "lost", 4, 0), 4);
        assert_int_equal(turn(f), 1);
        assert_int_equal(send(f->right, "rr", 2, 0), 2);
        expect_bytes(f, f->left, 2, 'r');
        assert_int_equal(f->ended, 0);
}

/* As a server does that answers "too large" and reads no further: its answer has to arrive. */
static void a_close_with_something_unread_is_an_orderly_end(void **state)
{
        struct fixture *f = *state;
        char byte;

        assert_int_equal(send(f->right, "unread", 6, 0), 6);
        assert_int_equal(turn(f), 1);
        assert_int_equal(send(f->left, "ab", 2, 0), 2);
        fd_close_p(&f->left);
        assert_int_equal(turn(f), 0);
        assert_int_equal(recv(f->right, &byte, 1, 0), 1);
        assert_int_equal(recv(f->right, &byte, 1, 0), 1);
        assert_int_equal(recv(f->right, &byte, 1, 0), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(ports_are_read_as_people_type_them),
                cmocka_unit_test(anything_else_is_refused_with_an_example),
                cmocka_unit_test(host_has_its_longest_name),
                cmocka_unit_test_setup_teardown(half_close_is_passed_on_and_the_other_direction_lives, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(a_side_that_does_not_read_stops_the_other_and_loses_nothing,
                                                setup, teardown),
                cmocka_unit_test_setup_teardown(what_was_sent_before_a_close_arrives, setup, teardown),
                cmocka_unit_test_setup_teardown(a_peer_that_vanished_ends_the_relay, setup, teardown),
                cmocka_unit_test_setup_teardown(a_side_that_reads_no_more_still_sends, setup, teardown),
                cmocka_unit_test_setup_teardown(a_cut_stream_stays_a_cut_stream, setup_tcp, teardown),
                cmocka_unit_test_setup_teardown(a_close_with_something_unread_is_an_orderly_end,
                                                setup_unix_to_tcp, teardown),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
