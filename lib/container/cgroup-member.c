/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Groups within the container's, and whose the container's is.
 *
 * A container that may (systemd in it, a container engine in it) cuts its v2 group into smaller ones and
 * leaves none of its processes in the group itself, which then takes no further one: a process that is to
 * run beside the first goes where the first is now.
 */
#include "lib/base/file.h"
#include "lib/base/text.h"
#include "lib/container/cgroup-internal.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Of /proc/<pid>/cgroup, and of the kernel's list of what it delegates. */
enum { SELF_CGROUP_MAX = 65536, DELEGATE_MAX = 16384 };

/* A handle with the same driver and hierarchies, placed nowhere yet. */
static int copy_handle(const struct cgroup *cgroup, struct cgroup **ret_copy, struct error *err)
{
        cleanup_cgroup struct cgroup *copy = calloc(1, sizeof(*copy));

        if (!copy)
                return error_oom(err);
        copy->driver = &cgroup_fs_driver;
        copy->log = cgroup->log;
        copy->rootless = cgroup->rootless;
        copy->path_given = cgroup->path_given;
        copy->unified = cgroup->unified;
        for (size_t i = 0; i < cgroup->n; i++) {
                const struct cgroup_hierarchy *from = &cgroup->hierarchies[i];
                struct cgroup_hierarchy *to = &copy->hierarchies[i];
                *to = (struct cgroup_hierarchy){.fd = -1,
                                                .unified = from->unified,
                                                .named = from->named,
                                                .controllers = from->unified ? 0 : from->controllers};
                copy->n++;
                to->name = strdup(from->name);
                to->mountpoint = strdup(from->mountpoint);
                if (!to->name || !to->mountpoint)
                        return error_oom(err);
        }
        *ret_copy = take_pointer(&copy);
        return 0;
}

/* Opens the folder of a placed group, which must be there. */
static int open_group(struct cgroup_hierarchy *h, struct error *err)
{
        char path[CGROUP_FILE_PATH_MAX];
        int r = cgroup_file_path(h, "", path);
        int fd = r < 0 ? r : open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

        if (fd < 0)
                return error_errno(err, r < 0 ? -r : errno, "cgroup: %s%s", h->mountpoint, h->path);
        if (h->unified)
                h->fd = fd;
        else
                close(fd);
        return 0;
}

int cgroup_open_subgroup(const struct cgroup *cgroup, const char *path, struct cgroup **ret_subgroup,
                         struct error *err)
{
        cleanup_cgroup struct cgroup *copy = NULL;
        char clean[CGROUP_PATH_MAX];
        int r = cgroup_clean_path(path, clean, err);

        if (r >= 0)
                r = copy_handle(cgroup, &copy, err);
        for (size_t i = 0; r >= 0 && i < copy->n; i++) {
                cleanup_free char *whole = string_printf("%s%s", cgroup->hierarchies[i].path,
                                                         strcmp(clean, "/") == 0 ? "" : clean);
                r = whole ? cgroup_place_in(&copy->hierarchies[i], whole, err) : error_oom(err);
                if (r >= 0)
                        r = open_group(&copy->hierarchies[i], err);
        }
        if (r < 0)
                return r;
        *ret_subgroup = take_pointer(&copy);
        return 0;
}

/* The path of the v2 hierarchy in the text of /proc/<pid>/cgroup, into ret_path. */
static bool unified_path(struct view text, char ret_path[CGROUP_PATH_MAX])
{
        struct cursor c = cursor_of(text);

        while (!cursor_at_end(&c)) {
                struct view line = cursor_until(&c, '\n');
                if (!cursor_ok(&c))
                        return false;
                if (line.n < 4 || memcmp(line.p, "0::/", 4) != 0 || line.n - 3 >= CGROUP_PATH_MAX ||
                    view_has_nul(line))
                        continue;
                memcpy(ret_path, line.p + 3, line.n - 3);
                ret_path[line.n - 3] = 0;
                return true;
        }
        return false;
}

int cgroup_open_group_of(const struct cgroup *cgroup, pid_t pid, struct cgroup **ret_group, struct error *err)
{
        cleanup_buf struct buf text = buf_with_max(0);
        char name[48], path[CGROUP_PATH_MAX];
        const char *own = cgroup->n > 0 ? cgroup->hierarchies[0].path : NULL;
        size_t n = own ? strlen(own) : 0;
        int r;

        if (!cgroup->unified || !own)
                return cgroup_open_subgroup(cgroup, "", ret_group, err);
        snprintf(name, sizeof(name), "/proc/%d/cgroup", pid);
        r = file_read(AT_FDCWD, name, SELF_CGROUP_MAX, &text, err);
        if (r < 0)
                return r;
        /* Never outside of the container's: a process there was put there by somebody else. */
        if (!unified_path(buf_view(&text), path) || strncmp(path, own, n) != 0 || (path[n] && path[n] != '/'))
                return cgroup_open_subgroup(cgroup, "", ret_group, err);
        return cgroup_open_subgroup(cgroup, path + n, ret_group, err);
}

/* The files that the kernel lets a group's owner have; cgroups(7), "Cgroup delegation". */
int cgroup_delegate(struct cgroup *cgroup, uid_t uid, struct error *err)
{
        cleanup_buf struct buf text = buf_with_max(0);
        struct cgroup_hierarchy *h = cgroup->n > 0 ? &cgroup->hierarchies[0] : NULL;
        static const char fallback[] = "cgroup.procs\ncgroup.subtree_control\ncgroup.threads\n";
        char file[64];

        if (!cgroup->unified || !h || h->fd < 0)
                return 0;
        if (fchownat(h->fd, "", uid, (gid_t)-1, AT_EMPTY_PATH) < 0)
                return error_errno(err, errno, "cgroup: chown %s%s", h->mountpoint, h->path);
        bool told = file_read(AT_FDCWD, "/sys/kernel/cgroup/delegate", DELEGATE_MAX, &text, NULL) >= 0;
        for (const char *at = told ? buf_string(&text) : fallback; *at;) {
                size_t n = strcspn(at, "\n");
                if (n > 0 && n < sizeof(file) && !memchr(at, '/', n)) {
                        memcpy(file, at, n);
                        file[n] = 0;
                        if (fchownat(h->fd, file, uid, (gid_t)-1, AT_SYMLINK_NOFOLLOW) < 0 && errno != ENOENT)
                                return error_errno(err, errno, "cgroup: chown %s%s/%s", h->mountpoint,
                                                   h->path, file);
                }
                at += n;
                at += *at == '\n';
        }
        return 0;
}
