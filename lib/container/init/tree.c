/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/container/init/tree.h"

#include "lib/base/cleanup.h"
#include "lib/base/fd.h"
#include "lib/container/init/in-root.h"
#include "lib/container/init/messages.h"
#include "lib/container/init/mount-calls.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#ifndef MS_NOSYMFOLLOW
#define MS_NOSYMFOLLOW 256
#endif
#ifndef MOUNT_ATTR_NOSYMFOLLOW
#define MOUNT_ATTR_NOSYMFOLLOW 0x00200000
#endif

/* "self/fd/" and a number. */
enum { FD_PATH_MAX = 24 };

/* Longest value that fsconfig(2) takes. */
enum { FSCONFIG_VALUE_MAX = 255 };

/* Flags of a file system, not of a mount, as fsconfig(2) has them. */
static const struct {
        unsigned long flag;
        const char *name;
} file_system_flags[] = {
        {MS_SYNCHRONOUS, "sync"},
        {MS_DIRSYNC, "dirsync"},
        {MS_MANDLOCK, "mand"},
        {1 << 25 /* MS_LAZYTIME */, "lazytime"},
};

/* Those that say when a file was last read: setting one of them sets them all. */
static const unsigned long atime_flags = MS_NOATIME | MS_NODIRATIME | MS_RELATIME | MS_STRICTATIME;

/* What a mount that is copied to a less privileged mount namespace may not lose. */
static const unsigned long locked_flags = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME |
                                          MS_NODIRATIME | MS_RELATIME | MS_STRICTATIME;

static void fd_path(int fd, char ret_path[FD_PATH_MAX])
{
        (void)snprintf(ret_path, FD_PATH_MAX, "self/fd/%d", fd);
}

int tree_mount_by_descriptor(const struct rootfs *rootfs, int source, const char *name, int target,
                             const char *type, unsigned long flags, const char *data)
{
        char source_path[FD_PATH_MAX], target_path[FD_PATH_MAX];

        fd_path(target, target_path);
        if (source >= 0) {
                fd_path(source, source_path);
                name = source_path;
        }
        /* Both paths are relative, seen from a folder that has been checked to be a procfs. */
        if (fchdir(rootfs->proc_fd) < 0 || mount(name, target_path, type, flags, data) < 0)
                return -errno;
        return 0;
}

/* ---- new file systems ---------------------------------------------------------------------------------- */

/* What the kernel says about a failure, "e tmpfs: Bad value for 'size'", or the text of `r`. */
static int context_error(int context, int r, const char *type, struct error *err)
{
        char text[256];
        ssize_t n = read(context, text, sizeof(text) - 1);

        if (n <= 2)
                return error_errno(err, -r, "%s", type);
        text[n] = '\0';
        text[strcspn(text, "\n")] = '\0';
        return error_errno(err, -r, "%s", text + 2);
}

/* Sets "key=value" or "key" of `n` bytes.  -E2BIG: it has no room in a context. */
static int set_option(int context, const char *option, size_t n)
{
        char text[NAME_MAX + FSCONFIG_VALUE_MAX + 2];

        if (n >= sizeof(text))
                return -E2BIG;
        memcpy(text, option, n);
        text[n] = '\0';
        char *value = strchr(text, '=');
        if (value)
                *value++ = '\0';
        if (value && strlen(value) > FSCONFIG_VALUE_MAX)
                return -E2BIG;
        return mount_call_fsconfig(context, text, value);
}

static int set_options(int context, const char *options)
{
        int r = 0;

        for (const char *p = options ?: ""; *p && r == 0;) {
                size_t n = strcspn(p, ",");
                if (n > 0)
                        r = set_option(context, p, n);
                p += n + (p[n] == ',');
        }
        return r;
}

/* *ret_tree: a detached mount.  -ENOSYS: not to be had in this way. */
static int detached_file_system(const struct tree_file_system *fs, int *ret_tree, struct error *err)
{
        cleanup_fd int context = mount_call_fsopen(fs->type);

        if (context < 0)
                return mount_call_missing(context) ? -ENOSYS : error_errno(err, -context, "%s", fs->type);
        int r = mount_call_fsconfig(context, "source", fs->source ?: fs->type);
        for (size_t i = 0; i < ARRAY_SIZE(file_system_flags) && r == 0; i++)
                if (fs->flags & file_system_flags[i].flag)
                        r = mount_call_fsconfig(context, file_system_flags[i].name, NULL);
        if (r == 0)
                r = set_options(context, fs->options);
        if (r == 0 && fs->context)
                r = strlen(fs->context) > FSCONFIG_VALUE_MAX
                            ? -E2BIG
                            : mount_call_fsconfig(context, "context", fs->context);
        if (r == 0)
                r = mount_call_fsmount(context, (unsigned)mount_attributes_of(fs->flags));
        if (r == -E2BIG || mount_call_missing(r))
                return -ENOSYS;
        if (r < 0)
                return context_error(context, r, fs->type, err);
        *ret_tree = r;
        return 0;
}

