/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pal-path.h - which files may be loaded as PALs.
 *
 * A PAL runs with the rights of rune's caller, in the host's namespaces at first, and its path comes with the
 * container's configuration: from whoever may start a container, and even from an image's environment.  So it
 * must lie where only the machine's administrator puts things: in a folder of the list below or one that rune
 * was told of (--pal-path), links resolved, and it must be nobody else's to write.
 *
 *      /usr/lib /usr/lib64 /usr/local/lib /usr/local/lib64 /lib /lib64 /opt, PREFIX/lib/coffer of our own
 *
 * Below the former, though not in PREFIX/lib/coffer and what rune was told of, file and folders must be
 * root's or the caller's, and no folder everybody's to write.
 */
#pragma once

#include "lib/base/error.h"

/* Checks `path`; `more` is a list of further folders, apart by colons, or NULL.  *ret_path is the file
 * itself, links resolved, on the heap.  -ENOENT, -EINVAL (no regular file), -EACCES (another folder), -EPERM
 * (others can write it), with the way out. */
int pal_path_check(const char *path, const char *more, char **ret_path, struct error *err);

/* Where the running program is installed, "/usr/local" for "/usr/local/sbin/rune", or the build tree
 * that it is of, on the heap; NULL where that can't be told. */
char *pal_path_prefix(void);
