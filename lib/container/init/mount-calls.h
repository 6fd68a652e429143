/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mount-calls.h - the system calls of the mount interface that Linux has had since 5.2, as functions.
 *
 * Each returns 0 or a descriptor, or -errno.  A kernel may lack a call, and the filter of a container that
 * we run in may forbid it: mount_call_missing() tells both, and whoever calls then goes the old way.  A
 * refusal that was meant comes again there, so that nothing is lost by asking twice.
 * Sources: fsopen(2), fsconfig(2), fsmount(2), open_tree(2), move_mount(2), mount_setattr(2), openat2(2).
 */
#pragma once

#include <linux/mount.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mount.h>

/* openat2; asks again where a rename got in between (EAGAIN), up to a limit. */
int mount_call_openat2(int dirfd, const char *path, int flags, uint64_t resolve);

/* Our working folder, O_PATH, without resolving anything: no folder above it has to be passed. */
int mount_call_open_here(void);

/* A detached copy of the mount at `fd` and, with AT_RECURSIVE in `flags`, of all below it. */
int mount_call_clone(int fd, unsigned flags);

/* Attaches what mount_call_clone() or mount_call_fsmount() gave on top of what `destination` is. */
int mount_call_move(int tree, int destination);

/* Changes what the mount at `fd` allows; `flags` is 0 or AT_RECURSIVE. */
int mount_call_setattr(int fd, unsigned flags, const struct mount_attr *attr);

/* A context for a new file system of `type`. */
int mount_call_fsopen(const char *type);

/* Sets a parameter; `value` NULL: it has none. */
int mount_call_fsconfig(int context, const char *key, const char *value);

/* Makes the file system of a context and a detached mount of it. */
int mount_call_fsmount(int context, unsigned attributes);

/* True where a call's result says that it isn't to be had here. */
bool mount_call_missing(int result);

/* MS_* of mount(2) as MOUNT_ATTR_*, as far as they belong to a mount and not to its file system. */
uint64_t mount_attributes_of(unsigned long flags);
