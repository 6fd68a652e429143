/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/container-group.h"

#include "lib/base/fd.h"

#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char MOUNT_POINT[] = "/cgroup", GROUP[] = "container";

enum { CONTROLLER_MAX = 64, BPF_INSTRUCTION_SIZE = 8 };

static int write_file(int folder, const char *name, const char *value)
{
        cleanup_fd int fd = openat(folder, name, O_WRONLY | O_CLOEXEC);
        size_t n = strlen(value);

        if (fd < 0)
                return -errno;
        ssize_t written = write(fd, value, n);
        if (written < 0)
                return -errno;
        return (size_t)written == n ? 0 : -EIO;
}

/* The hierarchy, out of everybody's sight: the mount goes, the descriptor stays. */
static int open_hierarchy(struct failure *f)
{
        mkdir(MOUNT_POINT, 0700);
        if (mount("cgroup2", MOUNT_POINT, "cgroup2", MS_NOSUID | MS_NODEV | MS_NOEXEC, "nsdelegate") < 0)
                return failure_set(f, errno, NULL, "mount control groups");
        int fd = open(MOUNT_POINT, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        int errnum = errno;
        umount2(MOUNT_POINT, MNT_DETACH);
        rmdir(MOUNT_POINT);
        return fd < 0 ? failure_set(f, errnum, NULL, "open the control groups") : fd;
}

/* How much of the name of a file is its controller's: "pids.max". */
static size_t controller_length(const char *name)
{
        return strcspn(name, ".");
}

/* Whether a limit before this one is of the same controller. */
static bool is_enabled(const struct service_container *spec, size_t at)
{
        const char *name = spec->limits[at].name;
        size_t n = controller_length(name);

        for (size_t i = 0; i < at; i++)
                if (controller_length(spec->limits[i].name) == n &&
                    memcmp(spec->limits[i].name, name, n) == 0)
                        return true;
        return false;
}

/* Makes the controllers that limits need available to groups, and no others: to switch one on, the kernel
 * rewrites itself, which takes an emulated machine tens of milliseconds.  One that can't be is missed where
 * the limit is written, which then names the file. */
static void enable_controllers(int hierarchy, const struct service_container *spec)
{
        char word[CONTROLLER_MAX];

        for (size_t i = 0; i < spec->n_limits; i++) {
                const char *name = spec->limits[i].name;
                if (is_enabled(spec, i))
                        continue;
                (void)snprintf(word, sizeof(word), "+%.*s", (int)controller_length(name), name);
                (void)write_file(hierarchy, "cgroup.subtree_control", word);
        }
}

static int bpf(int command, union bpf_attr *attr)
{
        return (int)syscall(SYS_bpf, command, attr, sizeof(*attr));
}

static int filter_devices(int group, struct view program, struct failure *f)
{
        static const char license[] = "Apache-2.0";
        union bpf_attr load = {.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE,
                               .insns = (uintptr_t)program.p,
                               .insn_cnt = (uint32_t)(program.n / BPF_INSTRUCTION_SIZE),
                               .license = (uintptr_t)license};

        if (program.n == 0)
                return 0;
        cleanup_fd int fd = bpf(BPF_PROG_LOAD, &load);
        if (fd < 0)
                return failure_set(f, errno, NULL, "load the device filter");
        union bpf_attr attach = {.target_fd = (uint32_t)group,
                                 .attach_bpf_fd = (uint32_t)fd,
                                 .attach_type = BPF_CGROUP_DEVICE,
                                 .attach_flags = BPF_F_ALLOW_MULTI};
        return bpf(BPF_PROG_ATTACH, &attach) < 0 ? failure_set(f, errno, NULL, "attach the device filter")
                                                 : 0;
}

static int set_limits(int group, const struct service_container *spec, struct failure *f)
{
        for (size_t i = 0; i < spec->n_limits; i++) {
                const struct service_limit_file *limit = &spec->limits[i];
                int r = write_file(group, limit->name, limit->value);
                if (r < 0)
                        return failure_set(f, -r, limit->name, "limit the container to \"%.64s\"",
                                           limit->value);
        }
        return filter_devices(group, spec->device_filter, f);
}

int container_group_make(const struct service_container *spec, int *ret_fd, struct failure *f)
{
        bool needed = spec->n_limits > 0 || spec->device_filter.n > 0;
        cleanup_fd int hierarchy = open_hierarchy(f);

        *ret_fd = -1;
        if (hierarchy < 0) {
                int r = hierarchy;
                if (!needed)
                        *f = (struct failure){0};
                return needed ? r : 0;
        }
        enable_controllers(hierarchy, spec);
        if (mkdirat(hierarchy, GROUP, 0755) < 0)
                return failure_set(f, errno, GROUP, "make a control group");
        cleanup_fd int group = openat(hierarchy, GROUP, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (group < 0)
                return failure_set(f, errno, GROUP, "open a control group");
        int r = set_limits(group, spec, f);
        if (r == 0)
                *ret_fd = take_fd(&group);
        return r;
}

pid_t container_group_fork(int group_fd, unsigned long flags, bool *ret_is_inside)
{
        /* A sibling's signal is ours, and clone3(2) wants to hear of no other. */
        const struct clone_args args = {.flags = flags | CLONE_INTO_CGROUP,
                                        .exit_signal = flags & CLONE_PARENT ? 0 : SIGCHLD,
                                        .cgroup = (uint64_t)(unsigned int)group_fd};

        *ret_is_inside = true;
        long pid = group_fd < 0 ? -1 : syscall(SYS_clone3, &args, sizeof(args));
        if (pid < 0) {
                *ret_is_inside = false;
                pid = syscall(SYS_clone, flags | SIGCHLD, NULL, NULL, NULL, NULL);
        }
        return (pid_t)pid;
}

int container_group_enter(int group_fd, struct failure *f)
{
        int r = group_fd < 0 ? 0 : write_file(group_fd, "cgroup.procs", "0");

        return r < 0 ? failure_set(f, -r, NULL, "enter the container's control group") : 0;
}
