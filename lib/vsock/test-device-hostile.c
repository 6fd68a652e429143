/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/vsock/fake-driver.h"

#include "lib/base/fd.h"
#include "lib/vsock/vhost-user-message.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <linux/virtio_ring.h>

enum { GUEST_PORT = 1111, HOST_PORT = 9000, TX = 1 };

static void on_accept(struct vsock_device *device, uint32_t port, int fd, void *user)
{
        (void)device, (void)port, (void)user;
        close(fd);
}

static void keep_fd(struct vsock_device *device, uint32_t port, int fd, void *user)
{
        (void)device, (void)port;
        *(int *)user = fd;
}

static void start(struct driver *d)
{
        driver_init(d, (struct vsock_device_options){0});
        driver_start(d);
}

/* The device says why it ended, in these words. */
static void expect_end(struct driver *d, int code, const char *words)
{
        driver_await(d, d->ended != 0);
        assert_int_equal(d->ended, code);
        if (!strstr(d->why, words))
                fail_msg("\"%s\" does not say \"%s\"", d->why, words);
        driver_done(d);
}

/* --- packets
 * ---------------------------------------------------------------------------------------------------- */

static void packets_for_no_connection_are_reset(void **state)
{
        static const uint16_t ops[] = {VSOCK_OP_INVALID,
                                       VSOCK_OP_RESPONSE,
                                       VSOCK_OP_SHUTDOWN,
                                       VSOCK_OP_RW,
                                       VSOCK_OP_CREDIT_UPDATE,
                                       VSOCK_OP_CREDIT_REQUEST,
                                       99};
        struct driver d;

        (void)state;
        start(&d);
        for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
                driver_transmit_op(&d, ops[i], GUEST_PORT, HOST_PORT);
                driver_expect(&d, VSOCK_OP_RST, GUEST_PORT);
        }
        driver_transmit_op(&d, VSOCK_OP_RST, GUEST_PORT, HOST_PORT);
        assert_false(driver_has_packet(&d));
        driver_done(&d);
}

static void misplaced_packets_reset_the_connection(void **state)
{
        static const uint16_t ops[] = {VSOCK_OP_INVALID, VSOCK_OP_REQUEST, VSOCK_OP_RESPONSE, 8, 0xffff};
        struct driver d;
        int fd = -1;

        (void)state;
        start(&d);
        assert_int_equal(vsock_device_listen(d.device, HOST_PORT, keep_fd, &fd, NULL), 0);
        for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
                driver_transmit_op(&d, VSOCK_OP_REQUEST, GUEST_PORT, HOST_PORT);
                driver_expect(&d, VSOCK_OP_RESPONSE, GUEST_PORT);
                driver_transmit_op(&d, ops[i], GUEST_PORT, HOST_PORT);
                driver_expect(&d, VSOCK_OP_RST, GUEST_PORT);
                assert_int_equal(vsock_device_connections(d.device), 0);
                fd_close_p(&fd);
        }
        driver_done(&d);
}

static void seqpacket_is_refused_in_kind(void **state)
{
        struct driver d;

        (void)state;
        start(&d);
        assert_int_equal(vsock_device_listen(d.device, HOST_PORT, on_accept, NULL, NULL), 0);
        struct vsock_packet_header header = driver_header(&d, VSOCK_OP_REQUEST, GUEST_PORT, HOST_PORT);
        header.type = VSOCK_TYPE_SEQPACKET;
        driver_transmit(&d, &header, NULL, 0);
        assert_int_equal(driver_expect(&d, VSOCK_OP_RST, GUEST_PORT).type, VSOCK_TYPE_SEQPACKET);
        driver_done(&d);
}

static void other_cids_are_not_the_parent(void **state)
{
        struct driver d;

        (void)state;
        start(&d);
        assert_int_equal(vsock_device_listen(d.device, HOST_PORT, on_accept, NULL, NULL), 0);
        struct vsock_packet_header header = driver_header(&d, VSOCK_OP_REQUEST, GUEST_PORT, HOST_PORT);
        header.dst_cid = UINT64_C(0x100000002);
        driver_transmit(&d, &header, NULL, 0);
        assert_int_equal(driver_expect(&d, VSOCK_OP_RST, GUEST_PORT).src_cid, UINT64_C(0x100000002));
        /* Who pretends to be another guest gets no answer. */
        header.dst_cid = 2;
        header.src_cid = 43;
        driver_transmit(&d, &header, NULL, 0);
        assert_false(driver_has_packet(&d));
        assert_int_equal(vsock_device_connections(d.device), 0);
        driver_done(&d);
}

