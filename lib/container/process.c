/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/container/process.h"

#include "lib/base/clock.h"
#include "lib/base/fd.h"
#include "lib/base/text.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* How long the name of a process can't be: the line of /proc/<pid>/stat fits. */
enum { STAT_MAX = 1024 };

/* How long a process may take to end that has let go of all that it had, milliseconds. */
enum { END_WAIT = 2000 };

/* Fields of that line, counted from the state (proc_pid_stat(5) counts from the pid, two before it). */
enum {
        FIELD_STATE = 1,
        FIELD_THREADS = 18,
        FIELD_START_TIME = 20,
        FIELD_EXIT_CODE = 50,
};

/* The `number`th field behind the name, which may hold anything up to the last ")"; it ends at a blank. */
static const char *find_field(const char *line, int number)
{
        const char *p = strrchr(line, ')');

        if (!p || p[1] != ' ')
                return NULL;
        p += 2;
        for (int field = 1; field < number && p; field++) {
                p = strchr(p, ' ');
                if (p)
                        p++;
        }
        return p;
}

static int field_value(const char *line, int number, uint64_t *ret_value)
{
        const char *p = find_field(line, number);

        return p && take_u64(&p, UINT64_MAX, ret_value) && (*p == ' ' || *p == '\n') ? 0 : -EIO;
}

/* A process whose first thread has ended is a zombie, too, though others run on: then it has several. */
static bool has_ended(const char *line)
{
        const char *state = find_field(line, FIELD_STATE);
        uint64_t threads = 0;

        if (!state || (*state != 'Z' && *state != 'X'))
                return false;
        return field_value(line, FIELD_THREADS, &threads) < 0 || threads <= 1;
}

static int read_stat(pid_t pid, char ret_line[STAT_MAX])
{
        char path[32];

        if (pid <= 0)
                return -ESRCH;
        (void)snprintf(path, sizeof(path), "/proc/%d/stat", pid);
        cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return errno == ENOENT ? -ESRCH : -errno;
        ssize_t n = read(fd, ret_line, STAT_MAX - 1);
        if (n < 0)
                return -errno;
        ret_line[n] = '\0';
        return 0;
}

int process_start_time(pid_t pid, uint64_t *ret_start_time)
{
        char line[STAT_MAX];
        int r = read_stat(pid, line);

        if (r < 0)
                return r;
        return has_ended(line) ? -ESRCH : field_value(line, FIELD_START_TIME, ret_start_time);
}

int process_end(pid_t pid, uint64_t start_time, int *ret_status)
{
        char line[STAT_MAX];
        uint64_t started = 0, status = 0;
        int r = process_wait_end(pid, start_time, END_WAIT);

        if (r == 0)
                r = read_stat(pid, line);
        if (r == 0)
                r = field_value(line, FIELD_START_TIME, &started);
        if (r == 0 && (started != start_time || !has_ended(line)))
                r = -ESRCH;
        if (r == 0)
                r = field_value(line, FIELD_EXIT_CODE, &status);
        if (r == 0)
                *ret_status = (int)status;
        return r;
}

bool process_is(pid_t pid, uint64_t start_time)
{
        uint64_t started;

        return process_start_time(pid, &started) == 0 && started == start_time;
}

int process_open(pid_t pid, uint64_t start_time, int *ret_pidfd)
{
        if (pid <= 0)
                return -ESRCH;
        cleanup_fd int fd = (int)syscall(SYS_pidfd_open, pid, 0);
        if (fd < 0)
                return -errno;
        /* Asked after the open: what it says of the number is then true of the descriptor. */
        if (!process_is(pid, start_time))
                return -ESRCH;
        *ret_pidfd = take_fd(&fd);
        return 0;
}

int process_signal(pid_t pid, uint64_t start_time, int signal)
{
        cleanup_fd int fd = -1;
        int r = process_open(pid, start_time, &fd);

        if (r == -ENOSYS)
                return !process_is(pid, start_time) ? -ESRCH : kill(pid, signal) < 0 ? -errno : 0;
        if (r < 0)
                return r;
        return syscall(SYS_pidfd_send_signal, fd, signal, NULL, 0) < 0 ? -errno : 0;
}

/* For kernels without pidfds: looks again every few milliseconds. */
static int wait_by_looking(pid_t pid, uint64_t start_time, uint64_t deadline)
{
        while (process_is(pid, start_time)) {
                if (clock_ms() >= deadline)
                        return -ETIME;
                clock_sleep_us(5000);
        }
        return 0;
}

int process_wait_end(pid_t pid, uint64_t start_time, int timeout_ms)
{
        uint64_t deadline = clock_ms() + (uint64_t)timeout_ms;
        cleanup_fd int fd = -1;
        int r = process_open(pid, start_time, &fd);

        if (r == -ESRCH)
                return 0;
        if (r < 0)
                return wait_by_looking(pid, start_time, deadline);
        for (;;) {
                struct pollfd ended = {.fd = fd, .events = POLLIN};
                uint64_t now = clock_ms();
                int n = now >= deadline ? 0 : poll(&ended, 1, (int)(deadline - now));
                if (n > 0)
                        return 0;
                if (n == 0)
                        return -ETIME;
                if (errno != EINTR)
                        return -errno;
        }
}
