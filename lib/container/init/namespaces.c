/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation.  Joining a namespace takes CAP_SYS_ADMIN in the user namespace that owns it.  The
 * host's root has that everywhere, so for it the user namespace may come last; it must, where another of
 * the namespaces belongs to the host.  A user has it only inside the user namespace.  So each namespace is
 * tried first as who we are, and those that refuse us once more from inside the user namespace.  The mount
 * namespace is last of all: it changes what paths mean.
 */
#include "lib/container/init/namespaces.h"

#include "lib/base/cleanup.h"
#include "lib/base/fd.h"
#include "lib/container/namespace-kinds.h"
#include "lib/container/sync.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Root of a user namespace that we got into, with fresh ids all through: files that we make would have no
 * owner otherwise.  A namespace that doesn't map 0 leaves us as we are. */
static int become_root(const struct plan *plan, struct error *err)
{
        if (!plan->setgroups_denied && syscall(SYS_setgroups, 0, NULL) < 0 && errno != EPERM)
                return error_errno(err, errno, "give up the groups of the caller");
        if (syscall(SYS_setresgid, 0, 0, 0) < 0 && errno != EINVAL)
                return error_errno(err, errno, "become group 0 of the user namespace");
        if (syscall(SYS_setresuid, 0, 0, 0) < 0 && errno != EINVAL)
                return error_errno(err, errno, "become root of the user namespace");
        return 0;
}

static int join(int fd, enum spec_namespace_type type, struct error *err)
{
        if (setns(fd, (int)namespace_kinds[type].flag) < 0)
                return error_errno(err, errno, "join the %s namespace", namespace_kinds[type].name);
        return 0;
}

static int join_user(const struct plan *plan, int fd, struct error *err)
{
        int r = join(fd, SPEC_NAMESPACE_USER, err);

        return r < 0 ? r : become_root(plan, err);
}

static int join_each(const struct plan *plan, const int fds[SPEC_NAMESPACE_TYPES], struct error *err)
{
        bool user = fds[SPEC_NAMESPACE_USER] >= 0;
        bool refused[SPEC_NAMESPACE_TYPES] = {false};
        int r;

        for (enum spec_namespace_type type = SPEC_NAMESPACE_IPC; type < SPEC_NAMESPACE_TYPES; type++) {
                if (fds[type] < 0)
                        continue;
                r = join(fds[type], type, err);
                if (r == -EPERM && user)
                        refused[type] = true;
                else if (r < 0)
                        return r;
        }
        if (!user)
                return 0;
        r = join_user(plan, fds[SPEC_NAMESPACE_USER], err);
        for (enum spec_namespace_type type = SPEC_NAMESPACE_IPC; type < SPEC_NAMESPACE_TYPES && r == 0;
             type++)
                if (refused[type])
                        r = join(fds[type], type, err);
        return r;
}

static void close_all(int (*fds)[SPEC_NAMESPACE_TYPES])
{
        for (size_t i = 0; i < SPEC_NAMESPACE_TYPES; i++)
                fd_close_p(&(*fds)[i]);
}

/* Opens all before the first is joined: then /proc may mean something else. */
static int join_target_one_by_one(const struct plan *plan, struct error *err)
{
        CLEANUP(close_all) int fds[SPEC_NAMESPACE_TYPES] = {-1, -1, -1, -1, -1, -1, -1, -1};
        char name[64];

        for (size_t i = 0; i < SPEC_NAMESPACE_TYPES; i++) {
                if (!(plan->target_namespaces & namespace_kinds[i].flag) || i == SPEC_NAMESPACE_PID)
                        continue;
                (void)snprintf(name, sizeof(name), "%d/ns/%s", (int)plan->target_pid,
                               namespace_kinds[i].file);
                fds[i] = openat(plan->host_proc_fd, name, O_RDONLY | O_CLOEXEC);
                if (fds[i] < 0)
                        return error_errno(err, errno, "open the %s namespace of process %d",
                                           namespace_kinds[i].name, (int)plan->target_pid);
        }
        /* Another process may have got the pid by now, but not while the first one is still there. */
        if (syscall(SYS_pidfd_send_signal, plan->target_pidfd, 0, NULL, 0) < 0)
                return error_errno(err, errno, "process %d, whose namespaces are joined",
                                   (int)plan->target_pid);
        return join_each(plan, fds, err);
}

static int join_target(const struct plan *plan, struct error *err)
{
        unsigned long flags = plan->target_namespaces & ~(unsigned long)CLONE_NEWPID;

        if (flags == 0)
                return 0;
        if (setns(plan->target_pidfd, (int)flags) < 0) {
                /* Before 5.8 a pidfd was no argument of setns(2). */
                if (errno == EINVAL)
                        return join_target_one_by_one(plan, err);
                return error_errno(err, errno, "join the namespaces of process %d", (int)plan->target_pid);
        }
        return flags & CLONE_NEWUSER ? become_root(plan, err) : 0;
}

int namespaces_join(const struct plan *plan, struct error *err)
{
        if (plan->target_pidfd >= 0) {
                int r = join_target(plan, err);
                if (r < 0)
                        return r;
        }
        return join_each(plan, plan->namespace_fds, err);
}

