/* SPDX-License-Identifier: Apache-2.0 */
#include "qt/watch.h"
#include "lib/base/fd.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

int interrupt_fd(int *ret_fd, struct error *err)
{
        sigset_t signals;

        sigemptyset(&signals);
        sigaddset(&signals, SIGINT);
        sigaddset(&signals, SIGTERM);
        sigaddset(&signals, SIGHUP);
        if (sigprocmask(SIG_BLOCK, &signals, NULL) < 0)
                return error_errno(err, errno, "cannot block signals");
        int fd = signalfd(-1, &signals, SFD_CLOEXEC);
        if (fd < 0)
                return error_errno(err, errno, "cannot watch signals");
        *ret_fd = fd;
        return 0;
}

int console_copy(int console, int cancel_fd, struct error *err)
{
        struct pollfd fds[2] = {{.fd = console, .events = POLLIN}, {.fd = cancel_fd, .events = POLLIN}};
        char text[16 * 1024];

        for (;;) {
                if (poll(fds, 2, -1) < 0 && errno != EINTR)
                        return error_errno(err, errno, "cannot wait for the console");
                if (fds[1].revents)
                        return -ECANCELED;
                if (!fds[0].revents)
                        continue;
                ssize_t n = read(console, text, sizeof(text));
                if (n == 0)
                        return 0;
                if (n < 0 && (errno == EINTR || errno == EAGAIN))
                        continue;
                if (n < 0)
                        return error_errno(err, errno, "cannot read the console");
                int r = fd_write_full(STDOUT_FILENO, text, (size_t)n);
                if (r < 0)
                        return error_set(err, r, "cannot write to stdout: %s", strerror(-r));
        }
}
