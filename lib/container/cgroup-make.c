/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a group is, and how its folders come to be.
 *
 * In v1 a folder is all there is to it, but for cpuset, whose new groups take no process until they have
 * CPUs and memory nodes.  In v2 a group has the controllers that its parent passes on
 * (cgroup.subtree_control), which must be said at every level above it; as a rule it has been said already,
 * which two reads find out.
 */
#include "lib/base/path.h"
#include "lib/base/text.h"
#include "lib/container/cgroup-internal.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int cgroup_clean_path(const char *path, char ret_path[CGROUP_PATH_MAX], struct error *err)
{
        if (path_clean(path, ret_path, CGROUP_PATH_MAX) < 0)
                return error_set(err, -ENAMETOOLONG, "cgroup: the path is longer than %d bytes",
                                 CGROUP_PATH_MAX - 1);
        return 0;
}

int cgroup_place_in(struct cgroup_hierarchy *hierarchy, const char *path, struct error *err)
{
        char *copy = strdup(path);

        if (!copy)
                return error_oom(err);
        free(hierarchy->path);
        hierarchy->path = copy;
        fd_close_p(&hierarchy->fd);
        return 0;
}

int cgroup_place(struct cgroup *cgroup, const char *path, struct error *err)
{
        for (size_t i = 0; i < cgroup->n; i++) {
                int r = cgroup_place_in(&cgroup->hierarchies[i], path, err);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Makes the folder `path` and, only where that can't be, those above it down to `floor` bytes, which are the
 * mountpoint.  *made counts the new ones. 0, -EEXIST, or -errno. */
static int make_folders(char *path, size_t floor, unsigned *made)
{
        if (mkdir(path, 0755) == 0) {
                ++*made;
                return 0;
        }
        if (errno != ENOENT)
                return -errno;

        char *slash = strrchr(path, '/');
        if (!slash || (size_t)(slash - path) <= floor)
                return -ENOENT;
        *slash = 0;
        int r = make_folders(path, floor, made);
        *slash = '/';
        if (r < 0 && r != -EEXIST)
                return r;
        if (mkdir(path, 0755) < 0)
                return -errno;
        ++*made;
        return 0;
}

/* Takes back the folders above `path` that were made for it, where it could not be made itself. */
static void unmake_folders(const char *path, unsigned *made)
{
        char parent[CGROUP_FILE_PATH_MAX];
        char *slash;

        (void)stpcpy(parent, path);
        while (*made > 0 && (slash = strrchr(parent, '/'))) {
                *slash = 0;
                if (rmdir(parent) == 0)
                        --*made;
                else if (errno != ENOENT)
                        break;
        }
        *made = 0;
}

/* Writes each controller of the list with a "+" before it to the cgroup.subtree_control of the group that
 * `level` is. Those that the group can't pass on are missed by whoever needs them, and named there. */
static void pass_on(const struct cgroup_hierarchy *level, const char *controllers)
{
        char all[512] = "";
        size_t n = 0;

        for (const char *name = controllers; *name;) {
                size_t part = strcspn(name, " \n");
                if (part > 0 && n + part + 3 < sizeof(all))
                        n += (size_t)snprintf(all + n, sizeof(all) - n, "%s+%.*s", n ? " " : "", (int)part,
                                              name);
                name += part;
                name += *name != 0;
        }
        if (n == 0 || cgroup_file_write(level, "cgroup.subtree_control", all) == 0)
                return;
        /* All or nothing: one that can't be passed on keeps back the others. */
        for (char *name = all; *name;) {
                size_t part = strcspn(name, " ");
                bool last = !name[part];
                name[part] = 0;
                (void)cgroup_file_write(level, "cgroup.subtree_control", name);
                name += part + !last;
        }
}

/* Lets every group above the container's pass on the controllers of the root. */
static int enable_controllers(struct cgroup_hierarchy *h)
{
        char wanted[512], have[512], path[CGROUP_PATH_MAX];
        struct cgroup_hierarchy level = {.mountpoint = h->mountpoint, .path = path, .fd = -1};
        ssize_t n;

        path[0] = 0;
        n = cgroup_file_read(&level, "cgroup.controllers", wanted, sizeof(wanted));
        if (n < 0)
                return (int)n;
        n = cgroup_file_read(h, "cgroup.controllers", have, sizeof(have));
        if (n < 0)
                return (int)n;
        if (strcmp(wanted, have) != 0) {
                for (size_t at = 0; at != SIZE_MAX;) {
                        memcpy(path, h->path, at);
                        path[at] = 0;
                        pass_on(&level, wanted);
                        const char *slash = strchr(h->path + at + 1, '/');
                        at = slash ? (size_t)(slash - h->path) : SIZE_MAX;
                }
                n = cgroup_file_read(h, "cgroup.controllers", have, sizeof(have));
                if (n < 0)
                        return (int)n;
        }
        h->controllers = cgroup_controllers_of(view_of_string(have), " \n");
        h->asked = true;
        return 0;
}

/* A group below one that has both processes and threaded children comes to be as "domain invalid", and takes
 * no process until it is made threaded, which no controller of whole processes (memory, io) survives. */
static int check_type(struct cgroup_hierarchy *h, const struct spec_resources *resources, struct error *err)
{
        char type[64];
        ssize_t n = cgroup_file_read(h, "cgroup.type", type, sizeof(type));
        bool invalid = n > 0 && strcmp(type, "domain invalid\n") == 0;

        if (!invalid && (n <= 0 || strcmp(type, "domain\n") == 0))
                return 0;
        if (resources && (resources->memory.limit.set || resources->memory.swap.set ||
                          resources->memory.reservation.set || resources->block_io.weight.set))
                return error_set(err, -EOPNOTSUPP,
                                 "cannot enter cgroupv2 \"%s%s\" with domain controllers -- it is in %s",
                                 h->mountpoint, h->path, invalid ? "an invalid state" : "threaded mode");
        if (invalid)
                return cgroup_file_set(h, "cgroup.type", "threaded", err);
        return 0;
}

static int make_unified(struct cgroup *cgroup, struct cgroup_hierarchy *h,
                        const struct spec_resources *resources, struct error *err)
{
        char path[CGROUP_FILE_PATH_MAX];
        int r = cgroup_file_path(h, "", path);

        if (r < 0)
                return error_errno(err, -r, "cgroup");
        h->fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (h->fd < 0)
                return error_errno(err, errno, "cgroup: %s", path);
        if (!cgroup->unified)
                return 0; /* beside v1 it counts processes and little else */
        r = enable_controllers(h);
        if (r < 0)
                return cgroup_file_error(h, "cgroup.controllers", NULL, r, err);
        return check_type(h, resources, err);
}

int cgroup_make_in(struct cgroup *cgroup, struct cgroup_hierarchy *hierarchy,
                   const struct spec_resources *resources, struct error *err)
{
        char path[CGROUP_FILE_PATH_MAX];
        int r = cgroup_file_path(hierarchy, "", path);

        if (r < 0)
                return error_errno(err, -r, "cgroup");
        r = make_folders(path, strlen(hierarchy->mountpoint), &hierarchy->made);
        if (r < 0 && r != -EEXIST) {
                unmake_folders(path, &hierarchy->made);
                return error_errno(err, -r, "cgroup: mkdir %s", path);
        }
        if (hierarchy->unified)
                return make_unified(cgroup, hierarchy, resources, err);
        if (hierarchy->controllers & (1u << CGROUP_CPUSET))
                return cgroup_cpuset_inherit(hierarchy, resources, err);
        return 0;
}
