/* SPDX-License-Identifier: Apache-2.0 */
#include "qt/watch.h"
#include "lib/base/fd.h"
#include "lib/base/text.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

int watch_interrupt(int *ret_fd, struct error *err)
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

/* Text on its way to stdout. */
struct shown {
        bool terminal;
        size_t n; /* bytes of `text` */
        char text[16 * 1024];
};

/* How many bytes at the end are a UTF-8 character of which more is to come. */
static size_t begun_character(const struct shown *shown)
{
        for (size_t back = 1; back < 4 && back <= shown->n; back++) {
                uint8_t c = (uint8_t)shown->text[shown->n - back];
                size_t whole = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc0 ? 2 : 1;
                if ((c & 0xc0) != 0x80)
                        return whole > back ? back : 0;
        }
        return 0;
}

/* Writes all, but for the beginning of a character where there is more to come. */
static int show(struct shown *shown, bool more)
{
        size_t kept = shown->terminal && more ? begun_character(shown) : 0;
        struct view ready = view_of(shown->text, shown->n - kept);
        cleanup_buf struct buf clean = buf_with_max(sizeof(shown->text) * 4);

        if (shown->terminal && text_append_printable(ready, "\n\r\t", &clean) < 0)
                return -ENOMEM;
        if (shown->terminal)
                ready = buf_view(&clean);
        int r = fd_write_full(STDOUT_FILENO, ready.p, ready.n);
        memmove(shown->text, shown->text + shown->n - kept, kept);
        shown->n = kept;
        return r;
}

int watch_console(int console, int cancel_fd, struct error *err)
{
        struct pollfd fds[2] = {{.fd = console, .events = POLLIN}, {.fd = cancel_fd, .events = POLLIN}};
        struct shown shown = {.terminal = isatty(STDOUT_FILENO)};

        for (;;) {
                if (poll(fds, 2, -1) < 0) {
                        if (errno == EINTR)
                                continue;
                        return error_errno(err, errno, "cannot wait for the console");
                }
                if (fds[1].revents)
                        return -ECANCELED;
                if (!fds[0].revents)
                        continue;
                ssize_t n = read(console, shown.text + shown.n, sizeof(shown.text) - shown.n);
                if (n < 0 && (errno == EINTR || errno == EAGAIN))
                        continue;
                if (n < 0)
                        return error_errno(err, errno, "cannot read the console");
                shown.n += (size_t)n;
                int r = show(&shown, n > 0);
                if (r < 0)
                        return error_set(err, r, "cannot write to stdout: %s", strerror(-r));
                if (n == 0)
                        return 0;
        }
}
