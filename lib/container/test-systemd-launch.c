/* SPDX-License-Identifier: Apache-2.0 */
/* The real systemd-agent, as rune starts it; nobody has it connect to anything. */
#include "lib/container/systemd-launch.h"

#include "lib/base/fd.h"
#include "lib/container/systemd-message.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* Where a link of the process's folder in procfs leads. */
static void read_link(pid_t pid, const char *name, char ret_target[256])
{
        char path[64];

        snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
        ssize_t n = readlink(path, ret_target, 255);
        assert_true(n >= 0);
        ret_target[n] = 0;
}

/* Once it answers, all its libraries are loaded. */
static void await_answer(int socket)
{
        const struct systemd_request request = {.call = SYSTEMD_CALL_ROOT_GROUP, .unit = ""};
        cleanup_buf struct buf message = buf_with_max(SYSTEMD_REQUEST_MAX);
        struct systemd_answer answer;

        assert_int_equal(systemd_request_encode(&request, &message, NULL), 0);
        assert_int_equal(systemd_message_send(socket, buf_view(&message)), 0);
        assert_int_equal(systemd_message_receive(socket, SYSTEMD_ANSWER_MAX, &message), 0);
        assert_int_equal(systemd_answer_decode(buf_view(&message), &answer, NULL), 0);
        assert_int_equal(answer.code, -ENOTCONN);
}

static void the_agent_has_a_socket_and_standard_error_alone(void **state)
{
        struct child agent = CHILD_NONE;
        struct error err = {0};
        char path[64], target[256];
        int status, socket = -1, n = 0;
        int leak = dup(STDERR_FILENO); /* not close-on-exec */

        (void)state;
        if (systemd_launch(&agent, &socket, &err) < 0)
                fail_msg("%s", error_text(&err));
        await_answer(socket);
        snprintf(path, sizeof(path), "/proc/%d/fd", (int)agent.pid);
        cleanup_dir DIR *folder = opendir(path);
        assert_non_null(folder);
        for (struct dirent *entry; (entry = readdir(folder));)
                n += entry->d_name[0] != '.';
        read_link(agent.pid, "exe", target);
        assert_string_equal(target, "/memfd:systemd-agent (deleted)");
        read_link(agent.pid, "fd/0", target);
        assert_string_equal(target, "/dev/null");
        read_link(agent.pid, "fd/1", target);
        assert_string_equal(target, "/dev/null");
        read_link(agent.pid, "fd/3", target);
        assert_memory_equal(target, "socket:", 7);
        assert_int_equal(n, 4);
        assert_int_not_equal(getsid(agent.pid), getsid(0));
        fd_close_p(&socket);
        assert_int_equal(child_wait(&agent, &status), 0);
        assert_int_equal(status, 0);
        close(leak);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_agent_has_a_socket_and_standard_error_alone),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
