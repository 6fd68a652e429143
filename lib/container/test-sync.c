/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/fd.h"
#include "lib/container/sync.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

struct pair {
        int ours;
        int theirs;
};

static struct pair connected(void)
{
        int fds[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
        return (struct pair){fds[0], fds[1]};
}

static void disconnect(struct pair *pair)
{
        fd_close_p(&pair->ours);
        fd_close_p(&pair->theirs);
}

#define cleanup_pair CLEANUP(disconnect)

static void a_message_arrives_with_its_text(void **state)
{
        (void)state;
        cleanup_pair struct pair pair = connected();
        struct sync_message message;

        assert_int_equal(sync_send(pair.theirs, PLAN_WARNING, "no such capability", -1), 0);
        assert_int_equal(sync_receive(pair.ours, &message, NULL), 0);
        assert_int_equal(message.type, PLAN_WARNING);
        assert_string_equal(message.text, "no such capability");
        assert_int_equal(message.fd, -1);
}

static void an_error_arrives_with_its_number(void **state)
{
        (void)state;
        cleanup_pair struct pair pair = connected();
        struct sync_message message;
        struct error err = {0};

        error_set(&err, -ENOENT, "exec: \"sh\": not found");
        assert_int_equal(sync_send_error(pair.theirs, &err), 0);
        assert_int_equal(sync_receive(pair.ours, &message, NULL), 0);
        assert_int_equal(message.type, PLAN_ERROR);
        assert_int_equal(message.code, -ENOENT);
        assert_string_equal(message.text, "exec: \"sh\": not found");
}

static void a_descriptor_arrives_close_on_exec(void **state)
{
        (void)state;
        cleanup_pair struct pair pair = connected();
        struct sync_message message;
        cleanup_fd int fd = open("/dev/null", O_RDONLY);

        assert_int_equal(sync_send(pair.theirs, PLAN_CONSOLE, NULL, fd), 0);
        assert_int_equal(sync_receive(pair.ours, &message, NULL), 0);
        assert_int_equal(message.type, PLAN_CONSOLE);
        assert_true(message.fd >= 0);
        assert_int_equal(fcntl(message.fd, F_GETFD), FD_CLOEXEC);
        fd_close_p(&message.fd);
}

static void the_end_of_the_other_side_is_told_apart_from_nonsense(void **state)
{
        (void)state;
        cleanup_pair struct pair pair = connected();
        struct sync_message message;

        fd_close_p(&pair.theirs);
        assert_int_equal(sync_receive(pair.ours, &message, NULL), -ECONNRESET);
        assert_int_equal(sync_send(pair.ours, PLAN_GO, NULL, -1), -EPIPE);
}

static void nonsense_is_refused(void **state)
{
        (void)state;
        cleanup_pair struct pair pair = connected();
        struct sync_message message;
        char large[PLAN_MESSAGE_MAX + 1] = {PLAN_WARNING};
        static const char *const bad[] = {"?",          "\0",        "E",
                                          "E\0\0\0",    "E\0\0\0\0", "E\377\377\377\377",
                                          "E\0\0\020\0"}; /* 4096: the largest errno is below it */
        static const size_t sizes[] = {1, 1, 1, 4, 5, 5, 5};

        for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
                assert_int_equal(send(pair.theirs, bad[i], sizes[i], 0), (ssize_t)sizes[i]);
                assert_int_equal(sync_receive(pair.ours, &message, NULL), -EBADMSG);
        }
        assert_int_equal(send(pair.theirs, large, sizeof(large), 0), sizeof(large));
        assert_int_equal(sync_receive(pair.ours, &message, NULL), -EBADMSG);
}

static void surplus_descriptors_are_refused_and_closed(void **state)
{
        (void)state;
        cleanup_pair struct pair pair = connected();
        struct sync_message received;
        int fds[3] = {0, 1, 2};
        char byte = PLAN_CONSOLE;
        struct iovec part = {.iov_base = &byte, .iov_len = 1};
        union {
                struct cmsghdr align;
                char bytes[CMSG_SPACE(sizeof(fds))];
        } control = {0};

        int next = dup(0);
        close(next);
        for (size_t n = 2; n <= 3; n++) {
                struct msghdr message = {.msg_iov = &part,
                                         .msg_iovlen = 1,
                                         .msg_control = control.bytes,
                                         .msg_controllen = CMSG_SPACE(n * sizeof(int))};
                struct cmsghdr *c = CMSG_FIRSTHDR(&message);
                c->cmsg_level = SOL_SOCKET;
                c->cmsg_type = SCM_RIGHTS;
                c->cmsg_len = CMSG_LEN(n * sizeof(int));
                memcpy(CMSG_DATA(c), fds, n * sizeof(int));
                assert_int_equal(sendmsg(pair.theirs, &message, 0), 1);
                assert_int_equal(sync_receive(pair.ours, &received, NULL), -EBADMSG);
                for (int fd = next; fd < next + 3; fd++)
                        assert_int_equal(fcntl(fd, F_GETFD), -1);
        }
}

/* Without room for another descriptor the kernel leaves it out, and says so. */
static void a_descriptor_that_is_lost_on_the_way_is_no_message_without_one(void **state)
{
        (void)state;
        cleanup_pair struct pair pair = connected();
        struct sync_message message;
        struct rlimit before, none;
        int next = dup(0);

        close(next);
        assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
        none = (struct rlimit){.rlim_cur = (rlim_t)next, .rlim_max = before.rlim_max};
        assert_int_equal(sync_send(pair.theirs, PLAN_CONSOLE, NULL, 0), 0);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
        int r = sync_receive(pair.ours, &message, NULL);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
        assert_int_equal(r, -EBADMSG);
}

