/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/container/init/procfs.h"

#include "lib/base/cleanup.h"
#include "lib/base/fd.h"
#include "lib/base/text.h"
#include "lib/container/init/mount-calls.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

static bool is_procfs(int fd)
{
        struct statfs fs;

        return fstatfs(fd, &fs) == 0 && fs.f_type == PROC_SUPER_MAGIC;
}

/* As openat2() with RESOLVE_BENEATH, NO_SYMLINKS and NO_XDEV, name by name. */
static int walk_plain(int proc_fd, const char *path, int flags)
{
        cleanup_fd int at = -1;
        struct stat root, st;

        if (fstat(proc_fd, &root) < 0)
                return -errno;
        for (;;) {
                char name[NAME_MAX + 1];
                path += strspn(path, "/");
                size_t n = strcspn(path, "/");
                bool last = path[n + strspn(path + n, "/")] == '\0';
                if (n == 0 || n > NAME_MAX || (n == 2 && memcmp(path, "..", 2) == 0))
                        return -EXDEV;
                memcpy(name, path, n);
                name[n] = '\0';
                int fd = openat(at >= 0 ? at : proc_fd, name,
                                (last ? flags : O_PATH | O_DIRECTORY) | O_NOFOLLOW | O_CLOEXEC);
                if (fd < 0)
                        return -errno;
                fd_close_p(&at);
                at = fd;
                if (fstat(at, &st) < 0 || st.st_dev != root.st_dev)
                        return -EXDEV;
                if (last)
                        return take_fd(&at);
                path += n;
        }
}

int procfs_open_file(int proc_fd, const char *path, int flags, int *ret_fd, struct error *err)
{
        if (!is_procfs(proc_fd))
                return error_set(err, -EXDEV, "/proc/%s is no file of a procfs", path);
        /* A ".." in it is somebody's attempt at another file. */
        if (strstr(path, "/../") || string_starts_with(path, "../") || string_ends_with(path, "/.."))
                return error_set(err, -EINVAL, "/proc/%s is no plain path", path);
        cleanup_fd int fd = mount_call_openat2(proc_fd, path, flags | O_NOFOLLOW,
                                               RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV);

        /* A refusal of the file itself may be EPERM, too; it comes again. */
        if (mount_call_missing(fd))
                fd = walk_plain(proc_fd, path, flags);
        if (fd < 0)
                return error_errno(err, -fd, "/proc/%s", path);
        *ret_fd = take_fd(&fd);
        return 0;
}

/* Writes to ret_path what the descriptor's path is, seen from the container's root; "" for the root. */
static int path_in_root(const struct rootfs *rootfs, int fd, char ret_path[PATH_MAX], struct error *err)
{
        char link[32], path[PATH_MAX];
        size_t root = strcmp(rootfs->path, "/") == 0 ? 0 : strlen(rootfs->path);

        (void)snprintf(link, sizeof(link), "self/fd/%d", fd);
        ssize_t n = readlinkat(rootfs->proc_fd, link, path, sizeof(path) - 1);
        if (n < 0)
                return error_errno(err, errno, "read /proc/%s", link);
        path[n] = '\0';
        if (strncmp(path, rootfs->path, root) != 0 || (path[root] != '\0' && path[root] != '/'))
                return error_set(err, -EPERM, "mountpoint \"%s\" is outside of rootfs \"%s\"", path,
                                 rootfs->path);
        memcpy(ret_path, path + root, strlen(path + root) + 1);
        return 0;
}

static bool may_be_emulated(const char *path)
{
        static const char *const emulated[] = {
                "/proc/cpuinfo",
                "/proc/diskstats",
                "/proc/meminfo",
                "/proc/stat",
                "/proc/swaps",
                "/proc/uptime",
                "/proc/loadavg",
                "/proc/slabinfo",
                "/proc/sys/kernel/ns_last_pid",
                "/proc/sys/crypto/fips_enabled",
        };

        for (size_t i = 0; i < ARRAY_SIZE(emulated); i++)
                if (strcmp(path, emulated[i]) == 0)
                        return true;
        return false;
}

int procfs_check_destination(const struct tree_place *place, const char *type, int source, struct error *err)
{
        char path[PATH_MAX];
        int r = path_in_root(place->rootfs, place->fd, path, err);

        if (r < 0)
                return r;
        if (path[0] == '\0' || strcmp(path, "/") == 0)
                return error_set(err, -EPERM, "mountpoint \"%s\" is on the top of rootfs \"%s\"", place->path,
                                 place->rootfs->path);
        if (strcmp(path, "/proc") == 0) {
                if (strcmp(type, "proc") == 0 || (source >= 0 && is_procfs(source)))
                        return 0;
                return error_set(err, -EPERM, "\"%s\" cannot be mounted because it is not of type proc",
                                 place->path);
        }
        if (string_starts_with(path, "/proc/") && !may_be_emulated(path))
                return error_set(err, -EPERM, "\"%s\" cannot be mounted because it is inside /proc",
                                 place->path);
        return 0;
}
