/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ramdisk.h - writes an initial ramdisk: a cpio archive in "newc" format, as the Linux kernel unpacks it
 * (Documentation/driver-api/early-userspace/buffer-format.rst), streamed to a sink.
 *
 * Entries appear in the order in which they are added; the kernel makes no missing parents, so add a folder
 * before what is in it.  Inode numbers count up from 1.  Nothing but the input decides about any byte.
 */
#pragma once

#include "lib/base/cleanup.h"
#include "lib/base/error.h"
#include "lib/base/view.h"
#include "lib/image/tree.h"

#include <stddef.h>
#include <stdint.h>

/* Where the archive goes. */
struct ramdisk_sink {
        /* Takes the next n bytes, all of them, or fails with a negative errno. */
        int (*write)(void *user, const void *p, size_t n, struct error *err);
        /* Optional: takes the next n bytes from `fd` at `offset`.  NULL: they are read and go to `write`. */
        int (*copy)(void *user, int fd, uint64_t offset, uint64_t n, struct error *err);
        void *user;
};

/* Metadata of an entry.  `mtime` outside 0..2^32-1 is moved to the nearer end. */
struct ramdisk_attr {
        uint32_t mode; /* 07777 bits only */
        uint32_t uid;
        uint32_t gid;
        int64_t mtime;
};

struct ramdisk;

/* A writer; the sink is copied, what its `user` points at stays the caller's. */
int ramdisk_new(const struct ramdisk_sink *sink, struct ramdisk **ret_ramdisk, struct error *err);

/* Frees the writer without writing anything more. NULL-safe. */
void ramdisk_free(struct ramdisk *ramdisk);
DEFINE_CLEANUP(cleanup_ramdisk_p, struct ramdisk *, ramdisk_free)
#define cleanup_ramdisk CLEANUP(cleanup_ramdisk_p)

/* One entry each.  `path` is relative, without leading slash, at most IMAGE_PATH_MAX bytes.  -EINVAL for a
 * bad path or bad mode bits, -EFBIG for content of 4 GiB or more (the format has 32 bits), or the sink's
 * error. */
int ramdisk_add_dir(struct ramdisk *ramdisk, const char *path, const struct ramdisk_attr *attr,
                    struct error *err);
int ramdisk_add_file(struct ramdisk *ramdisk, const char *path, const struct ramdisk_attr *attr,
                     struct view content, struct error *err);
int ramdisk_add_file_fd(struct ramdisk *ramdisk, const char *path, const struct ramdisk_attr *attr, int fd,
                        uint64_t offset, uint64_t size, struct error *err);

/* Is told, from time to time, how many bytes of file content of how many are written. */
typedef void (*ramdisk_progress_fn)(void *user, uint64_t done, uint64_t total);

/*
 * Adds the whole tree below `prefix` ("rootfs"; the tree's root becomes that folder, whose parents must be
 * there already).  Hard links share an inode number; the last of them carries the data.  `progress` may be
 * NULL.
 */
int ramdisk_add_tree(struct ramdisk *ramdisk, const struct image_tree *tree, const char *prefix,
                     ramdisk_progress_fn progress, void *progress_user, struct error *err);

/*
 * Adds the regular file `path` (0600, 0:0, mtime 0) that lists the tree's extended attributes, which cpio
 * cannot carry: for each, its file's path relative to the tree's root, NUL, the attribute's name, NUL, the
 * value in lower-case hex, NUL; in walk order, then by name; once for a set of hard links, under the first
 * path.  "" is the root. Adds nothing where no entry has any.
 */
int ramdisk_add_xattrs(struct ramdisk *ramdisk, const struct image_tree *tree, const char *path,
                       struct error *err);

/* Writes the trailer and what is buffered.  Nothing may be added after it. */
int ramdisk_finish(struct ramdisk *ramdisk, struct error *err);

/* Bytes of archive so far, buffered ones included; after ramdisk_finish() the size of the whole. */
uint64_t ramdisk_size(const struct ramdisk *ramdisk);
