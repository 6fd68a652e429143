/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rootfs.h - the container's file system: root, mounts, devices, masks.
 *
 * Every path is resolved with the container's root as "/" (openat2 RESOLVE_IN_ROOT), once, to a descriptor
 * that is then mounted on, made a node in, or written through.  Where a kernel lacks a call (openat2,
 * open_tree, fsopen, mount_setattr, move_mount) there is a fallback with the same promise, and a test that
 * forces it (mount-calls.h). Sources: runtime-spec config.md "Mounts", config-linux.md "Default File
 * Systems", "Devices", "Masked Paths", "Rootfs Mount Propagation"; mount(2), mount_setattr(2).
 */
#pragma once

#include "lib/base/error.h"
#include "lib/container/plan.h"

#include <limits.h>

/* Read-only file systems that others may still be mounted in.  Further ones are read-only from the start. */
enum { ROOTFS_LATE_MAX = 64 };

/* The root as it is being built. */
struct rootfs {
        const struct plan *plan;
        int fd;            /* the container's root, O_PATH; negative: nothing of this struct is there */
        int proc_fd;       /* root of a procfs that no container has touched, O_PATH */
        int own_proc_fd;   /* the same, where it is ours to close; else -1 */
        const char *label; /* SELinux label of mounts, where the kernel has use for one; or NULL */
        bool dev_is_hosts; /* from rootfs_mount() on: nothing may be made in /dev */
        /* Mounts that rootfs_seal() makes read-only: others go into them before. */
        int late_readonly[ROOTFS_LATE_MAX];
        size_t n_late_readonly;
        char path[PATH_MAX]; /* of fd, before rootfs_enter(): what the kernel calls it */
};

/* Sets the propagation of the (already private) mount namespace and makes the rootfs a mount of its own.
 * *ret_rootfs is fit for rootfs_done() in any case. */
int rootfs_open(const struct plan *plan, struct rootfs *ret_rootfs, struct error *err);

/* All of spec->mounts, in order; then the default devices and symlinks below /dev, and spec's devices, where
 * the container doesn't share the host's /dev.  The umask must be 0. */
int rootfs_mount(struct rootfs *rootfs, struct error *err);

/* pivot_root into it (or MS_MOVE and chroot with plan->no_pivot), so that nothing of the host's tree is
 * left; where standard input, output or error is the host's null device, it becomes the container's. */
int rootfs_enter(struct rootfs *rootfs, struct error *err);

/* The last touches, from inside: root read-only, masked and read-only paths, rootfs propagation.  Like all of
 * these but rootfs_enter() it may leave the current folder anywhere. */
int rootfs_seal(struct rootfs *rootfs, struct error *err);

/* Writes `value` to /proc/sys/<key, dots as slashes> through a procfs that is checked to be one. */
int rootfs_sysctl(const struct plan *plan, const char *key, const char *value, struct error *err);

/* Opens a pty: a fresh /dev/ptmx of the devpts at our /dev/pts. *ret_master and *ret_slave are the caller's.
 * `rootfs`, where it isn't NULL, is the container's own root, entered: the slave is bound over its
 * /dev/console, too, which is made unless /dev is the host's. */
int rootfs_console(const struct plan *plan, const struct rootfs *rootfs, int *ret_master, int *ret_slave,
                   struct error *err);

/* Closes its descriptors. */
void rootfs_done(struct rootfs *rootfs);
