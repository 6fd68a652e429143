/* SPDX-License-Identifier: Apache-2.0 */
#include "pal/skeleton/process.h"

#include "lib/base/fd.h"
#include "lib/base/text.h"
#include "pal/skeleton/skeleton.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { WAIT_MAX = 365 * 24 * 3600, EXIT_SIGNALLED = 128, FD_MIN = 3 };

enum state { FREE, WAITING, RUNNING };

/* The table, as the interface has no handle. */
static struct {
        pthread_mutex_t lock;
        pthread_cond_t changed;
        pthread_once_t once;
        int next_pid;
        struct process {
                enum state state;
                int pid;
                int err_fd;
                uint64_t wait; /* seconds */
                int killed;    /* the signal, or 0 */
        } processes[PROCESSES_MAX];
} table = {.lock = PTHREAD_MUTEX_INITIALIZER, .once = PTHREAD_ONCE_INIT, .next_pid = 1};

/* The wait must not depend on a clock that can be set. */
static void make_condition(void)
{
        pthread_condattr_t attributes;

        pthread_condattr_init(&attributes);
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
        pthread_cond_init(&table.changed, &attributes);
        pthread_condattr_destroy(&attributes);
}

static int parse_wait(char *const *argv, uint64_t *ret_seconds, struct error *err)
{
        *ret_seconds = 0;
        for (size_t i = 0; argv && argv[i]; i++) {
                if (strcmp(argv[i], "wait_timeout") != 0)
                        continue;
                if (!argv[i + 1] || !parse_u64(argv[i + 1], WAIT_MAX, ret_seconds))
                        return error_set(err, -EINVAL, "wait_timeout needs a number of seconds");
        }
        return 0;
}

/* The oldest with this number, or of all; NULL where there is none. Locked. */
static struct process *find(int pid)
{
        struct process *found = NULL;

        for (size_t i = 0; i < PROCESSES_MAX; i++) {
                struct process *p = &table.processes[i];

                if (p->state != FREE && (pid <= 0 || p->pid == pid) && (!found || p->pid < found->pid))
                        found = p;
        }
        return found;
}

static struct process *find_free(void)
{
        for (size_t i = 0; i < PROCESSES_MAX; i++)
                if (table.processes[i].state == FREE)
                        return &table.processes[i];
        return NULL;
}

int process_create(char *const *argv, const struct pal_stdio_fds *stdio, int *ret_pid)
{
        struct error *err = skeleton_error();
        struct process p = {.state = WAITING}, *place;
        int r = parse_wait(argv, &p.wait, err);

        if (r < 0)
                return r;
        pthread_once(&table.once, make_condition);
        p.err_fd = fcntl(stdio ? stdio->stderr : STDERR_FILENO, F_DUPFD_CLOEXEC, FD_MIN);
        if (p.err_fd < 0)
                return error_errno(err, errno, "the payload's stderr can't be used");
        pthread_mutex_lock(&table.lock);
        place = find_free();
        if (place) {
                p.pid = table.next_pid++;
                *place = p;
                *ret_pid = p.pid;
        }
        pthread_mutex_unlock(&table.lock);
        if (place)
                return 0;
        close(p.err_fd);
        return error_set(err, -EAGAIN, "%d processes are there already, and no more can be", PROCESSES_MAX);
}

/* Waits as long as it was told, or until it is killed. Locked. */
static void wait_as_told(const struct process *p)
{
        struct timespec until;

        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += (time_t)p->wait;
        while (p->wait && !p->killed)
                if (pthread_cond_timedwait(&table.changed, &table.lock, &until) == ETIMEDOUT)
                        break;
}

int process_exec(int pid, int *ret_exit_value)
{
        struct error *err = skeleton_error();
        struct process *p;
        int r = 0, killed, err_fd;

        pthread_mutex_lock(&table.lock);
        p = pid > 0 ? find(pid) : NULL;
        if (!p || p->state != WAITING) {
                pthread_mutex_unlock(&table.lock);
                return p ? error_set(err, -EBUSY, "process %d runs already", pid)
                         : error_set(err, -ESRCH, "there is no process %d", pid);
        }
        p->state = RUNNING;
        wait_as_told(p);
        killed = p->killed;
        err_fd = p->err_fd;
        pthread_mutex_unlock(&table.lock);
        if (!killed)
                r = skeleton_hello(err_fd);
        pthread_mutex_lock(&table.lock);
        killed = p->killed;
        *p = (struct process){.state = FREE};
        pthread_mutex_unlock(&table.lock);
        close(err_fd);
        if (r == 0 && ret_exit_value)
                *ret_exit_value = killed ? EXIT_SIGNALLED + killed : 0;
        return r;
}

static bool ends_a_process(int sig)
{
        switch (sig) {
        case 0:
        case SIGCHLD:
        case SIGCONT:
        case SIGURG:
        case SIGWINCH:
        case SIGSTOP:
        case SIGTSTP:
        case SIGTTIN:
        case SIGTTOU:
                return false;
        default:
                return true;
        }
}

int process_kill(int pid, int sig)
{
        struct error *err = skeleton_error();
        struct process *p;

        if (sig < 0 || sig >= NSIG)
                return error_set(err, -EINVAL, "there is no signal %d", sig);
        pthread_mutex_lock(&table.lock);
        p = find(pid);
        for (size_t i = 0; p && ends_a_process(sig) && i < PROCESSES_MAX; i++) {
                struct process *it = &table.processes[i];

                if (it->state != FREE && (it == p || pid == PAL_KILL_ALL) && !it->killed)
                        it->killed = sig;
        }
        if (p)
                pthread_cond_broadcast(&table.changed);
        pthread_mutex_unlock(&table.lock);
        return p ? 0 : error_set(err, -ESRCH, "there is no process to signal");
}

void process_forget_all(void)
{
        pthread_mutex_lock(&table.lock);
        for (size_t i = 0; i < PROCESSES_MAX; i++)
                if (table.processes[i].state == WAITING) {
                        close(table.processes[i].err_fd);
                        table.processes[i] = (struct process){.state = FREE};
                }
        pthread_mutex_unlock(&table.lock);
}