static void payload_longer_than_the_packet_is_refused(void **state)
{
        struct driver d;
        int fd = -1;

        (void)state;
        start(&d);
        assert_int_equal(vsock_device_listen(d.device, HOST_PORT, keep_fd, &fd, NULL), 0);
        driver_transmit_op(&d, VSOCK_OP_REQUEST, GUEST_PORT, HOST_PORT);
        driver_expect(&d, VSOCK_OP_RESPONSE, GUEST_PORT);
        struct vsock_packet_header header = driver_header(&d, VSOCK_OP_RW, GUEST_PORT, HOST_PORT);
        for (uint32_t len = 1; len <= 1000; len += 999) { /* it has credit for either */
                header.len = len;
                driver_transmit(&d, &header, NULL, 0);
                driver_expect(&d, VSOCK_OP_RST, GUEST_PORT);
                assert_int_equal(vsock_device_connections(d.device), 0);
                assert_int_equal(d.ended, 0);
                fd_close_p(&fd);
                driver_transmit_op(&d, VSOCK_OP_REQUEST, GUEST_PORT, HOST_PORT);
                driver_expect(&d, VSOCK_OP_RESPONSE, GUEST_PORT);
        }
        fd_close_p(&fd);
        driver_done(&d);
}

static void remember_result(struct vsock_device *device, int result, int fd, void *user)
{
        (void)device, (void)fd;
        *(int *)user = result;
}

/* The guest is asked for a connection and says something else than yes or no. */
static void packets_before_the_answer_reset_the_connection(void **state)
{
        static const uint16_t ops[] = {VSOCK_OP_RW, VSOCK_OP_SHUTDOWN, VSOCK_OP_REQUEST};
        struct driver d;

        (void)state;
        start(&d);
        for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
                int result = 1;
                assert_int_equal(vsock_device_connect(d.device, 80, 60000, remember_result, &result, NULL),
                                 0);
                uint32_t port = driver_expect(&d, VSOCK_OP_REQUEST, 80).src_port;
                driver_transmit_op(&d, ops[i], 80, port);
                driver_expect(&d, VSOCK_OP_RST, 80);
                assert_int_equal(result, -ECONNRESET);
                assert_int_equal(vsock_device_connections(d.device), 0);
        }
        driver_done(&d);
}

static void answer_to_what_was_not_asked_yet_connects_nothing(void **state)
{
        struct driver d;
        int result = 1;

        (void)state;
        start(&d);
        driver_stop_ring(&d, 0);
        assert_int_equal(vsock_device_connect(d.device, 80, 60000, remember_result, &result, NULL), 0);
        driver_transmit_op(&d, VSOCK_OP_RESPONSE, 80, UINT32_C(1) << 30);
        assert_int_equal(result, -ECONNRESET);
        assert_int_equal(vsock_device_connections(d.device), 0);
        driver_done(&d);
}

/* Buffers in so many pieces that one read can't take all of them at once. */
static void receive_buffers_in_crumbs_are_filled_in_order(void **state)
{
        enum { PIECES = 128, PIECE = DRIVER_BUFFER / PIECES, TABLES = 2 * 1024 * 1024, SENT = 60000 };
        static uint8_t sent[SENT], got[SENT + DRIVER_BUFFER];
        struct driver d;
        int fd = -1;

        (void)state;
        start(&d);
        assert_int_equal(vsock_device_listen(d.device, HOST_PORT, keep_fd, &fd, NULL), 0);
        driver_transmit_op(&d, VSOCK_OP_REQUEST, GUEST_PORT, HOST_PORT);
        for (uint32_t i = 0; i < DRIVER_RING; i++) {
                size_t table = TABLES + (size_t)i * PIECES * sizeof(struct vring_desc);
                for (uint32_t k = 0; k < PIECES; k++) {
                        const struct vring_desc piece = {
                                .addr = DRIVER_GUEST_ADDR + driver_buffer_at(i) + (size_t)k * PIECE,
                                .len = PIECE,
                                .flags = VRING_DESC_F_WRITE | (k + 1 < PIECES ? VRING_DESC_F_NEXT : 0),
                                .next = (uint16_t)(k + 1)};
                        memcpy(d.memory + table + k * sizeof(piece), &piece, sizeof(piece));
                }
                driver_set_descriptor(&d, 0, (uint16_t)i, DRIVER_GUEST_ADDR + table,
                                      PIECES * sizeof(struct vring_desc), VRING_DESC_F_INDIRECT, 0);
        }
        driver_expect(&d, VSOCK_OP_RESPONSE, GUEST_PORT);
        for (size_t i = 0; i < SENT; i++)
                sent[i] = (uint8_t)(i * 7 + i / 251);
        assert_int_equal(write(fd, sent, SENT), SENT);
        for (size_t n = 0; n < SENT;) {
                struct vsock_packet_header header = driver_receive(&d, got + n);
                assert_int_equal(header.op, VSOCK_OP_RW);
                n += header.len;
                assert_true(n <= SENT);
        }
        assert_memory_equal(sent, got, SENT);
        fd_close_p(&fd);
        driver_done(&d);
}

