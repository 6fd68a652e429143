/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test-guest.c - the two ports of an enclave, when it isn't enclave-init that dials them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "supervisor/guest.h"

#include "lib/base/fd.h"

#include <sys/socket.h>
#include <unistd.h>

static void make_pair(int pair[2])
{
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
}

struct channel {
        struct loop *loop;
        struct guest *guest;
        int messages;
        int heartbeats;
};

static void on_channel_message(const struct guest_message *message, void *user)
{
        struct channel *channel = user;

        (void)message;
        channel->messages++;
        guest_hang_up(channel->guest);
        loop_quit(channel->loop, 0);
}

static void on_channel_lost(const char *why, void *user)
{
        (void)user;
        fail_msg("%s", why);
}

/* Where init has gone or was hung up on, whoever dials its port next is the workload. */
static void test_only_the_first_control_channel_counts(void **state)
{
        struct channel channel = {0};
        const struct guest_events events = {
                .message = on_channel_message, .lost = on_channel_lost, .user = &channel};
        const struct guest_message hello = {.type = GUEST_HELLO, .version = GUEST_PROTOCOL_VERSION};
        cleanup_buf struct buf frame = buf_with_max(64);
        int init[2], workload[2];
        char byte;

        (void)state;
        make_pair(init);
        make_pair(workload);
        assert_int_equal(loop_new(&channel.loop, NULL), 0);
        assert_int_equal(guest_new(channel.loop, 4, &events, &channel.guest, NULL), 0);
        assert_int_equal(guest_message_encode(&hello, &frame), 0);
        assert_int_equal(fd_write_full(init[0], frame.p, frame.n), 0);
        guest_accept(channel.guest, guest_control_port(4), init[1]);
        assert_int_equal(loop_run(channel.loop), 0);
        assert_int_equal(channel.messages, 1);
        assert_false(guest_is_connected(channel.guest));
        guest_accept(channel.guest, guest_control_port(4), workload[1]);
        assert_false(guest_is_connected(channel.guest));
        assert_int_equal(recv(workload[0], &byte, 1, MSG_DONTWAIT), 0);
        close(init[0]);
        close(workload[0]);
        guest_free(channel.guest);
        loop_free(channel.loop);
}

static void on_channel_heartbeat(void *user)
{
        struct channel *channel = user;

        channel->heartbeats++;
        loop_quit(channel->loop, 0);
}

/* Whoever says nothing at its port keeps no more than a few connections waiting. */
static void test_few_heartbeats_are_waited_for_at_a_time(void **state)
{
        enum { FEW = 4 };
        const uint8_t byte = GUEST_HEARTBEAT_BYTE;
        struct channel channel = {0};
        const struct guest_events events = {.heartbeat = on_channel_heartbeat, .user = &channel};
        int mine[FEW + 2], pair[2];
        char answer;

        (void)state;
        assert_int_equal(loop_new(&channel.loop, NULL), 0);
        assert_int_equal(guest_new(channel.loop, 4, &events, &channel.guest, NULL), 0);
        for (size_t i = 0; i <= FEW; i++) {
                make_pair(pair);
                mine[i] = pair[0];
                guest_accept(channel.guest, GUEST_HEARTBEAT_PORT, pair[1]);
        }
        assert_int_equal(recv(mine[FEW], &answer, 1, MSG_DONTWAIT), 0);
        assert_int_equal(recv(mine[FEW - 1], &answer, 1, MSG_DONTWAIT), -1);
        assert_int_equal(write(mine[0], &byte, 1), 1);
        assert_int_equal(loop_run(channel.loop), 0);
        assert_int_equal(channel.heartbeats, 1);
        /* That one has its answer and made room. */
        assert_int_equal(recv(mine[0], &answer, 1, MSG_DONTWAIT), 1);
        assert_int_equal(recv(mine[0], &answer, 1, MSG_DONTWAIT), 0);
        make_pair(pair);
        mine[FEW + 1] = pair[0];
        guest_accept(channel.guest, GUEST_HEARTBEAT_PORT, pair[1]);
        assert_int_equal(recv(mine[FEW + 1], &answer, 1, MSG_DONTWAIT), -1);
        guest_free(channel.guest);
        loop_free(channel.loop);
        for (size_t i = 0; i < FEW + 2; i++)
                close(mine[i]);
}

static void test_other_ports_are_nobodys(void **state)
{
        struct channel channel = {0};
        const struct guest_events events = {.user = &channel};
        int pair[2];
        char byte;

        (void)state;
        make_pair(pair);
        assert_int_equal(loop_new(&channel.loop, NULL), 0);
        assert_int_equal(guest_new(channel.loop, 4, &events, &channel.guest, NULL), 0);
        guest_accept(channel.guest, guest_control_port(5), pair[1]);
        assert_int_equal(recv(pair[0], &byte, 1, MSG_DONTWAIT), 0);
        assert_false(guest_is_connected(channel.guest));
        assert_int_equal(guest_shut_down(channel.guest), -ENOTCONN);
        guest_free(channel.guest);
        loop_free(channel.loop);
        close(pair[0]);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_only_the_first_control_channel_counts),
                cmocka_unit_test(test_few_heartbeats_are_waited_for_at_a_time),
                cmocka_unit_test(test_other_ports_are_nobodys),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
