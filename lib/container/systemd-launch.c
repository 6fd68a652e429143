/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/container/systemd-launch.h"

#include "lib/base/fd.h"
#include "lib/container/memory-image.h"
#include "lib/container/systemd-agent-image.h"

#include <sys/socket.h>
#include <unistd.h>

#define AGENT_NAME "systemd-agent"

enum { AGENT_SOCKET = 3 };

int systemd_launch(struct child *ret_agent, int *ret_socket, struct error *err)
{
        static const char *const argv[] = {AGENT_NAME, NULL};
        cleanup_fd int program = -1;
        int pair[2];

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
                return error_errno(err, errno, "make a pair of sockets for %s", AGENT_NAME);
        cleanup_fd int ours = pair[0], theirs = pair[1];
        int r = memory_image_open(AGENT_NAME, systemd_agent_image(), -1, &program, err);
        if (r < 0)
                return r;
        const struct child_fd fds[] = {{theirs, AGENT_SOCKET}, {STDERR_FILENO, STDERR_FILENO}};
        const struct child_spec spec = {
                .argv = argv,
                .program = program,
                .fds = fds,
                .n_fds = ARRAY_SIZE(fds),
                .uid = (uid_t)-1,
                .die_with_parent = true,
                .new_session = true, /* what is typed at a terminal ends the container, and not the agent */
        };
        r = child_start(&spec, ret_agent, err);
        if (r == -ENOENT) {
                r = error_set(err, -ENOTSUP,
                              "systemd's control groups need its library, and the loader of the C library "
                              "that rune is built for is not here");
                error_hint(err, "install libsystemd, or leave out --systemd-cgroup");
        }
        if (r == 0)
                *ret_socket = take_fd(&ours);
        return r;
}
