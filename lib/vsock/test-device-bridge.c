/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/vsock/fake-driver.h"

#include "lib/base/fd.h"
#include "lib/base/path.h"
#include "lib/base/unix-socket.h"
#include "lib/vsock/device-internal.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { GUEST_PORT = 1111 };

/* A folder whose path is longer than a socket's address. */
struct place {
        char path[512];
        int dirfd;
};

static void make_place(struct place *p)
{
        const char *tmp = getenv("TMPDIR");
        char top[128];

        snprintf(top, sizeof(top), "%s/vsock-XXXXXX", tmp ? tmp : "/tmp");
        assert_non_null(mkdtemp(top));
        snprintf(p->path, sizeof(p->path), "%s/%0150d", top, 0);
        assert_int_equal(mkdir(p->path, 0700), 0);
        p->dirfd = open(p->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        assert_true(p->dirfd >= 0);
}

static void remove_place(struct place *p)
{
        fd_close_p(&p->dirfd);
        *strrchr(p->path, '/') = '\0';
        assert_int_equal(path_remove_tree(AT_FDCWD, p->path, NULL), 0);
}

static void start(struct driver *d, struct place *p)
{
        make_place(p);
        driver_init(d, (struct vsock_device_options){.dirfd = p->dirfd, .name = "vsock.sock"});
        driver_start(d);
}

static void stop(struct driver *d, struct place *p)
{
        struct stat st;

        driver_done(d);
        assert_int_equal(fstatat(p->dirfd, "vsock.sock", &st, 0), -1);
        remove_place(p);
}

static int client(const struct place *p, const char *line)
{
        int fd;

        assert_int_equal(unix_socket_connect(p->dirfd, "vsock.sock", &fd, NULL), 0);
        assert_int_equal(write(fd, line, strlen(line)), (ssize_t)strlen(line));
        return fd;
}

/* What is there to read: its length, 0 for the end, or a negative errno. */
static ssize_t read_some(int fd, char *ret_text, size_t size)
{
        ssize_t n = recv(fd, ret_text, size - 1, MSG_DONTWAIT);

        ret_text[n > 0 ? n : 0] = '\0';
        return n < 0 ? -errno : n;
}

static void await_hang_up(struct driver *d, int fd)
{
        char text[64];
        ssize_t n;

        driver_await(d, (n = read_some(fd, text, sizeof(text))) != -EAGAIN);
        assert_int_equal(n, 0);
}

static void client_is_connected_and_told_its_port(void **state)
{
        struct driver d;
        struct place p;
        char text[64], expected[64];

        (void)state;
        start(&d, &p);
        /* What comes behind the line belongs to the stream, even before the guest agreed. */
        cleanup_fd int fd = client(&p, "CONNECT 5000\nfirst words");
        struct vsock_packet_header request = driver_expect(&d, VSOCK_OP_REQUEST, 5000);
        assert_false(driver_has_packet(&d));
        driver_transmit_op(&d, VSOCK_OP_RESPONSE, 5000, request.src_port);
        driver_await(&d, read_some(fd, text, sizeof(text)) > 0);
        snprintf(expected, sizeof(expected), "OK %u\n", request.src_port);
        assert_string_equal(text, expected);
        uint8_t payload[DRIVER_BUFFER];
        struct vsock_packet_header data = driver_receive(&d, payload);
        assert_int_equal(data.len, 11);
        assert_memory_equal(payload, "first words", 11);
        stop(&d, &p);
}

static void line_may_come_in_pieces(void **state)
{
        struct driver d;
        struct place p;

        (void)state;
        start(&d, &p);
        cleanup_fd int fd = client(&p, "CONN");
        assert_false(driver_has_packet(&d));
        assert_int_equal(write(fd, "ECT 5000", 8), 8);
        assert_false(driver_has_packet(&d));
        assert_int_equal(write(fd, "\n", 1), 1);
        driver_expect(&d, VSOCK_OP_REQUEST, 5000);
        stop(&d, &p);
}

static void client_is_hung_up_on_when_the_guest_refuses(void **state)
{
        struct driver d;
        struct place p;

        (void)state;
        start(&d, &p);
        cleanup_fd int fd = client(&p, "CONNECT 5000\n");
        struct vsock_packet_header request = driver_expect(&d, VSOCK_OP_REQUEST, 5000);
        driver_transmit_op(&d, VSOCK_OP_RST, 5000, request.src_port);
        await_hang_up(&d, fd);
        assert_int_equal(vsock_device_connections(d.device), 0);
        stop(&d, &p);
}

static void client_that_hangs_up_cancels_its_request(void **state)
{
        struct driver d;
        struct place p;

        (void)state;
        start(&d, &p);
        int fd = client(&p, "CONNECT 5000\n");
        driver_expect(&d, VSOCK_OP_REQUEST, 5000);
        fd_close_p(&fd);
        driver_expect(&d, VSOCK_OP_RST, 5000);
        assert_int_equal(vsock_device_connections(d.device), 0);
        stop(&d, &p);
}

static void nonsense_is_hung_up_on(void **state)
{
        static const char *const lines[] = {
                "HELLO\n",
                "CONNECT\n",
                "CONNECT \n",
                "CONNECT -1\n",
                "CONNECT 5000 \n",
                "CONNECT 4294967296\n",
                "connect 5000\n",
                "\n",
                "CONNECT 000000000000000000000000000005000\n",
                " CONNECT 5000\r\n",
        };
        struct driver d;
        struct place p;

        (void)state;
        start(&d, &p);
        for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
                cleanup_fd int fd = client(&p, lines[i]);
                char text[64];
                ssize_t n;
                driver_await(&d, (n = read_some(fd, text, sizeof(text))) != -EAGAIN);
                /* The line is left unread, so that it is a reset. */
                assert_true(n == 0 || n == -ECONNRESET);
        }
        assert_false(driver_has_packet(&d));
        stop(&d, &p);
}

