/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What control groups the host has.
 *
 * Every container start comes through here, so the ordinary layouts cost little: where /sys/fs/cgroup is a
 * cgroup2 file system, that is all; else /proc/self/cgroup names the v1 hierarchies, and each is where it
 * ordinarily is, /sys/fs/cgroup/NAME, which statfs(2) confirms.  Only what isn't there is looked for in
 * /proc/self/mountinfo, and what isn't mounted at all is left out.
 *
 * Sources: cgroups(7), proc_pid_cgroup(5), proc_pid_mountinfo(5).
 */
#include "lib/base/file.h"
#include "lib/base/text.h"
#include "lib/container/cgroup-internal.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

/* A line in self_cgroup holds a path of at most PATH_MAX; mountinfo of a busy host has thousands of lines. */
enum { SELF_CGROUP_MAX = 256 * 1024, MOUNTINFO_MAX = 16 * 1024 * 1024 };

const struct cgroup_sources cgroup_sources = {
        .root = "/sys/fs/cgroup",
        .self_cgroup = "/proc/self/cgroup",
        .mountinfo = "/proc/self/mountinfo",
};

static const char *const controller_names[CGROUP_CONTROLLERS] = {
        [CGROUP_CPU] = "cpu",
        [CGROUP_CPUACCT] = "cpuacct",
        [CGROUP_CPUSET] = "cpuset",
        [CGROUP_MEMORY] = "memory",
        [CGROUP_DEVICES] = "devices",
        [CGROUP_FREEZER] = "freezer",
        [CGROUP_IO] = "io",
        [CGROUP_PIDS] = "pids",
        [CGROUP_HUGETLB] = "hugetlb",
        [CGROUP_NET_CLS] = "net_cls",
        [CGROUP_NET_PRIO] = "net_prio",
        [CGROUP_RDMA] = "rdma",
        [CGROUP_PERF_EVENT] = "perf_event",
        [CGROUP_MISC] = "misc",
};

const char *cgroup_controller_name(enum cgroup_controller controller, bool unified)
{
        return controller == CGROUP_IO && !unified ? "blkio" : controller_names[controller];
}

/* The bit of a controller's name in either version; 0 for one that we don't know. */
static unsigned controller_bit(struct view name)
{
        if (view_equal(name, view_of_string("blkio")))
                return 1u << CGROUP_IO;
        for (unsigned i = 0; i < CGROUP_CONTROLLERS; i++)
                if (view_equal(name, view_of_string(controller_names[i])))
                        return 1u << i;
        return 0;
}

unsigned cgroup_controllers_of(struct view list, const char *separators)
{
        unsigned bits = 0;
        size_t start = 0;

        for (size_t i = 0; i <= list.n; i++) {
                if (i < list.n && !strchr(separators, list.p[i]))
                        continue;
                bits |= controller_bit(view_of(list.p + start, i - start));
                start = i + 1;
        }
        return bits;
}

void cgroup_hierarchy_done(struct cgroup_hierarchy *hierarchy)
{
        free(hierarchy->name);
        free(hierarchy->mountpoint);
        free(hierarchy->own);
        free(hierarchy->path);
        fd_close_p(&hierarchy->fd);
        *hierarchy = (struct cgroup_hierarchy){.fd = -1};
}

/* A path in self_cgroup must begin with "/"; one that doesn't stay below our root (/..) is outside of our
 * cgroup namespace and so of no use to us. */
static bool own_path_usable(struct view path)
{
        return path.n > 0 && path.p[0] == '/' && !view_has_nul(path) &&
               !(path.n >= 3 && memcmp(path.p, "/..", 3) == 0) && path.n < CGROUP_PATH_MAX;
}

/* Adds the hierarchy of a line "id:controllers:path" of self_cgroup; it has no mountpoint yet. */
static int add_line(struct cgroup *cgroup, struct view line, struct error *err)
{
        struct cursor c = cursor_of(line);
        struct view id = cursor_until(&c, ':');
        struct view controllers = cursor_until(&c, ':');
        struct view path = cursor_rest(&c);

        if (!cursor_ok(&c) || id.n == 0 || controllers.n > NAME_MAX || view_has_nul(controllers) ||
            memchr(controllers.p, '/', controllers.n))
                return error_set(err, -EBADMSG, "cgroup: a line isn't \"id:controllers:path\"");
        if (!own_path_usable(path) || cgroup->n == CGROUP_HIERARCHIES_MAX)
                return 0;

        struct cgroup_hierarchy *h = &cgroup->hierarchies[cgroup->n];
        struct view named;
        *h = (struct cgroup_hierarchy){.fd = -1, .unified = controllers.n == 0};
        h->named = controllers.n > 5 && memcmp(controllers.p, "name=", 5) == 0;
        if (h->unified)
                h->name = strdup("unified");
        else if (h->named && view_slice(controllers, 5, controllers.n - 5, &named))
                h->name = view_to_string(named);
        else
                h->name = view_to_string(controllers);
        h->own = view_to_string(path);
        if (!h->unified && !h->named)
                h->controllers = cgroup_controllers_of(controllers, ",");
        cgroup->n++;
        return h->name && h->own ? 0 : error_oom(err);
}

