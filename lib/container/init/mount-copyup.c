/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fresh tmpfs that begins with what its destination holds in the image ("tmpcopyup").  Source and target
 * are only ever reached from descriptors of their folders, and no symlink is followed; the target is a file
 * system that nobody else has as yet.
 */
#include "lib/container/init/mounts.h"

#include "lib/base/cleanup.h"
#include "lib/base/fd.h"
#include "lib/base/text.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

/* How deep folders may lie: as deep as a path can be. */
enum { DEPTH_MAX = PATH_MAX / 2, XATTR_LIST_MAX_BYTES = 64 * 1024, XATTR_VALUE_MAX = 64 * 1024 };

/* Names that say where we are in `from` and in `to`. */
struct copy {
        int from; /* folders, readable */
        int to;
        unsigned depth;
};

static int copy_folder(const struct copy *copy, struct error *err);

/* Attributes that tmpfs can't take, or that aren't ours to give, stay behind. */
static int copy_xattrs(int from, int to, struct error *err)
{
        cleanup_free char *names = malloc(XATTR_LIST_MAX_BYTES);
        cleanup_free char *value = malloc(XATTR_VALUE_MAX);

        if (!names || !value)
                return error_oom(err);
        ssize_t n = flistxattr(from, names, XATTR_LIST_MAX_BYTES);
        for (char *name = names; n > 0 && name < names + n; name += strlen(name) + 1) {
                ssize_t size = fgetxattr(from, name, value, XATTR_VALUE_MAX);
                if (size >= 0 && fsetxattr(to, name, value, (size_t)size, 0) < 0 && errno == ENOSPC)
                        return error_errno(err, errno, "copy attribute \"%s\"", name);
        }
        return 0;
}

static int copy_content(int from, int to, struct error *err)
{
        for (;;) {
                ssize_t n = sendfile(to, from, NULL, 1 << 30);
                if (n == 0)
                        return 0;
                if (n < 0 && errno != EINTR)
                        return error_errno(err, errno, "copy");
        }
}

/* Owner, then mode, which a change of owner may have stripped, then times. */
static int copy_metadata(int to, const struct stat *st, struct error *err)
{
        const struct timespec times[2] = {st->st_atim, st->st_mtim};

        if (fchown(to, st->st_uid, st->st_gid) < 0 || fchmod(to, st->st_mode & 07777) < 0 ||
            futimens(to, times) < 0)
                return error_errno(err, errno, "set owner and mode");
        return 0;
}

static int copy_file(const struct copy *copy, const char *name, struct error *err)
{
        struct stat st;
        cleanup_fd int from = openat(copy->from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

        if (from < 0 || fstat(from, &st) < 0)
                return error_errno(err, errno, "open");
        if (!S_ISREG(st.st_mode))
                return error_set(err, -EAGAIN, "it was replaced by something else");
        cleanup_fd int to =
                openat(copy->to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (to < 0)
                return error_errno(err, errno, "create");
        int r = copy_content(from, to, err);
        if (r == 0)
                r = copy_xattrs(from, to, err);
        return r < 0 ? r : copy_metadata(to, &st, err);
}

static int copy_link(const struct copy *copy, const char *name, const struct stat *st, struct error *err)
{
        const struct timespec times[2] = {st->st_atim, st->st_mtim};
        char text[PATH_MAX];
        ssize_t n = readlinkat(copy->from, name, text, sizeof(text) - 1);

        if (n < 0)
                return error_errno(err, errno, "read symlink");
        text[n] = '\0';
        if (symlinkat(text, copy->to, name) < 0 ||
            fchownat(copy->to, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0 ||
            utimensat(copy->to, name, times, AT_SYMLINK_NOFOLLOW) < 0)
                return error_errno(err, errno, "make symlink");
        return 0;
}

/* Sockets are of no use without their listener; a user namespace can't make devices. */
static int copy_node(const struct copy *copy, const char *name, const struct stat *st, struct error *err)
{
        if (mknodat(copy->to, name, st->st_mode, st->st_rdev) < 0)
                return errno == EPERM ? 0 : error_errno(err, errno, "mknod");
        if (fchownat(copy->to, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0 ||
            fchmodat(copy->to, name, st->st_mode & 07777, 0) < 0)
                return error_errno(err, errno, "set owner and mode");
        return 0;
}

static int copy_subfolder(const struct copy *copy, const char *name, struct error *err)
{
        struct stat st;
        cleanup_fd int from = openat(copy->from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

        if (from < 0 || fstat(from, &st) < 0)
                return error_errno(err, errno, "open");
        if (copy->depth >= DEPTH_MAX)
                return error_errno(err, ENAMETOOLONG, "copy");
        if (mkdirat(copy->to, name, 0700) < 0)
                return error_errno(err, errno, "make folder");
        cleanup_fd int to = openat(copy->to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (to < 0)
                return error_errno(err, errno, "open");
        const struct copy below = {from, to, copy->depth + 1};
        int r = copy_folder(&below, err);
        if (r == 0)
                r = copy_xattrs(from, to, err);
        return r < 0 ? r : copy_metadata(to, &st, err);
}

static int copy_entry(const struct copy *copy, const char *name, struct error *err)
{
        struct stat st;

        if (fstatat(copy->from, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return error_errno(err, errno, "stat");
        if (S_ISDIR(st.st_mode))
                return copy_subfolder(copy, name, err);
        if (S_ISREG(st.st_mode))
                return copy_file(copy, name, err);
        if (S_ISLNK(st.st_mode))
                return copy_link(copy, name, &st, err);
        return copy_node(copy, name, &st, err);
}

static int copy_folder(const struct copy *copy, struct error *err)
{
        cleanup_fd int fd = fcntl(copy->from, F_DUPFD_CLOEXEC, 3);
        cleanup_dir DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;

        if (!dir)
                return error_errno(err, errno, "read folder");
        take_fd(&fd);
        for (;;) {
                errno = 0;
                const struct dirent *entry = readdir(dir);
                if (!entry)
                        return errno ? error_errno(err, errno, "read folder") : 0;
                if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
                        continue;
                int r = copy_entry(copy, entry->d_name, err);
                if (r < 0) {
                        error_wrap(err, "%s", entry->d_name);
                        return r;
                }
        }
}

int mount_copy_up(int from, int to, struct error *err)
{
        struct stat st;
        cleanup_fd int source = openat(from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        cleanup_fd int target = openat(to, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        if (source < 0 || target < 0 || fstat(source, &st) < 0)
                return error_errno(err, errno, "tmpcopyup");
        const struct copy copy = {source, target, 0};
        int r = copy_folder(&copy, err);
        if (r == 0 && fchown(target, st.st_uid, st.st_gid) < 0)
                r = error_errno(err, errno, "set owner");
        if (r < 0)
                error_wrap(err, "tmpcopyup");
        return r;
}