static void silent_clients_do_not_lock_others_out_for_ever(void **state)
{
        struct driver d;
        struct place p;
        int fds[80];
        int refused = 0;

        (void)state;
        start(&d, &p);
        for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
                fds[i] = client(&p, "");
                driver_turn(&d);
        }
        for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
                char text[8];
                driver_turn(&d);
                refused += read_some(fds[i], text, sizeof(text)) == 0;
        }
        assert_int_equal(refused, 80 - 64);
        for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
                fd_close_p(&fds[i]);
        int fd = client(&p, "CONNECT 5000\n");
        driver_expect(&d, VSOCK_OP_REQUEST, 5000);
        fd_close_p(&fd);
        stop(&d, &p);
}

static void client_that_does_not_say_where_to_in_time_is_hung_up_on(void **state)
{
        struct driver d;
        struct place p;
        uint64_t now = clock_ms();
        char text[8];

        (void)state;
        start(&d, &p);
        cleanup_fd int fd = client(&p, "CONN");
        driver_await(&d, d.device->bridge.n_handshakes == 1);
        uint64_t deadline = bridge_deadlines(d.device, now);
        assert_true(deadline >= now + HANDSHAKE_MS && deadline <= clock_ms() + HANDSHAKE_MS);
        assert_int_equal(read_some(fd, text, sizeof(text)), -EAGAIN);
        assert_int_equal(bridge_deadlines(d.device, deadline), 0);
        assert_int_equal(d.device->bridge.n_handshakes, 0);
        assert_true(read_some(fd, text, sizeof(text)) != -EAGAIN);
        stop(&d, &p);
}

static void line_without_an_end_is_hung_up_on_at_once(void **state)
{
        struct driver d;
        struct place p;
        char text[8];
        ssize_t n;

        (void)state;
        start(&d, &p);
        uint64_t began = clock_ms();
        cleanup_fd int fd = client(&p, "CONNECT 000000000000000000000005");
        driver_await(&d, (n = read_some(fd, text, sizeof(text))) != -EAGAIN);
        assert_true(clock_ms() - began < HANDSHAKE_MS / 2);
        stop(&d, &p);
}

