/* SPDX-License-Identifier: Apache-2.0 */
/*
 * path.h - paths as (folder descriptor, relative name, policy), resolved once and used through the
 * descriptor.
 */
#pragma once

#include "lib/base/error.h"

#include <stdbool.h>
#include <sys/types.h>

/* Opens `path` below `rootfd` as though rootfd were "/": symlinks, ".." and absolute links cannot leave it
 * (openat2 RESOLVE_IN_ROOT, Linux 5.6).  `flags` as open(2); O_CLOEXEC is added.  The descriptor is the
 * caller's. -ENOSYS on older kernels: there is no unsafe fallback. */
int path_open_in_root(int rootfd, const char *path, int flags, mode_t mode, int *ret_fd, struct error *err);

/* Makes a folder and its missing parents (each `mode` less the umask); an existing folder is success. */
int path_make_dirs(const char *path, mode_t mode, struct error *err);

/* Removes a folder and all below it without following links; a missing one is success. `dirfd` may be
 * AT_FDCWD. */
int path_remove_tree(int dirfd, const char *path, struct error *err);

/* "a" + "/" + "b" on the heap, for the caller to free; NULL when out of memory. */
char *path_join(const char *a, const char *b);

/* Opens the folder that holds what `path` (relative to dirfd or AT_FDCWD) names, as O_PATH; the descriptor is
 * the caller's, and *ret_name, the name in it, points into `path`.  -EISDIR where the last part is no name
 * ("", ".", ".."). The error names `path`. */
int path_open_parent(int dirfd, const char *path, int *ret_dirfd, const char **ret_name, struct error *err);

/* Writes `path`, read from "/", without ".", doubled slashes, and "..", which leads no higher than "/", into
 * ret_path of `size` bytes: by its text alone, whatever is there.  -ENAMETOOLONG. */
int path_clean(const char *path, char *ret_path, size_t size);

/* The part of `path` behind its last slash; points into `path`. */
const char *path_basename(const char *path);
