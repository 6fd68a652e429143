/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/container/init/rootfs.h"

#include "lib/base/cleanup.h"
#include "lib/base/fd.h"
#include "lib/container/init/devices.h"
#include "lib/container/init/masks.h"
#include "lib/container/init/mount-calls.h"
#include "lib/container/init/mounts.h"
#include "lib/container/init/no-pivot.h"
#include "lib/container/init/procfs.h"
#include "lib/container/init/tree.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

/* ---- open ---------------------------------------------------------------------------------------------- */

/* What the whole tree of the host becomes.  The default lets its mounts come in, and nothing out. */
static unsigned long host_propagation(const struct spec_linux *settings)
{
        unsigned long propagation = settings->rootfs_propagation;

        /* What is unbindable can't become a root; that is for the end. */
        return propagation && !(propagation & MS_UNBINDABLE) ? propagation : MS_SLAVE | MS_REC;
}

/* True where no mount of the host's is shared any longer. */
static bool nothing_is_shared(const struct spec_linux *settings)
{
        unsigned long propagation = host_propagation(settings);

        return propagation & MS_REC && propagation & (MS_SLAVE | MS_PRIVATE);
}

/* The mount that the rootfs is on must not be shared: the root's mounts would appear on the host, and the
 * kernel wouldn't pivot.  It is the first of the path's folders, from below, that is a mount. */
static int unshare_parent(const struct rootfs *rootfs, struct error *err)
{
        unsigned long propagation =
                host_propagation(&rootfs->plan->spec->linux) & MS_SLAVE ? MS_SLAVE : MS_PRIVATE;
        char path[PATH_MAX];

        memcpy(path, rootfs->path, sizeof(path));
        for (;;) {
                if (mount(NULL, path, NULL, propagation, NULL) == 0)
                        return 0;
                char *slash = strrchr(path, '/');
                if (errno != EINVAL || !slash || strcmp(path, "/") == 0)
                        return error_errno(err, errno, "unshare the mount that holds the rootfs");
                slash[slash == path ? 1 : 0] = '\0';
        }
}

static bool same_folder(int a, int b)
{
        struct stat in_a, in_b;

        return fstat(a, &in_a) == 0 && fstat(b, &in_b) == 0 && in_a.st_dev == in_b.st_dev &&
               in_a.st_ino == in_b.st_ino;
}

/* By its path: it must be the one that rune opened, in its own namespace. */
static int open_by_path(const struct plan *plan, int *ret_fd, struct error *err)
{
        cleanup_fd int fd = open(plan->spec->rootfs, O_PATH | O_DIRECTORY | O_CLOEXEC);

        if (fd < 0)
                return error_errno(err, errno, "open rootfs");
        if (plan->rootfs_fd >= 0 && !same_folder(fd, plan->rootfs_fd))
                return error_set(err, -EAGAIN, "the rootfs was replaced by another folder");
        *ret_fd = take_fd(&fd);
        return 0;
}

/*
 * The rootfs as our mount namespace has it.  A descriptor from rune's namespace can't be mounted from, but a
 * working folder is carried over when the namespace is made (init.c went there before), and needs no right
 * to the folders above, which the root of a user namespace may lack.
 */
static int open_rootfs(const struct plan *plan, int *ret_fd, struct error *err)
{
        cleanup_fd int fd = mount_call_open_here();

        if (fd < 0 || plan->rootfs_fd < 0 || !same_folder(fd, plan->rootfs_fd))
                return open_by_path(plan, ret_fd, err);
        *ret_fd = take_fd(&fd);
        return 0;
}

static int read_path(struct rootfs *rootfs, int fd, struct error *err)
{
        char link[32];

        (void)snprintf(link, sizeof(link), "self/fd/%d", fd);
        ssize_t n = readlinkat(rootfs->proc_fd, link, rootfs->path, sizeof(rootfs->path) - 1);
        if (n < 0)
                return error_errno(err, errno, "read /proc/%s", link);
        rootfs->path[n] = '\0';
        return 0;
}

/* rune has opened the host's and checked it; others open it by themselves. */
static int find_procfs(struct rootfs *rootfs, struct error *err)
{
        rootfs->proc_fd = rootfs->plan->host_proc_fd;
        if (rootfs->proc_fd >= 0)
                return 0;
        int r = procfs_open(&rootfs->own_proc_fd, err);
        rootfs->proc_fd = rootfs->own_proc_fd;
        return r;
}

/* Makes it a mount on top of itself, with all that is mounted below. */
static int bind_on_itself(struct rootfs *rootfs, int fd, struct error *err)
{
        int tree = mount_call_clone(fd, AT_RECURSIVE);
        int r = tree >= 0 ? mount_call_move(tree, fd) : tree;

        if (r == 0) {
                rootfs->fd = tree;
                return 0;
        }
        if (tree >= 0)
                close(tree);
        if (!mount_call_missing(r))
                return error_errno(err, -r, "bind mount the rootfs");
        r = tree_mount_by_descriptor(rootfs, fd, NULL, fd, NULL, MS_BIND | MS_REC, NULL);
        if (r < 0)
                return error_errno(err, -r, "bind mount the rootfs");
        return open_by_path(rootfs->plan, &rootfs->fd, err);
}

