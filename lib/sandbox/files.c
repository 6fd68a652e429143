/* SPDX-License-Identifier: Apache-2.0 */
/*
 * files.c - Landlock, by its system calls: the C library has no wrappers.
 *
 * Each version of the kernel's interface knows more rights, and refuses those that it doesn't know; so the
 * version is asked for first.  The numbers are from the kernel's include/uapi/linux/landlock.h, which on a
 * build machine may be older than the kernel that runs.
 */
#include "lib/sandbox/sandbox.h"

#include "lib/base/fd.h"

#include <fcntl.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
        FS_EXECUTE = 1 << 0,
        FS_WRITE_FILE = 1 << 1,
        FS_READ_FILE = 1 << 2,
        FS_READ_DIR = 1 << 3,
        FS_READ_ALL = FS_EXECUTE | FS_READ_FILE | FS_READ_DIR,
        FS_MAKE_DEVICES = 1 << 6 | 1 << 11,
        FS_ALL_V1 = (1 << 13) - 1,   /* and all that makes or removes */
        FS_REFER = 1 << 13,          /* version 2 */
        FS_TRUNCATE = 1 << 14,       /* 3 */
        NET_TCP = 1 << 0 | 1 << 1,   /* 4: bind and connect */
        SCOPE_ALL = 1 << 0 | 1 << 1, /* 6: abstract Unix sockets and signals */
        CREATE_RULESET_VERSION = 1 << 0,
        SCOPE_VERSION = 6,
        RULE_PATH_BENEATH = 1,
};

struct ruleset_attr {
        uint64_t handled_access_fs;
        uint64_t handled_access_net;
        uint64_t scoped;
};

struct path_beneath_attr {
        uint64_t allowed_access;
        int32_t parent_fd;
} __attribute__((packed));

/* What this kernel can restrict. The members that it doesn't know are zero, which it takes. */
static struct ruleset_attr everything(long version)
{
        struct ruleset_attr attr = {.handled_access_fs = FS_ALL_V1};

        if (version >= 2)
                attr.handled_access_fs |= FS_REFER;
        if (version >= 3)
                attr.handled_access_fs |= FS_TRUNCATE;
        if (version >= 4)
                attr.handled_access_net = NET_TCP;
        return attr;
}

/* What can't be opened now can't be later either. */
static bool is_out_of_reach(int errnum)
{
        return errnum == ENOENT || errnum == EACCES || errnum == ENOTDIR || errnum == ELOOP ||
               errnum == ENAMETOOLONG;
}

static int allow(int ruleset, const struct sandbox_path *path, uint64_t handled)
{
        struct path_beneath_attr rule = {.allowed_access = FS_READ_FILE};
        cleanup_fd int opened = path->path ? open(path->path, O_PATH | O_CLOEXEC) : -1;
        struct stat st;

        if (path->path && opened < 0)
                return is_out_of_reach(errno) ? 0 : -errno;
        rule.parent_fd = path->path ? opened : path->fd;
        if (fstat(rule.parent_fd, &st) < 0)
                return -errno;
        if (S_ISDIR(st.st_mode))
                rule.allowed_access |= FS_READ_DIR;
        if (path->execute)
                rule.allowed_access |= FS_EXECUTE;
        if (path->write)
                rule.allowed_access |= FS_WRITE_FILE;
        if (path->manage)
                rule.allowed_access |= handled & ~(uint64_t)(FS_EXECUTE | FS_MAKE_DEVICES);
        rule.allowed_access &= handled;
        if (rule.allowed_access == 0)
                return 0;
        int r = syscall(SYS_landlock_add_rule, ruleset, RULE_PATH_BENEATH, &rule, 0) < 0 ? -errno : 0;
        /* A pipe, or what else is in no file system: it is not restricted. */
        return r == -EBADFD ? 0 : r;
}

/* The version of this kernel's Landlock, or -errno where it has none. */
static long landlock_version(void)
{
        long version = syscall(SYS_landlock_create_ruleset, NULL, 0, CREATE_RULESET_VERSION);

        return version < 0 ? -errno : version;
}

static int enforce(int ruleset)
{
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                return -errno;
        return syscall(SYS_landlock_restrict_self, ruleset, 0) < 0 ? -errno : 0;
}

static int restrict_to(const struct ruleset_attr *attr, const struct sandbox_path *paths, size_t n)
{
        cleanup_fd int ruleset = (int)syscall(SYS_landlock_create_ruleset, attr, sizeof(*attr), 0);

        if (ruleset < 0)
                return -errno;
        for (size_t i = 0; i < n; i++) {
                int r = allow(ruleset, &paths[i], attr->handled_access_fs);
                if (r < 0)
                        return r;
        }
        return enforce(ruleset);
}

int sandbox_restrict_files(const struct sandbox_path *paths, size_t n)
{
        long version = landlock_version();

        if (version < 0)
                return (int)version;
        const struct ruleset_attr attr = everything(version);
        return restrict_to(&attr, paths, n);
}

int sandbox_restrict_writes(const struct sandbox_path *paths, size_t n)
{
        long version = landlock_version();

        if (version < 0)
                return (int)version;
        const struct ruleset_attr attr = {.handled_access_fs = everything(version).handled_access_fs &
                                                               ~(uint64_t)FS_READ_ALL};
        return restrict_to(&attr, paths, n);
}

int sandbox_restrict_signals(void)
{
        const struct ruleset_attr attr = {.scoped = SCOPE_ALL};
        long version = landlock_version();

        if (version < SCOPE_VERSION)
                return version < 0 ? (int)version : -EOPNOTSUPP;
        cleanup_fd int ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
        return ruleset < 0 ? -errno : enforce(ruleset);
}
