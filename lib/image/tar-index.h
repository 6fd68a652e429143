/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tar-index.h - members of a tar file by name, for archives that hold images.  Names are looked up in a table
 * and never touch a file system; links are followed inside the table.  A compressed archive, or one that
 * can't seek, is first spooled.
 */
#pragma once

#include "lib/image/source.h"

enum {
        TAR_INDEX_ENTRIES_MAX = 65536,
        TAR_INDEX_NAMES_MAX = 16 * 1024 * 1024, /* bytes of all names and link targets */
};

struct tar_index;

/* Reads the table of contents of the archive at `fd`, which is the index's whatever comes.  `options` say
 * where and how much to spool.  -EBADMSG where it is no tar, is cut off, or has a header that readers take
 * for different members (layer-internal.h), -EFBIG where it has too many entries. */
int tar_index_open(int fd, const struct image_options *options, struct tar_index **ret_index,
                   struct error *err);

/* Opens the archive `path` for tar_index_open(). */
int tar_index_open_file(const char *path, const struct image_options *options, struct tar_index **ret_index,
                        struct error *err);

/* Frees it. NULL-safe. */
void tar_index_free(struct tar_index *index);
DEFINE_CLEANUP(cleanup_tar_index_p, struct tar_index *, tar_index_free)
#define cleanup_tar_index CLEANUP(cleanup_tar_index_p)

/* True where a file or link of that name is there. */
bool tar_index_has(const struct tar_index *index, const char *name);

/* Streams the file `name` (following links) to `sink`.  -ENOENT where it is missing, -EBADMSG where the name
 * occurs twice, leads in a circle or out of the archive, or the archive is corrupt, -EFBIG where it is sparse
 * and larger than the archive. */
int tar_index_read(const struct tar_index *index, const char *name, image_sink_fn sink, void *user,
                   struct error *err);

/* Size in bytes of the file `name`; 0 where it cannot be read. */
uint64_t tar_index_size(const struct tar_index *index, const char *name);