static const char *find_label(const struct plan *plan)
{
        struct statfs fs;

        /* A label means nothing to a kernel without SELinux, and its file systems refuse the option. */
        if (!plan->spec->linux.mount_label || statfs("/sys/fs/selinux", &fs) < 0 ||
            (uint32_t)fs.f_type != SELINUX_MAGIC)
                return NULL;
        return plan->spec->linux.mount_label;
}

static int open_in(struct rootfs *rootfs, struct error *err)
{
        const struct spec_linux *settings = &rootfs->plan->spec->linux;
        cleanup_fd int fd = -1;
        int r = find_procfs(rootfs, err);

        if (r < 0)
                return r;
        if (mount(NULL, "/", NULL, host_propagation(settings), NULL) < 0)
                return error_errno(err, errno, "set the propagation of the host's mounts");
        r = open_rootfs(rootfs->plan, &fd, err);
        if (r == 0)
                r = read_path(rootfs, fd, err);
        if (r == 0 && !nothing_is_shared(settings))
                r = unshare_parent(rootfs, err);
        return r < 0 ? r : bind_on_itself(rootfs, fd, err);
}

int rootfs_open(const struct plan *plan, struct rootfs *ret_rootfs, struct error *err)
{
        ret_rootfs->plan = plan;
        ret_rootfs->fd = ret_rootfs->proc_fd = ret_rootfs->own_proc_fd = -1;
        ret_rootfs->label = find_label(plan);
        ret_rootfs->n_late_readonly = 0;
        ret_rootfs->dev_is_hosts = false;
        int r = open_in(ret_rootfs, err);

        if (r < 0) {
                fd_close_p(&ret_rootfs->own_proc_fd);
                error_wrap(err, "error preparing rootfs \"%s\"", plan->spec->rootfs);
        }
        return r;
}

void rootfs_done(struct rootfs *rootfs)
{
        /* The root is opened last: without one there is nothing. */
        if (rootfs->fd < 0)
                return;
        fd_close_p(&rootfs->fd);
        fd_close_p(&rootfs->own_proc_fd);
        for (size_t i = 0; i < rootfs->n_late_readonly; i++)
                close(rootfs->late_readonly[i]);
        rootfs->n_late_readonly = 0;
}

/* ---- mount --------------------------------------------------------------------------------------------- */

int rootfs_mount(struct rootfs *rootfs, struct error *err)
{
        int r = 0;

        for (size_t i = 0; i < rootfs->plan->spec->n_mounts && r == 0; i++)
                r = mounts_make(rootfs, i, err);
        if (r == 0)
                r = devices_make(rootfs, err);
        return r;
}

/* ---- enter --------------------------------------------------------------------------------------------- */

/* pivot_root(".", "."): the old root ends up on top of the new one, whence it is taken off.  No folder is
 * needed to keep it in. */
static int pivot(const struct rootfs *rootfs, struct error *err)
{
        const bool shared = !nothing_is_shared(&rootfs->plan->spec->linux);
        cleanup_fd int old = shared ? open("/", O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;

        if (shared && old < 0)
                return error_errno(err, errno, "open /");
        if (fchdir(rootfs->fd) < 0)
                return error_errno(err, errno, "enter the rootfs");
        if (syscall(SYS_pivot_root, ".", ".") < 0)
                return error_errno(err, errno, "pivot_root .");
        /* The host must not lose its mounts with us. */
        if (shared && (fchdir(old) < 0 || mount(NULL, ".", NULL, MS_SLAVE | MS_REC, NULL) < 0))
                return error_errno(err, errno, "unshare the old root");
        if (umount2(".", MNT_DETACH) < 0)
                return error_errno(err, errno, "unmount the old root");
        return 0;
}

int rootfs_enter(struct rootfs *rootfs, struct error *err)
{
        int r = rootfs->plan->no_pivot ? no_pivot_enter(rootfs, err) : pivot(rootfs, err);

        if (r == 0 && chdir("/") < 0)
                r = error_errno(err, errno, "chdir to /");
        if (r < 0)
                error_wrap(err, "error jailing process inside rootfs");
        if (r < 0 || rootfs->dev_is_hosts)
                return r;
        return devices_reopen_null(rootfs->fd, rootfs->proc_fd, err);
}

/* ---- seal ---------------------------------------------------------------------------------------------- */

int rootfs_seal(struct rootfs *rootfs, struct error *err)
{
        const struct spec *spec = rootfs->plan->spec;
        int r = 0;

        for (size_t i = 0; i < rootfs->n_late_readonly && r == 0; i++)
                r = tree_set_readonly(rootfs, rootfs->late_readonly[i], 0, err);
        if (r == 0)
                r = masks_readonly(rootfs, &spec->linux.readonly_paths, err);
        if (r == 0)
                r = masks_hide(rootfs, &spec->linux.masked_paths, err);
        if (r == 0 && spec->rootfs_readonly) {
                r = tree_set_readonly(rootfs, rootfs->fd, 0, err);
                if (r < 0)
                        error_wrap(err, "error setting rootfs as readonly");
        }
        /* That of slave and private comes from the host's tree. */
        if (r == 0 && spec->linux.rootfs_propagation & (MS_SHARED | MS_UNBINDABLE))
                r = tree_set_propagation(rootfs, rootfs->fd, spec->linux.rootfs_propagation, err);
        return r;
}
