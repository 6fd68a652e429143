/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/container/runelet/agent.h"

#include "lib/base/fd.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

struct pair {
        int ours, theirs;
};

static struct pair connected(void)
{
        int fds[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
        return (struct pair){fds[0], fds[1]};
}

static void disconnect(struct pair *pair)
{
        fd_close_p(&pair->ours);
        fd_close_p(&pair->theirs);
}
#define cleanup_pair CLEANUP(disconnect)

static void program_arrives_whole_with_its_streams(void **state)
{
        cleanup_pair struct pair pair = connected();
        cleanup_buf struct buf body = buf_with_max(AGENT_BODY_MAX);
        cleanup_agent_message struct agent_message message = {.fds = {-1, -1, -1}};
        char *argv[] = {(char[]){"sh"}, (char[]){""}, (char[]){"two words"}, NULL},
             *env[] = {(char[]){"A=1"}, NULL};
        struct agent_exec out = {.path = (char[]){"/bin/sh"},
                                 .object = (char[]){"{}"},
                                 .argv = argv,
                                 .env = env},
                          in;
        const int streams[] = {pair.ours, pair.theirs, pair.ours};

        (void)state;
        assert_int_equal(agent_pack_exec(&out, &body), 0);
        assert_int_equal(agent_send(pair.theirs, AGENT_EXEC, buf_view(&body), streams), 0);
        assert_int_equal(agent_receive(pair.ours, &message, NULL), 0);
        assert_int_equal(message.type, AGENT_EXEC);
        assert_true(message.fds[0] >= 0 && message.fds[1] >= 0 && message.fds[2] >= 0);
        assert_int_equal(agent_unpack_exec(&message, &in, NULL), 0);
        assert_string_equal(in.path, "/bin/sh");
        assert_string_equal(in.object, "{}");
        assert_string_equal(in.argv[0], "sh");
        assert_string_equal(in.argv[1], "");
        assert_string_equal(in.argv[2], "two words");
        assert_null(in.argv[3]);
        assert_string_equal(in.env[0], "A=1");
        assert_null(in.env[1]);
        free(in.argv);
        free(in.env);
}

static void failure_keeps_its_number_and_text(void **state)
{
        cleanup_pair struct pair pair = connected();
        cleanup_agent_message struct agent_message message = {.fds = {-1, -1, -1}};
        struct error sent = {0}, err = {0};

        (void)state;
        (void)error_set(&sent, -ENOEXEC, "no program");
        assert_int_equal(agent_send_failure(pair.theirs, &sent), 0);
        assert_int_equal(agent_receive(pair.ours, &message, NULL), 0);
        assert_int_equal(agent_failure(&message, &err), -ENOEXEC);
        assert_string_equal(err.text, "no program");
}

static void refuse(const char *bytes, size_t n, int expected)
{
        cleanup_pair struct pair pair = connected();
        cleanup_agent_message struct agent_message message = {.fds = {-1, -1, -1}};
        struct agent_exec exec;

        assert_int_equal(fd_write_full(pair.theirs, bytes, n), 0);
        fd_close_p(&pair.theirs);
        int r = agent_receive(pair.ours, &message, NULL);
        if (r == 0)
                r = agent_unpack_exec(&message, &exec, NULL);
        assert_int_equal(r, expected);
}
#define REFUSE(bytes, expected) refuse(bytes, sizeof(bytes) - 1, expected)

static void nonsense_is_refused(void **state)
{
        (void)state;
        REFUSE("", -ECONNRESET);
        REFUSE("E\0\0", -EBADMSG);                                       /* half a header */
        REFUSE("?\0\0\0\0", -EBADMSG);                                   /* no such type */
        REFUSE("E\0\x40\0\x01", -EBADMSG);                               /* longer than allowed */
        REFUSE("E\0\0\0\x09xyz", -EBADMSG);                              /* cut short */
        REFUSE("E\0\0\0\x0b\0\0\0\0\0\0\0\0p\0\0", -EBADMSG);            /* no argument */
        REFUSE("E\0\0\0\x0d\xff\xff\xff\xff\0\0\0\0p\0\0a\0", -EBADMSG); /* more than there are */
        REFUSE("E\0\0\0\x0c\0\0\0\x01\0\0\0\0p\0\0a", -EBADMSG);         /* no NUL at the end */
        REFUSE("E\0\0\0\x0f\0\0\0\x01\0\0\0\0p\0\0a\0b\0", -EBADMSG);    /* more than was said */
}

/* ATTEST of no bytes, with n descriptors beside it. */
static void send_with_descriptors(int socket, size_t n)
{
        char header[AGENT_HEADER_SIZE] = {AGENT_ATTEST};
        int fds[5] = {socket, socket, socket, socket, socket};
        struct iovec part = {.iov_base = header, .iov_len = sizeof(header)};
        union {
                struct cmsghdr align;
                char bytes[CMSG_SPACE(sizeof(fds))];
        } control = {0};
        struct msghdr message = {.msg_iov = &part,
                                 .msg_iovlen = 1,
                                 .msg_control = control.bytes,
                                 .msg_controllen = CMSG_SPACE(n * sizeof(int))};
        struct cmsghdr *c = CMSG_FIRSTHDR(&message);

        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(n * sizeof(int));
        memcpy(CMSG_DATA(c), fds, n * sizeof(int));
        assert_int_equal(sendmsg(socket, &message, 0), AGENT_HEADER_SIZE);
}

static void streams_come_all_three_or_none_and_are_closed_where_not(void **state)
{
        (void)state;
        for (size_t n = 1; n <= 5; n++) {
                cleanup_pair struct pair pair = connected();
                cleanup_agent_message struct agent_message message = {.fds = {-1, -1, -1}};
                int next = dup(pair.ours);

                close(next);
                send_with_descriptors(pair.theirs, n);
                assert_int_equal(agent_receive(pair.ours, &message, NULL), n == AGENT_STREAMS ? 0 : -EBADMSG);
                if (n == AGENT_STREAMS)
                        continue;
                for (int fd = next; fd < next + 5; fd++)
                        assert_int_equal(fcntl(fd, F_GETFD), -1);
        }
}

/* Without room for descriptors the kernel leaves them out, and says so. */
static void streams_that_are_lost_on_the_way_are_noticed(void **state)
{
        cleanup_pair struct pair pair = connected();
        cleanup_agent_message struct agent_message message = {.fds = {-1, -1, -1}};
        struct rlimit before, none;
        int next = dup(pair.ours);

        (void)state;
        close(next);
        assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
        none = (struct rlimit){.rlim_cur = (rlim_t)next, .rlim_max = before.rlim_max};
        send_with_descriptors(pair.theirs, AGENT_STREAMS);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
        int r = agent_receive(pair.ours, &message, NULL);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
        assert_int_equal(r, -EBADMSG);
}

/* What agent_failure() makes of FAILED with these bytes. */
static int failure_of(const char *bytes, size_t n)
{
        cleanup_pair struct pair pair = connected();
        cleanup_agent_message struct agent_message message = {.fds = {-1, -1, -1}};

        assert_int_equal(agent_send(pair.theirs, AGENT_FAILED, view_of(bytes, n), NULL), 0);
        assert_int_equal(agent_receive(pair.ours, &message, NULL), 0);
        return agent_failure(&message, NULL);
}

static void a_failure_has_an_errno(void **state)
{
        (void)state;
        assert_int_equal(failure_of("\0\0\x0f\xff", 4), -4095);
        assert_int_equal(failure_of("\0\0\x10\0", 4), -EBADMSG);
        assert_int_equal(failure_of("\0\0\0\0", 4), -EBADMSG);
        assert_int_equal(failure_of("\0\0\0", 3), -EBADMSG);
        assert_int_equal(failure_of("", 0), -EBADMSG);
}

static void a_number_has_four_bytes(void **state)
{
        static const char bytes[] = "\0\0\1\2\3";
        (void)state;

        for (size_t n = 0; n <= 5; n++) {
                cleanup_pair struct pair pair = connected();
                cleanup_agent_message struct agent_message message = {.fds = {-1, -1, -1}};
                uint32_t number = 0;

                assert_int_equal(agent_send(pair.theirs, AGENT_EXITED, view_of(bytes, n), NULL), 0);
                assert_int_equal(agent_receive(pair.ours, &message, NULL), 0);
                assert_int_equal(agent_number(&message, &number, NULL), n == 4 ? 0 : -EBADMSG);
                if (n == 4)
                        assert_int_equal(number, 0x102);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(program_arrives_whole_with_its_streams),
                cmocka_unit_test(failure_keeps_its_number_and_text),
                cmocka_unit_test(nonsense_is_refused),
                cmocka_unit_test(streams_come_all_three_or_none_and_are_closed_where_not),
                cmocka_unit_test(streams_that_are_lost_on_the_way_are_noticed),
                cmocka_unit_test(a_failure_has_an_errno),
                cmocka_unit_test(a_number_has_four_bytes),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
