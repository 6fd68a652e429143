/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation.  A container sees its control groups as plan->cgroup lists them.  With a control
 * group namespace of its own a fresh mount of a hierarchy shows that alone; without one a fresh mount would
 * show the host's whole hierarchy, so the container's own group is bind-mounted in v1.  In v1 each hierarchy
 * has a folder of a tmpfs, and each controller of a joint one ("cpu,cpuacct") a symlink to it.
 */
#include "lib/container/init/mounts.h"

#include "lib/base/cleanup.h"
#include "lib/base/fd.h"
#include "lib/container/init/in-root.h"
#include "lib/container/init/mount-calls.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const unsigned long safe_flags = MS_NOSUID | MS_NODEV | MS_NOEXEC;

static bool has_namespace(const struct rootfs *rootfs)
{
        return rootfs->plan->spec->linux.namespaces[SPEC_NAMESPACE_CGROUP].given;
}

/* Flags of mount(2) that an option has set, without those that say what is done. */
static unsigned long flags_of(const struct spec_mount *mount)
{
        return mount->flags & ~(unsigned long)(MS_BIND | MS_REC | MS_REMOUNT);
}

static int bind_group(const struct rootfs *rootfs, const struct tree_place *place, const char *path,
                      unsigned long flags, int *ret_tree, struct error *err)
{
        cleanup_fd int source = -1, tree = -1;
        int r = mount_open_source(path, false, &source, err);

        if (r == 0)
                r = tree_bind(place, source, AT_RECURSIVE, &tree, err);
        if (r == 0)
                r = tree_set_flags(rootfs, tree, flags, 0, err);
        if (r < 0)
                return r;
        *ret_tree = take_fd(&tree);
        return 0;
}

static int group_path(const struct plan_cgroup_hierarchy *hierarchy, char ret_path[PATH_MAX],
                      struct error *err)
{
        int n = snprintf(ret_path, PATH_MAX, "%s%s", hierarchy->mountpoint, hierarchy->path);

        return n < 0 || n >= PATH_MAX ? error_errno(err, ENAMETOOLONG, "%s", hierarchy->path) : 0;
}

/* ---- v2 ------------------------------------------------------------------------------------------------ */

/* Without rights to any of it, the container at least doesn't get the host's (CVE-2023-25809). */
static int hide(const struct tree_place *place, int *ret_tree, struct error *err)
{
        const struct tree_file_system fs = {.type = "tmpfs",
                                            .flags = MS_RDONLY,
                                            .options = "nr_blocks=1,nr_inodes=1",
                                            .by_context = true};

        return tree_mount(place, &fs, ret_tree, err);
}

static int mount_v2(struct rootfs *rootfs, const struct spec_mount *mount, const struct tree_place *place,
                    int *ret_tree, struct error *err)
{
        const struct plan_cgroup *cgroup = &rootfs->plan->cgroup;
        const struct tree_file_system fs = {.type = "cgroup2",
                                            .source = mount->source ?: "cgroup",
                                            .flags = flags_of(mount),
                                            .options = mount->data,
                                            .by_context = true};
        char path[PATH_MAX] = "/sys/fs/cgroup";
        int r = tree_mount(place, &fs, ret_tree, err);

        if (r != -EPERM && r != -EBUSY)
                return r;
        /* In a user namespace that doesn't own our control group namespace. */
        if (cgroup->n > 0) {
                r = has_namespace(rootfs) ? group_path(&cgroup->hierarchies[0], path, err) : 0;
                if (r < 0)
                        return r;
        }
        r = bind_group(rootfs, place, path, flags_of(mount), ret_tree, err);
        return r == -ENOENT && rootfs->plan->rootless ? hide(place, ret_tree, err) : r;
}

/* ---- v1 and hybrid ------------------------------------------------------------------------------------- */

/* The tmpfs is the current folder. */
static int mount_hierarchy_afresh(const struct plan_cgroup_hierarchy *hierarchy, unsigned long flags)
{
        const bool unified = strcmp(hierarchy->name, "unified") == 0;
        const bool named = strcmp(hierarchy->name, "systemd") == 0;
        const struct tree_file_system fs = {
                .type = unified ? "cgroup2" : "cgroup",
                .source = named ? "systemd" : "cgroup",
                .flags = safe_flags | flags,
                .options = unified ? NULL
                           : named ? "none,name=systemd"
                                   : hierarchy->name,
        };

        return tree_mount_name(hierarchy->name, &fs);
}

