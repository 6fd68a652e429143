/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/vsock/fake-driver.h"

#include "lib/base/fd.h"
#include "lib/vsock/device-internal.h"
#include "lib/base/unix-socket.h"
#include "lib/vsock/vhost-user-message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { GUEST_PORT = 1111, HOST_PORT = 9000, PROMISED = 256 * 1024 };

/* What came to a listener or a connecter. */
struct outcome {
        int calls;
        int result;
        int fd;
};

static void on_accept(struct vsock_device *device, uint32_t port, int fd, void *user)
{
        struct outcome *o = user;

        (void)device, (void)port;
        o->calls++;
        o->fd = fd;
}

static void on_connected(struct vsock_device *device, int result, int fd, void *user)
{
        struct outcome *o = user;

        (void)device;
        o->calls++;
        o->result = result;
        o->fd = fd;
}

/* A running device with a listener on HOST_PORT and a connection from GUEST_PORT to it. */
static struct outcome open_stream(struct driver *d)
{
        struct outcome o = {.fd = -1};

        driver_init(d, (struct vsock_device_options){0});
        driver_start(d);
        assert_int_equal(vsock_device_listen(d->device, HOST_PORT, on_accept, &o, NULL), 0);
        driver_transmit_op(d, VSOCK_OP_REQUEST, GUEST_PORT, HOST_PORT);
        struct vsock_packet_header header = driver_expect(d, VSOCK_OP_RESPONSE, GUEST_PORT);
        assert_int_equal(header.src_cid, 2);
        assert_int_equal(header.src_port, HOST_PORT);
        assert_int_equal(header.buf_alloc, PROMISED);
        assert_int_equal(o.calls, 1);
        assert_true(o.fd >= 0);
        vsock_device_unlisten(d->device, HOST_PORT);
        return o;
}

static void close_stream(struct driver *d, struct outcome *o)
{
        fd_close_p(&o->fd);
        driver_done(d);
}

static void send_data(struct driver *d, const void *p, uint32_t n)
{
        struct vsock_packet_header header = driver_header(d, VSOCK_OP_RW, GUEST_PORT, HOST_PORT);

        header.len = n;
        driver_transmit(d, &header, p, 0);
}

static void send_shutdown(struct driver *d, uint32_t flags)
{
        struct vsock_packet_header header = driver_header(d, VSOCK_OP_SHUTDOWN, GUEST_PORT, HOST_PORT);

        header.flags = flags;
        driver_transmit(d, &header, NULL, 0);
}

static void give_credit(struct driver *d, uint32_t buf_alloc, uint32_t fwd_cnt)
{
        struct vsock_packet_header header = driver_header(d, VSOCK_OP_CREDIT_UPDATE, GUEST_PORT, HOST_PORT);

        header.buf_alloc = buf_alloc;
        header.fwd_cnt = fwd_cnt;
        driver_transmit(d, &header, NULL, 0);
}

static ssize_t peek(int fd)
{
        char byte;
        ssize_t n = recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

        return n < 0 ? -errno : n;
}

static void config_space_holds_the_cid(void **state)
{
        struct driver d;
        const uint32_t question[5] = {0, 8, 0, 0, 0};
        uint32_t answer[5];

        (void)state;
        driver_init(&d, (struct vsock_device_options){0});
        driver_ask(&d, VHOST_USER_GET_CONFIG, question, sizeof(question), answer, sizeof(answer));
        assert_int_equal(answer[1], 8);
        assert_int_equal(answer[3], d.cid);
        assert_int_equal(answer[4], 0);
        driver_done(&d);
}

static void guest_has_a_cid_of_its_own(void **state)
{
        static const uint32_t others[] = {0, 2, 3, UINT32_MAX};
        struct loop *loop;
        int pair[2];

        (void)state;
        assert_int_equal(loop_new(&loop, NULL), 0);
        assert_int_equal(unix_socket_pair(pair, NULL), 0);
        for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
                const struct vsock_device_options options = {.guest_cid = others[i]};
                struct vsock_device *device = NULL;
                assert_int_equal(vsock_device_new(loop, &options, pair[0], &device, NULL), -EINVAL);
        }
        for (size_t i = 0; i < 2; i++)
                fd_close_p(&pair[i]);
        loop_free(loop);
}

static void data_passes_both_ways(void **state)
{
        struct driver d;
        struct outcome o = open_stream(&d);
        uint8_t bytes[DRIVER_BUFFER];

        (void)state;
        send_data(&d, "hello", 5);
        assert_int_equal(recv(o.fd, bytes, sizeof(bytes), 0), 5);
        assert_memory_equal(bytes, "hello", 5);
        assert_int_equal(write(o.fd, "world!", 6), 6);
        struct vsock_packet_header header = driver_receive(&d, bytes);
        assert_int_equal(header.op, VSOCK_OP_RW);
        assert_int_equal(header.len, 6);
        assert_int_equal(header.fwd_cnt, 5);
        assert_memory_equal(bytes, "world!", 6);
        close_stream(&d, &o);
}