static void short_and_empty_packets_are_dropped(void **state)
{
        struct driver d;

        (void)state;
        start(&d);
        driver_set_descriptor(&d, TX, 0, DRIVER_GUEST_ADDR + driver_transmit_at(), 43, 0, 0);
        driver_offer(&d, TX, 0);
        driver_set_descriptor(&d, TX, 1, DRIVER_GUEST_ADDR + driver_transmit_at(), 0, 0, 0);
        driver_offer(&d, TX, 1);
        assert_false(driver_has_packet(&d));
        assert_int_equal(d.ended, 0);
        /* Life goes on. */
        driver_transmit_op(&d, VSOCK_OP_REQUEST, GUEST_PORT, HOST_PORT);
        driver_expect(&d, VSOCK_OP_RST, GUEST_PORT);
        driver_done(&d);
}

static void flood_of_strays_is_answered_in_bounds(void **state)
{
        struct driver d;
        int answers = 0;

        (void)state;
        start(&d);
        /* The guest does not take the answers: 64 are in its buffers, 256 wait, the rest is dropped. */
        for (uint32_t i = 0; i < 1000; i++)
                driver_transmit_op(&d, VSOCK_OP_RW, i, HOST_PORT);
        while (driver_has_packet(&d)) {
                driver_receive(&d, NULL);
                answers++;
        }
        assert_int_equal(answers, DRIVER_RING + 256);
        assert_int_equal(d.ended, 0);
        driver_done(&d);
}

static void connections_are_limited(void **state)
{
        struct driver d;
        int fd = -1, fds[3];

        (void)state;
        driver_init(&d, (struct vsock_device_options){.max_connections = 3});
        driver_start(&d);
        assert_int_equal(vsock_device_listen(d.device, HOST_PORT, keep_fd, &fd, NULL), 0);
        for (uint32_t i = 0; i < 3; i++) {
                driver_transmit_op(&d, VSOCK_OP_REQUEST, i, HOST_PORT);
                driver_expect(&d, VSOCK_OP_RESPONSE, i);
                fds[i] = fd;
        }
        driver_transmit_op(&d, VSOCK_OP_REQUEST, 3, HOST_PORT);
        driver_expect(&d, VSOCK_OP_RST, 3);
        assert_int_equal(vsock_device_connect(d.device, 1, 1000, NULL, NULL, NULL), -EMFILE);
        /* One goes, another may come. */
        driver_transmit_op(&d, VSOCK_OP_RST, 0, HOST_PORT);
        driver_transmit_op(&d, VSOCK_OP_REQUEST, 3, HOST_PORT);
        driver_expect(&d, VSOCK_OP_RESPONSE, 3);
        fd_close_p(&fd);
        for (size_t i = 0; i < 3; i++)
                fd_close_p(&fds[i]);
        driver_done(&d);
}