/* True where both descriptors have one path: a mount and the folder that it hides. */
static bool same_path(const struct rootfs *rootfs, int a, int b)
{
        char name[FD_PATH_MAX], path_a[PATH_MAX], path_b[PATH_MAX];

        fd_path(a, name);
        ssize_t n_a = readlinkat(rootfs->proc_fd, name, path_a, sizeof(path_a));
        fd_path(b, name);
        ssize_t n_b = readlinkat(rootfs->proc_fd, name, path_b, sizeof(path_b));
        return n_a > 0 && n_a == n_b && memcmp(path_a, path_b, (size_t)n_a) == 0;
}

static bool same_inode(int a, int b)
{
        struct stat st_a, st_b;

        return fstat(a, &st_a) == 0 && fstat(b, &st_b) == 0 && st_a.st_dev == st_b.st_dev &&
               st_a.st_ino == st_b.st_ino;
}

/* Finds the mount that mount(2) just made. */
static int reopen(const struct tree_place *place, int *ret_tree, struct error *err)
{
        cleanup_fd int tree = -1;
        int r = in_root_open(place->rootfs->fd, place->path, O_PATH, &tree, err);

        if (r < 0)
                return r;
        if (!same_path(place->rootfs, place->fd, tree))
                return error_set(err, -EAGAIN, "%s was moved while it was mounted on", place->path);
        *ret_tree = take_fd(&tree);
        return 0;
}

/* "options,context="label"", or NULL where there are neither. -E2BIG. */
static int join_options(const struct tree_file_system *fs, char *text, size_t size)
{
        int n;

        if (fs->context)
                n = snprintf(text, size, "%s%scontext=\"%s\"", fs->options ?: "", fs->options ? "," : "",
                             fs->context);
        else
                n = snprintf(text, size, "%s", fs->options ?: "");
        return n < 0 || (size_t)n >= size ? -E2BIG : 0;
}

static int mount_old_way(const struct tree_place *place, const struct tree_file_system *fs, int *ret_tree,
                         struct error *err)
{
        char options[4096]; /* a page is all that mount(2) takes */
        int r = join_options(fs, options, sizeof(options));

        if (r == 0)
                r = tree_mount_by_descriptor(place->rootfs, -1, fs->source ?: fs->type, place->fd, fs->type,
                                             fs->flags, options[0] ? options : NULL);
        if (r == -ENODEV)
                return error_set(err, r, "this kernel has no file system \"%s\"", fs->type);
        return r < 0 ? error_errno(err, -r, "mount %s", fs->type) : reopen(place, ret_tree, err);
}

int tree_mount(const struct tree_place *place, const struct tree_file_system *fs, int *ret_tree,
               struct error *err)
{
        cleanup_fd int tree = -1;
        int r = fs->by_context ? detached_file_system(fs, &tree, err) : -ENOSYS;

        if (r == 0) {
                r = mount_call_move(tree, place->fd);
                if (r < 0 && !mount_call_missing(r))
                        return error_errno(err, -r, "mount %s", fs->type);
        } else if (r != -ENOSYS) {
                return r;
        }
        if (r < 0)
                return mount_old_way(place, fs, ret_tree, err);
        *ret_tree = take_fd(&tree);
        return 0;
}

int tree_mount_name(const char *name, const struct tree_file_system *fs)
{
        char options[4096];
        int r = join_options(fs, options, sizeof(options));

        if (r < 0)
                return r;
        if (mount(fs->source ?: fs->type, name, fs->type, fs->flags, options[0] ? options : NULL) < 0)
                return -errno;
        return 0;
}

int tree_mount_folder(const struct tree_place *place, const struct tree_file_system *fs)
{
        /* "." is what the descriptor is: no name is looked up. */
        return fchdir(place->fd) < 0 ? -errno : tree_mount_name(".", fs);
}

/* ---- binds --------------------------------------------------------------------------------------------- */

int tree_attach(const struct tree_place *place, int tree, struct error *err)
{
        int r = mount_call_move(tree, place->fd);

        return r < 0 ? error_errno(err, -r, "attach the mount") : 0;
}

int tree_bind(const struct tree_place *place, int source, unsigned flags, int *ret_tree, struct error *err)
{
        cleanup_fd int tree = mount_call_clone(source, flags);

        if (tree >= 0) {
                int r = mount_call_move(tree, place->fd);
                if (r == 0) {
                        *ret_tree = take_fd(&tree);
                        return 0;
                }
                if (!mount_call_missing(r))
                        return error_errno(err, -r, "bind mount");
        } else if (!mount_call_missing(tree)) {
                return error_errno(err, -tree, "bind mount");
        }
        int r = tree_mount_by_descriptor(place->rootfs, source, NULL, place->fd, NULL,
                                         MS_BIND | (flags & AT_RECURSIVE ? MS_REC : 0), NULL);
        if (r < 0)
                return error_errno(err, -r, "bind mount");
        cleanup_fd int found = -1;
        r = reopen(place, &found, err);
        if (r < 0)
                return r;
        if (!same_inode(source, found))
                return error_set(err, -EAGAIN, "%s was moved while it was mounted on", place->path);
        *ret_tree = take_fd(&found);
        return 0;
}

