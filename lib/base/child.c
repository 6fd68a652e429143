/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation.  The parent forks and waits on a close-on-exec pipe: end of file means that the
 * program was executed; an errno on it means that a step before exec failed.  In the child the wanted
 * descriptors are first lifted above every target number, then put in place with dup2(), so that no order of
 * the list can overwrite one that is still needed; close_range() takes the rest.  The user is changed before
 * PDEATHSIG is set, because a change of credentials clears it.  A program that is given as a descriptor is
 * kept, close-on-exec, beside the pipe.
 */
#include "lib/base/child.h"

#include "lib/base/fd.h"

#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static int lift_fds(const struct child_spec *spec, int floor, int *lifted)
{
        for (size_t i = 0; i < spec->n_fds; i++) {
                lifted[i] = fcntl(spec->fds[i].from, F_DUPFD_CLOEXEC, floor);
                if (lifted[i] < 0)
                        return -errno;
        }
        return 0;
}

static int open_null(int target)
{
        int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

        if (fd < 0)
                return -errno;
        /* dup2() onto itself would keep close-on-exec. */
        if (fd == target)
                return fcntl(fd, F_SETFD, 0) < 0 ? -errno : 0;
        int r = dup2(fd, target) < 0 ? -errno : 0;
        close(fd);
        return r;
}

/* What the child keeps for itself until the program is executed. */
struct kept_fds {
        int status;
        int program; /* 0: none */
};

/* Lifts *fd above `highest`. */
static int lift(int *fd, int highest)
{
        int lifted = fcntl(*fd, F_DUPFD_CLOEXEC, highest + 1);

        if (lifted < 0)
                return -errno;
        *fd = lifted;
        return 0;
}

/* Closes all above `highest` but those that are kept.  The program was lifted last, and each time to the
 * lowest number that was free, so it lies behind `status`. */
static int close_others(int highest, const struct kept_fds *kept)
{
        int last = kept->program > 0 ? kept->program : kept->status;

        if ((kept->status > highest + 1 && syscall(SYS_close_range, highest + 1, kept->status - 1, 0) < 0) ||
            (last > kept->status + 1 && syscall(SYS_close_range, kept->status + 1, last - 1, 0) < 0) ||
            syscall(SYS_close_range, last + 1, ~0U, 0) < 0)
                return -errno;
        return 0;
}

/* Puts the listed descriptors in place; all others but `kept` are closed. */
static int place_fds(const struct child_spec *spec, struct kept_fds *kept)
{
        int highest = 2;
        for (size_t i = 0; i < spec->n_fds; i++)
                if (spec->fds[i].to > highest)
                        highest = spec->fds[i].to;

        int r = lift(&kept->status, highest);
        if (r == 0 && kept->program > 0)
                r = lift(&kept->program, highest);
        if (r < 0)
                return r;
        cleanup_free int *lifted = calloc(spec->n_fds + 1, sizeof(*lifted));
        if (!lifted)
                return -ENOMEM;
        r = lift_fds(spec, highest + 1, lifted);
        for (int fd = 0; fd <= 2 && r == 0; fd++)
                r = open_null(fd);
        for (size_t i = 0; i < spec->n_fds && r == 0; i++)
                r = dup2(lifted[i], spec->fds[i].to) < 0 ? -errno : 0;
        if (r < 0)
                return r;
        for (int fd = 3; fd <= highest; fd++) {
                bool wanted = false;
                for (size_t i = 0; i < spec->n_fds; i++)
                        wanted = wanted || spec->fds[i].to == fd;
                if (!wanted)
                        close(fd);
        }
        return close_others(highest, kept);
}

static int drop_user(const struct child_spec *spec)
{
        if (spec->uid == (uid_t)-1)
                return 0;
        if (setgroups(spec->n_groups, spec->groups) < 0 || setresgid(spec->gid, spec->gid, spec->gid) < 0 ||
            setresuid(spec->uid, spec->uid, spec->uid) < 0)
                return -errno;
        return 0;
}

static int reset_signals(void)
{
        sigset_t none;

        for (int sig = 1; sig < NSIG; sig++) {
                struct sigaction action = {.sa_handler = SIG_DFL};
                (void)sigaction(sig, &action, NULL); /* fails for KILL, STOP and libc's own: as meant */
        }
        sigemptyset(&none);
        return sigprocmask(SIG_SETMASK, &none, NULL) < 0 ? -errno : 0;
}

static int prepare_child(const struct child_spec *spec, pid_t parent, struct kept_fds *kept)
{
        int r = place_fds(spec, kept);

        if (r == 0 && spec->new_session && setsid() < 0)
                r = -errno;
        if (spec->namespaces != 0)
                (void)unshare(spec->namespaces);
        if (r == 0)
                r = drop_user(spec);
        if (r == 0 && spec->die_with_parent) {
                if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
                        r = -errno;
                else if (getppid() != parent)
                        r = -ESRCH; /* it went before the request was in force */
        }
        if (r == 0)
                r = reset_signals();
        return r == 0 && spec->confine ? spec->confine(spec->confine_user) : r;
}

static void __attribute__((noreturn)) run_child(const struct child_spec *spec, pid_t parent, int status_fd)
{
        struct kept_fds kept = {.status = status_fd, .program = spec->program};
        int r = prepare_child(spec, parent, &kept);

        if (r == 0) {
                /* POSIX keeps execvpe's types without const for old callers; the strings are not changed. */
                union {
                        const char *const *in;
                        char *const *out;
                } argv = {spec->argv}, env = {spec->env};
                char *const *environment = spec->env ? env.out : environ;
                if (kept.program > 0)
                        (void)syscall(SYS_execveat, kept.program, "", argv.out, environment, AT_EMPTY_PATH);
                else
                        execvpe(spec->path ? spec->path : spec->argv[0], argv.out, environment);
                r = -errno;
        }
        (void)fd_write_full(kept.status, &r, sizeof(r));
        _exit(127);
}

int child_start(const struct child_spec *spec, struct child *ret_child, struct error *err)
{
        int pipe_fds[2];

        if (pipe2(pipe_fds, O_CLOEXEC) < 0)
                return error_errno(err, errno, "start %s", spec->argv[0]);
        cleanup_fd int status_read = pipe_fds[0];
        cleanup_fd int status_write = pipe_fds[1];

        pid_t parent = getpid();
        pid_t pid = fork();
        if (pid < 0)
                return error_errno(err, errno, "start %s", spec->argv[0]);
        if (pid == 0)
                run_child(spec, parent, status_write);

        struct child child = {.pid = pid, .pidfd = -1};
        fd_close_p(&status_write);
        int failure = 0;
        if (fd_read_full(status_read, &failure, sizeof(failure)) == 0) {
                child_kill(&child);
                return error_errno(err, -failure, "start %s", spec->argv[0]);
        }
        child.pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
        if (child.pidfd < 0) {
                int r = error_errno(err, errno, "watch %s", spec->argv[0]);
                child_kill(&child);
                return r;
        }
        *ret_child = child;
        return 0;
}

int child_wait(struct child *child, int *ret_status)
{
        int status;
        pid_t pid;

        if (child->pid <= 0)
                return -ECHILD;
        do
                pid = waitpid(child->pid, &status, 0);
        while (pid < 0 && errno == EINTR);
        if (pid < 0)
                return -errno;
        fd_close_p(&child->pidfd);
        *child = CHILD_NONE;
        *ret_status = status;
        return 0;
}

void child_kill(struct child *child)
{
        int status;

        if (child->pid <= 0)
                return;
        (void)kill(child->pid, SIGKILL);
        (void)child_wait(child, &status);
}
