/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/container/exec-cgroup.h"

#include "lib/base/fd.h"
#include "lib/base/path.h"
#include "lib/base/text.h"
#include "lib/container/enclave-plan.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Resolves `sub` below the container's group, whatever ".." and links are in it. */
static int open_below(const struct plan_cgroup_hierarchy *hierarchy, const char *sub, int *ret_fd,
                      struct error *err)
{
        const struct open_how how = {.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
                                     .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS};
        cleanup_free char *group = string_printf("%s%s", hierarchy->mountpoint, hierarchy->path);

        if (!group)
                return error_oom(err);
        cleanup_fd int base = open(group, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (base < 0)
                return error_errno(err, errno, "%s", group);
        while (*sub == '/')
                sub++;
        int fd = (int)syscall(SYS_openat2, base, *sub ? sub : ".", &how, sizeof(how));
        if (fd < 0 && errno == EXDEV)
                return error_set(err, -EXDEV, "bad sub cgroup path %s: it leads out of the container's", sub);
        if (fd < 0)
                return error_errno(err, errno, "--cgroup: adding pid to %s/%s", group, sub);
        *ret_fd = fd;
        return 0;
}

/* True where `name`, "cpu,cpuacct", has one of the controllers before the colon of `sub`. */
static bool meant(const char *name, const char *sub, const char *colon)
{
        if (!colon)
                return true;
        for (const char *p = sub; p < colon;) {
                size_t n = strcspn(p, ",:");
                for (const char *q = name; *q;) {
                        size_t m = strcspn(q, ",");
                        if (m == n && strncmp(p, q, n) == 0)
                                return true;
                        q += m + (q[m] == ',');
                }
                p += n + 1;
        }
        return false;
}

/* A v2 hierarchy beside those of v1 has no controller to be meant by, and is left alone. */
static bool can_be_meant(const struct plan_cgroup *groups, const struct plan_cgroup_hierarchy *hierarchy)
{
        return groups->unified || strcmp(hierarchy->name, "unified") != 0;
}

/* Which of `subs` is for the hierarchy: NULL where none is. */
static int choose(const struct plan_cgroup *groups, const struct plan_cgroup_hierarchy *hierarchy,
                  char *const *subs, const char **ret_sub, struct error *err)
{
        const char *found = NULL;

        for (; *subs && can_be_meant(groups, hierarchy); subs++) {
                if (!meant(hierarchy->name, *subs, strchr(*subs, ':')))
                        continue;
                if (found)
                        return error_set(err, -EINVAL,
                                         "--cgroup: \"%s\" and \"%s\" are about the same controller", found,
                                         *subs);
                found = *subs;
        }
        *ret_sub = found;
        return 0;
}

/* Each has controllers that are there, where it isn't the only one. */
static int check_subs(const struct plan_cgroup *groups, char *const *subs, struct error *err)
{
        for (size_t n = 0; subs[n]; n++) {
                const char *colon = strchr(subs[n], ':');
                bool used = false;
                if (!colon && (n > 0 || subs[1]))
                        return error_set(err, -EINVAL,
                                         "--cgroup: \"%s\" beside others needs its controllers before it",
                                         subs[n]);
                for (size_t i = 0; i < groups->n; i++)
                        used = used || (can_be_meant(groups, &groups->hierarchies[i]) &&
                                        meant(groups->hierarchies[i].name, subs[n], colon));
                if (!used)
                        return error_set(err, -EINVAL, "--cgroup: unknown controller in \"%s\"", subs[n]);
        }
        return 0;
}

static int open_sub_group(const struct plan_cgroup *groups, const struct plan_cgroup_hierarchy *hierarchy,
                          char *const *subs, int *ret_tasks, struct error *err)
{
        const bool unified = groups->unified || strcmp(hierarchy->name, "unified") == 0;
        const char *sub = NULL;
        cleanup_fd int folder = -1;
        int r = choose(groups, hierarchy, subs, &sub, err);

        if (r < 0)
                return r;
        const char *colon = sub ? strchr(sub, ':') : NULL;
        const char *path = colon ? colon + 1 : sub ?: "";
        r = open_below(hierarchy, path, &folder, err);
        if (r < 0)
                return r;
        int fd = openat(folder, unified ? "cgroup.procs" : "tasks", O_WRONLY | O_CLOEXEC);
        if (fd < 0)
                return error_errno(err, errno, "--cgroup: can't enter %s of %s", path, hierarchy->name);
        *ret_tasks = fd;
        return 0;
}

/* In each hierarchy that is meant the group below, in the others the container's. */
static int open_sub_groups(struct starting *s, const struct plan_cgroup *groups, char *const *subs,
                           struct error *err)
{
        int *tasks = arena_alloc(&s->arena, groups->n, sizeof(*tasks));
        int r = tasks ? check_subs(groups, subs, err) : error_oom(err);

        if (r < 0)
                return r;
        s->plan->tasks_fds = tasks;
        for (size_t i = 0; i < groups->n && r == 0; i++) {
                r = open_sub_group(groups, &groups->hierarchies[i], subs, &tasks[i], err);
                if (r == 0)
                        s->plan->n_tasks_fds++;
        }
        return r;
}

int exec_open_cgroup(struct starting *s, char *const *subs, struct error *err)
{
        struct plan_cgroup groups = {0};

        if (!s->state.cgroup)
                return 0;
        int r = cgroup_from_json(s->state.cgroup, s->engine->log, &s->cgroup, err);
        if (r < 0 || !subs || !*subs)
                return r < 0 ? r : starting_open_tasks(s, err);
        r = enclave_check_change(&s->state, "have a further process in a group below", err);
        if (r == 0)
                r = cgroup_describe(s->cgroup, &s->arena, &groups, err);
        if (r == 0)
                r = open_sub_groups(s, &groups, subs, err);
        if (r < 0)
                return r;
        /* All are entered by their files: no group is left to be cloned into. */
        cgroup_free(s->cgroup);
        s->cgroup = NULL;
        return 0;
}
