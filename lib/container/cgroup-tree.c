/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A group and those below it, which are the container's work: as deep, and as many, as it likes.  So both
 * walks hold two descriptors at a time, step up by "..", and don't recurse.
 */
#include "lib/container/cgroup-internal.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* All names from the container's group down to where a walk is. */
enum { DEPTH_MAX = 4 * 1024 * 1024 };

static int open_folder(int dirfd, const char *name)
{
        int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

        return fd < 0 ? -errno : fd;
}

/* The next folder in `fd`, from the one after `after` (NULL: from the first), into ret_name.  1, 0 where
 * there is none, or -errno. */
static int next_child(int fd, const char *after, char ret_name[NAME_MAX + 1])
{
        int copy = open_folder(fd, ".");
        cleanup_dir DIR *dir = copy < 0 ? NULL : fdopendir(copy);
        bool passed = !after;

        if (!dir) {
                int r = copy < 0 ? copy : -errno;
                if (copy >= 0)
                        close(copy);
                return r == -ENOENT || r == -ENODEV ? 0 : r;
        }
        for (;;) {
                errno = 0;
                const struct dirent *entry = readdir(dir);
                if (!entry)
                        return -errno;
                if (entry->d_type != DT_DIR || strcmp(entry->d_name, ".") == 0 ||
                    strcmp(entry->d_name, "..") == 0)
                        continue;
                if (passed) {
                        memcpy(ret_name, entry->d_name, strlen(entry->d_name) + 1);
                        return 1;
                }
                passed = strcmp(entry->d_name, after) == 0;
        }
}

/* Takes the last name off the list of names and hands it out. */
static void pop_name(struct buf *names, char ret_name[NAME_MAX + 1])
{
        size_t at = names->n - 1;

        while (at > 0 && names->p[at - 1] != 0)
                at--;
        memcpy(ret_name, names->p + at, names->n - at);
        names->n = at;
}

int cgroup_tree_visit(const struct cgroup_hierarchy *hierarchy, cgroup_visit_fn visit, void *user)
{
        cleanup_buf struct buf names = buf_with_max(DEPTH_MAX);
        char name[NAME_MAX + 1], path[CGROUP_FILE_PATH_MAX];
        const char *after = NULL;
        int r = cgroup_file_path(hierarchy, "", path);
        cleanup_fd int fd = r < 0 ? r : open_folder(AT_FDCWD, path);

        if (fd < 0)
                return fd == -ENOENT ? 0 : fd;
        r = visit(fd, user);
        while (r >= 0) {
                r = next_child(fd, after, name);
                if (r < 0)
                        return r;
                if (r > 0) {
                        int child = open_folder(fd, name);
                        after = name;
                        if (child == -ENOENT || child == -ENODEV)
                                continue;
                        if (child < 0)
                                return child;
                        close(fd);
                        fd = child;
                        r = buf_append(&names, name, strlen(name) + 1);
                        if (r >= 0)
                                r = visit(fd, user);
                        after = NULL;
                        continue;
                }
                if (names.n == 0)
                        return 0;
                int up = open_folder(fd, "..");
                if (up < 0)
                        return up;
                close(fd);
                fd = up;
                pop_name(&names, name);
                after = name;
        }
        return r;
}

/* From inside the group `fd`, at any depth: removes all groups below it. */
static int remove_below(int folder)
{
        char name[NAME_MAX + 1];
        cleanup_fd int fd = open_folder(folder, ".");
        size_t depth = 0;
        int r;

        if (fd < 0)
                return fd;
        for (;;) {
                r = next_child(fd, NULL, name);
                if (r < 0 || (r == 0 && depth == 0))
                        return r;
                bool leaf = r == 0;
                if (leaf) {
                        /* Up again, to the group that we came down from: still the first one there. */
                        r = open_folder(fd, "..");
                        if (r < 0)
                                return r;
                        close(fd);
                        fd = r;
                        depth--;
                        r = next_child(fd, NULL, name);
                        if (r < 0)
                                return r;
                        if (r == 0)
                                continue;
                }
                if (unlinkat(fd, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
                        continue;
                if (leaf || (errno != EBUSY && errno != ENOTEMPTY))
                        return -errno;
                r = open_folder(fd, name);
                if (r < 0)
                        return r;
                close(fd);
                fd = r;
                depth++;
        }
}

int cgroup_tree_remove(const struct cgroup_hierarchy *hierarchy)
{
        char path[CGROUP_FILE_PATH_MAX];
        int r = cgroup_file_path(hierarchy, "", path);

        if (r < 0)
                return r;
        if (rmdir(path) == 0 || errno == ENOENT)
                return 0;
        int code = -errno; /* a read-only mount refuses even where there is nothing */
        cleanup_fd int fd = open_folder(AT_FDCWD, path);
        if (fd < 0)
                return fd == -ENOENT ? 0 : fd;
        if (code != -EBUSY && code != -ENOTEMPTY)
                return code;
        r = remove_below(fd);
        /* Somebody else (systemd) may be at it, too. */
        if (r < 0 && r != -ENOENT && r != -ENODEV)
                return r;
        return rmdir(path) == 0 || errno == ENOENT ? 0 : -errno;
}