static void header_may_be_split_over_descriptors(void **state)
{
        struct driver d;
        struct outcome o = open_stream(&d);
        struct vsock_packet_header header = driver_header(&d, VSOCK_OP_RW, GUEST_PORT, HOST_PORT);
        char bytes[3];

        (void)state;
        for (size_t split = 1; split < VSOCK_PACKET_HEADER_SIZE; split += 7) {
                header.len = 3;
                driver_transmit(&d, &header, "abc", split);
                assert_int_equal(recv(o.fd, bytes, sizeof(bytes), 0), 3);
                assert_memory_equal(bytes, "abc", 3);
        }
        close_stream(&d, &o);
}

static void one_read_fills_many_buffers_in_order(void **state)
{
        struct driver d;
        struct outcome o = open_stream(&d);
        uint8_t sent[40000], got[40000 + DRIVER_BUFFER];

        (void)state;
        for (size_t i = 0; i < sizeof(sent); i++)
                sent[i] = (uint8_t)(i * 7 + i / 251);
        assert_int_equal(write(o.fd, sent, sizeof(sent)), sizeof(sent));
        for (size_t n = 0; n < sizeof(sent);) {
                struct vsock_packet_header header = driver_receive(&d, got + n);
                assert_int_equal(header.op, VSOCK_OP_RW);
                n += header.len;
                assert_true(n <= sizeof(sent));
        }
        assert_memory_equal(sent, got, sizeof(sent));
        close_stream(&d, &o);
}

/* A read stops short at an urgent byte, and what is behind it is told of by no further event. */
static void bytes_behind_an_urgent_one_are_not_forgotten(void **state)
{
        struct driver d;
        struct outcome o = open_stream(&d);
        uint8_t got[2 * DRIVER_BUFFER];
        size_t n = 0;

        (void)state;
        assert_int_equal(write(o.fd, "before", 6), 6);
        if (send(o.fd, "!", 1, MSG_OOB) != 1)
                skip(); /* a kernel without */
        assert_int_equal(write(o.fd, "behind", 6), 6);
        while (n < 12) {
                struct vsock_packet_header header = driver_receive(&d, got + n);
                assert_int_equal(header.op, VSOCK_OP_RW);
                n += header.len;
        }
        assert_memory_equal(got, "beforebehind", 12);
        close_stream(&d, &o);
}

/* So it does where descriptors came along, of which the device takes none. */
static void bytes_behind_a_descriptor_are_not_forgotten(void **state)
{
        struct driver d;
        struct outcome o = open_stream(&d);
        union {
                char bytes[CMSG_SPACE(sizeof(int))];
                struct cmsghdr header;
        } control = {.header = {.cmsg_level = SOL_SOCKET,
                                .cmsg_type = SCM_RIGHTS,
                                .cmsg_len = CMSG_LEN(sizeof(int))}};
        char before[] = "before";
        struct iovec part = {.iov_base = before, .iov_len = 6};
        const struct msghdr msg = {.msg_iov = &part,
                                   .msg_iovlen = 1,
                                   .msg_control = control.bytes,
                                   .msg_controllen = sizeof(control.bytes)};
        uint8_t got[2 * DRIVER_BUFFER];
        size_t n = 0;

        (void)state;
        memcpy(CMSG_DATA(&control.header), &o.fd, sizeof(int));
        assert_int_equal(sendmsg(o.fd, &msg, 0), 6);
        assert_int_equal(write(o.fd, "behind", 6), 6);
        while (n < 12) {
                struct vsock_packet_header header = driver_receive(&d, got + n);
                assert_int_equal(header.op, VSOCK_OP_RW);
                n += header.len;
        }
        assert_memory_equal(got, "beforebehind", 12);
        close_stream(&d, &o);
}

/* A second stream, from GUEST_PORT + 1. */
static void open_another(struct driver *d, struct outcome *o)
{
        assert_int_equal(vsock_device_listen(d->device, HOST_PORT, on_accept, o, NULL), 0);
        driver_transmit_op(d, VSOCK_OP_REQUEST, GUEST_PORT + 1, HOST_PORT);
        driver_expect(d, VSOCK_OP_RESPONSE, GUEST_PORT + 1);
        vsock_device_unlisten(d->device, HOST_PORT);
}

/* Both have much to say before the guest takes anything: neither is heard to its end first, also where the
 * guest's buffers come one by one. */
static void streams_take_turns(void **state)
{
        enum { MUCH = 160 * 1024, TURN = 64 * 1024 };
        struct driver d;
        struct outcome one = open_stream(&d), other = {.fd = -1};
        static uint8_t bytes[MUCH];
        size_t got[2] = {0}, run = 0;
        uint32_t last = 0;

        (void)state;
        open_another(&d, &other);
        uint16_t base = driver_stop_ring(&d, 0);
        assert_int_equal(write(one.fd, bytes, sizeof(bytes)), sizeof(bytes));
        assert_int_equal(write(other.fd, bytes, sizeof(bytes)), sizeof(bytes));
        assert_false(driver_has_packet(&d));
        driver_start_ring(&d, 0, base);
        while (got[0] < MUCH && got[1] < MUCH) {
                struct vsock_packet_header header = driver_receive(&d, NULL);
                assert_int_equal(header.op, VSOCK_OP_RW);
                run = header.dst_port == last ? run + header.len : header.len;
                assert_true(run <= TURN);
                last = header.dst_port;
                got[last - GUEST_PORT] += header.len;
        }
        fd_close_p(&other.fd);
        close_stream(&d, &one);
}

