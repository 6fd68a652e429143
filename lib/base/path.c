/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/path.h"

#include "lib/base/cleanup.h"
#include "lib/base/fd.h"
#include "lib/base/text.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A concurrent rename anywhere makes RESOLVE_IN_ROOT answer EAGAIN; so many in a row are an attack. */
enum { OPENAT2_TRIES = 64 };

int path_open_in_root(int rootfd, const char *path, int flags, mode_t mode, int *ret_fd, struct error *err)
{
        const struct open_how how = {
                .flags = (uint64_t)(flags | O_CLOEXEC),
                .mode = flags & (O_CREAT | O_TMPFILE) ? mode : 0,
                .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
        };

        for (int i = 0; i < OPENAT2_TRIES; i++) {
                int fd = (int)syscall(SYS_openat2, rootfd, path, &how, sizeof(how));
                if (fd >= 0) {
                        *ret_fd = fd;
                        return 0;
                }
                if (errno != EAGAIN && errno != EINTR)
                        break;
        }
        return error_errno(err, errno, "%s", path);
}

int path_make_dirs(const char *path, mode_t mode, struct error *err)
{
        cleanup_free char *copy = strdup(path);

        if (!copy)
                return error_oom(err);
        for (char *p = copy + 1; *copy; p++) {
                if (*p && *p != '/')
                        continue;
                char saved = *p;
                *p = '\0';
                if (mkdir(copy, mode) < 0 && errno != EEXIST)
                        return error_errno(err, errno, "%s", copy);
                *p = saved;
                if (!saved)
                        break;
        }
        struct stat st;
        if (stat(path, &st) < 0)
                return error_errno(err, errno, "%s", path);
        return S_ISDIR(st.st_mode) ? 0 : error_errno(err, ENOTDIR, "%s", path);
}

static int remove_children(int fd, const char *path, struct error *err)
{
        cleanup_fd int owned = fd;
        cleanup_dir DIR *dir = fdopendir(fd);

        if (!dir)
                return error_errno(err, errno, "%s", path);
        take_fd(&owned);
        for (;;) {
                errno = 0;
                struct dirent *entry = readdir(dir);
                if (!entry)
                        return errno ? error_errno(err, errno, "%s", path) : 0;
                if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
                        continue;
                int r = path_remove_tree(dirfd(dir), entry->d_name, err);
                if (r < 0)
                        return error_wrap(err, "%s", path), r;
        }
}

int path_remove_tree(int dirfd, const char *path, struct error *err)
{
        if (unlinkat(dirfd, path, 0) == 0 || errno == ENOENT)
                return 0;
        if (errno != EISDIR && errno != EPERM)
                return error_errno(err, errno, "%s", path);

        int fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
                return errno == ENOENT ? 0 : error_errno(err, errno, "%s", path);
        int r = remove_children(fd, path, err);
        if (r < 0)
                return r;
        if (unlinkat(dirfd, path, AT_REMOVEDIR) < 0 && errno != ENOENT)
                return error_errno(err, errno, "%s", path);
        return 0;
}

char *path_join(const char *a, const char *b)
{
        return string_printf("%s%s%s", a, string_ends_with(a, "/") ? "" : "/", b);
}

int path_open_parent(int dirfd, const char *path, int *ret_dirfd, const char **ret_name, struct error *err)
{
        const char *name = path_basename(path);

        if (!*name || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
                return error_errno(err, EISDIR, "%s", path);
        cleanup_free char *folder = name == path ? strdup(".") : strndup(path, (size_t)(name - path));
        if (!folder)
                return error_oom(err);
        int fd = openat(dirfd, folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return error_errno(err, errno, "%s", path);
        *ret_dirfd = fd;
        *ret_name = name;
        return 0;
}

int path_clean(const char *path, char *ret_path, size_t size)
{
        size_t n = 0;

        while (*path) {
                size_t part = strcspn(path, "/");

                if (part == 2 && memcmp(path, "..", 2) == 0) {
                        while (n > 0 && ret_path[--n] != '/')
                                continue;
                } else if (part > 0 && !(part == 1 && *path == '.')) {
                        /* A slash before it, a NUL behind. */
                        if (n + 2 > size || part > size - n - 2)
                                return -ENAMETOOLONG;
                        ret_path[n++] = '/';
                        memcpy(ret_path + n, path, part);
                        n += part;
                }
                path += part + (path[part] == '/');
        }
        if (n == 0) {
                if (size < 2)
                        return -ENAMETOOLONG;
                ret_path[n++] = '/';
        }
        ret_path[n] = '\0';
        return 0;
}

const char *path_basename(const char *path)
{
        const char *slash = strrchr(path, '/');

        return slash ? slash + 1 : path;
}
