/* SPDX-License-Identifier: Apache-2.0 */
/* The group as its callers see it: making, describing, keeping in a state file, and what the driver does. */
#include "lib/base/text.h"
#include "lib/container/cgroup-internal.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

void cgroup_free(struct cgroup *cgroup)
{
        if (!cgroup)
                return;
        if (cgroup->driver && cgroup->driver->done)
                cgroup->driver->done(cgroup);
        for (size_t i = 0; i < cgroup->n; i++)
                cgroup_hierarchy_done(&cgroup->hierarchies[i]);
        free(cgroup);
}

static const struct cgroup_driver *driver_for(const struct cgroup_request *request)
{
        if (request->disabled)
                return &cgroup_none_driver;
        return request->systemd ? &cgroup_systemd_driver : &cgroup_fs_driver;
}

int cgroup_create(const struct cgroup_request *request, const struct log *log, struct cgroup **ret_cgroup,
                  struct error *err)
{
        cleanup_cgroup struct cgroup *cgroup = calloc(1, sizeof(*cgroup));
        int r;

        if (!cgroup)
                return error_oom(err);
        cgroup->driver = driver_for(request);
        cgroup->log = log;
        cgroup->rootless = request->rootless;
        cgroup->path_given = request->path && *request->path;
        r = cgroup_find_hierarchies(cgroup, &cgroup_sources, err);
        if (r >= 0)
                r = cgroup->driver->create(cgroup, request, err);
        if (r < 0)
                return r;
        *ret_cgroup = take_pointer(&cgroup);
        return 0;
}

int cgroup_clone_fd(const struct cgroup *cgroup)
{
        for (size_t i = 0; i < cgroup->n; i++)
                if (cgroup->hierarchies[i].unified)
                        return cgroup->hierarchies[i].fd;
        return -1;
}

int cgroup_open_tasks(const struct cgroup *cgroup, int **ret_fds, size_t *ret_n, struct error *err)
{
        int *fds = calloc(cgroup->n + 1, sizeof(*fds));
        size_t n = 0;

        if (!fds)
                return error_oom(err);
        for (size_t i = 0; i < cgroup->n; i++) {
                const struct cgroup_hierarchy *h = &cgroup->hierarchies[i];
                if (h->unified || !h->path || cgroup->made_later)
                        continue;
                int fd = cgroup_file_open(h, "tasks", O_WRONLY);
                if (fd < 0) {
                        if (cgroup->rootless && !cgroup->path_given && (fd == -EACCES || fd == -EPERM))
                                continue;
                        while (n > 0)
                                close(fds[--n]);
                        free(fds);
                        return cgroup_file_error(h, "tasks", "0", fd, err);
                }
                fds[n++] = fd;
        }
        *ret_fds = fds;
        *ret_n = n;
        return 0;
}

int cgroup_enter(struct cgroup *cgroup, pid_t pid, struct error *err)
{
        return cgroup->driver->enter(cgroup, pid, err);
}

int cgroup_apply(struct cgroup *cgroup, const struct spec_resources *resources, struct error *err)
{
        return cgroup->driver->apply(cgroup, resources, err);
}

int cgroup_destroy(struct cgroup *cgroup, struct error *err)
{
        return cgroup->driver->destroy(cgroup, err);
}

int cgroup_describe(const struct cgroup *cgroup, struct arena *arena, struct plan_cgroup *ret_description,
                    struct error *err)
{
        struct plan_cgroup_hierarchy *all = arena_alloc(arena, cgroup->n, sizeof(*all));

        if (!all)
                return error_oom(err);
        for (size_t i = 0; i < cgroup->n; i++) {
                const struct cgroup_hierarchy *h = &cgroup->hierarchies[i];
                all[i].name = arena_string(arena, h->name);
                all[i].mountpoint = arena_string(arena, h->mountpoint);
                all[i].path = arena_string(arena, h->path ? h->path : "/");
                if (!all[i].name || !all[i].mountpoint || !all[i].path)
                        return error_oom(err);
        }
        *ret_description = (struct plan_cgroup){
                .unified = cgroup->unified,
                .hierarchies = all,
                .n = cgroup->n,
        };
        return 0;
}
