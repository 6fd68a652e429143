/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/console.h"

#include "lib/base/fd.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

static const char CONSOLE[] = "/dev/console";

enum {
        DRAIN_STEPS = 200,
        DRAIN_STEP_NS = 5 * 1000 * 1000,
};

/* Output unchanged, no echo. Not a terminal: nothing to do. */
static void make_transparent(int fd)
{
        struct termios mode;

        if (tcgetattr(fd, &mode) < 0)
                return;
        mode.c_oflag &= ~(tcflag_t)OPOST;
        mode.c_lflag &= ~(tcflag_t)(ECHO | ICANON | ISIG);
        tcsetattr(fd, TCSANOW, &mode);
}

int console_attach(struct failure *f)
{
        cleanup_fd int fd = open(CONSOLE, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);

        if (fd < 0)
                return failure_set(f, errno, CONSOLE, "open the console");
        make_transparent(fd);
        for (int to = 0; to <= 2; to++) {
                if (fd != to && dup2(fd, to) < 0)
                        return failure_set(f, errno, CONSOLE, "make the console standard output");
        }
        if (fd <= 2)
                take_fd(&fd);
        return 0;
}

int console_open(int *ret_fd, struct failure *f)
{
        int fd = open(CONSOLE, O_WRONLY | O_NOCTTY | O_CLOEXEC);

        if (fd < 0)
                return failure_set(f, errno, CONSOLE, "open the console");
        *ret_fd = fd;
        return 0;
}

void console_emit(void *user, enum log_level level, const char *text)
{
        char line[1200];
        const char *mark = level == LOG_LEVEL_WARNING ? "warning: " : "";

        (void)user;
        int n = snprintf(line, sizeof(line) - 1, "enclave-init: %s%s", mark, text);
        if (n < 0)
                return;
        if ((size_t)n > sizeof(line) - 2)
                n = sizeof(line) - 2;
        line[n++] = '\n';
        /* A console that takes no more loses lines; init must go on. */
        ssize_t written = write(STDERR_FILENO, line, (size_t)n);
        (void)written;
}

void console_drain(void)
{
        const struct timespec step = {.tv_nsec = DRAIN_STEP_NS};
        int left;

        for (int i = 0; i < DRAIN_STEPS && ioctl(STDOUT_FILENO, TIOCOUTQ, &left) == 0 && left > 0; i++)
                nanosleep(&step, NULL);
}
