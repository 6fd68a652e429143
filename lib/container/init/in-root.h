/* SPDX-License-Identifier: Apache-2.0 */
/*
 * in-root.h - paths of a container, resolved with a descriptor of its root as "/".
 *
 * A path is looked up once, to a descriptor; symlinks, absolute ones and ".." cannot lead out of the root,
 * and the magic links of procfs are not followed.  The kernel does it (openat2(2)); where it can't, and to
 * make what is missing, the path is walked one name at a time with the same outcome.
 */
#pragma once

#include "lib/base/error.h"

#include <sys/types.h>

/* Opens `path` below `root`; `flags` as open(2), without O_CREAT, close-on-exec.  *ret_fd is the caller's.
 * `err` is set for every failure; -ENOENT where it isn't there. */
int in_root_open(int root, const char *path, int flags, int *ret_fd, struct error *err);

/* As in_root_open(), but a symlink anywhere in the path is -ELOOP, a mount is not. */
int in_root_open_plain(int root, const char *path, int flags, int *ret_fd, struct error *err);

/* Opens (O_PATH) what `path` names, after making it and its parents, mode 0755, as folders where they
 * aren't there; the target of a dangling symlink is made, too.  What is there need not be a folder. */
int in_root_make_folder(int root, const char *path, int *ret_fd, struct error *err);

/* The same, but makes the last part as an empty regular file, mode 0644. */
int in_root_make_file(int root, const char *path, int *ret_fd, struct error *err);

/* Opens (O_PATH) the folder that holds the last name of `path`, made as above; *ret_name points into
 * `path`, which must not end in a slash.  The last name isn't looked at. -EISDIR where it is "." or "..". */
int in_root_make_parent(int root, const char *path, int *ret_fd, const char **ret_name, struct error *err);