static void guest_is_answered_from_the_cid_it_dialled(void **state)
{
        struct driver d;
        struct outcome o = {.fd = -1};

        (void)state;
        driver_init(&d, (struct vsock_device_options){0});
        driver_start(&d);
        assert_int_equal(vsock_device_listen(d.device, HOST_PORT, on_accept, &o, NULL), 0);
        struct vsock_packet_header header = driver_header(&d, VSOCK_OP_REQUEST, GUEST_PORT, HOST_PORT);
        header.dst_cid = 3;
        driver_transmit(&d, &header, NULL, 0);
        assert_int_equal(driver_expect(&d, VSOCK_OP_RESPONSE, GUEST_PORT).src_cid, 3);
        /* The same ports under the other CID are another stream. */
        int first = o.fd;
        driver_transmit_op(&d, VSOCK_OP_REQUEST, GUEST_PORT, HOST_PORT);
        assert_int_equal(driver_expect(&d, VSOCK_OP_RESPONSE, GUEST_PORT).src_cid, 2);
        assert_int_equal(vsock_device_connections(d.device), 2);
        fd_close_p(&first);
        close_stream(&d, &o);
}

static void nobody_listening_refuses_the_guest(void **state)
{
        struct driver d;

        (void)state;
        driver_init(&d, (struct vsock_device_options){0});
        driver_start(&d);
        driver_transmit_op(&d, VSOCK_OP_REQUEST, GUEST_PORT, HOST_PORT);
        struct vsock_packet_header header = driver_expect(&d, VSOCK_OP_RST, GUEST_PORT);
        assert_int_equal(header.src_port, HOST_PORT);
        assert_int_equal(vsock_device_connections(d.device), 0);
        driver_done(&d);
}

/* --- credit
 * ----------------------------------------------------------------------------------------------------- */

static void slow_reader_gets_all_that_was_promised_room(void **state)
{
        struct driver d;
        struct outcome o = open_stream(&d);
        static uint8_t chunk[16384], got[16384];
        size_t total = 0;

        (void)state;
        /* Twice: the second time the ring begins in its middle. */
        for (int round = 0; round < 2; round++) {
                uint32_t told = 0, room = PROMISED;
                size_t sent = 0;
                /* The guest sends while it has credit; the reader does not read. */
                while (room >= sizeof(chunk)) {
                        memset(chunk, (int)(sent / sizeof(chunk)), sizeof(chunk));
                        send_data(&d, chunk, sizeof(chunk));
                        sent += sizeof(chunk);
                        room -= (uint32_t)sizeof(chunk);
                        while (driver_has_packet(&d)) {
                                struct vsock_packet_header header =
                                        driver_expect(&d, VSOCK_OP_CREDIT_UPDATE, GUEST_PORT);
                                told = header.fwd_cnt;
                                room = PROMISED - ((uint32_t)(total + sent) - told);
                        }
                }
                assert_true(sent >= PROMISED);
                for (size_t at = 0; at < sent; at += sizeof(got)) {
                        driver_await(&d,
                                     recv(o.fd, got, sizeof(got), MSG_PEEK | MSG_DONTWAIT) == sizeof(got));
                        assert_int_equal(recv(o.fd, got, sizeof(got), 0), sizeof(got));
                        assert_int_equal(got[0], (uint8_t)(at / sizeof(got)));
                        assert_int_equal(got[sizeof(got) - 1], (uint8_t)(at / sizeof(got)));
                }
                total += sent;
                /* Credit came back while it was read. */
                while ((uint32_t)total - told > PROMISED / 2)
                        told = driver_expect(&d, VSOCK_OP_CREDIT_UPDATE, GUEST_PORT).fwd_cnt;
                while (driver_has_packet(&d))
                        driver_receive(&d, NULL);
        }
        close_stream(&d, &o);
}

/* How much of what the guest sent has left the device, as it answers when asked. */
static uint32_t handed_on(struct driver *d)
{
        uint32_t fwd_cnt = 0;

        driver_transmit_op(d, VSOCK_OP_CREDIT_REQUEST, GUEST_PORT, HOST_PORT);
        while (driver_has_packet(d))
                fwd_cnt = driver_expect(d, VSOCK_OP_CREDIT_UPDATE, GUEST_PORT).fwd_cnt;
        return fwd_cnt;
}

/* Sends until the reader's socket is full and some waits in the device; returns how much was sent. */
static uint32_t fill_socket(struct driver *d)
{
        static uint8_t chunk[DRIVER_PAYLOAD];
        uint32_t sent = 0;

        do {
                send_data(d, chunk, sizeof(chunk));
                sent += (uint32_t)sizeof(chunk);
        } while (handed_on(d) == sent);
        return sent;
}