/* Is there a cgroup file system of this hierarchy's version? */
static bool mounted_at(const char *path, bool unified)
{
        struct statfs fs;

        return statfs(path, &fs) == 0 &&
               (unsigned long)fs.f_type == (unified ? CGROUP2_SUPER_MAGIC : CGROUP_SUPER_MAGIC);
}

/* One mount of mountinfo. */
struct mount_line {
        struct view root, mountpoint, type, super_options;
};

/* Takes a line of mountinfo apart: id parent dev root mountpoint options [tag...] - type source super. */
static bool parse_mount(struct view line, struct mount_line *ret_mount)
{
        struct cursor c = cursor_of(line);

        for (int i = 0; i < 3; i++)
                cursor_until(&c, ' ');
        ret_mount->root = cursor_until(&c, ' ');
        ret_mount->mountpoint = cursor_until(&c, ' ');
        for (;;) {
                struct view field = cursor_until(&c, ' ');
                if (!cursor_ok(&c))
                        return false;
                if (field.n == 1 && field.p[0] == '-')
                        break;
        }
        ret_mount->type = cursor_until(&c, ' ');
        cursor_until(&c, ' ');
        ret_mount->super_options = cursor_rest(&c);
        return cursor_ok(&c);
}

/* Does this mount hold the hierarchy? */
static bool mount_matches(const struct mount_line *mount, const struct cgroup_hierarchy *h)
{
        char name[NAME_MAX + 8];

        if (h->unified)
                return view_equal(mount->type, view_of_string("cgroup2"));
        if (!view_equal(mount->type, view_of_string("cgroup")))
                return false;
        if (!h->named)
                return h->controllers &&
                       (cgroup_controllers_of(mount->super_options, ",") & h->controllers) == h->controllers;
        int n = snprintf(name, sizeof(name), ",name=%s", h->name);
        for (size_t at = 0; at + (size_t)n <= mount->super_options.n; at++)
                if (memcmp(mount->super_options.p + at, name, (size_t)n) == 0 &&
                    (at + (size_t)n == mount->super_options.n ||
                     mount->super_options.p[at + (size_t)n] == ','))
                        return true;
        return false;
}

