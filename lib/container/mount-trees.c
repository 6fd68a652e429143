/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/container/mount-trees.h"

#include "lib/base/fd.h"
#include "lib/container/id-map.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif

/* For three system calls. */
enum { CHILD_STACK_SIZE = 16 * 1024 };

static bool maps_ids(const struct spec_mount *mount)
{
        return mount->features & (SPEC_MOUNT_IDMAP | SPEC_MOUNT_RIDMAP) || mount->uid_mappings.n > 0;
}

static bool is_link(const char *path)
{
        struct stat st;

        return lstat(path, &st) == 0 && S_ISLNK(st.st_mode);
}

static bool wants_tree(const struct starting *s, const struct spec_mount *mount)
{
        bool other_root = s->plan->new_user_namespace || s->plan->namespace_fds[SPEC_NAMESPACE_USER] >= 0;

        if (!(mount->features & SPEC_MOUNT_BIND) || !mount->source || mount->features & SPEC_MOUNT_REMOUNT)
                return false;
        if (mount->features & SPEC_MOUNT_COPY_SYMLINK && is_link(mount->source))
                return false;
        return maps_ids(mount) || (other_root && !s->plan->rootless);
}

static void __attribute__((noreturn)) hold_namespace(void)
{
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        for (;;)
                (void)pause();
}

/* A user namespace that has these maps and nobody in it: it is only looked up in. */
static int make_namespace(const struct starting *s, const struct spec_id_mappings *uids,
                          const struct spec_id_mappings *gids, int *ret_fd, struct error *err)
{
        char path[48];
        bool denied;
        pid_t pid = (pid_t)syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);

        if (pid < 0)
                return error_errno(err, errno, "can't make a user namespace for mapped ids");
        if (pid == 0)
                hold_namespace();
        int r = id_map_write(s->plan->host_proc_fd, pid, uids, gids, &denied, err);
        (void)snprintf(path, sizeof(path), "%d/ns/user", pid);
        if (r == 0) {
                *ret_fd = openat(s->plan->host_proc_fd, path, O_RDONLY | O_CLOEXEC);
                if (*ret_fd < 0)
                        r = error_errno(err, errno, "can't open a user namespace for mapped ids");
        }
        (void)kill(pid, SIGKILL);
        (void)waitpid(pid, NULL, 0);
        return r;
}

/* The mount's own maps, or the container's. */
static int open_mapping(const struct starting *s, const struct spec_mount *mount, int *ret_fd,
                        struct error *err)
{
        int joined = s->plan->namespace_fds[SPEC_NAMESPACE_USER];

        if (mount->uid_mappings.n > 0)
                return make_namespace(s, &mount->uid_mappings, &mount->gid_mappings, ret_fd, err);
        if (joined < 0)
                return make_namespace(s, &s->spec->linux.uid_mappings, &s->spec->linux.gid_mappings, ret_fd,
                                      err);
        *ret_fd = fcntl(joined, F_DUPFD_CLOEXEC, 3);
        return *ret_fd < 0 ? error_errno(err, errno, "the user namespace") : 0;
}

static int map_tree(const struct starting *s, const struct spec_mount *mount, int tree, struct error *err)
{
        cleanup_fd int namespace = -1;
        int r = open_mapping(s, mount, &namespace, err);

        if (r < 0)
                return r;
        struct mount_attr attributes = {.attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (uint64_t) namespace};
        unsigned flags = AT_EMPTY_PATH | (mount->features & SPEC_MOUNT_RIDMAP ? AT_RECURSIVE : 0);
        if (syscall(SYS_mount_setattr, tree, "", flags, &attributes, sizeof(attributes)) == 0)
                return 0;
        r = error_errno(err, errno, "can't map the ids of \"%s\"", mount->source);
        if (r == -ENOSYS || r == -EINVAL)
                error_hint(err,
                           "its file system, or this kernel (Linux 5.12 began), has no id-mapped mounts");
        return r == -ENOSYS ? -ENOTSUP : r;
}