static void guest_may_send_all_of_its_credit_and_no_byte_more(void **state)
{
        struct driver d;
        struct outcome o = open_stream(&d);
        static uint8_t chunk[DRIVER_PAYLOAD];
        uint32_t sent = fill_socket(&d);

        (void)state;
        for (uint32_t room = PROMISED - (sent - handed_on(&d)), n; room > 0; room -= n) {
                n = room < DRIVER_PAYLOAD ? room : DRIVER_PAYLOAD;
                send_data(&d, chunk, n);
        }
        assert_false(driver_has_packet(&d));
        send_data(&d, chunk, 1);
        driver_expect(&d, VSOCK_OP_RST, GUEST_PORT);
        close_stream(&d, &o);
}

/* What nobody will read must not use up the guest's credit: its writers would wait for ever. */
static void parent_that_reads_no_more_costs_the_guest_no_credit(void **state)
{
        struct driver d;
        struct outcome o = open_stream(&d);

        (void)state;
        assert_int_equal(shutdown(o.fd, SHUT_RD), 0);
        send_data(&d, "early", 5);
        struct vsock_packet_header header = driver_expect(&d, VSOCK_OP_SHUTDOWN, GUEST_PORT);
        assert_int_equal(header.flags, VSOCK_SHUTDOWN_RCV);
        assert_int_equal(header.fwd_cnt, 5);
        send_data(&d, "late", 4);
        assert_int_equal(handed_on(&d), 9);
        /* The other direction lives. */
        assert_int_equal(write(o.fd, "on", 2), 2);
        assert_int_equal(driver_expect(&d, VSOCK_OP_RW, GUEST_PORT).len, 2);
        close_stream(&d, &o);
}

static void parent_that_closes_gives_back_the_credit_of_what_waited(void **state)
{
        struct driver d;
        struct outcome o = open_stream(&d);
        uint32_t sent = fill_socket(&d);

        (void)state;
        fd_close_p(&o.fd);
        assert_int_equal(driver_expect(&d, VSOCK_OP_SHUTDOWN, GUEST_PORT).fwd_cnt, sent);
        close_stream(&d, &o);
}

static void guest_that_sends_more_than_its_credit_is_reset(void **state)
{
        struct driver d;
        struct outcome o = open_stream(&d);
        static uint8_t chunk[DRIVER_PAYLOAD];
        bool reset = false;

        (void)state;
        /* Its socket takes some, the ring 256 KiB; behind that, it may not send. */
        for (int i = 0; i < 32 && !reset; i++) {
                send_data(&d, chunk, sizeof(chunk));
                while (driver_has_packet(&d) && !reset)
                        reset = driver_receive(&d, NULL).op == VSOCK_OP_RST;
        }
        assert_true(reset);
        assert_int_equal(vsock_device_connections(d.device), 0);
        close_stream(&d, &o);
}

static void device_stops_where_the_guest_has_no_room(void **state)
{
        struct driver d;
        struct outcome o = open_stream(&d);
        static uint8_t bytes[3000];

        (void)state;
        give_credit(&d, 1000, 0);
        assert_int_equal(write(o.fd, bytes, sizeof(bytes)), sizeof(bytes));
        assert_int_equal(driver_expect(&d, VSOCK_OP_RW, GUEST_PORT).len, 1000);
        driver_expect(&d, VSOCK_OP_CREDIT_REQUEST, GUEST_PORT);
        assert_false(driver_has_packet(&d));
        give_credit(&d, 1000, 600);
        assert_int_equal(driver_expect(&d, VSOCK_OP_RW, GUEST_PORT).len, 600);
        driver_expect(&d, VSOCK_OP_CREDIT_REQUEST, GUEST_PORT);
        give_credit(&d, 1 << 20, 1600);
        assert_int_equal(driver_expect(&d, VSOCK_OP_RW, GUEST_PORT).len, 1400);
        /* Nonsense (more read than was ever sent) is no room at all. */
        give_credit(&d, 1000, 50000);
        assert_int_equal(write(o.fd, bytes, sizeof(bytes)), sizeof(bytes));
        driver_expect(&d, VSOCK_OP_CREDIT_REQUEST, GUEST_PORT);
        assert_false(driver_has_packet(&d));
        close_stream(&d, &o);
}

static void credit_request_is_answered(void **state)
{
        struct driver d;
        struct outcome o = open_stream(&d);

        (void)state;
        send_data(&d, "12345", 5);
        driver_transmit_op(&d, VSOCK_OP_CREDIT_REQUEST, GUEST_PORT, HOST_PORT);
        struct vsock_packet_header header = driver_expect(&d, VSOCK_OP_CREDIT_UPDATE, GUEST_PORT);
        assert_int_equal(header.fwd_cnt, 5);
        assert_int_equal(header.buf_alloc, PROMISED);
        close_stream(&d, &o);
}

