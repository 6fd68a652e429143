/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/container/id-map.h"

#include "lib/base/buf.h"
#include "lib/base/child.h"
#include "lib/base/cleanup.h"
#include "lib/base/fd.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
        LINES_MAX = 340, /* what the kernel takes */
        MAP_TEXT_MAX = LINES_MAX * 36,
};

/* The kernel wants a whole map in one write. */
static int write_once(int proc_fd, pid_t pid, const char *file, struct view text)
{
        char path[48];

        (void)snprintf(path, sizeof(path), "%d/%s", pid, file);
        cleanup_fd int fd = openat(proc_fd, path, O_WRONLY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        ssize_t n = write(fd, text.p, text.n);
        if (n < 0)
                return -errno;
        return (size_t)n == text.n ? 0 : -EIO;
}

static int write_map(int proc_fd, pid_t pid, const char *file, const struct spec_id_mappings *map)
{
        cleanup_buf struct buf text = buf_with_max(MAP_TEXT_MAX);

        for (size_t i = 0; i < map->n; i++)
                (void)buf_printf(&text, "%u %u %u\n", map->items[i].container_id, map->items[i].host_id,
                                 map->items[i].size);
        return text.failed ? text.failed : write_once(proc_fd, pid, file, buf_view(&text));
}

/* "newuidmap PID CONTAINER HOST SIZE ..." */
static int run_helper(const char *helper, pid_t pid, const struct spec_id_mappings *map, struct error *err)
{
        size_t n = 3 * map->n + 2;
        cleanup_free char *numbers = calloc(n, 16);
        cleanup_free const char **argv = calloc(n + 1, sizeof(*argv));
        struct child child CLEANUP(child_kill) = CHILD_NONE;
        int status;

        if (!numbers || !argv)
                return error_oom(err);
        argv[0] = helper;
        for (size_t i = 1; i < n; i++) {
                const struct spec_id_mapping *line = i < 2 ? NULL : &map->items[(i - 2) / 3];
                uint32_t value = !line              ? (uint32_t)pid
                                 : (i - 2) % 3 == 0 ? line->container_id
                                 : (i - 2) % 3 == 1 ? line->host_id
                                                    : line->size;
                (void)snprintf(numbers + i * 16, 16, "%u", value);
                argv[i] = numbers + i * 16;
        }
        const struct child_fd fds[] = {{2, 2}};
        const struct child_spec spec = {
                .argv = argv, .fds = fds, .n_fds = 1, .uid = (uid_t)-1, .die_with_parent = true};
        int r = child_start(&spec, &child, err);
        if (r < 0) {
                error_hint(err, "install the package uidmap");
                return r;
        }
        r = child_wait(&child, &status);
        if (r < 0)
                return error_errno(err, -r, "%s", helper);
        if (status != 0)
                return error_set(err, -EPERM,
                                 "%s refused the mapping; look into /etc/sub%cid for this user's ids", helper,
                                 helper[3]);
        return 0;
}

static bool only_own(const struct spec_id_mappings *map, uint32_t own)
{
        return map->n == 1 && map->items[0].size == 1 && map->items[0].host_id == own;
}

int id_map_write(int proc_fd, pid_t pid, const struct spec_id_mappings *uids,
                 const struct spec_id_mappings *gids, bool *ret_setgroups_denied, struct error *err)
{
        bool denied = false;

        if (uids->n == 0 || gids->n == 0)
                return error_set(err, -EINVAL,
                                 "User namespaces enabled, but no %s mapping found: .linux.%s is missing",
                                 uids->n == 0 ? "uid" : "gid", uids->n == 0 ? "uidMappings" : "gidMappings");
        int r = write_map(proc_fd, pid, "uid_map", uids);
        if (r == -EPERM)
                r = run_helper("newuidmap", pid, uids, err);
        else if (r < 0)
                error_errno(err, -r, "can't write the user namespace's uid map");
        if (r < 0)
                return r;

        r = write_map(proc_fd, pid, "gid_map", gids);
        if (r == -EPERM && only_own(gids, getegid())) {
                r = write_once(proc_fd, pid, "setgroups", view_of_string("deny"));
                if (r == 0)
                        r = write_map(proc_fd, pid, "gid_map", gids);
                denied = true;
        }
        if (r == -EPERM && !denied)
                r = run_helper("newgidmap", pid, gids, err);
        else if (r < 0)
                error_errno(err, -r, "can't write the user namespace's gid map");
        if (r < 0)
                return r;
        *ret_setgroups_denied = denied;
        return 0;
}
