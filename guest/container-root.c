/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container-root.c - the steps to a container's root.  All paths are resolved in the image's own tree, beyond
 * which there is nothing to reach: a link that leads astray leads the container itself astray.
 */
#include "guest/container-root.h"

#include "lib/base/fd.h"
#include "lib/base/path.h"
#include "lib/base/text.h"

#include "guest/container.h"
#include "guest/rootfs.h"
#include "guest/xattrs.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#ifndef MS_NOSYMFOLLOW
#define MS_NOSYMFOLLOW 256
#endif
#ifndef OPEN_TREE_CLONE
#define OPEN_TREE_CLONE 1
#endif
#ifndef OPEN_TREE_CLOEXEC
#define OPEN_TREE_CLOEXEC O_CLOEXEC
#endif
#ifndef MOVE_MOUNT_F_EMPTY_PATH
#define MOVE_MOUNT_F_EMPTY_PATH 4
#endif

/* Flags of a mount rather than of its file system. */
static const unsigned long MOUNT_FLAGS = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME |
                                         MS_NODIRATIME | MS_RELATIME | MS_STRICTATIME | MS_NOSYMFOLLOW;

static bool is_copied(const struct service_mount *mount)
{
        return strcmp(mount->type, SERVICE_MOUNT_COPIED) == 0;
}

/* ---- mounts ---- */

/* Takes hold of the copied folders while they are in sight.  `trees` has one descriptor for each mount, -1
 * where it isn't a copied one. */
