/* SPDX-License-Identifier: Apache-2.0 */
/*
 * procfs.h - writing to a procfs that is one, and keeping containers from being given a false one.
 *
 * What is written below /proc (labels, sysctls) protects the container.  In a /proc of the image's making it
 * would go into plain files, and protect nothing (CVE-2019-16884, CVE-2025-52881).  So it goes through the
 * host's procfs, which was there before any image was, or through a fresh one that nobody else sees; and
 * nothing but a procfs may be mounted where programs look for one.
 */
#pragma once

#include "lib/base/error.h"
#include "lib/container/init/tree.h"
#include "lib/container/host-proc.h"

/* Opens a file of the procfs `proc_fd` for `flags`: no symlink, no other file system on the way, no "..". */
int procfs_open_file(int proc_fd, const char *path, int flags, int *ret_fd, struct error *err);

/* Refuses a destination on or below /proc, but for a procfs on /proc itself and for the files that tools
 * such as lxcfs emulate.  `type` is the mount's; `source` is a bind mount's, -1 for others.  Also refuses
 * what isn't in the root, and the root itself. -EPERM. */
int procfs_check_destination(const struct tree_place *place, const char *type, int source, struct error *err);
