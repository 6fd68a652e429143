/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tree.h - one mount: made, put in its place, and what it allows.
 *
 * A mount is made detached from everything, and then put on top of the descriptor of its destination; from
 * then on it is held by a descriptor of its own root ("tree" below).  Kernels before 5.2, and old filters
 * of seccomp, have mount(2) only, which takes paths: there a descriptor's path in a checked procfs is
 * used, and the new mount is found by looking its destination up once more, and checked to be it.
 */
#pragma once

#include "lib/base/error.h"
#include "lib/container/init/rootfs.h"

#include <stdint.h>

/* Where a mount goes. */
struct tree_place {
        const struct rootfs *rootfs;
        const char *path; /* in the container */
        int fd;           /* what lies there, O_PATH */
        bool made;        /* it was made for the mount, since nothing was there */
};

/* A file system as mount(2) takes it. */
struct tree_file_system {
        const char *type;
        const char *source;
        unsigned long flags; /* MS_*, without those of propagation */
        const char *options; /* for the file system, joined by commas; may be NULL */
        const char *context; /* SELinux label of all that is in it, or NULL */
        /* It takes its options one by one (fsconfig(2)): true for those of which that is known. */
        bool by_context;
};

/* Mounts a new file system.  Here and below *ret_tree (O_PATH) is the caller's.  -errno as mount(2); the
 * error says what the file system itself has to say, where the kernel tells. */
int tree_mount(const struct tree_place *place, const struct tree_file_system *fs, int *ret_tree,
               struct error *err);

/* The same for a folder, in two system calls instead of eight, for mounts that nothing is done to later: the
 * new mount isn't opened.  Makes the place the current folder. */
int tree_mount_folder(const struct tree_place *place, const struct tree_file_system *fs);

/* mount(2) on `name` in the current folder, which must be one that nobody else can change. 0 or -errno. */
int tree_mount_name(const char *name, const struct tree_file_system *fs);

/* Mounts what `source` (O_PATH) is; `flags` is AT_RECURSIVE or 0. */
int tree_bind(const struct tree_place *place, int source, unsigned flags, int *ret_tree, struct error *err);

/* Puts a detached mount into its place. */
int tree_attach(const struct tree_place *place, int tree, struct error *err);

/* Has the mount allow just what `set` (MS_*) leaves, as `mount -o bind,...` does.  Where a flag is locked,
 * because the mount comes from a more privileged user namespace, it stays, unless it is in `clear`: then
 * that is an error. */
int tree_set_flags(const struct rootfs *rootfs, int tree, unsigned long set, unsigned long clear,
                   struct error *err);

/* Makes the mount read-only and leaves all else as it is; `flags` is AT_RECURSIVE or 0. On kernels before
 * 5.12 it is the mount alone. */
int tree_set_readonly(const struct rootfs *rootfs, int tree, unsigned flags, struct error *err);

/* Sets and clears MOUNT_ATTR_* for the mount and all below it. -ENOSYS where the kernel can't (5.12). */
int tree_set_attributes(int tree, uint64_t set, uint64_t clear, struct error *err);

/* MS_PRIVATE, MS_SLAVE, MS_SHARED or MS_UNBINDABLE, perhaps with MS_REC. */
int tree_set_propagation(const struct rootfs *rootfs, int tree, unsigned long propagation, struct error *err);

/* mount(2) on what the descriptor `target` is; `source` (-1: `name`) is one, too. 0 or -errno.  Changes
 * the current folder. */
int tree_mount_by_descriptor(const struct rootfs *rootfs, int source, const char *name, int target,
                             const char *type, unsigned long flags, const char *data);