/* ---- opening ------------------------------------------------------------------------------------------- */

/* What the child that opens a source shares with us. */
struct opening {
        const char *path;
        unsigned flags; /* of open_tree(2) */
        int mount_namespace;
        int root; /* that of container-init, or -1 where it can't be had: then it is the namespace's own */
        int result;
        bool entered;
};

/* Has our memory and our descriptors, but a root and a mount namespace of its own. */
static int open_there(void *user)
{
        struct opening *opening = user;

        opening->entered = setns(opening->mount_namespace, CLONE_NEWNS) == 0;
        if (!opening->entered ||
            (opening->root >= 0 && (fchdir(opening->root) < 0 || chroot(".") < 0 || chdir("/") < 0))) {
                opening->result = -errno;
                _exit(0);
        }
        opening->result = (int)syscall(SYS_open_tree, AT_FDCWD, opening->path, opening->flags);
        if (opening->result < 0)
                opening->result = -errno;
        _exit(0);
}

static int open_in_namespace(const struct starting *s, struct opening *opening)
{
        uint8_t stack[CHILD_STACK_SIZE] __attribute__((aligned(16)));
        char path[32];

        (void)snprintf(path, sizeof(path), "%d/root", s->pid);
        cleanup_fd int root = openat(s->plan->host_proc_fd, path, O_PATH | O_CLOEXEC);
        opening->root = root;
        opening->result = -ECHILD;
        pid_t pid = clone(open_there, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | CLONE_FILES | SIGCHLD,
                          opening);
        if (pid < 0)
                return -errno;
        (void)waitpid(pid, NULL, 0);
        return opening->result;
}

/*
 * In the container's mount namespace: what earlier mounts have covered below its root is seen, and flags
 * that are locked there because its user namespace is a lesser one stay so.  Where we may not enter, or the
 * kernel doesn't give out a folder without the locked mounts on it, the source is what we see ourselves.
 */
static int open_source(const struct starting *s, struct opening *opening)
{
        int r = open_in_namespace(s, opening);

        if (r >= 0 || (opening->entered && r != -EINVAL))
                return r;
        r = (int)syscall(SYS_open_tree, AT_FDCWD, opening->path, opening->flags);
        return r < 0 ? -errno : r;
}

int mount_trees_open(const struct starting *s, const struct spec_mount *mount, int mount_namespace,
                     int *ret_tree, struct error *err)
{
        struct opening opening = {
                .path = mount->source,
                .flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC,
                .mount_namespace = mount_namespace,
        };

        if (mount->features & SPEC_MOUNT_RECURSIVE)
                opening.flags |= AT_RECURSIVE;
        if (mount->features & SPEC_MOUNT_SRC_NOFOLLOW)
                opening.flags |= AT_SYMLINK_NOFOLLOW;
        cleanup_fd int tree = open_source(s, &opening);
        int r = tree < 0 ? tree : 0;
        if (!maps_ids(mount) && (r == -ENOSYS || r == -EPERM))
                r = 0;
        else if (r < 0)
                r = error_errno(err, -r, "bind source \"%s\"", mount->source);
        else if (maps_ids(mount))
                r = map_tree(s, mount, tree, err);
        if (r == 0)
                *ret_tree = tree < 0 ? -1 : take_fd(&tree);
        return r;
}

int mount_trees_plan(struct starting *s, struct error *err)
{
        size_t n = s->spec->n_mounts;
        bool any = false;

        for (size_t i = 0; i < n; i++)
                any = any || wants_tree(s, &s->spec->mounts[i]);
        if (!any)
                return 0;
        struct plan_mount *mounts = arena_alloc(&s->arena, n, sizeof(*mounts));
        if (!mounts)
                return error_oom(err);
        for (size_t i = 0; i < n; i++)
                mounts[i].by_rune = wants_tree(s, &s->spec->mounts[i]);
        s->plan->mounts = mounts;
        return 0;
}
