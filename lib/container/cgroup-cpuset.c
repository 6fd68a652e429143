/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPUs and memory nodes.  A new group of v1 has none and takes no process; one of v2 has its parent's until
 * told otherwise. Source: kernel Documentation/admin-guide/cgroup-v1/cpusets.rst.
 */
#include "lib/container/cgroup-internal.h"

#include <string.h>

/* A list of CPUs of the largest machine is far shorter. */
enum { LIST_MAX = 16 * 1024 };

static const char *const file_names[2][2] = {{"cpuset.cpus", "cpus"}, {"cpuset.mems", "mems"}};

/* v1's cpuset can be mounted without the prefix in its files' names (noprefix). */
static ssize_t read_list(const struct cgroup_hierarchy *h, unsigned which, char *ret_text)
{
        ssize_t n = cgroup_file_read(h, file_names[which][0], ret_text, LIST_MAX);

        if (n == -ENOENT)
                n = cgroup_file_read(h, file_names[which][1], ret_text, LIST_MAX);
        return n;
}

static int write_list(const struct cgroup_hierarchy *h, unsigned which, const char *value, struct error *err)
{
        const char *file = file_names[which][0];
        int r = cgroup_file_write(h, file, value);

        if (r == -ENOENT && !h->unified)
                r = cgroup_file_write(h, file = file_names[which][1], value);
        return r < 0 ? cgroup_file_error(h, file, value, r, err) : 0;
}

/* The list of the group that the first `end` bytes of the path name, which is given its parent's first where
 * it has none: somebody made it and went no further. */
static int obtain_list(const struct cgroup_hierarchy *h, size_t end, unsigned which, char *ret_text,
                       struct error *err)
{
        char path[CGROUP_PATH_MAX];
        struct cgroup_hierarchy level = {.mountpoint = h->mountpoint, .path = path, .fd = -1};

        memcpy(path, h->path, end);
        path[end] = 0;
        ssize_t n = read_list(&level, which, ret_text);
        if (n < 0)
                return cgroup_file_error(&level, file_names[which][0], NULL, (int)n, err);
        ret_text[strcspn(ret_text, "\n")] = 0;
        if (*ret_text || end == 0)
                return 0;
        while (h->path[--end] != '/')
                ;
        int r = obtain_list(h, end, which, ret_text, err);
        return r < 0 ? r : write_list(&level, which, ret_text, err);
}

int cgroup_cpuset_inherit(const struct cgroup_hierarchy *hierarchy, const struct spec_resources *resources,
                          struct error *err)
{
        const char *const own[2] = {resources ? resources->cpu.cpus : NULL,
                                    resources ? resources->cpu.mems : NULL};
        size_t parent = (size_t)(strrchr(hierarchy->path, '/') - hierarchy->path);
        char text[LIST_MAX];

        for (unsigned which = 0; which < 2; which++) {
                bool given = own[which] && *own[which];
                int r;

                if (!hierarchy->made && !given) {
                        r = obtain_list(hierarchy, strlen(hierarchy->path), which, text, err);
                } else {
                        r = obtain_list(hierarchy, parent, which, text, err);
                        if (r >= 0)
                                r = write_list(hierarchy, which, given ? own[which] : text, err);
                }
                if (r < 0)
                        return r;
        }
        return 0;
}

int cgroup_apply_cpuset(struct cgroup *cgroup, const struct spec_resources *resources, struct error *err)
{
        const char *const lists[2] = {resources->cpu.cpus, resources->cpu.mems};
        struct cgroup_hierarchy *h;

        for (unsigned which = 0; which < 2; which++) {
                if (!lists[which] || !*lists[which])
                        continue;
                int r = cgroup_require(cgroup, CGROUP_CPUSET, which ? "cpu.mems" : "cpu.cpus", &h, err);
                if (r >= 0)
                        r = write_list(h, which, lists[which], err);
                if (r < 0)
                        return r;
        }
        return 0;
}
