/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mounts.h - the entries of "mounts", each by what it is.
 */
#pragma once

#include "lib/base/error.h"
#include "lib/container/init/tree.h"

/* Makes the mount number `i` of the specification.  The error names the destination. */
int mounts_make(struct rootfs *rootfs, size_t i, struct error *err);

/* Has rootfs_seal() make the mount read-only.  `tree` stays the caller's. */
int mounts_readonly_later(struct rootfs *rootfs, int tree, struct error *err);

/* mount-cgroup.c: what "type": "cgroup" is on this host, as plan->cgroup tells: one mount (v2), or a tmpfs
 * with one for each hierarchy (v1). */
int mount_cgroup(struct rootfs *rootfs, const struct spec_mount *mount, const struct tree_place *place,
                 int *ret_tree, struct error *err);

/* mount-copyup.c: copies what the folder `from` (O_PATH) holds, and its mode and owner, to the folder `to`:
 * files, folders, symlinks, nodes; modes, owners, times, extended attributes. */
int mount_copy_up(int from, int to, struct error *err);

/* Opens (O_PATH) what is to be bind-mounted, on the host.  `no_follow`: a symlink is opened itself. */
int mount_open_source(const char *path, bool no_follow, int *ret_fd, struct error *err);