static void device_waits_for_receive_buffers(void **state)
{
        struct driver d;
        struct outcome o = open_stream(&d);
        static uint8_t bytes[100 * DRIVER_BUFFER];
        size_t total = 0;
        ssize_t n;

        (void)state;
        /* More than all buffers hold, and nobody takes any. */
        while ((n = send(o.fd, bytes + total, DRIVER_BUFFER, MSG_DONTWAIT)) > 0)
                total += (size_t)n;
        for (int i = 0; i < 20; i++) {
                driver_turn(&d);
                while (total < sizeof(bytes) &&
                       (n = send(o.fd, bytes + total, DRIVER_BUFFER, MSG_DONTWAIT)) > 0)
                        total += (size_t)n;
        }
        assert_true(total > (size_t)DRIVER_RING * DRIVER_BUFFER);
        for (size_t got = 0; got < total;)
                got += driver_expect(&d, VSOCK_OP_RW, GUEST_PORT).len;
        close_stream(&d, &o);
}

/* --- closing
 * ---------------------------------------------------------------------------------------------------- */

static void guest_that_sends_no_more_still_receives(void **state)
{
        struct driver d;
        struct outcome o = open_stream(&d);
        char bytes[8];

        (void)state;
        send_data(&d, "end", 3);
        send_shutdown(&d, VSOCK_SHUTDOWN_SEND);
        assert_int_equal(recv(o.fd, bytes, sizeof(bytes), 0), 3);
        assert_int_equal(recv(o.fd, bytes, sizeof(bytes), 0), 0);
        assert_int_equal(write(o.fd, "answer", 6), 6);
        assert_int_equal(driver_expect(&d, VSOCK_OP_RW, GUEST_PORT).len, 6);
        /* Now it may not send. */
        send_data(&d, "!", 1);
        driver_expect(&d, VSOCK_OP_RST, GUEST_PORT);
        close_stream(&d, &o);
}

static void guest_that_receives_no_more_still_sends(void **state)
{
        struct driver d;
        struct outcome o = open_stream(&d);
        char bytes[8];

        (void)state;
        send_shutdown(&d, VSOCK_SHUTDOWN_RCV);
        assert_int_equal(send(o.fd, "x", 1, MSG_NOSIGNAL), -1);
        assert_int_equal(errno, EPIPE);
        send_data(&d, "more", 4);
        assert_int_equal(recv(o.fd, bytes, sizeof(bytes), 0), 4);
        assert_false(driver_has_packet(&d));
        /* The parent's end is closed: nothing is left to do in either direction. */
        fd_close_p(&o.fd);
        assert_int_equal(driver_expect(&d, VSOCK_OP_SHUTDOWN, GUEST_PORT).flags, VSOCK_SHUTDOWN_BOTH);
        close_stream(&d, &o);
}

static void guest_close_is_confirmed(void **state)
{
        struct driver d;
        struct outcome o = open_stream(&d);

        (void)state;
        send_shutdown(&d, VSOCK_SHUTDOWN_BOTH);
        driver_expect(&d, VSOCK_OP_RST, GUEST_PORT);
        assert_int_equal(peek(o.fd), 0);
        assert_int_equal(vsock_device_connections(d.device), 0);
        close_stream(&d, &o);
}

static void parent_close_is_told_after_the_last_byte(void **state)
{
        struct driver d;
        struct outcome o = open_stream(&d);

        (void)state;
        assert_int_equal(write(o.fd, "last", 4), 4);
        fd_close_p(&o.fd);
        assert_int_equal(driver_expect(&d, VSOCK_OP_RW, GUEST_PORT).len, 4);
        assert_int_equal(driver_expect(&d, VSOCK_OP_SHUTDOWN, GUEST_PORT).flags, VSOCK_SHUTDOWN_BOTH);
        assert_int_equal(vsock_device_connections(d.device), 1);
        driver_transmit_op(&d, VSOCK_OP_RST, GUEST_PORT, HOST_PORT);
        assert_int_equal(vsock_device_connections(d.device), 0);
        assert_false(driver_has_packet(&d));
        close_stream(&d, &o);
}

static void parent_half_close_leaves_the_other_half_open(void **state)
{
        struct driver d;
        struct outcome o = open_stream(&d);
        char bytes[8];

        (void)state;
        assert_int_equal(shutdown(o.fd, SHUT_WR), 0);
        assert_int_equal(driver_expect(&d, VSOCK_OP_SHUTDOWN, GUEST_PORT).flags, VSOCK_SHUTDOWN_SEND);
        send_data(&d, "late", 4);
        assert_int_equal(recv(o.fd, bytes, sizeof(bytes), 0), 4);
        fd_close_p(&o.fd);
        assert_int_equal(driver_expect(&d, VSOCK_OP_SHUTDOWN, GUEST_PORT).flags, VSOCK_SHUTDOWN_BOTH);
        close_stream(&d, &o);
}

