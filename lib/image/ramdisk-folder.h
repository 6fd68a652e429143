/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ramdisk-folder.h - a real folder, with all that is in it, into a ramdisk.
 *
 * Theory of operation.  The folder is a container's root: it belongs to a stranger, who may change it at any
 * moment.  It is walked by descriptors, one folder open at a time, each name opened beneath the one before
 * without following links and without crossing into another mount.  Nothing is opened but folders and regular
 * files, whose size and content come from one descriptor.  A change that makes the walk inconsistent is an
 * error, not another file.
 *
 * Names come in the order of their bytes, so equal trees give equal archives, with these exceptions: mtimes
 * of folders, links and empty files are written as 0, since they are the work of whoever unpacked the tree,
 * as an engine that makes mount points; and sockets are left out, since nobody listens on them.
 */
#pragma once

#include "lib/base/buf.h"
#include "lib/image/ramdisk.h"

/* `n` ids from `from` in the folder become those from `to` in the archive. */
struct ramdisk_id_range {
        uint32_t from;
        uint32_t to;
        uint32_t n;
};

/* Zero is a good default. */
struct ramdisk_folder_options {
        const struct ramdisk_id_range *uids; /* none: ids stay; else those in no range become 65534 */
        size_t n_uids;
        const struct ramdisk_id_range *gids;
        size_t n_gids;
        struct buf *xattrs; /* gets records as ramdisk_add_xattrs() writes them; NULL: they are left out */
        uint64_t max_bytes; /* ceiling of all files' sizes; 0: none */
};

/*
 * Adds what is in the folder `dirfd` (which may be O_PATH) below `prefix`; the folder itself becomes that
 * name, whose parents must be there already.  Extended attributes are those that an image can have:
 * security.capability, user.*, trusted.* (but overlayfs' own).  -EXDEV where something is mounted below the
 * folder, -E2BIG past a limit of tree.h, -EFBIG past max_bytes, -ESTALE where it changed meanwhile; texts
 * name the path.
 */
int ramdisk_add_folder(struct ramdisk *ramdisk, int dirfd, const char *prefix,
                       const struct ramdisk_folder_options *options, struct error *err);

/* Adds what `fd` (O_PATH will do) is, a folder as above or a regular file, as `path`. */
int ramdisk_add_anything(struct ramdisk *ramdisk, int fd, const char *path,
                         const struct ramdisk_folder_options *options, struct error *err);