static void a_long_text_loses_its_end_only(void **state)
{
        (void)state;
        cleanup_pair struct pair pair = connected();
        struct sync_message message;
        char text[PLAN_MESSAGE_MAX + 100];

        memset(text, 'x', sizeof(text));
        text[sizeof(text) - 1] = '\0';
        assert_int_equal(sync_send(pair.theirs, PLAN_WARNING, text, -1), 0);
        assert_int_equal(sync_receive(pair.ours, &message, NULL), 0);
        assert_int_equal(strlen(message.text), PLAN_MESSAGE_MAX - 1);
}

static void control_characters_of_a_text_reach_no_terminal(void **state)
{
        (void)state;
        cleanup_pair struct pair pair = connected();
        struct sync_message message;

        assert_int_equal(sync_send(pair.theirs, PLAN_WARNING, "a\033[2Jb\nc\177d", -1), 0);
        assert_int_equal(sync_receive(pair.ours, &message, NULL), 0);
        assert_string_equal(message.text, "a [2Jb c d");
}

static void waiting_to_go_takes_nothing_else(void **state)
{
        (void)state;
        cleanup_pair struct pair pair = connected();

        assert_int_equal(sync_send(pair.ours, PLAN_GO, NULL, -1), 0);
        assert_int_equal(sync_wait_go(pair.theirs, NULL), 0);
        assert_int_equal(sync_send(pair.ours, PLAN_WARNING, NULL, -1), 0);
        assert_int_equal(sync_wait_go(pair.theirs, NULL), -EBADMSG);
}

static void a_descriptor_that_comes_with_go_is_closed(void **state)
{
        (void)state;
        cleanup_pair struct pair pair = connected();
        int next = dup(0);

        close(next);
        assert_int_equal(sync_send(pair.ours, PLAN_GO, NULL, 0), 0);
        assert_int_equal(sync_wait_go(pair.theirs, NULL), 0);
        assert_int_equal(fcntl(next, F_GETFD), -1);
}

/* ---- the exec fifo ------------------------------------------------------------------------------------- */

static struct pair fifo(void)
{
        int fds[2];

        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        return (struct pair){fds[0], fds[1]};
}

static void messages_in_a_fifo_have_borders_and_an_end(void **state)
{
        (void)state;
        cleanup_pair struct pair pair = fifo();
        struct sync_message message;
        struct error err = {0};
        char text[PLAN_MESSAGE_MAX + 100];

        memset(text, 'x', sizeof(text));
        text[sizeof(text) - 1] = '\0';
        error_set(&err, -ENOENT, "no such file");
        assert_int_equal(sync_write_fifo(pair.theirs, PLAN_WARNING, text), 0);
        assert_int_equal(sync_write_fifo_error(pair.theirs, &err), 0);
        fd_close_p(&pair.theirs);
        assert_int_equal(sync_read_fifo(pair.ours, &message, NULL), 0);
        assert_int_equal(message.type, PLAN_WARNING);
        assert_int_equal(message.fd, -1);
        assert_int_equal(strlen(message.text), PLAN_MESSAGE_MAX - 1);
        assert_int_equal(sync_read_fifo(pair.ours, &message, NULL), 0);
        assert_int_equal(message.type, PLAN_ERROR);
        assert_int_equal(message.code, -ENOENT);
        assert_string_equal(message.text, "no such file");
        assert_int_equal(sync_read_fifo(pair.ours, &message, NULL), -ENODATA);
}

static void nonsense_in_a_fifo_is_refused(void **state)
{
        (void)state;
        enum { FRAME_MAX = 2 + PLAN_MESSAGE_MAX };
        uint8_t bytes[FRAME_MAX + 1] = {(PLAN_MESSAGE_MAX + 1) >> 8, (PLAN_MESSAGE_MAX + 1) & 0xff,
                                        PLAN_WARNING};
        static const struct {
                const char *bytes;
                size_t n;
        } cut[] = {{"", 1}, {"\0\4W", 3}, {"\0\1?", 3}, {"\0\0", 2}};
        struct sync_message message;

        for (size_t i = 0; i < ARRAY_SIZE(cut); i++) {
                cleanup_pair struct pair pair = fifo();

                assert_int_equal(fd_write_full(pair.theirs, cut[i].bytes, cut[i].n), 0);
                fd_close_p(&pair.theirs);
                assert_int_equal(sync_read_fifo(pair.ours, &message, NULL), -EBADMSG);
        }
        /* One byte more than a message has room for. */
        cleanup_pair struct pair pair = fifo();
        assert_int_equal(fd_write_full(pair.theirs, bytes, sizeof(bytes)), 0);
        assert_int_equal(sync_read_fifo(pair.ours, &message, NULL), -EBADMSG);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_message_arrives_with_its_text),
                cmocka_unit_test(an_error_arrives_with_its_number),
                cmocka_unit_test(a_descriptor_arrives_close_on_exec),
                cmocka_unit_test(the_end_of_the_other_side_is_told_apart_from_nonsense),
                cmocka_unit_test(nonsense_is_refused),
                cmocka_unit_test(surplus_descriptors_are_refused_and_closed),
                cmocka_unit_test(a_descriptor_that_is_lost_on_the_way_is_no_message_without_one),
                cmocka_unit_test(a_long_text_loses_its_end_only),
                cmocka_unit_test(control_characters_of_a_text_reach_no_terminal),
                cmocka_unit_test(waiting_to_go_takes_nothing_else),
                cmocka_unit_test(a_descriptor_that_comes_with_go_is_closed),
                cmocka_unit_test(messages_in_a_fifo_have_borders_and_an_end),
                cmocka_unit_test(nonsense_in_a_fifo_is_refused),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
