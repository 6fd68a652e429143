/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/container.h"

#include "lib/base/fd.h"
#include "lib/base/path.h"
#include "lib/enclave/service-protocol.h"

#include "guest/container-group.h"
#include "guest/container-root.h"
#include "guest/process-child.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#ifndef DEVPTS_SUPER_MAGIC
#define DEVPTS_SUPER_MAGIC 0x1cd1
#endif
#ifndef TIOCGPTPEER
#define TIOCGPTPEER 0x5441
#endif
#ifndef TIOCSPTLCK
#define TIOCSPTLCK 0x40045431
#endif

/* The setting of a sysctl is short. */
enum { SETTING_PATH_MAX = 512 };

struct container {
        pid_t pid;
        int socket; /* to the first process until it was started, else -1 */
        int pid_ns_fd;
        int mount_ns_fd;
        int cgroup_ns_fd; /* -1: this kernel has no control groups */
        int group_fd;     /* likewise: container-group.h */
        int devpts_fd;    /* O_PATH; -1: the container has none */
};

/* ---- between init and the first process ---- */

/* What the first process waits for: this many bytes of CREATE's payload follow, with the streams. */
struct order {
        uint32_t n;
};

static int send_order(int socket, struct view encoded, const int stdio[3])
{
        const struct order order = {.n = (uint32_t)encoded.n};
        struct iovec part = {.iov_base = (void *)(uintptr_t)&order, .iov_len = sizeof(order)};
        union {
                struct cmsghdr header;
                char space[CMSG_SPACE(3 * sizeof(int))];
        } control = {0};
        struct msghdr message = {.msg_iov = &part,
                                 .msg_iovlen = 1,
                                 .msg_control = &control,
                                 .msg_controllen = sizeof(control)};

        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = CMSG_LEN(3 * sizeof(int));
        memcpy(CMSG_DATA(&control.header), stdio, 3 * sizeof(int));
        ssize_t sent = sendmsg(socket, &message, MSG_NOSIGNAL);
        if (sent < 0)
                return -errno;
        if (sent != sizeof(order))
                return -EIO; /* errno says nothing of a part */
        return fd_write_full(socket, encoded.p, encoded.n);
}

static int receive_order(int socket, struct buf *ret_encoded, int ret_stdio[3])
{
        struct order order = {0};
        struct iovec part = {.iov_base = &order, .iov_len = sizeof(order)};
        union {
                struct cmsghdr header;
                char space[CMSG_SPACE(3 * sizeof(int))];
        } control = {0};
        struct msghdr message = {.msg_iov = &part,
                                 .msg_iovlen = 1,
                                 .msg_control = &control,
                                 .msg_controllen = sizeof(control)};

        if (recvmsg(socket, &message, MSG_CMSG_CLOEXEC | MSG_WAITALL) != sizeof(order))
                return -ENODATA;
        if (control.header.cmsg_len != CMSG_LEN(3 * sizeof(int)))
                return -EBADMSG;
        memcpy(ret_stdio, CMSG_DATA(&control.header), 3 * sizeof(int));
        int r = buf_reserve(ret_encoded, order.n);
        if (r == 0)
                r = fd_read_full(socket, ret_encoded->p, order.n);
        if (r == 0)
                ret_encoded->n = order.n;
        return r;
}

/* The other end tells how it went by one struct failure; between two forks of one program it may be sent as
 * it is.  0: all is well, -errno: *f says what isn't.  `end_is_good`: an end without a word means success,
 * as the descriptor closes when a program is executed. */
static int read_outcome(int fd, bool end_is_good, struct failure *f)
{
        struct failure outcome;
        int r = fd_read_full(fd, &outcome, sizeof(outcome));

        if (r == -ENODATA && end_is_good)
                return 0;
        if (r < 0)
                return failure_set(f, r == -ENODATA ? ECHILD : -r, NULL, "hear from the container's process");
        if (!outcome.stage[0])
                return 0;
        *f = outcome;
        return f->errnum > 0 ? -f->errnum : -EINVAL;
}

