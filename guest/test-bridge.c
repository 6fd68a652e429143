/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test-bridge.c - streams over the bridge, with TCP on the loopback in vsock's place.  Client and server are
 * non-blocking sockets driven by the same loop's thread: step() lets the bridge work until a condition holds.
 */
#include "guest/bridge.h"

#include "lib/base/clock.h"
#include "lib/base/fd.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { DEADLINE_MS = 20000 };

struct fixture {
        struct loop *loop;
        struct bridge *bridge;
        int listener; /* the server's */
        uint16_t port;
        uint16_t entrance; /* where clients come in */
};

static struct sockaddr_in address_of(uint16_t port)
{
        return (struct sockaddr_in){
                .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static int listen_on(uint16_t port, uint16_t *ret_port)
{
        struct sockaddr_in address = address_of(port);
        socklen_t size = sizeof(address);
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        assert_true(fd >= 0);
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
        assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
        assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
        if (ret_port)
                *ret_port = ntohs(address.sin_port);
        assert_int_equal(listen(fd, 100), 0);
        return fd;
}

static void set_up_with(struct fixture *f, size_t max_connections, uint64_t patience_ms)
{
        const struct bridge_options options = {.max_connections = max_connections,
                                               .patience_ms = patience_ms};

        f->listener = listen_on(0, &f->port);
        assert_int_equal(loop_new(&f->loop, NULL), 0);
        assert_int_equal(bridge_new(f->loop, NULL, &options, &f->bridge, NULL), 0);
        assert_int_equal(bridge_add(f->bridge, listen_on(0, &f->entrance), f->port, NULL), 0);
}

static void tear_down(struct fixture *f)
{
        bridge_free(f->bridge);
        loop_free(f->loop);
        fd_close_p(&f->listener);
}

static int on_tick(struct loop_source *source, void *user)
{
        (void)source;
        loop_quit(user, 0);
        return 0;
}

/* Lets the bridge work for a millisecond or so. */
static void tick(struct fixture *f)
{
        struct loop_source *timer = NULL;

        assert_int_equal(loop_add_timer(f->loop, 1, on_tick, f->loop, &timer, NULL), 0);
        assert_int_equal(loop_run(f->loop), 0);
        loop_remove(&timer);
}

/* Runs the bridge until `condition` is true; fails the test where that takes too long. */
#define until(f, condition)                                                                                  \
        for (uint64_t end_ = clock_ms() + DEADLINE_MS; !(condition); tick(f))                                \
        assert_true(clock_ms() < end_)

static int connect_client(struct fixture *f)
{
        struct sockaddr_in address = address_of(f->entrance);
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        assert_true(fd >= 0);
        assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
        assert_int_equal(fd_set_nonblocking(fd), 0);
        return fd;
}

static int accept_server(struct fixture *f)
{
        int fd = -1;

        until(f, (fd = accept4(f->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0);
        return fd;
}

/* Sends `total` bytes of a pattern from one socket to the other, and checks them. */
static void transfer(struct fixture *f, int from, int to, size_t total)
{
        uint8_t out[4096];
        uint8_t in[4096];
        size_t sent = 0;
        size_t received = 0;

        for (uint64_t end = clock_ms() + DEADLINE_MS; received < total; tick(f)) {
                assert_true(clock_ms() < end);
                size_t n = total - sent < sizeof(out) ? total - sent : sizeof(out);
                for (size_t i = 0; i < n; i++)
                        out[i] = (uint8_t)((sent + i) * 31 >> 3);
                ssize_t r = send(from, out, n, MSG_NOSIGNAL);
                sent += r > 0 ? (size_t)r : 0;
                while ((r = recv(to, in, sizeof(in), 0)) > 0) {
                        for (size_t i = 0; i < (size_t)r; i++)
                                assert_int_equal(in[i], (uint8_t)((received + i) * 31 >> 3));
                        received += (size_t)r;
                }
                assert_true(r < 0 && errno == EAGAIN);
        }
}

static bool has_ended(int fd)
{
        char byte;

        return recv(fd, &byte, 1, 0) == 0;
}

static void test_both_directions_and_half_close(void **state)
{
        struct fixture f = {0};

        (void)state;
        set_up_with(&f, 10, 0);
        int client = connect_client(&f);
        int server = accept_server(&f);
        transfer(&f, client, server, 300000);
        transfer(&f, server, client, 300000);
        shutdown(client, SHUT_WR);
        until(&f, has_ended(server));
        /* The other direction is still open. */
        transfer(&f, server, client, 100000);
        shutdown(server, SHUT_WR);
        until(&f, has_ended(client));
        close(client);
        close(server);
        tear_down(&f);
}

/* Sends until the bridge takes no more; the bytes it took.  Much is sent at a time, so that the bridge finds
 * more to read when it meets a target that is full. */
static size_t fill(struct fixture *f, int fd)
{
        static const uint8_t block[65536];
        size_t total = 0;

        for (int idle = 0; idle < 100; idle++) {
                ssize_t n;
                while ((n = send(fd, block, sizeof(block), MSG_NOSIGNAL)) > 0) {
                        total += (size_t)n;
                        idle = 0;
                }
                tick(f);
                assert_true(total < (size_t)512 * 1024 * 1024);
        }
        return total;
}

static void test_a_slow_reader_stops_its_writer_and_nobody_else(void **state)
{
        struct fixture f = {0};
        uint8_t in[65536];

        (void)state;
        set_up_with(&f, 10, 0);
        int slow_client = connect_client(&f);
        int slow_server = accept_server(&f);
        size_t taken = fill(&f, slow_client);
        int client = connect_client(&f);
        int server = accept_server(&f);
        transfer(&f, client, server, 100000);

        /* And once it reads, it gets all, then the end. */
        size_t received = 0;
        shutdown(slow_client, SHUT_WR);
        ssize_t n = -1;
        for (uint64_t end = clock_ms() + DEADLINE_MS; n != 0; tick(&f)) {
                assert_true(clock_ms() < end);
                while ((n = recv(slow_server, in, sizeof(in), 0)) > 0)
                        received += (size_t)n;
        }
        assert_int_equal(received, taken);
        close(slow_client);
        close(slow_server);
        close(client);
        close(server);
        tear_down(&f);
}

static void test_a_reset_is_passed_on(void **state)
{
        const struct linger reset = {.l_onoff = 1};
        struct fixture f = {0};
        char byte;

        (void)state;
        set_up_with(&f, 10, 0);
        int client = connect_client(&f);
        int server = accept_server(&f);
        transfer(&f, client, server, 1);
        setsockopt(server, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
        close(server);
        until(&f, recv(client, &byte, 1, 0) < 0 && errno == ECONNRESET);
        close(client);
        tear_down(&f);
}

static void test_a_port_that_refuses_ends_the_stream(void **state)
{
        struct fixture f = {0};
        char byte;

        (void)state;
        set_up_with(&f, 10, 0);
        fd_close_p(&f.listener);
        int client = connect_client(&f);
        until(&f, recv(client, &byte, 1, 0) < 0 && errno == ECONNRESET);
        close(client);
        tear_down(&f);
}

static void test_a_server_that_starts_late_is_waited_for(void **state)
{
        struct fixture f = {0};

        (void)state;
        set_up_with(&f, 10, DEADLINE_MS);
        fd_close_p(&f.listener);
        int client = connect_client(&f);
        assert_int_equal(send(client, "x", 1, 0), 1);
        for (int i = 0; i < 10; i++)
                tick(&f);
        f.listener = listen_on(f.port, NULL);
        int server = accept_server(&f);
        char byte = 0;
        until(&f, recv(server, &byte, 1, 0) == 1);
        assert_int_equal(byte, 'x');
        close(client);
        close(server);
        tear_down(&f);
}

/* The same port on ::1. -1 where this machine has no IPv6. */
static int listen_on_ipv6(uint16_t port)
{
        const struct sockaddr_in6 address = {
                .sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
        int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        if (fd < 0)
                return -1;
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
        if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 100) < 0)
                fd_close_p(&fd);
        return fd;
}

static void test_a_server_on_ipv6_alone_is_reached(void **state)
{
        struct fixture f = {0};

        (void)state;
        set_up_with(&f, 10, 0);
        fd_close_p(&f.listener);
        f.listener = listen_on_ipv6(f.port);
        if (f.listener < 0) {
                tear_down(&f);
                skip();
        }
        int client = connect_client(&f);
        int server = accept_server(&f);
        transfer(&f, server, client, 1000);
        transfer(&f, client, server, 1000);
        close(client);
        close(server);
        tear_down(&f);
}

static void test_connections_past_the_limit_wait_their_turn(void **state)
{
        struct fixture f = {0};
        int clients[3];
        int servers[3];

        (void)state;
        set_up_with(&f, 2, 0);
        for (int i = 0; i < 3; i++)
                clients[i] = connect_client(&f);
        servers[0] = accept_server(&f);
        servers[1] = accept_server(&f);
        for (int i = 0; i < 100; i++)
                tick(&f);
        assert_true(accept(f.listener, NULL, NULL) < 0);
        close(servers[0]);
        close(clients[0]);
        close(clients[1]);
        close(servers[1]);
        servers[2] = accept_server(&f);
        transfer(&f, servers[2], clients[2], 1000);
        close(clients[2]);
        close(servers[2]);
        tear_down(&f);
}

static void test_freeing_ends_what_is_open(void **state)
{
        struct fixture f = {0};

        (void)state;
        set_up_with(&f, 10, 0);
        int client = connect_client(&f);
        int server = accept_server(&f);
        bridge_free(f.bridge);
        f.bridge = NULL;
        until(&f, has_ended(client) && has_ended(server));
        close(client);
        close(server);
        tear_down(&f);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_both_directions_and_half_close),
                cmocka_unit_test(test_a_slow_reader_stops_its_writer_and_nobody_else),
                cmocka_unit_test(test_a_reset_is_passed_on),
                cmocka_unit_test(test_a_port_that_refuses_ends_the_stream),
                cmocka_unit_test(test_a_server_that_starts_late_is_waited_for),
                cmocka_unit_test(test_a_server_on_ipv6_alone_is_reached),
                cmocka_unit_test(test_connections_past_the_limit_wait_their_turn),
                cmocka_unit_test(test_freeing_ends_what_is_open),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
