/* SPDX-License-Identifier: Apache-2.0 */
/* The files of a group: names, whole writes, bounded reads, and errors that say which file it was. */
#include "lib/base/file.h"
#include "lib/base/text.h"
#include "lib/container/cgroup-internal.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* memory.stat is the longest of them that a kernel writes by itself, some KiB; cgroup.procs grows with the
 * group, up to 4 Mi processes. */
enum { CGROUP_FILE_MAX = 32 * 1024 * 1024 };

int cgroup_file_path(const struct cgroup_hierarchy *hierarchy, const char *file,
                     char ret_path[CGROUP_FILE_PATH_MAX])
{
        int n = snprintf(ret_path, CGROUP_FILE_PATH_MAX, "%s%s%s%s", hierarchy->mountpoint, hierarchy->path,
                         *file ? "/" : "", file);

        return n < 0 || n >= CGROUP_FILE_PATH_MAX ? -ENAMETOOLONG : 0;
}

int cgroup_file_open(const struct cgroup_hierarchy *hierarchy, const char *file, int flags)
{
        char path[CGROUP_FILE_PATH_MAX];
        int fd;

        if (hierarchy->fd >= 0) {
                fd = openat(hierarchy->fd, file, flags | O_CLOEXEC);
        } else {
                int r = cgroup_file_path(hierarchy, file, path);

                if (r < 0)
                        return r;
                fd = open(path, flags | O_CLOEXEC);
        }
        return fd < 0 ? -errno : fd;
}

int cgroup_file_error(const struct cgroup_hierarchy *hierarchy, const char *file, const char *value, int code,
                      struct error *err)
{
        if (value)
                return error_errno(err, -code, "cgroup: failed to write \"%s\": write %s%s/%s", value,
                                   hierarchy->mountpoint, hierarchy->path, file);
        return error_errno(err, -code, "cgroup: failed to read %s%s/%s", hierarchy->mountpoint,
                           hierarchy->path, file);
}

int cgroup_file_write(const struct cgroup_hierarchy *hierarchy, const char *file, const char *value)
{
        cleanup_fd int fd = cgroup_file_open(hierarchy, file, O_WRONLY);

        return fd < 0 ? fd : fd_write_full(fd, value, strlen(value));
}

int cgroup_file_set(const struct cgroup_hierarchy *hierarchy, const char *file, const char *value,
                    struct error *err)
{
        int r = cgroup_file_write(hierarchy, file, value);

        return r < 0 ? cgroup_file_error(hierarchy, file, value, r, err) : 0;
}

int cgroup_file_set_u64(const struct cgroup_hierarchy *hierarchy, const char *file, uint64_t value,
                        struct error *err)
{
        char text[32];

        snprintf(text, sizeof(text), "%" PRIu64, value);
        return cgroup_file_set(hierarchy, file, text, err);
}

int cgroup_file_set_limit(const struct cgroup_hierarchy *hierarchy, const char *file, int64_t value,
                          const char *none, struct error *err)
{
        if (value < 0)
                return cgroup_file_set(hierarchy, file, none, err);
        return cgroup_file_set_u64(hierarchy, file, (uint64_t)value, err);
}

ssize_t cgroup_file_read(const struct cgroup_hierarchy *hierarchy, const char *file, char *ret_text,
                         size_t size)
{
        cleanup_fd int fd = cgroup_file_open(hierarchy, file, O_RDONLY);
        ssize_t n;

        if (fd < 0)
                return fd;
        do
                n = read(fd, ret_text, size - 1);
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return -errno;
        ret_text[n] = 0;
        return n;
}

int cgroup_read_fd(int fd, struct buf *ret_b)
{
        return file_read_fd(fd, CGROUP_FILE_MAX, ret_b);
}

int cgroup_file_read_all(const struct cgroup_hierarchy *hierarchy, const char *file, struct buf *ret_b)
{
        cleanup_fd int fd = cgroup_file_open(hierarchy, file, O_RDONLY);

        return fd < 0 ? fd : cgroup_read_fd(fd, ret_b);
}

/* The number that `text` begins with and that a space or the end of the line ends. */
static int number(const char *text, uint64_t *ret_value)
{
        uint64_t value = UINT64_MAX;

        if (string_starts_with(text, "max"))
                text += strlen("max");
        else if (!take_u64(&text, UINT64_MAX, &value))
                return -EBADMSG;
        if (*text && *text != ' ' && *text != '\n')
                return -EBADMSG;
        *ret_value = value;
        return 0;
}

int cgroup_file_read_u64(const struct cgroup_hierarchy *hierarchy, const char *file, uint64_t *ret_value)
{
        char text[64];
        ssize_t n = cgroup_file_read(hierarchy, file, text, sizeof(text));

        return n < 0 ? (int)n : number(text, ret_value);
}

int cgroup_file_read_key(const struct cgroup_hierarchy *hierarchy, const char *file, const char *key,
                         uint64_t *ret_value)
{
        char text[8192];
        size_t n_key = strlen(key);
        ssize_t n = cgroup_file_read(hierarchy, file, text, sizeof(text));

        if (n < 0)
                return (int)n;
        for (const char *line = text; *line;) {
                if (strncmp(line, key, n_key) == 0 && line[n_key] == ' ')
                        return number(line + n_key + 1, ret_value);
                line += strcspn(line, "\n");
                line += *line == '\n';
        }
        return -ENODATA;
}