static void close_that_the_guest_does_not_confirm_ends_in_time(void **state)
{
        struct driver d;
        struct outcome o = open_stream(&d);
        struct connection *c = LIST_FIRST(&d.device->table.all);

        (void)state;
        fd_close_p(&o.fd);
        driver_expect(&d, VSOCK_OP_SHUTDOWN, GUEST_PORT);
        /* The guest has some seconds, which a test does not. */
        assert_true(c->deadline > clock_ms());
        c->deadline = clock_ms() + 1;
        device_set_timer(d.device, c->deadline);
        driver_expect(&d, VSOCK_OP_RST, GUEST_PORT);
        assert_int_equal(vsock_device_connections(d.device), 0);
        close_stream(&d, &o);
}

static void reset_after_close_loses_no_data(void **state)
{
        struct driver d;
        struct outcome o = open_stream(&d);
        static uint8_t got[DRIVER_PAYLOAD];
        size_t sent = fill_socket(&d), total = 0;
        ssize_t n;

        (void)state;
        /* The guest closes and soon forgets. */
        send_shutdown(&d, VSOCK_SHUTDOWN_BOTH);
        driver_transmit_op(&d, VSOCK_OP_RST, GUEST_PORT, HOST_PORT);
        assert_int_equal(vsock_device_connections(d.device), 1);
        /* It may come back from the same port at once. */
        driver_transmit_op(&d, VSOCK_OP_REQUEST, GUEST_PORT, HOST_PORT);
        while (driver_receive(&d, NULL).op != VSOCK_OP_RST)
                ;
        driver_await(&d,
                     ((n = recv(o.fd, got, sizeof(got), MSG_DONTWAIT)) > 0 && (total += (size_t)n) == sent));
        driver_await(&d, peek(o.fd) == 0);
        assert_int_equal(vsock_device_connections(d.device), 0);
        close_stream(&d, &o);
}

/* The rings begin anew, as those of a driver that was started anew; there are no buffers in them yet. */
static void restart_guest(struct driver *d)
{
        for (uint32_t i = 0; i < 2; i++)
                driver_stop_ring(d, i);
        for (uint32_t i = 0; i < 2; i++) {
                memset(d->memory + d->rings[i].avail, 0, 4);
                memset(d->memory + d->rings[i].used, 0, 4);
                d->rings[i].next_avail = d->rings[i].seen_used = 0;
                driver_start_ring(d, i, 0);
        }
}

/* A guest that was reset has forgotten its streams; what it sent before arrives all the same. */
static void reset_of_the_guest_loses_no_data(void **state)
{
        struct driver d;
        struct outcome o = open_stream(&d);
        static uint8_t got[DRIVER_PAYLOAD];
        size_t sent = fill_socket(&d), total = 0;
        ssize_t n;

        (void)state;
        restart_guest(&d);
        driver_await(&d,
                     ((n = recv(o.fd, got, sizeof(got), MSG_DONTWAIT)) > 0 && (total += (size_t)n) == sent));
        driver_await(&d, peek(o.fd) == 0);
        assert_int_equal(vsock_device_connections(d.device), 0);
        close_stream(&d, &o);
}

/* --- connections that the parent begins
 * -------------------------------------------------------------------------- */

static struct vsock_packet_header begin_connect(struct driver *d, struct outcome *o)
{
        driver_init(d, (struct vsock_device_options){0});
        driver_start(d);
        assert_int_equal(vsock_device_connect(d->device, 80, 60000, on_connected, o, NULL), 0);
        assert_int_equal(o->calls, 0);
        struct vsock_packet_header header = driver_expect(d, VSOCK_OP_REQUEST, 80);
        assert_int_equal(header.src_cid, 2);
        assert_int_equal(header.buf_alloc, PROMISED);
        return header;
}

static void connect_succeeds_when_the_guest_agrees(void **state)
{
        struct driver d;
        struct outcome o = {.fd = -1};
        char bytes[8];

        (void)state;
        struct vsock_packet_header request = begin_connect(&d, &o);
        driver_transmit_op(&d, VSOCK_OP_RESPONSE, 80, request.src_port);
        assert_int_equal(o.calls, 1);
        assert_int_equal(o.result, 0);
        /* The time to connect is not the time to live. */
        assert_int_equal(LIST_FIRST(&d.device->table.all)->deadline, 0);
        struct vsock_packet_header header = driver_header(&d, VSOCK_OP_RW, 80, request.src_port);
        header.len = 2;
        driver_transmit(&d, &header, "hi", 0);
        assert_int_equal(recv(o.fd, bytes, sizeof(bytes), 0), 2);
        /* A second answer makes no sense. */
        driver_transmit_op(&d, VSOCK_OP_RESPONSE, 80, request.src_port);
        driver_expect(&d, VSOCK_OP_RST, 80);
        assert_int_equal(o.calls, 1);
        close_stream(&d, &o);
}

static void connect_is_refused_by_a_reset(void **state)
{
        struct driver d;
        struct outcome o = {.fd = -1};

        (void)state;
        struct vsock_packet_header request = begin_connect(&d, &o);
        driver_transmit_op(&d, VSOCK_OP_RST, 80, request.src_port);
        assert_int_equal(o.calls, 1);
        assert_int_equal(o.result, -ECONNREFUSED);
        assert_int_equal(vsock_device_connections(d.device), 0);
        close_stream(&d, &o);
}

