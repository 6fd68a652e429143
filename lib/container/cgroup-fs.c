/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The driver that makes groups by itself.
 *
 * The path of config.json counts from the root of each hierarchy where it is absolute.  A relative one, and
 * the id where there is none, counts from our own group in v1; in v2 from the group above ours, as a group
 * that has processes (us) can't pass controllers on.
 */
#include "lib/base/text.h"
#include "lib/container/cgroup-internal.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* What a user without rights gets from a host that hands out none. */
static bool no_right(int r)
{
        return r == -EACCES || r == -EPERM || r == -EROFS;
}

/* The container's path in this hierarchy. */
static int place_by_request(struct cgroup_hierarchy *h, const struct cgroup_request *request,
                            struct error *err)
{
        char path[CGROUP_PATH_MAX], below[CGROUP_PATH_MAX];
        const char *given = request->path && *request->path ? request->path : request->id;
        const char *own;
        int r = cgroup_clean_path(given, path, err);

        if (r < 0)
                return r;
        if (strcmp(path, "/") == 0)
                return error_set(err, -EINVAL, "cgroup: \"%s\" is the root of all groups; name one below it",
                                 given);
        if (given[0] == '/')
                return cgroup_place_in(h, path, err);

        r = cgroup_own_path(h, &cgroup_sources, &own, err);
        if (r < 0)
                return r;
        size_t n = strlen(own);
        if (h->unified)
                while (n > 0 && own[n - 1] != '/')
                        n--;
        while (n > 0 && own[n - 1] == '/')
                n--;
        if (snprintf(below, sizeof(below), "%.*s%s", (int)n, own, path) >= (int)sizeof(below))
                return error_set(err, -ENAMETOOLONG, "cgroup: the path is longer than %d bytes",
                                 CGROUP_PATH_MAX - 1);
        return cgroup_place_in(h, below, err);
}

/* A group that was there already must have no processes: they would be killed with the container. */
static int check_empty(struct cgroup *cgroup, const struct cgroup_hierarchy *h, struct error *err)
{
        cleanup_free pid_t *pids = NULL;
        size_t n;
        int r;

        if (h->made || h->named || (h->unified && !cgroup->unified))
                return 0;
        r = cgroup_pids_in(h, &pids, &n, err);
        if (r < 0)
                return r;
        if (n > 0)
                return error_set(err, -EEXIST, "container's cgroup is not empty: %zu process(es) found", n);
        return 0;
}

/* Nobody who enters a frozen group goes on: a start would wait for ever.  With v1 that is also so where a
 * group above is frozen. */
static int check_thawed(const struct cgroup_hierarchy *h, struct error *err)
{
        char text[32];
        ssize_t n = cgroup_file_read(h, h->unified ? "cgroup.freeze" : "freezer.state", text, sizeof(text));

        if (n > 0 && strcmp(text, h->unified ? "0\n" : "THAWED\n") != 0)
                return error_set(err, -EINVAL, "container's cgroup unexpectedly frozen");
        return 0;
}

/* Takes back what cgroup_make_in() made. */
static void unmake(struct cgroup_hierarchy *h)
{
        char path[CGROUP_FILE_PATH_MAX];

        if (!h->path || cgroup_file_path(h, "", path) < 0)
                return;
        for (; h->made > 0 && rmdir(path) == 0; h->made--) {
                char *slash = strrchr(path, '/');
                if (slash)
                        *slash = 0;
        }
        h->made = 0;
}

/* A user without rights goes on without this hierarchy where nothing needs it. */
static int go_without(struct cgroup *cgroup, const struct cgroup_request *request, int r, struct error *err)
{
        if (!cgroup->rootless || cgroup->path_given || !no_right(r))
                return r;
        if (cgroup->unified && request->resources && cgroup_resources_ask(request->resources)) {
                error_wrap(err, "rootless needs no limits + no cgrouppath when no permission is granted for "
                                "cgroups");
                return r;
        }
        log_debug(cgroup->log, "going without a control group: %s", error_text(err));
        return 0;
}

static int fs_create(struct cgroup *cgroup, const struct cgroup_request *request, struct error *err)
{
        size_t kept = 0;
        int r = 0;

        if (cgroup->n == 0 && !cgroup->rootless)
                return error_set(err, -ENOENT,
                                 "no control group file system is mounted; mount one at /sys/fs/cgroup");
        for (size_t i = 0; i < cgroup->n && r >= 0; i++) {
                struct cgroup_hierarchy *h = &cgroup->hierarchies[i];
                r = h->path ? 0 : place_by_request(h, request, err);
                if (r >= 0)
                        r = cgroup_make_in(cgroup, h, request->resources, err);
                if (r >= 0)
                        r = check_empty(cgroup, h, err);
                if (r >= 0)
                        r = check_thawed(h, err);
                if (r >= 0) {
                        struct cgroup_hierarchy keep = *h;
                        *h = (struct cgroup_hierarchy){.fd = -1};
                        cgroup->hierarchies[kept++] = keep;
                        continue;
                }
                unmake(h);
                r = go_without(cgroup, request, r, err);
                if (r >= 0)
                        cgroup_hierarchy_done(h);
        }
        if (r < 0) {
                for (size_t i = 0; i < cgroup->n; i++)
                        unmake(&cgroup->hierarchies[i]);
                return r;
        }
        cgroup->n = kept;
        cgroup->fresh = true;
        return 0;
}

/* A process that is only just being made can't be moved for a moment (EINVAL): the kernel says so where it
 * has no place on a run queue yet. */
static int enter_one(struct cgroup_hierarchy *h, pid_t pid, struct error *err)
{
        char text[16];
        int r = -EINVAL;

        snprintf(text, sizeof(text), "%d", pid);
        for (int i = 0; i < 5 && r == -EINVAL; i++) {
                if (i > 0)
                        usleep(1000u << i);
                r = cgroup_file_write(h, "cgroup.procs", text);
        }
        return r < 0 ? cgroup_file_error(h, "cgroup.procs", text, r, err) : 0;
}

int cgroup_fs_enter(struct cgroup *cgroup, pid_t pid, struct error *err)
{
        for (size_t i = 0; i < cgroup->n; i++) {
                int r = enter_one(&cgroup->hierarchies[i], pid, err);
                if (r < 0 && !(cgroup->rootless && !cgroup->path_given && no_right(r)))
                        return r;
        }
        return 0;
}

const struct cgroup_driver cgroup_fs_driver = {
        .name = "cgroupfs",
        .create = fs_create,
        .enter = cgroup_fs_enter,
        .apply = cgroup_fs_apply,
        .destroy = cgroup_fs_destroy,
};