/* ---- what a mount allows ------------------------------------------------------------------------------- */

static int apply_flags(const struct rootfs *rootfs, int tree, unsigned long set)
{
        struct mount_attr attr = {
                .attr_set = mount_attributes_of(set),
                .attr_clr = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC |
                            MOUNT_ATTR_NOSYMFOLLOW,
        };

        if (set & atime_flags)
                attr.attr_clr |= MOUNT_ATTR__ATIME | MOUNT_ATTR_NODIRATIME;
        /* What is set isn't cleared, but for the field of several bits that tells of access times. */
        attr.attr_clr &= ~(attr.attr_set & ~(uint64_t)MOUNT_ATTR__ATIME);
        int r = mount_call_setattr(tree, 0, &attr);
        /* Before 5.14 the call doesn't know it. */
        if (r == -EINVAL && attr.attr_clr & MOUNT_ATTR_NOSYMFOLLOW) {
                attr.attr_clr &= ~(uint64_t)MOUNT_ATTR_NOSYMFOLLOW;
                r = mount_call_setattr(tree, 0, &attr);
        }
        if (!mount_call_missing(r))
                return r;
        return tree_mount_by_descriptor(rootfs, -1, NULL, tree, NULL, MS_REMOUNT | MS_BIND | set, NULL);
}

/* MS_* that the mount has now. */
static int present_flags(int tree, unsigned long *ret_flags)
{
        static const unsigned long map[][2] = {
                {ST_RDONLY, MS_RDONLY},     {ST_NOSUID, MS_NOSUID},
                {ST_NODEV, MS_NODEV},       {ST_NOEXEC, MS_NOEXEC},
                {ST_NOATIME, MS_NOATIME},   {ST_NODIRATIME, MS_NODIRATIME},
                {ST_RELATIME, MS_RELATIME}, {0x2000 /* ST_NOSYMFOLLOW */, MS_NOSYMFOLLOW},
        };
        struct statfs fs;
        unsigned long flags = 0;

        if (fstatfs(tree, &fs) < 0)
                return -errno;
        for (size_t i = 0; i < ARRAY_SIZE(map); i++)
                if ((unsigned long)fs.f_flags & map[i][0])
                        flags |= map[i][1];
        if (!(flags & (MS_NOATIME | MS_RELATIME)))
                flags |= MS_STRICTATIME;
        *ret_flags = flags;
        return 0;
}

int tree_set_flags(const struct rootfs *rootfs, int tree, unsigned long set, unsigned long clear,
                   struct error *err)
{
        unsigned long present;
        int r = apply_flags(rootfs, tree, set);

        if (r != -EPERM)
                return r < 0 ? error_errno(err, -r, "set the flags of the mount") : 0;
        r = present_flags(tree, &present);
        if (r < 0)
                return error_errno(err, -r, "statfs");
        if (present & clear & locked_flags)
                return error_cause(err, EPERM, "cannot clear locked flags");
        if (set & atime_flags && (set & atime_flags) != (present & atime_flags))
                return error_cause(err, EPERM, "cannot change locked atime flags");
        r = apply_flags(rootfs, tree, set | (present & locked_flags));
        return r < 0 ? error_errno(err, -r, "set the flags of the mount, with its locked ones") : 0;
}

int tree_set_readonly(const struct rootfs *rootfs, int tree, unsigned flags, struct error *err)
{
        const struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};
        unsigned long present;
        int r = mount_call_setattr(tree, flags, &attr);

        if (!mount_call_missing(r))
                return r < 0 ? error_errno(err, -r, "make the mount read-only") : 0;
        r = present_flags(tree, &present);
        if (r == 0)
                r = tree_mount_by_descriptor(rootfs, -1, NULL, tree, NULL,
                                             MS_REMOUNT | MS_BIND | MS_RDONLY | present, NULL);
        return r < 0 ? error_errno(err, -r, "make the mount read-only") : 0;
}

int tree_set_attributes(int tree, uint64_t set, uint64_t clear, struct error *err)
{
        const uint64_t atime = MOUNT_ATTR__ATIME;
        /* The access times are one field: whatever is said of it replaces it. */
        const struct mount_attr attr = {
                .attr_set = set,
                .attr_clr = (set | clear) & atime ? (clear | atime) : clear,
        };
        int r = mount_call_setattr(tree, AT_RECURSIVE, &attr);

        if (r == -ENOSYS)
                return error_set(
                        err, r, "recursive mount options need Linux 5.12, whose mount_setattr(2) isn't here");
        return r < 0 ? error_errno(err, -r, "set recursive mount options") : 0;
}

int tree_set_propagation(const struct rootfs *rootfs, int tree, unsigned long propagation, struct error *err)
{
        const struct mount_attr attr = {.propagation = propagation & ~(unsigned long)MS_REC};
        int r = mount_call_setattr(tree, propagation & MS_REC ? AT_RECURSIVE : 0, &attr);

        if (mount_call_missing(r))
                r = tree_mount_by_descriptor(rootfs, -1, NULL, tree, NULL, propagation, NULL);
        return r < 0 ? error_errno(err, -r, "set the propagation of the mount") : 0;
}
