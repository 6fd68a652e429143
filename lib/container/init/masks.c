/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation.  All hidden folders show one and the same empty tmpfs, which is made for the first of
 * them; all hidden files show the container's own /dev/null.  Making a file system, and taking it down at the
 * container's end, costs several times what one more mount of it does.  The host's /dev/null is no
 * alternative: with it the container would get hold of an inode of the host.
 */
#include "lib/container/init/masks.h"

#include "lib/base/cleanup.h"
#include "lib/base/fd.h"
#include "lib/container/init/in-root.h"
#include "lib/container/init/mount-calls.h"
#include "lib/container/init/tree.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

struct masks {
        const struct rootfs *rootfs;
        int null;   /* /dev/null; -1: not yet needed */
        int folder; /* a mount of the empty tmpfs; -1: not yet needed */
};

static void masks_done(struct masks *masks)
{
        fd_close_p(&masks->null);
        fd_close_p(&masks->folder);
}

/* 1: *ret_fd is open. 0: there is nothing of that name, or nothing that can be got at. */
static int open_if_there(const struct rootfs *rootfs, const char *path, int *ret_fd, struct error *err)
{
        int r = in_root_open(rootfs->fd, path, O_PATH, ret_fd, err);

        if (r == -ENOENT || r == -ENOTDIR || r == -EACCES)
                return 0;
        return r < 0 ? r : 1;
}

static bool is_null(const struct stat *st)
{
        return S_ISCHR(st->st_mode) && st->st_rdev == makedev(1, 3);
}

/* An image that brings its own "/dev/null" doesn't get it mounted over /proc (CVE-2025-31133). */
static int open_null(struct masks *masks, struct error *err)
{
        cleanup_fd int fd = -1;
        struct stat st;

        if (masks->null >= 0)
                return 0;
        int r = in_root_open(masks->rootfs->fd, "/dev/null", O_PATH | O_NOFOLLOW, &fd, err);
        if (r < 0)
                return r;
        if (fstat(fd, &st) < 0)
                return error_errno(err, errno, "/dev/null");
        if (!is_null(&st))
                return error_set(err, -EINVAL, "container's /dev/null is invalid: it is no null device");
        masks->null = take_fd(&fd);
        return 0;
}

static int hide_file(struct masks *masks, const struct tree_place *place, struct error *err)
{
        cleanup_fd int tree = -1;
        int r = open_null(masks, err);

        return r < 0 ? r : tree_bind(place, masks->null, 0, &tree, err);
}

/* Kernels with a certain patch refuse a tmpfs of one inode. */
static int mount_empty(const struct tree_place *place, int *ret_tree, struct error *err)
{
        struct tree_file_system fs = {.type = "tmpfs",
                                      .source = "tmpfs",
                                      .flags = MS_RDONLY,
                                      .options = "nr_blocks=1,nr_inodes=1",
                                      .context = place->rootfs->label,
                                      .by_context = true};
        int r = tree_mount(place, &fs, ret_tree, err);

        if (r != -EINVAL)
                return r;
        fs.options = "nr_blocks=1,nr_inodes=2";
        return tree_mount(place, &fs, ret_tree, err);
}

static int hide_folder(struct masks *masks, const struct tree_place *place, struct error *err)
{
        cleanup_fd int tree = -1;

        if (masks->folder < 0)
                return mount_empty(place, &masks->folder, err);
        /* A copy is as read-only as what it is a copy of. */
        return tree_bind(place, masks->folder, 0, &tree, err);
}

/* True for what has been hidden before: a path that is listed twice. */
static bool is_hidden(const struct masks *masks, const struct stat *st)
{
        struct stat folder;

        if (!S_ISDIR(st->st_mode))
                return is_null(st);
        return masks->folder >= 0 && fstat(masks->folder, &folder) == 0 && folder.st_dev == st->st_dev;
}

static int hide(struct masks *masks, const char *path, struct error *err)
{
        cleanup_fd int fd = -1;
        struct stat st;
        int r = open_if_there(masks->rootfs, path, &fd, err);

        if (r <= 0)
                return r;
        if (fstat(fd, &st) < 0)
                return error_errno(err, errno, "%s", path);
        if (is_hidden(masks, &st))
                return 0;
        const struct tree_place place = {.rootfs = masks->rootfs, .path = path, .fd = fd};
        return S_ISDIR(st.st_mode) ? hide_folder(masks, &place, err) : hide_file(masks, &place, err);
}

int masks_hide(const struct rootfs *rootfs, const struct spec_strings *paths, struct error *err)
{
        CLEANUP(masks_done) struct masks masks = {.rootfs = rootfs, .null = -1, .folder = -1};

        for (size_t i = 0; i < paths->n; i++) {
                int r = hide(&masks, paths->items[i], err);
                if (r < 0) {
                        error_wrap(err, "can't mask path \"%s\"", paths->items[i]);
                        return r;
                }
        }
        return 0;
}

static int make_readonly(const struct rootfs *rootfs, const char *path, struct error *err)
{
        cleanup_fd int fd = -1, tree = -1;
        int r = open_if_there(rootfs, path, &fd, err);

        if (r <= 0)
                return r;
        const struct tree_place place = {.rootfs = rootfs, .path = path, .fd = fd};
        r = tree_bind(&place, fd, AT_RECURSIVE, &tree, err);
        return r < 0 ? r : tree_set_readonly(rootfs, tree, AT_RECURSIVE, err);
}

int masks_readonly(const struct rootfs *rootfs, const struct spec_strings *paths, struct error *err)
{
        for (size_t i = 0; i < paths->n; i++) {
                int r = make_readonly(rootfs, paths->items[i], err);
                if (r < 0) {
                        error_wrap(err, "can't make path \"%s\" read-only", paths->items[i]);
                        return r;
                }
        }
        return 0;
}
