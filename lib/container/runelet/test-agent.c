/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/container/runelet/agent.h"

#include "lib/base/fd.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
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

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(program_arrives_whole_with_its_streams),
                cmocka_unit_test(failure_keeps_its_number_and_text),
                cmocka_unit_test(nonsense_is_refused),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
