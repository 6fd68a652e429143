/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation.  The walk keeps the descriptors of all folders from the root down to where it is.
 * A name is opened as itself (O_PATH | O_NOFOLLOW), seen from the last of them; a symlink's text replaces
 * its name in what is left to walk; ".." drops the last descriptor, never the root.  So whatever is renamed
 * meanwhile, the walk is only ever in folders that it came into from the root: it can't be led out, as it
 * could be if ".." were asked of the kernel.
 */
#include "lib/container/init/in-root.h"

#include "lib/base/cleanup.h"
#include "lib/base/fd.h"
#include "lib/base/path.h"
#include "lib/container/init/mount-calls.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

/* Symlinks in one path, as the kernel has it; how deep folders may lie; how often a name that others make
 * and remove is tried again. */
enum { LINKS_MAX = 40, DEPTH_MAX = 256, TRIES_MAX = 16 };

enum walk_make { MAKE_NOTHING, MAKE_FOLDER, MAKE_FILE };

struct walk {
        int root;
        int open_flags; /* of the last part: O_NOFOLLOW counts */
        enum walk_make make;
        bool plain; /* no symlinks at all */
        int fds[DEPTH_MAX];
        size_t depth; /* of fds; 0: at the root */
        unsigned links;
        char rest[PATH_MAX]; /* what is left to walk */
};

static void walk_done(struct walk *walk)
{
        while (walk->depth > 0)
                close(walk->fds[--walk->depth]);
}

static int walk_at(const struct walk *walk)
{
        return walk->depth > 0 ? walk->fds[walk->depth - 1] : walk->root;
}

static int walk_push(struct walk *walk, int fd)
{
        if (walk->depth == DEPTH_MAX) {
                close(fd);
                return -ENAMETOOLONG;
        }
        walk->fds[walk->depth++] = fd;
        return 0;
}

/* Takes the next name from what is left.  *ret_last: nothing is behind it, not even a slash. False at the
 * end. */
static bool walk_next(struct walk *walk, char ret_name[NAME_MAX + 2], bool *ret_last)
{
        const char *start = walk->rest + strspn(walk->rest, "/");
        size_t n = strcspn(start, "/");
        const char *rest = start + n;

        if (n == 0)
                return false;
        /* One byte too many makes the kernel say ENAMETOOLONG. */
        size_t kept = n > NAME_MAX ? NAME_MAX + 1 : n;
        memcpy(ret_name, start, kept);
        ret_name[kept] = '\0';
        *ret_last = *rest == '\0';
        memmove(walk->rest, rest, strlen(rest) + 1);
        return true;
}

/* True for the links of procfs that jump instead of being read: their texts are paths or "type:[number]". */
static bool link_is_magic(int link, const char *text)
{
        struct statfs fs;

        if (fstatfs(link, &fs) < 0 || fs.f_type != PROC_SUPER_MAGIC)
                return false;
        return text[0] == '/' || text[0] == '(' || strstr(text, ":[") != NULL;
}

/* Puts the link's text before what is left to walk, which begins with a slash or is nothing. */
static int walk_link(struct walk *walk, int link)
{
        char text[PATH_MAX];

        if (walk->plain || ++walk->links > LINKS_MAX)
                return -ELOOP;
        ssize_t n = readlinkat(link, "", text, sizeof(text) - 1);
        if (n < 0)
                return -errno;
        text[n] = '\0';
        if (n == 0)
                return -ENOENT;
        if (link_is_magic(link, text))
                return -ELOOP;
        size_t rest = strlen(walk->rest);
        if ((size_t)n + rest >= sizeof(walk->rest))
                return -ENAMETOOLONG;
        memmove(walk->rest + n, walk->rest, rest + 1);
        memcpy(walk->rest, text, (size_t)n);
        if (text[0] == '/')
                walk_done(walk);
        return 0;
}

/* Makes `name`, which wasn't there a moment ago; it is no failure that it is there now. */
static int make_name(int dirfd, const char *name, bool file)
{
        if (!file)
                return mkdirat(dirfd, name, 0755) < 0 && errno != EEXIST ? -errno : 0;
        int fd = openat(dirfd, name, O_CREAT | O_EXCL | O_NOFOLLOW | O_RDONLY | O_CLOEXEC, 0644);
        if (fd < 0)
                return errno == EEXIST ? 0 : -errno;
        close(fd);
        return 0;
}

