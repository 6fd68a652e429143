/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/container/init/rootfs.h"

#include "lib/base/cleanup.h"
#include "lib/base/fd.h"
#include "lib/container/init/mount-calls.h"
#include "lib/container/init/procfs.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* "net.ipv4.conf.eth0/1.x" is net/ipv4/conf/eth0.1/x; where the first separator is a slash, it is the path
 * itself (sysctl.d(5)). */
static int path_of(const char *key, char ret_path[PATH_MAX], struct error *err)
{
        const char *separator = strpbrk(key, "./");
        const bool swap = separator && *separator == '.';
        int n = snprintf(ret_path, PATH_MAX, "sys/%s", key);

        if (n < 0 || n >= PATH_MAX)
                return error_errno(err, ENAMETOOLONG, "sysctl \"%s\"", key);
        for (char *p = ret_path + strlen("sys/"); *p && swap; p++)
                *p = *p == '.' ? '/' : *p == '/' ? '.' : *p;
        return 0;
}

/* A procfs that is mounted nowhere: of the same namespaces as the host's, and writable where that of a
 * container that we run in is not. */
static int open_fresh(int *ret_fd, struct error *err)
{
        cleanup_fd int context = mount_call_fsopen("proc");
        int r = context < 0 ? context : mount_call_fsmount(context, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC);

        if (r < 0)
                return error_errno(err, -r, "mount a procfs");
        *ret_fd = r;
        return 0;
}

static int open_for(const struct plan *plan, const char *path, int *ret_fd, struct error *err)
{
        cleanup_fd int proc = -1;
        int r;

        if (plan->host_proc_fd < 0) {
                r = procfs_open(&proc, err);
                return r < 0 ? r : procfs_open_file(proc, path, O_WRONLY, ret_fd, err);
        }
        r = procfs_open_file(plan->host_proc_fd, path, O_WRONLY, ret_fd, err);
        if (r != -EROFS)
                return r;
        r = open_fresh(&proc, err);
        return r < 0 ? r : procfs_open_file(proc, path, O_WRONLY, ret_fd, err);
}

int rootfs_sysctl(const struct plan *plan, const char *key, const char *value, struct error *err)
{
        cleanup_fd int fd = -1;
        char path[PATH_MAX];
        int r = path_of(key, path, err);

        if (r == 0)
                r = open_for(plan, path, &fd, err);
        if (r == 0 && write(fd, value, strlen(value)) < 0)
                r = error_errno(err, errno, "write \"%s\"", value);
        if (r < 0)
                error_wrap(err, "sysctl \"%s\"", key);
        return r;
}