static int bind_hierarchy(const struct rootfs *rootfs, const struct spec_mount *mount, int folder,
                          const struct plan_cgroup_hierarchy *hierarchy, struct error *err)
{
        char path[PATH_MAX], where[PATH_MAX];
        cleanup_fd int tree = -1;
        cleanup_fd int destination =
                openat(folder, hierarchy->name, O_PATH | O_NOFOLLOW | O_DIRECTORY | O_CLOEXEC);
        int n = snprintf(where, sizeof(where), "%s/%s", mount->destination, hierarchy->name);

        if (destination < 0)
                return error_errno(err, errno, "%s", hierarchy->name);
        if (n < 0 || (size_t)n >= sizeof(where))
                return error_errno(err, ENAMETOOLONG, "%s", mount->destination);
        const struct tree_place place = {.rootfs = rootfs, .path = where, .fd = destination};
        int r = group_path(hierarchy, path, err);
        return r < 0 ? r : bind_group(rootfs, &place, path, flags_of(mount), &tree, err);
}

/* "cpu" and "cpuacct" lead to "cpu,cpuacct". */
static int link_controllers(int folder, const char *name, struct error *err)
{
        if (!strchr(name, ','))
                return 0;
        for (const char *p = name; *p;) {
                char link[NAME_MAX + 1];
                size_t n = strcspn(p, ",");
                if (n == 0 || n > NAME_MAX)
                        return error_set(err, -EINVAL, "\"%s\" is no list of controllers", name);
                memcpy(link, p, n);
                link[n] = '\0';
                if (symlinkat(name, folder, link) < 0 && errno != EEXIST)
                        return error_errno(err, errno, "symlink \"%s\"", link);
                p += n + (p[n] == ',');
        }
        return 0;
}

/* `folder` is the tmpfs: nobody else has it, so names in it need no care. */
static int mount_hierarchy(struct rootfs *rootfs, const struct spec_mount *mount, int folder,
                           const struct plan_cgroup_hierarchy *hierarchy, struct error *err)
{
        int r = -EPERM;

        if (strchr(hierarchy->name, '/') || !hierarchy->name[0])
                return error_set(err, -EINVAL, "\"%s\" is no name of a hierarchy", hierarchy->name);
        if (mkdirat(folder, hierarchy->name, 0755) < 0 && errno != EEXIST)
                return error_errno(err, errno, "make folder \"%s\"", hierarchy->name);
        if (has_namespace(rootfs)) {
                if (fchdir(folder) < 0)
                        return error_errno(err, errno, "enter the tmpfs of control groups");
                r = mount_hierarchy_afresh(hierarchy, mount->flags & MS_RDONLY);
        }
        if (r < 0)
                r = bind_hierarchy(rootfs, mount, folder, hierarchy, err);
        if (r < 0) {
                error_wrap(err, "control group hierarchy \"%s\"", hierarchy->name);
                return r;
        }
        return link_controllers(folder, hierarchy->name, err);
}

static int mount_v1(struct rootfs *rootfs, const struct spec_mount *mount, const struct tree_place *place,
                    int *ret_tree, struct error *err)
{
        const struct plan_cgroup *cgroup = &rootfs->plan->cgroup;
        const struct tree_file_system fs = {.type = "tmpfs",
                                            .source = "tmpfs",
                                            .flags = safe_flags,
                                            .options = "mode=755",
                                            .context = rootfs->label,
                                            .by_context = true};
        cleanup_fd int tree = -1;
        int r = tree_mount(place, &fs, &tree, err);

        for (size_t i = 0; i < cgroup->n && r == 0; i++)
                r = mount_hierarchy(rootfs, mount, tree, &cgroup->hierarchies[i], err);
        if (r == 0 && mount->flags & MS_RDONLY)
                r = mounts_readonly_later(rootfs, tree, err);
        if (r < 0)
                return r;
        *ret_tree = take_fd(&tree);
        return 0;
}

int mount_cgroup(struct rootfs *rootfs, const struct spec_mount *mount, const struct tree_place *place,
                 int *ret_tree, struct error *err)
{
        if (rootfs->plan->cgroup.unified)
                return mount_v2(rootfs, mount, place, ret_tree, err);
        return mount_v1(rootfs, mount, place, ret_tree, err);
}