static void later_connections_are_promised_less(void **state)
{
        struct driver d;
        uint32_t last = 0;

        (void)state;
        start(&d);
        assert_int_equal(vsock_device_listen(d.device, HOST_PORT, on_accept, NULL, NULL), 0);
        for (uint32_t i = 0; i < 600; i++) {
                driver_transmit_op(&d, VSOCK_OP_REQUEST, i, HOST_PORT);
                last = driver_receive(&d, NULL).buf_alloc;
                assert_int_equal(last, i < 512 ? 256 * 1024 : 16 * 1024);
                /* The listener closed its end at once. */
                driver_expect(&d, VSOCK_OP_SHUTDOWN, i);
        }
        assert_int_equal(vsock_device_connections(d.device), 600);
        /* Of those that go the promise is taken back. */
        for (uint32_t i = 0; i < 100; i++)
                driver_transmit_op(&d, VSOCK_OP_RST, i, HOST_PORT);
        driver_transmit_op(&d, VSOCK_OP_REQUEST, 0, HOST_PORT);
        assert_int_equal(driver_receive(&d, NULL).buf_alloc, 256 * 1024);
        driver_done(&d);
}

/* --- rings
 * ------------------------------------------------------------------------------------------------------ */

static void circle_of_descriptors_ends_the_device(void **state)
{
        struct driver d;

        (void)state;
        start(&d);
        driver_set_descriptor(&d, TX, 0, DRIVER_GUEST_ADDR, 4, VRING_DESC_F_NEXT, 1);
        driver_set_descriptor(&d, TX, 1, DRIVER_GUEST_ADDR, 4, VRING_DESC_F_NEXT, 0);
        driver_offer(&d, TX, 0);
        expect_end(&d, -EBADMSG, "guest's transmit ring is broken: descriptors go in circles");
}

static void descriptor_outside_of_memory_ends_the_device(void **state)
{
        struct driver d;

        (void)state;
        start(&d);
        driver_set_descriptor(&d, TX, 0, DRIVER_GUEST_ADDR + DRIVER_MEMORY - 4, 8, 0, 0);
        driver_offer(&d, TX, 0);
        expect_end(&d, -EBADMSG, "leaves the guest's memory");
}

static void writable_descriptor_in_the_transmit_ring_ends_the_device(void **state)
{
        struct driver d;

        (void)state;
        start(&d);
        driver_set_descriptor(&d, TX, 0, DRIVER_GUEST_ADDR, 100, VRING_DESC_F_WRITE, 0);
        driver_offer(&d, TX, 0);
        expect_end(&d, -EBADMSG, "descriptor for the device to write in a queue that it reads");
}

static void readable_descriptor_in_the_receive_ring_ends_the_device(void **state)
{
        struct driver d;

        (void)state;
        start(&d);
        driver_set_descriptor(&d, 0, 0, DRIVER_GUEST_ADDR, 4096, 0, 0);
        driver_set_descriptor(&d, TX, 0, DRIVER_GUEST_ADDR + driver_transmit_at(), 44, 0, 0);
        struct vsock_packet_header header = driver_header(&d, VSOCK_OP_REQUEST, 1, 1);
        vsock_packet_encode(&header, d.memory + driver_transmit_at());
        driver_offer(&d, TX, 0);
        expect_end(&d, -EBADMSG, "guest's receive ring is broken");
}

static void receive_buffer_without_room_ends_the_device(void **state)
{
        struct driver d;

        (void)state;
        start(&d);
        driver_set_descriptor(&d, 0, 0, DRIVER_GUEST_ADDR, 44, VRING_DESC_F_WRITE, 0);
        driver_set_descriptor(&d, TX, 0, DRIVER_GUEST_ADDR + driver_transmit_at(), 44, 0, 0);
        struct vsock_packet_header header = driver_header(&d, VSOCK_OP_REQUEST, 1, 1);
        vsock_packet_encode(&header, d.memory + driver_transmit_at());
        driver_offer(&d, TX, 0);
        expect_end(&d, -EBADMSG, "a buffer of 44 bytes is too small");
}

/* --- QEMU
 * ------------------------------------------------------------------------------------------------------- */

static void kick_that_is_no_eventfd_ends_the_device(void **state)
{
        struct driver d;
        const uint64_t which = TX;
        int fds[2];

        (void)state;
        start(&d);
        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        driver_send_message(&d, VHOST_USER_SET_VRING_CALL, &which, sizeof(which), &fds[1], 1);
        fd_close_p(&fds[0]);
        fd_close_p(&fds[1]);
        expect_end(&d, -EINVAL, "vhost-user: SET_VRING_CALL: ring descriptor is not an eventfd");
}

static uint64_t cpu_us(void)
{
        struct timespec now;

        assert_int_equal(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now), 0);
        return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static int end_of_rest(struct loop_source *source, void *user)
{
        (void)source;
        loop_quit(user, 0);
        return 0;
}