int namespaces_new_user(const struct plan *plan, struct error *err)
{
        if (plan->new_namespaces & CLONE_NEWUSER && unshare(CLONE_NEWUSER) < 0) {
                int r = error_errno(err, errno, "make a user namespace");
                if (r == -ENOSPC)
                        error_hint(err, "raise the sysctl user.max_user_namespaces");
                return r;
        }
        if (!plan->new_user_namespace)
                return 0;
        int r = sync_send(plan->sync_fd, PLAN_WANT_ID_MAPS, NULL, -1);
        if (r < 0)
                return error_errno(err, -r, "ask for the id maps");
        r = sync_wait_go(plan->sync_fd, err);
        return r < 0 ? r : become_root(plan, err);
}

/* Only while we are dumpable is /proc/self ours to write to. */
static int open_offsets(const struct plan *plan)
{
        prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
        int fd = openat(plan->host_proc_fd, "self/timens_offsets", O_WRONLY | O_CLOEXEC);
        int saved = errno;
        prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
        errno = saved;
        return fd;
}

static int set_offsets(const struct plan *plan, struct error *err)
{
        const struct {
                const char *clock;
                const struct spec_time_offset *offset;
        } clocks[] = {{"monotonic", &plan->spec->linux.monotonic}, {"boottime", &plan->spec->linux.boottime}};
        cleanup_fd int fd = -1;
        char line[96];

        for (size_t i = 0; i < ARRAY_SIZE(clocks); i++) {
                if (!clocks[i].offset->set)
                        continue;
                if (fd < 0)
                        fd = open_offsets(plan);
                int n = snprintf(line, sizeof(line), "%s %lld %u\n", clocks[i].clock,
                                 (long long)clocks[i].offset->secs, clocks[i].offset->nanosecs);
                if (fd < 0 || write(fd, line, (size_t)n) != n)
                        return error_errno(err, errno, "set the %s clock's offset to %lld s", clocks[i].clock,
                                           (long long)clocks[i].offset->secs);
        }
        return 0;
}

/* unshare(2) gives a time namespace to children only, and execve(2) puts the caller into it from Linux 6.1
 * on; setns(2) does on every kernel that has time namespaces. */
static int enter_time(const struct plan *plan, struct error *err)
{
        int r = set_offsets(plan, err);
        if (r < 0)
                return r;
        cleanup_fd int fd = openat(plan->host_proc_fd, "self/ns/time_for_children", O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return error_errno(err, errno, "open the new time namespace");
        return join(fd, SPEC_NAMESPACE_TIME, err);
}

/* Which of `flags` this kernel refuses, for the text. */
static int make_each(unsigned long flags, struct error *err)
{
        for (size_t i = 0; i < SPEC_NAMESPACE_TYPES; i++)
                if (flags & namespace_kinds[i].flag && unshare((int)namespace_kinds[i].flag) < 0)
                        return error_errno(err, errno, "make a %s namespace", namespace_kinds[i].name);
        return 0;
}

int namespaces_new(const struct plan *plan, struct error *err)
{
        unsigned long flags =
                plan->new_namespaces & ~(unsigned long)(CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWCGROUP);

        if (flags == 0)
                return 0;
        if (unshare((int)flags) < 0) {
                int r = make_each(flags, err);
                if (r < 0)
                        return r;
        }
        return flags & CLONE_NEWTIME ? enter_time(plan, err) : 0;
}

int namespaces_start_loopback(const struct plan *plan, struct error *err)
{
        const struct spec_namespace *network = &plan->spec->linux.namespaces[SPEC_NAMESPACE_NETWORK];
        struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP};

        if (!network->given || network->path)
                return 0;
        /* Any kind of socket will do, and this one every kernel has. */
        cleanup_fd int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) < 0)
                return error_errno(err, errno, "start the loopback device");
        return 0;
}

/* Tells rune who goes on. Our own getpid(2) has another namespace's number; the host's procfs has rune's. */
static int tell_pid(const struct plan *plan, struct error *err)
{
        char pid[16] = "";
        ssize_t n = readlinkat(plan->host_proc_fd, "self", pid, sizeof(pid) - 1);

        if (n < 0)
                return error_errno(err, errno, "find out the pid");
        int r = sync_send(plan->sync_fd, PLAN_PID, pid, -1);
        return r < 0 ? error_errno(err, -r, "tell the pid") : 0;
}

int namespaces_enter_pid(const struct plan *plan, struct error *err)
{
        int fd = plan->namespace_fds[SPEC_NAMESPACE_PID];
        bool make = plan->new_namespaces & CLONE_NEWPID;

        if (!make && fd < 0)
                return 0;
        if (fd >= 0) {
                int r = join(fd, SPEC_NAMESPACE_PID, err);
                if (r < 0)
                        return r;
        }
        long child = syscall(SYS_clone, (make ? (unsigned long)CLONE_NEWPID : 0) | CLONE_PARENT | SIGCHLD, 0,
                             0, 0, 0);
        if (child < 0)
                return error_errno(err, errno, "start a process in the PID namespace");
        if (child > 0)
                _exit(0);
        prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        return tell_pid(plan, err);
}

int namespaces_new_cgroup(const struct plan *plan, struct error *err)
{
        if (plan->new_namespaces & CLONE_NEWCGROUP && unshare(CLONE_NEWCGROUP) < 0)
                return error_errno(err, errno, "make a cgroup namespace");
        return 0;
}
