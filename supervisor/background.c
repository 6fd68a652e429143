/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/background.h"

#include "lib/enclave/control.h"

#include "lib/base/fd.h"

#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

void background_tell(int socket, int code, const char *text)
{
        cleanup_buf struct buf line = buf_with_max(CONTROL_LINE_MAX);
        struct control_reply reply = {.code = code};

        (void)snprintf(reply.text, sizeof(reply.text), "%s", text);
        if (control_append_reply(&reply, &line) == 0)
                (void)!send(socket, line.p, line.n, MSG_NOSIGNAL);
}

/* Where it had answered before, the starter doesn't read this any more. */
static void tell_end(int socket, pid_t pid)
{
        struct error why = {0};
        int status = 0;

        if (waitpid(pid, &status, 0) != pid)
                return;
        (void)launch_describe_end(status, &why);
        background_tell(socket, why.code, error_text(&why));
}

/* Until the child has ended, or the starter has heard enough. */
static void watch(int socket, pid_t pid)
{
        struct pollfd fds[] = {
                {.fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN},
                {.fd = socket, .events = POLLRDHUP},
        };
        int r = 0;

        while (fds[0].fd >= 0 && (r == 0 || errno == EINTR)) {
                if ((r = poll(fds, ARRAY_SIZE(fds), -1)) > 0)
                        break;
        }
        if (r > 0 && fds[0].revents)
                tell_end(socket, pid);
}

int background_enter(int socket, const int fds[LAUNCH_FDS], struct error *err)
{
        pid_t pid = fork();

        if (pid < 0)
                return error_errno(err, errno, "start the supervisor");
        if (pid == 0) {
                (void)prctl(PR_SET_NAME, "coffer-enclave");
                (void)setsid();
                return chdir("/") < 0 ? error_errno(err, errno, "/") : 0;
        }
        /* What is the enclave's lives as long as its supervisor alone. */
        for (size_t i = 0; i < LAUNCH_FDS; i++) {
                if (fds[i] >= 0)
                        close(fds[i]);
        }
        watch(socket, pid);
        _exit(0);
}