/* Opens `name` itself as O_PATH, made before where that is asked for. */
static int open_name(const struct walk *walk, const char *name, bool last)
{
        for (int i = 0; i < TRIES_MAX; i++) {
                int fd = openat(walk_at(walk), name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
                if (fd >= 0 || errno != ENOENT || walk->make == MAKE_NOTHING)
                        return fd >= 0 ? fd : -errno;
                int r = make_name(walk_at(walk), name, last && walk->make == MAKE_FILE);
                if (r < 0)
                        return r;
        }
        return -EAGAIN;
}

/* Opens what the walk has come to for what it was asked for. */
static int walk_end(const struct walk *walk, const char *name, int *fd, int *ret_fd)
{
        if (walk->open_flags & O_PATH) {
                *ret_fd = take_fd(fd);
                return 0;
        }
        /* By name again, and only if that still is the same: a descriptor of O_PATH can't be reopened. */
        struct stat was, is;
        cleanup_fd int opened = openat(walk_at(walk), name, walk->open_flags | O_NOFOLLOW | O_CLOEXEC);
        if (opened < 0)
                return -errno;
        if (fstat(*fd, &was) < 0 || fstat(opened, &is) < 0)
                return -errno;
        if (was.st_dev != is.st_dev || was.st_ino != is.st_ino)
                return -EAGAIN;
        *ret_fd = take_fd(&opened);
        return 0;
}

/* One name of the path.  1: *ret_fd is the end of it; 0: there is more to walk. */
static int walk_step(struct walk *walk, const char *name, bool last, int *ret_fd)
{
        if (strcmp(name, "..") == 0 && walk->depth > 0)
                close(walk->fds[--walk->depth]);
        if (strcmp(name, "..") == 0 || strcmp(name, ".") == 0)
                return 0;

        cleanup_fd int fd = open_name(walk, name, last);
        struct stat st;
        if (fd < 0)
                return fd;
        if (fstat(fd, &st) < 0)
                return -errno;
        if (S_ISLNK(st.st_mode) && !(last && walk->open_flags & O_NOFOLLOW && walk->open_flags & O_PATH))
                return last && walk->open_flags & O_NOFOLLOW ? -ELOOP : walk_link(walk, fd);
        if (S_ISDIR(st.st_mode))
                return walk_push(walk, take_fd(&fd));
        if (!last || walk->open_flags & O_DIRECTORY)
                return -ENOTDIR;
        int r = walk_end(walk, name, &fd, ret_fd);
        return r < 0 ? r : 1;
}

static int walk(struct walk *walk, const char *path, int *ret_fd)
{
        char name[NAME_MAX + 2];
        bool last;
        size_t n = strlen(path);

        if (n >= sizeof(walk->rest))
                return -ENAMETOOLONG;
        memcpy(walk->rest, path, n + 1);
        while (walk_next(walk, name, &last)) {
                int r = walk_step(walk, name, last, ret_fd);
                if (r != 0)
                        return r < 0 ? r : 0;
        }
        /* A folder, or the root itself. */
        int fd = openat(walk_at(walk), ".", walk->open_flags | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        *ret_fd = fd;
        return 0;
}

static int walk_path(int root, const char *path, int flags, bool plain, enum walk_make make, int *ret_fd)
{
        CLEANUP(walk_done) struct walk state;

        state.root = root;
        state.open_flags = flags;
        state.make = make;
        state.plain = plain;
        state.depth = 0;
        state.links = 0;
        return walk(&state, path, ret_fd);
}

static int open_path(int root, const char *path, int flags, bool plain, int *ret_fd)
{
        uint64_t resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | (plain ? RESOLVE_NO_SYMLINKS : 0);
        int r = mount_call_openat2(root, path[0] ? path : "/", flags, resolve);

        if (mount_call_missing(r))
                return walk_path(root, path, flags, plain, MAKE_NOTHING, ret_fd);
        if (r < 0)
                return r;
        *ret_fd = r;
        return 0;
}

int in_root_open(int root, const char *path, int flags, int *ret_fd, struct error *err)
{
        int r = open_path(root, path, flags, false, ret_fd);

        return r < 0 ? error_errno(err, -r, "%s", path) : 0;
}

int in_root_open_plain(int root, const char *path, int flags, int *ret_fd, struct error *err)
{
        int r = open_path(root, path, flags, true, ret_fd);

        return r < 0 ? error_errno(err, -r, "%s", path) : 0;
}

/* The usual: one folder is missing in one that is there, and no symlink is in the way.  -ENOENT where it
 * isn't so. */
static int make_last_folder(int root, const char *path, int *ret_fd)
{
        const char *name = path_basename(path);
        size_t n = (size_t)(name - path);
        char folder[PATH_MAX];

        if (!*name || strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || n >= sizeof(folder))
                return -ENOENT;
        memcpy(folder, path, n);
        folder[n] = '\0';
        cleanup_fd int parent = mount_call_openat2(root, n > 0 ? folder : "/", O_PATH | O_DIRECTORY,
                                                   RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
        if (parent < 0 || mkdirat(parent, name, 0755) < 0)
                return -ENOENT;
        int fd = openat(parent, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
                return -ENOENT;
        *ret_fd = fd;
        return 0;
}

static int make_path(int root, const char *path, enum walk_make make, int *ret_fd, struct error *err)
{
        int r = open_path(root, path, O_PATH, false, ret_fd);

        if (r == -ENOENT && make == MAKE_FOLDER)
                r = make_last_folder(root, path, ret_fd);
        /* Only what is missing is walked to. */
        if (r == -ENOENT)
                r = walk_path(root, path, O_PATH, false, make, ret_fd);
        return r < 0 ? error_errno(err, -r, "%s", path) : 0;
}

int in_root_make_folder(int root, const char *path, int *ret_fd, struct error *err)
{
        return make_path(root, path, MAKE_FOLDER, ret_fd, err);
}

int in_root_make_file(int root, const char *path, int *ret_fd, struct error *err)
{
        return make_path(root, path, MAKE_FILE, ret_fd, err);
}

int in_root_make_parent(int root, const char *path, int *ret_fd, const char **ret_name, struct error *err)
{
        const char *name = path_basename(path);
        size_t n = (size_t)(name - path);
        char folder[PATH_MAX];

        if (!*name || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
                return error_errno(err, EISDIR, "%s", path);
        if (n >= sizeof(folder))
                return error_errno(err, ENAMETOOLONG, "%s", path);
        memcpy(folder, path, n);
        folder[n] = '\0';
        int r = make_path(root, folder, MAKE_FOLDER, ret_fd, err);
        if (r < 0)
                return r;
        *ret_name = name;
        return 0;
}