static void kick_that_is_always_ready_does_not_make_the_device_spin(void **state)
{
        struct driver d;
        const uint64_t which = TX;
        struct loop_source *timer = NULL;

        (void)state;
        start(&d);
        /* An anonymous inode that is always ready and never read empty: another epoll set. */
        cleanup_fd int ready = eventfd(1, EFD_CLOEXEC);
        cleanup_fd int set = epoll_create1(EPOLL_CLOEXEC);
        struct epoll_event event = {.events = EPOLLIN};
        assert_int_equal(epoll_ctl(set, EPOLL_CTL_ADD, ready, &event), 0);
        driver_send_message(&d, VHOST_USER_SET_VRING_KICK, &which, sizeof(which), &set, 1);
        assert_false(driver_has_packet(&d));
        uint64_t before = cpu_us();
        assert_int_equal(loop_add_timer(d.loop, 200, end_of_rest, d.loop, &timer, NULL), 0);
        assert_int_equal(loop_run(d.loop), 0);
        loop_remove(&timer);
        assert_in_range(cpu_us() - before, 0, 50 * 1000);
        assert_int_equal(d.ended, 0);
        driver_done(&d);
}

static void memory_that_could_shrink_ends_the_device(void **state)
{
        struct driver d;
        const uint64_t table[5] = {1, 0, 4096, 0, 0};

        (void)state;
        start(&d);
        cleanup_fd int fd = memfd_create("unsealed", MFD_CLOEXEC);
        assert_int_equal(ftruncate(fd, 4096), 0);
        driver_send_message(&d, VHOST_USER_SET_MEM_TABLE, table, sizeof(table), &fd, 1);
        expect_end(&d, -EINVAL, "guest memory could shrink under us");
}

static void half_a_message_does_not_block(void **state)
{
        struct driver d;
        const uint32_t header[3] = {VHOST_USER_SET_FEATURES, 1, 8};

        (void)state;
        start(&d);
        assert_int_equal(write(d.fd, header, 6), 6);
        driver_transmit_op(&d, VSOCK_OP_REQUEST, GUEST_PORT, HOST_PORT);
        driver_expect(&d, VSOCK_OP_RST, GUEST_PORT);
        assert_int_equal(write(d.fd, (const char *)header + 6, 6), 6);
        driver_transmit_op(&d, VSOCK_OP_REQUEST, GUEST_PORT, HOST_PORT);
        driver_expect(&d, VSOCK_OP_RST, GUEST_PORT);
        fd_close_p(&d.fd);
        expect_end(&d, -EPIPE, "QEMU closed its end");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(packets_for_no_connection_are_reset),
                cmocka_unit_test(misplaced_packets_reset_the_connection),
                cmocka_unit_test(seqpacket_is_refused_in_kind),
                cmocka_unit_test(other_cids_are_not_the_parent),
                cmocka_unit_test(payload_longer_than_the_packet_is_refused),
                cmocka_unit_test(packets_before_the_answer_reset_the_connection),
                cmocka_unit_test(answer_to_what_was_not_asked_yet_connects_nothing),
                cmocka_unit_test(receive_buffers_in_crumbs_are_filled_in_order),
                cmocka_unit_test(short_and_empty_packets_are_dropped),
                cmocka_unit_test(flood_of_strays_is_answered_in_bounds),
                cmocka_unit_test(connections_are_limited),
                cmocka_unit_test(later_connections_are_promised_less),
                cmocka_unit_test(circle_of_descriptors_ends_the_device),
                cmocka_unit_test(descriptor_outside_of_memory_ends_the_device),
                cmocka_unit_test(writable_descriptor_in_the_transmit_ring_ends_the_device),
                cmocka_unit_test(readable_descriptor_in_the_receive_ring_ends_the_device),
                cmocka_unit_test(receive_buffer_without_room_ends_the_device),
                cmocka_unit_test(kick_that_is_no_eventfd_ends_the_device),
                cmocka_unit_test(kick_that_is_always_ready_does_not_make_the_device_spin),
                cmocka_unit_test(memory_that_could_shrink_ends_the_device),
                cmocka_unit_test(half_a_message_does_not_block),
        };

        return cmocka_run_group_tests_name("device-hostile", tests, NULL, NULL);
}