static void connect_gives_up_in_time(void **state)
{
        static const unsigned an_hour = 3600 * 1000; /* milliseconds */
        struct driver d;
        struct outcome o = {.fd = -1};

        (void)state;
        driver_init(&d, (struct vsock_device_options){0});
        /* No guest yet, and none comes. */
        assert_int_equal(vsock_device_connect(d.device, 80, 1, on_connected, &o, NULL), 0);
        driver_await(&d, o.calls == 1);
        assert_int_equal(o.result, -ETIMEDOUT);
        assert_int_equal(vsock_device_connections(d.device), 0);
        /* That another has more time makes no difference. */
        struct outcome patient = {.fd = -1};
        assert_int_equal(vsock_device_connect(d.device, 80, 1, on_connected, &o, NULL), 0);
        assert_int_equal(vsock_device_connect(d.device, 80, an_hour, on_connected, &patient, NULL), 0);
        driver_await(&d, o.calls == 2);
        assert_int_equal(patient.calls, 0);
        close_stream(&d, &o);
}

static void connect_before_the_guest_is_there_waits_for_it(void **state)
{
        struct driver d;
        struct outcome o = {.fd = -1};

        (void)state;
        driver_init(&d, (struct vsock_device_options){0});
        assert_int_equal(vsock_device_connect(d.device, 80, 60000, on_connected, &o, NULL), 0);
        driver_start(&d);
        struct vsock_packet_header request = driver_expect(&d, VSOCK_OP_REQUEST, 80);
        driver_transmit_op(&d, VSOCK_OP_RESPONSE, 80, request.src_port);
        assert_int_equal(o.result, 0);
        assert_int_equal(o.calls, 1);
        close_stream(&d, &o);
}

static void connect_that_a_reset_comes_before_is_asked_afterwards(void **state)
{
        struct driver d;
        struct outcome o = open_stream(&d), later = {.fd = -1};

        (void)state;
        driver_stop_ring(&d, 0);
        assert_int_equal(vsock_device_connect(d.device, 80, 60000, on_connected, &later, NULL), 0);
        /* What the guest of before is still to be told is not for the one of now. */
        driver_transmit_op(&d, VSOCK_OP_RW, GUEST_PORT + 1, HOST_PORT);
        restart_guest(&d);
        driver_offer(&d, 0, 0);
        driver_expect(&d, VSOCK_OP_REQUEST, 80);
        assert_int_equal(vsock_device_connections(d.device), 1);
        assert_int_equal(later.calls, 0);
        close_stream(&d, &o);
}

static void freeing_the_device_cancels_connects(void **state)
{
        struct driver d;
        struct outcome o = {.fd = -1};

        (void)state;
        begin_connect(&d, &o);
        close_stream(&d, &o);
        assert_int_equal(o.calls, 1);
        assert_int_equal(o.result, -ECANCELED);
}

static void ports_of_parent_connections_differ(void **state)
{
        struct driver d;
        struct outcome o = {.fd = -1};

        (void)state;
        struct vsock_packet_header first = begin_connect(&d, &o);
        assert_int_equal(vsock_device_connect(d.device, 80, 60000, on_connected, &o, NULL), 0);
        assert_int_not_equal(driver_expect(&d, VSOCK_OP_REQUEST, 80).src_port, first.src_port);
        /* Also when all were used once: the numbers begin anew, and leave out those in use. */
        d.device->table.next_port = INT32_MAX;
        for (uint32_t i = 0; i < 2; i++)
                assert_int_equal(vsock_device_connect(d.device, 80, 60000, on_connected, &o, NULL), 0);
        assert_int_equal(driver_expect(&d, VSOCK_OP_REQUEST, 80).src_port, INT32_MAX);
        assert_int_equal(driver_expect(&d, VSOCK_OP_REQUEST, 80).src_port, first.src_port + 2);
        close_stream(&d, &o);
}

static void a_port_is_listened_to_once(void **state)
{
        struct driver d;
        struct outcome o = {.fd = -1};
        struct error err = {0};

        (void)state;
        driver_init(&d, (struct vsock_device_options){0});
        assert_int_equal(vsock_device_listen(d.device, 5, on_accept, &o, NULL), 0);
        assert_int_equal(vsock_device_listen(d.device, 5, on_accept, &o, &err), -EADDRINUSE);
        assert_string_equal(error_text(&err), "port 5 is listened to already");
        driver_done(&d);
}

/* --- QEMU's doings
 * ------------------------------------------------------------------------------------------------ */

static void streams_survive_a_pause_of_the_guest(void **state)
{
        struct driver d;
        struct outcome o = open_stream(&d);
        char bytes[8];

        (void)state;
        for (uint32_t i = 0; i < 2; i++)
                driver_start_ring(&d, i, driver_stop_ring(&d, i));
        send_data(&d, "on", 2);
        assert_int_equal(recv(o.fd, bytes, sizeof(bytes), 0), 2);
        assert_int_equal(write(o.fd, "off", 3), 3);
        assert_int_equal(driver_expect(&d, VSOCK_OP_RW, GUEST_PORT).len, 3);
        close_stream(&d, &o);
}