static int open_copies(const struct service_container *spec, int *trees, struct failure *f)
{
        for (size_t i = 0; i < spec->n_mounts; i++) {
                cleanup_free char *path = string_printf("%s/%s", CONTAINER_COPIES, spec->mounts[i].source);

                trees[i] = -1;
                if (!is_copied(&spec->mounts[i]))
                        continue;
                if (!path)
                        return failure_set(f, ENOMEM, NULL, "mount a copied folder");
                trees[i] = (int)syscall(SYS_open_tree, AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
                if (trees[i] < 0)
                        return failure_set(f, errno, spec->mounts[i].destination, "find a copied folder");
        }
        return 0;
}

static int make_mount_point(const char *path, bool is_file, struct failure *f)
{
        cleanup_free char *parent = strdup(path);
        char *slash = parent ? strrchr(parent, '/') : NULL;

        if (!is_file)
                return path_make_dirs(path, 0755, NULL) < 0
                               ? failure_set(f, errno, path, "make a mount point")
                               : 0;
        if (slash && slash != parent) {
                *slash = '\0';
                path_make_dirs(parent, 0755, NULL);
        }
        cleanup_fd int fd = open(path, O_WRONLY | O_CREAT | O_NOCTTY | O_NONBLOCK | O_CLOEXEC, 0644);
        return fd < 0 ? failure_set(f, errno, path, "make a mount point") : 0;
}

static int mount_copy(const struct service_mount *wanted, int tree, struct failure *f)
{
        struct stat st;

        if (fstat(tree, &st) < 0)
                return failure_set(f, errno, wanted->destination, "look at a copied folder");
        int r = make_mount_point(wanted->destination, !S_ISDIR(st.st_mode), f);
        if (r < 0)
                return r;
        if (syscall(SYS_move_mount, tree, "", AT_FDCWD, wanted->destination, MOVE_MOUNT_F_EMPTY_PATH) < 0)
                return failure_set(f, errno, wanted->destination, "mount a copied folder");
        return 0;
}

/* All files are in memory and this container's, so that the folder itself is what a copy of it would be. */
static int mount_own(const struct service_mount *wanted, struct failure *f)
{
        int r = make_mount_point(wanted->destination, false, f);

        if (r == 0 && mount(wanted->destination, wanted->destination, NULL, MS_BIND, NULL) < 0)
                return failure_set(f, errno, wanted->destination, "mount a folder of the image");
        return r;
}

static int mount_kernels(const struct service_mount *wanted, struct failure *f)
{
        /* All controllers are in the one hierarchy here. */
        bool is_cgroup = strcmp(wanted->type, "cgroup") == 0;
        const char *type = is_cgroup ? "cgroup2" : wanted->type;
        const char *data = is_cgroup || !*wanted->data ? NULL : wanted->data;
        int r = make_mount_point(wanted->destination, false, f);

        if (r < 0)
                return r;
        /* Read-only is for this mount: other mounts of the same file system stay writable. */
        if (mount(*wanted->source ? wanted->source : type, wanted->destination, type,
                  (unsigned long)wanted->flags & ~MS_RDONLY, data) < 0)
                return failure_set(f, errno, wanted->destination, "mount %s", type);
        return 0;
}

static int carry_out_mount(const struct service_mount *wanted, int tree, struct failure *f)
{
        unsigned long flags = (unsigned long)wanted->flags;
        bool own = strcmp(wanted->type, SERVICE_MOUNT_OWN) == 0;
        int r = tree >= 0 ? mount_copy(wanted, tree, f)
                : own     ? mount_own(wanted, f)
                          : mount_kernels(wanted, f);

        /* Those of the kernel's types have all but MS_RDONLY by now. */
        if (r == 0 && (flags & MS_RDONLY || ((own || tree >= 0) && flags & MOUNT_FLAGS)) &&
            mount(NULL, wanted->destination, NULL, MS_REMOUNT | MS_BIND | (flags & MOUNT_FLAGS), NULL) < 0)
                return failure_set(f, errno, wanted->destination, "set the options of a mount");
        return r;
}

static int mount_all(const struct service_container *spec, const int *trees, struct failure *f)
{
        int r = 0;

        for (size_t i = 0; r == 0 && i < spec->n_mounts; i++)
                r = carry_out_mount(&spec->mounts[i], trees[i], f);
        return r;
}

/* ---- files ---- */

static int write_files(const struct service_container *spec, struct failure *f)
{
        for (size_t i = 0; i < spec->n_files; i++) {
                const struct service_file *file = &spec->files[i];
                int r = make_mount_point(file->path, true, f);
                if (r < 0)
                        return r;
                cleanup_fd int fd = open(file->path, O_WRONLY | O_TRUNC | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
                if (fd < 0 || fchmod(fd, file->mode) < 0)
                        return failure_set(f, errno, file->path, "write a file");
                r = fd_write_full(fd, file->content.p, file->content.n);
                if (r < 0)
                        return failure_set(f, -r, file->path, "write a file");
        }
        return 0;
}

/* ---- what is hidden, or can't be written ---- */

static int bind_read_only(const char *path, struct failure *f)
{
        const unsigned long kept = ST_NOSUID | ST_NODEV | ST_NOEXEC; /* they are MS_* by the same numbers */
        struct statvfs st;

        if (mount(path, path, NULL, MS_BIND | MS_REC, NULL) < 0)
                return errno == ENOENT || errno == ENOTDIR
                               ? 0
                               : failure_set(f, errno, path, "make a path read-only");
        if (statvfs(path, &st) < 0 ||
            mount(NULL, path, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | (st.f_flag & kept), NULL) < 0)
                return failure_set(f, errno, path, "make a path read-only");
        return 0;
}

/* What an image has in its place would be seen, and written to, at each path that is hidden by it. */
static int check_null_device(struct failure *f)
{
        struct stat st;

        if (lstat("/dev/null", &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3))
                return 0;
        return failure_set(f, ENODEV, "/dev/null", "hide paths by it: it is no null device");
}

static int mask(const char *path, struct failure *f)
{
        if (mount("/dev/null", path, NULL, MS_BIND, NULL) == 0 || errno == ENOENT)
                return 0;
        if (errno != ENOTDIR)
                return failure_set(f, errno, path, "hide a path");
        struct stat st;
        if (stat(path, &st) < 0)
                return 0; /* something on the way is no folder: there is nothing to hide */
        if (mount("tmpfs", path, "tmpfs", MS_RDONLY, "size=0,nr_inodes=2,mode=0755") < 0)
                return failure_set(f, errno, path, "hide a folder");
        return 0;
}

static int restrict_paths(const struct service_container *spec, struct failure *f)
{
        int r = 0;

        for (size_t i = 0; r == 0 && i < spec->n_readonly_paths; i++)
                r = bind_read_only(spec->readonly_paths[i], f);
        if (r == 0 && spec->n_masked_paths > 0)
                r = check_null_device(f);
        for (size_t i = 0; r == 0 && i < spec->n_masked_paths; i++)
                r = mask(spec->masked_paths[i], f);
        if (r == 0 && spec->readonly_root &&
            mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL) < 0)
                r = failure_set(f, errno, "/", "make the root read-only");
        return r;
}

/* ---- all of it ---- */

static int make(const struct service_container *spec, const int *trees, struct view xattrs,
                const struct log *log, struct failure *f)
{
        int r = rootfs_enter(f);

        if (r < 0)
                return r;
        xattrs_apply(xattrs, log);
        r = mount_all(spec, trees, f);
        if (r == 0) {
                rootfs_make_devices(log);
                r = write_files(spec, f);
        }
        return r < 0 ? r : restrict_paths(spec, f);
}

int container_root_make(const struct service_container *spec, struct view xattrs, const struct log *log,
                        struct failure *f)
{
        cleanup_free int *trees = calloc(spec->n_mounts + 1, sizeof(*trees));

        if (!trees)
                return failure_set(f, ENOMEM, NULL, "mount %zu file systems", spec->n_mounts);
        if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
                return failure_set(f, errno, "/", "keep mounts apart");
        int r = open_copies(spec, trees, f);
        if (r == 0)
                r = make(spec, trees, xattrs, log, f);
        for (size_t i = 0; i < spec->n_mounts; i++) {
                if (trees[i] >= 0)
                        close(trees[i]);
        }
        return r;
}