/* Until it executes its program, what is in the container has all that init has open: its connection, the
 * groups, the namespaces.  Nobody there may look into it or debug it.  Forks inherit this; executing ends
 * it. */
static void hide(void)
{
        prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

static _Noreturn void run_program(const struct service_process *process, const int stdio[3], int outcome_fd)
{
        struct failure f = {0};

        process_child_run(process, stdio, &f);
        fd_write_full(outcome_fd, &f, sizeof(f));
        _exit(127);
}

/* ---- the first process ---- */

/* The group is the container's root of them: its own namespace begins in it. */
static int enter_group(int group_fd, bool is_inside, struct failure *f)
{
        int r = is_inside ? 0 : container_group_enter(group_fd, f);

        if (r == 0 && group_fd >= 0 && unshare(CLONE_NEWCGROUP) < 0)
                return failure_set(f, errno, NULL, "make a control group namespace");
        return r;
}

static _Noreturn void run_first(int socket, int group_fd, bool is_inside,
                                const struct service_container *spec, struct view xattrs,
                                const struct log *log)
{
        struct service_process process;
        struct buf encoded = buf_with_max(SERVICE_SPEC_MAX);
        struct failure f = {0};
        int stdio[3];

        hide();
        process_child_reset();
        int r = enter_group(group_fd, is_inside, &f);
        if (r == 0)
                r = container_root_make(spec, xattrs, log, &f);
        fd_write_full(socket, &f, sizeof(f));
        if (r < 0 || receive_order(socket, &encoded, stdio) < 0)
                _exit(127);
        if (service_process_decode(buf_view(&encoded), &process, NULL) < 0) {
                failure_set(&f, ENOMEM, NULL, "understand the process's configuration");
                fd_write_full(socket, &f, sizeof(f));
                _exit(127);
        }
        run_program(&process, stdio, socket);
}

static int open_own(pid_t pid, const char *what, int flags, int *ret_fd, struct failure *f)
{
        char path[64];

        (void)snprintf(path, sizeof(path), "/proc/%d/%s", pid, what);
        *ret_fd = open(path, flags | O_CLOEXEC);
        return *ret_fd < 0 ? failure_set(f, errno, path, "reach the container") : 0;
}

/* The devpts mount itself, whatever the container puts over it later. */
static void find_devpts(struct container *container)
{
        cleanup_fd int root = -1;
        struct statfs fs;
        struct failure ignored;

        if (open_own(container->pid, "root", O_PATH | O_DIRECTORY, &root, &ignored) < 0 ||
            path_open_in_root(root, "/dev/pts", O_RDONLY | O_DIRECTORY, 0, &container->devpts_fd, NULL) < 0)
                return;
        if (fstatfs(container->devpts_fd, &fs) < 0 || fs.f_type != DEVPTS_SUPER_MAGIC)
                fd_close_p(&container->devpts_fd);
}

/* ---- what a machine has one of ---- */

static int write_sysctl(const struct service_sysctl *sysctl, struct failure *f)
{
        char path[SETTING_PATH_MAX];
        int n = snprintf(path, sizeof(path), "/proc/sys/%s", sysctl->key);
        size_t value_n = strlen(sysctl->value);

        if (n < 0 || (size_t)n >= sizeof(path) || strstr(sysctl->key, ".."))
                return failure_set(f, EINVAL, sysctl->key, "set a sysctl");
        cleanup_fd int fd = open(path, O_WRONLY | O_CLOEXEC);
        if (fd < 0 || write(fd, sysctl->value, value_n) != (ssize_t)value_n)
                return failure_set(f, errno, sysctl->key, "set a sysctl");
        return 0;
}

static int set_machine(const struct service_container *spec, struct failure *f)
{
        int r = 0;

        if (spec->hostname && sethostname(spec->hostname, strlen(spec->hostname)) < 0)
                return failure_set(f, errno, NULL, "set the host name %.64s", spec->hostname);
        if (spec->domainname && setdomainname(spec->domainname, strlen(spec->domainname)) < 0)
                return failure_set(f, errno, NULL, "set the domain name %.64s", spec->domainname);
        for (size_t i = 0; r == 0 && i < spec->n_sysctls; i++)
                r = write_sysctl(&spec->sysctls[i], f);
        return r;
}

/* ---- the life of a container ---- */

static int make(struct container *container, const struct service_container *spec, struct view xattrs,
                const struct log *log, struct failure *f)
{
        bool is_inside;
        int ends[2];
        int r = set_machine(spec, f);

        if (r == 0)
                r = container_group_make(spec, &container->group_fd, f);
        if (r < 0)
                return r;
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
                return failure_set(f, errno, NULL, "make a socket pair");
        container->socket = ends[0];
        cleanup_fd int theirs = ends[1];
        container->pid = container_group_fork(container->group_fd, CLONE_NEWPID | CLONE_NEWNS, &is_inside);
        if (container->pid < 0)
                return failure_set(f, errno, NULL, "make the container's namespaces");
        if (container->pid == 0)
                run_first(theirs, container->group_fd, is_inside, spec, xattrs, log);
        fd_close_p(&theirs);
        r = read_outcome(container->socket, false, f);
        if (r == 0)
                r = open_own(container->pid, "ns/pid", O_RDONLY, &container->pid_ns_fd, f);
        if (r == 0)
                r = open_own(container->pid, "ns/mnt", O_RDONLY, &container->mount_ns_fd, f);
        if (r == 0 && container->group_fd >= 0)
                r = open_own(container->pid, "ns/cgroup", O_RDONLY, &container->cgroup_ns_fd, f);
        if (r == 0)
                find_devpts(container);
        return r;
}

int container_new(const struct service_container *spec, struct view xattrs, const struct log *log,
                  struct container **ret_container, struct failure *f)
{
        struct container *container = calloc(1, sizeof(*container));

        if (!container)
                return failure_set(f, ENOMEM, NULL, "make the container");
        *container = (struct container){.socket = -1,
                                        .pid_ns_fd = -1,
                                        .mount_ns_fd = -1,
                                        .cgroup_ns_fd = -1,
                                        .group_fd = -1,
                                        .devpts_fd = -1};
        int r = make(container, spec, xattrs, log, f);
        if (r < 0) {
                container_free(container);
                return r;
        }
        *ret_container = container;
        return 0;
}

void container_free(struct container *container)
{
        if (!container)
                return;
        if (container->pid > 0)
                kill(container->pid, SIGKILL);
        fd_close_p(&container->socket);
        fd_close_p(&container->pid_ns_fd);
        fd_close_p(&container->mount_ns_fd);
        fd_close_p(&container->cgroup_ns_fd);
        fd_close_p(&container->group_fd);
        fd_close_p(&container->devpts_fd);
        free(container);
}

pid_t container_pid(const struct container *container)
{
        return container->pid;
}

int container_open_terminal(struct container *container, int *ret_master, int *ret_slave, struct failure *f)
{
        const int unlocked = 0;

        if (container->devpts_fd < 0)
                return failure_set(f, ENODEV, "/dev/pts", "open a terminal: the container mounts no devpts");
        cleanup_fd int master = openat(container->devpts_fd, "ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
        if (master < 0 || ioctl(master, TIOCSPTLCK, &unlocked) < 0)
                return failure_set(f, errno, "/dev/pts/ptmx", "open a terminal");
        *ret_slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
        if (*ret_slave < 0)
                return failure_set(f, errno, NULL, "open a terminal's other end");
        *ret_master = take_fd(&master);
        return 0;
}

static int start_first(struct container *container, const struct service_process *process,
                       struct view encoded, const int stdio[3], struct failure *f)
{
        int r = process_child_oom_score(process, container->pid, f);

        if (r < 0)
                return r;
        if (container->socket < 0)
                return failure_set(f, EALREADY, NULL, "start the container's process again");
        r = send_order(container->socket, encoded, stdio);
        if (r < 0)
                failure_set(f, -r, NULL, "tell the container's process what to run");
        else
                r = read_outcome(container->socket, true, f);
        fd_close_p(&container->socket);
        return r;
}

/* Nobody is moved into a group from within a namespace that doesn't show where he comes from: first the
 * group.  It is the process itself that enters, since what only helps to make it shouldn't be counted. */
static int join_group(const struct container *container, bool is_inside, struct failure *f)
{
        int r = is_inside ? 0 : container_group_enter(container->group_fd, f);

        if (r == 0 && container->cgroup_ns_fd >= 0 && setns(container->cgroup_ns_fd, CLONE_NEWCGROUP) < 0)
                return failure_set(f, errno, NULL, "enter the container's control group namespace");
        return r;
}

/* Enters the container and makes its process a sibling of ours; what goes wrong goes to outcome_fd. */
static _Noreturn void join(const struct container *container, const struct service_process *process,
                           const int stdio[3], int pid_fd, int outcome_fd)
{
        struct failure f = {0};
        bool is_inside;

        hide();
        if (process_child_oom_score(process, 0, &f) == 0) {
                if (setns(container->pid_ns_fd, CLONE_NEWPID) < 0 ||
                    setns(container->mount_ns_fd, CLONE_NEWNS) < 0)
                        failure_set(&f, errno, NULL, "enter the container");
        }
        if (!f.stage[0]) {
                pid_t pid = container_group_fork(container->group_fd, CLONE_PARENT, &is_inside);
                if (pid == 0) {
                        process_child_reset();
                        if (join_group(container, is_inside, &f) == 0)
                                run_program(process, stdio, outcome_fd);
                        fd_write_full(outcome_fd, &f, sizeof(f));
                        _exit(127);
                }
                if (pid > 0) {
                        fd_write_full(pid_fd, &pid, sizeof(pid));
                        _exit(0);
                }
                failure_set(&f, errno, NULL, "start a process");
        }
        fd_write_full(outcome_fd, &f, sizeof(f));
        _exit(0);
}

static int start_further(const struct container *container, const struct service_process *process,
                         const int stdio[3], pid_t *ret_pid, struct failure *f)
{
        int pids[2], outcomes[2];
        pid_t pid = 0;

        if (pipe2(pids, O_CLOEXEC) < 0)
                return failure_set(f, errno, NULL, "make a pipe");
        cleanup_fd int pid_reading = pids[0];
        cleanup_fd int pid_writing = pids[1];
        if (pipe2(outcomes, O_CLOEXEC) < 0)
                return failure_set(f, errno, NULL, "make a pipe");
        cleanup_fd int reading = outcomes[0];
        cleanup_fd int writing = outcomes[1];
        pid_t joining = fork();
        if (joining < 0)
                return failure_set(f, errno, NULL, "fork");
        if (joining == 0)
                join(container, process, stdio, pid_writing, writing);
        fd_close_p(&pid_writing);
        fd_close_p(&writing);
        int known = fd_read_full(pid_reading, &pid, sizeof(pid));
        int r = read_outcome(reading, true, f);
        if (r == 0 && known < 0)
                r = failure_set(f, ECHILD, NULL, "start a process: the container has ended");
        if (r == 0)
                *ret_pid = pid;
        return r;
}

int container_start(struct container *container, bool first, const struct service_process *process,
                    struct view encoded, const int stdio[3], pid_t *ret_pid, struct failure *f)
{
        if (!first)
                return start_further(container, process, stdio, ret_pid, f);
        *ret_pid = container->pid;
        return start_first(container, process, encoded, stdio, f);
}