/* mountinfo writes space, tab, newline and backslash as \ooo. */
static char *unescape(struct view v)
{
        char *text = view_to_string(v);
        size_t to = 0;

        if (!text)
                return NULL;
        for (size_t i = 0; i < v.n;) {
                if (text[i] == '\\' && i + 3 < v.n && text[i + 1] >= '0' && text[i + 1] <= '3' &&
                    text[i + 2] >= '0' && text[i + 2] <= '7' && text[i + 3] >= '0' && text[i + 3] <= '7') {
                        text[to++] = (char)((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 +
                                            (text[i + 3] - '0'));
                        i += 4;
                } else {
                        text[to++] = text[i++];
                }
        }
        text[to] = 0;
        return text;
}

/* What is mounted may be a part of the hierarchy only (a container's view without a cgroup namespace): our
 * own group's path then counts from that part's root. */
static int rebase_own(struct cgroup_hierarchy *h, struct view root, struct error *err)
{
        cleanup_free char *prefix = unescape(root);
        size_t n = prefix ? strlen(prefix) : 0;

        if (!prefix)
                return error_oom(err);
        if (n <= 1 || strncmp(h->own, prefix, n) != 0 || (h->own[n] && h->own[n] != '/'))
                return 0;
        char *rest = strdup(h->own[n] ? h->own + n : "/");
        if (!rest)
                return error_oom(err);
        free(h->own);
        h->own = rest;
        return 0;
}

/* Looks for hierarchies without a mountpoint in the lines of mountinfo. */
static int find_mounts(struct cgroup *cgroup, struct view text, struct error *err)
{
        struct cursor c = cursor_of(text);

        while (!cursor_at_end(&c)) {
                struct view line = cursor_until(&c, '\n');
                struct mount_line mount;

                if (!cursor_ok(&c))
                        break;
                if (!parse_mount(line, &mount))
                        continue;
                for (size_t i = 0; i < cgroup->n; i++) {
                        struct cgroup_hierarchy *h = &cgroup->hierarchies[i];
                        if (h->mountpoint || !mount_matches(&mount, h))
                                continue;
                        h->mountpoint = unescape(mount.mountpoint);
                        if (!h->mountpoint)
                                return error_oom(err);
                        int r = rebase_own(h, mount.root, err);
                        if (r < 0)
                                return r;
                }
        }
        return 0;
}

/* The lines of self_cgroup become hierarchies. */
static int add_lines(struct cgroup *cgroup, struct view text, struct error *err)
{
        struct cursor c = cursor_of(text);

        while (!cursor_at_end(&c)) {
                struct view line = cursor_until(&c, '\n');
                if (!cursor_ok(&c))
                        return error_set(err, -EBADMSG, "cgroup: the last line has no end");
                int r = add_line(cgroup, line, err);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Drops the hierarchies without a mountpoint. */
static void drop_unmounted(struct cgroup *cgroup)
{
        size_t n = 0;

        for (size_t i = 0; i < cgroup->n; i++) {
                if (cgroup->hierarchies[i].mountpoint)
                        cgroup->hierarchies[n++] = cgroup->hierarchies[i];
                else
                        cgroup_hierarchy_done(&cgroup->hierarchies[i]);
        }
        cgroup->n = n;
}

static int find_in_mountinfo(struct cgroup *cgroup, const struct cgroup_sources *sources, struct error *err)
{
        cleanup_buf struct buf text = buf_with_max(MOUNTINFO_MAX);
        int r = file_read(AT_FDCWD, sources->mountinfo, MOUNTINFO_MAX, &text, err);

        if (r == -ENOENT)
                return 0;
        return r < 0 ? r : find_mounts(cgroup, buf_view(&text), err);
}

static int read_self(struct cgroup *cgroup, const struct cgroup_sources *sources, struct error *err)
{
        cleanup_buf struct buf text = buf_with_max(SELF_CGROUP_MAX);
        int r = file_read(AT_FDCWD, sources->self_cgroup, SELF_CGROUP_MAX, &text, err);

        if (r == -ENOENT) /* a kernel without control groups */
                return 0;
        if (r >= 0)
                r = add_lines(cgroup, buf_view(&text), err);
        if (r < 0)
                error_wrap(err, "%s", sources->self_cgroup);
        return r;
}

/* cgroup2 is mounted where everybody expects it, and there is nothing else. */
static int only_unified(struct cgroup *cgroup, const struct cgroup_sources *sources, struct error *err)
{
        struct cgroup_hierarchy *h = &cgroup->hierarchies[0];

        *h = (struct cgroup_hierarchy){.fd = -1, .unified = true};
        cgroup->unified = true;
        cgroup->n = 1;
        h->name = strdup("");
        h->mountpoint = strdup(sources->root);
        return h->name && h->mountpoint ? 0 : error_oom(err);
}

int cgroup_find_hierarchies(struct cgroup *cgroup, const struct cgroup_sources *sources, struct error *err)
{
        bool complete = true;
        int r;

        if (mounted_at(sources->root, true))
                return only_unified(cgroup, sources, err);
        r = read_self(cgroup, sources, err);
        if (r < 0)
                return r;
        for (size_t i = 0; i < cgroup->n; i++) {
                struct cgroup_hierarchy *h = &cgroup->hierarchies[i];
                h->mountpoint = string_printf("%s/%s", sources->root, h->name);
                if (!h->mountpoint)
                        return error_oom(err);
                if (mounted_at(h->mountpoint, h->unified))
                        continue;
                free(h->mountpoint);
                h->mountpoint = NULL;
                complete = false;
        }
        if (!complete)
                r = find_in_mountinfo(cgroup, sources, err);
        if (r < 0)
                return r;
        drop_unmounted(cgroup);
        if (cgroup->n == 1 && cgroup->hierarchies[0].unified) {
                cgroup->unified = true;
                cgroup->hierarchies[0].name[0] = 0;
        }
        return 0;
}

int cgroup_own_path(struct cgroup_hierarchy *hierarchy, const struct cgroup_sources *sources,
                    const char **ret_path, struct error *err)
{
        struct cgroup all = {.n = 0};
        int r;

        if (!hierarchy->own) {
                r = read_self(&all, sources, err);
                for (size_t i = 0; i < all.n; i++) {
                        if (all.hierarchies[i].unified && !hierarchy->own)
                                hierarchy->own = take_pointer(&all.hierarchies[i].own);
                        cgroup_hierarchy_done(&all.hierarchies[i]);
                }
                if (r < 0)
                        return r;
                if (!hierarchy->own)
                        return error_set(err, -ENOENT, "%s: our own group isn't below %s",
                                         sources->self_cgroup, hierarchy->mountpoint);
        }
        *ret_path = hierarchy->own;
        return 0;
}