static void guest_reaches_a_socket_named_for_the_port(void **state)
{
        struct driver d;
        struct place p;
        char text[16];
        int listener = -1;

        (void)state;
        start(&d, &p);
        assert_int_equal(unix_socket_listen(p.dirfd, "vsock.sock_7000", &listener, NULL), 0);
        driver_transmit_op(&d, VSOCK_OP_REQUEST, GUEST_PORT, 7000);
        driver_expect(&d, VSOCK_OP_RESPONSE, GUEST_PORT);
        cleanup_fd int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        assert_true(fd >= 0);
        struct vsock_packet_header header = driver_header(&d, VSOCK_OP_RW, GUEST_PORT, 7000);
        header.len = 4;
        driver_transmit(&d, &header, "ping", 0);
        assert_int_equal(read_some(fd, text, sizeof(text)), 4);
        /* Other ports are nobody's, and a socket that nobody listens on any more is none. */
        driver_transmit_op(&d, VSOCK_OP_REQUEST, GUEST_PORT, 7001);
        driver_expect(&d, VSOCK_OP_RST, GUEST_PORT);
        fd_close_p(&listener);
        driver_transmit_op(&d, VSOCK_OP_REQUEST, GUEST_PORT + 1, 7000);
        driver_expect(&d, VSOCK_OP_RST, GUEST_PORT + 1);
        stop(&d, &p);
}

static void stale_socket_is_replaced_and_nothing_else(void **state)
{
        struct driver d;
        struct place p;
        struct stat st;
        struct error err = {0};
        int stale = -1, fd = -1;

        (void)state;
        make_place(&p);
        assert_int_equal(unix_socket_listen(p.dirfd, "vsock.sock", &stale, NULL), 0);
        fd_close_p(&stale);
        driver_init(&d, (struct vsock_device_options){.dirfd = p.dirfd, .name = "vsock.sock"});
        assert_int_equal(fstatat(p.dirfd, "vsock.sock", &st, 0), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
        fd = openat(p.dirfd, "precious", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        assert_true(fd >= 0);
        fd_close_p(&fd);
        assert_int_equal(unix_socket_listen(p.dirfd, "precious", &fd, &err), -EADDRINUSE);
        assert_string_equal(error_text(&err), "precious: Address already in use");
        stop(&d, &p);
}

static void too_long_a_name_is_refused(void **state)
{
        enum { LONGEST = 69 }; /* and ports have ten digits */
        char name[LONGEST + 2], with_port[sizeof(name) + 16];
        struct place p;
        struct driver d;
        struct error err = {0};
        struct vsock_device *device;
        int listener = -1, pair[2];

        (void)state;
        make_place(&p);
        memset(name, 'x', sizeof(name) - 1);
        name[LONGEST + 1] = '\0';
        struct vsock_device_options options = {.guest_cid = 4, .dirfd = p.dirfd, .name = name};
        struct loop *loop;
        assert_int_equal(loop_new(&loop, NULL), 0);
        assert_int_equal(unix_socket_pair(pair, NULL), 0);
        assert_int_equal(vsock_device_new(loop, &options, pair[0], &device, &err), -ENAMETOOLONG);
        assert_non_null(strstr(error_text(&err), "too long for the name of a vsock socket (69 bytes)"));
        for (size_t i = 0; i < 2; i++)
                fd_close_p(&pair[i]);
        loop_free(loop);
        name[LONGEST] = '\0';
        driver_init(&d, options);
        driver_start(&d);
        snprintf(with_port, sizeof(with_port), "%s_%u", name, UINT32_MAX - 1);
        assert_int_equal(unix_socket_listen(p.dirfd, with_port, &listener, NULL), 0);
        driver_transmit_op(&d, VSOCK_OP_REQUEST, GUEST_PORT, UINT32_MAX - 1);
        driver_expect(&d, VSOCK_OP_RESPONSE, GUEST_PORT);
        fd_close_p(&listener);
        driver_done(&d);
        remove_place(&p);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(client_is_connected_and_told_its_port),
                cmocka_unit_test(line_may_come_in_pieces),
                cmocka_unit_test(client_is_hung_up_on_when_the_guest_refuses),
                cmocka_unit_test(client_that_hangs_up_cancels_its_request),
                cmocka_unit_test(nonsense_is_hung_up_on),
                cmocka_unit_test(silent_clients_do_not_lock_others_out_for_ever),
                cmocka_unit_test(client_that_does_not_say_where_to_in_time_is_hung_up_on),
                cmocka_unit_test(line_without_an_end_is_hung_up_on_at_once),
                cmocka_unit_test(guest_reaches_a_socket_named_for_the_port),
                cmocka_unit_test(stale_socket_is_replaced_and_nothing_else),
                cmocka_unit_test(too_long_a_name_is_refused),
        };

        return cmocka_run_group_tests_name("device-bridge", tests, NULL, NULL);
}