static void packet_from_before_a_ring_starts_is_found(void **state)
{
        struct driver d;
        struct outcome o = open_stream(&d);
        uint8_t bytes[VSOCK_PACKET_HEADER_SIZE];
        struct vsock_packet_header header = driver_header(&d, VSOCK_OP_CREDIT_REQUEST, GUEST_PORT, HOST_PORT);

        (void)state;
        uint16_t base = driver_stop_ring(&d, 1);
        vsock_packet_encode(&header, bytes);
        memcpy(d.memory + driver_transmit_at(), bytes, sizeof(bytes));
        driver_set_descriptor(&d, 1, 0, DRIVER_GUEST_ADDR + driver_transmit_at(), sizeof(bytes), 0, 0);
        driver_offer(&d, 1, 0); /* kicks what the ring has no more */
        driver_start_ring(&d, 1, base);
        driver_expect(&d, VSOCK_OP_CREDIT_UPDATE, GUEST_PORT);
        close_stream(&d, &o);
}

static void streams_end_with_a_reset_of_the_guest(void **state)
{
        struct driver d;
        struct outcome o = open_stream(&d);

        (void)state;
        for (uint32_t i = 0; i < 2; i++)
                driver_stop_ring(&d, i);
        driver_start_ring(&d, 0, 0);
        driver_await(&d, vsock_device_connections(d.device) == 0);
        assert_int_equal(peek(o.fd), 0);
        assert_int_equal(d.ended, 0);
        close_stream(&d, &o);
}

static void qemu_hanging_up_ends_the_device(void **state)
{
        struct driver d;
        struct outcome o = open_stream(&d);

        (void)state;
        fd_close_p(&d.fd);
        driver_await(&d, d.ended != 0);
        assert_int_equal(d.ended, -EPIPE);
        assert_int_equal(peek(o.fd), 0);
        assert_int_equal(vsock_device_connections(d.device), 0);
        assert_int_equal(vsock_device_connect(d.device, 80, 1000, on_connected, &o, NULL), -EPIPE);
        close_stream(&d, &o);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(config_space_holds_the_cid),
                cmocka_unit_test(guest_has_a_cid_of_its_own),
                cmocka_unit_test(data_passes_both_ways),
                cmocka_unit_test(header_may_be_split_over_descriptors),
                cmocka_unit_test(one_read_fills_many_buffers_in_order),
                cmocka_unit_test(bytes_behind_an_urgent_one_are_not_forgotten),
                cmocka_unit_test(bytes_behind_a_descriptor_are_not_forgotten),
                cmocka_unit_test(streams_take_turns),
                cmocka_unit_test(guest_is_answered_from_the_cid_it_dialled),
                cmocka_unit_test(nobody_listening_refuses_the_guest),
                cmocka_unit_test(slow_reader_gets_all_that_was_promised_room),
                cmocka_unit_test(guest_may_send_all_of_its_credit_and_no_byte_more),
                cmocka_unit_test(parent_that_reads_no_more_costs_the_guest_no_credit),
                cmocka_unit_test(parent_that_closes_gives_back_the_credit_of_what_waited),
                cmocka_unit_test(guest_that_sends_more_than_its_credit_is_reset),
                cmocka_unit_test(device_stops_where_the_guest_has_no_room),
                cmocka_unit_test(credit_request_is_answered),
                cmocka_unit_test(device_waits_for_receive_buffers),
                cmocka_unit_test(guest_that_sends_no_more_still_receives),
                cmocka_unit_test(guest_that_receives_no_more_still_sends),
                cmocka_unit_test(guest_close_is_confirmed),
                cmocka_unit_test(parent_close_is_told_after_the_last_byte),
                cmocka_unit_test(parent_half_close_leaves_the_other_half_open),
                cmocka_unit_test(close_that_the_guest_does_not_confirm_ends_in_time),
                cmocka_unit_test(reset_after_close_loses_no_data),
                cmocka_unit_test(reset_of_the_guest_loses_no_data),
                cmocka_unit_test(connect_succeeds_when_the_guest_agrees),
                cmocka_unit_test(connect_is_refused_by_a_reset),
                cmocka_unit_test(connect_gives_up_in_time),
                cmocka_unit_test(connect_before_the_guest_is_there_waits_for_it),
                cmocka_unit_test(connect_that_a_reset_comes_before_is_asked_afterwards),
                cmocka_unit_test(freeing_the_device_cancels_connects),
                cmocka_unit_test(ports_of_parent_connections_differ),
                cmocka_unit_test(a_port_is_listened_to_once),
                cmocka_unit_test(streams_survive_a_pause_of_the_guest),
                cmocka_unit_test(packet_from_before_a_ring_starts_is_found),
                cmocka_unit_test(streams_end_with_a_reset_of_the_guest),
                cmocka_unit_test(qemu_hanging_up_ends_the_device),
        };

        return cmocka_run_group_tests_name("device", tests, NULL, NULL);
}
