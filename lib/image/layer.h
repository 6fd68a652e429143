/* SPDX-License-Identifier: Apache-2.0 */
/*
 * layer.h - reads the entries of one layer: a plain tar that is whole and verified, in a spool file.
 *
 * libarchive reads the tar (ustar, PAX, GNU, sparse in all its forms); this adds what a layer needs beyond an
 * archive: where in the spool the data lies, what the OCI markers (.wh.) mean, and refusal of what no honest
 * layer holds, and of what the field's readers take for different trees.  Extended attributes are those that
 * PAX records SCHILY.xattr.NAME give, as Docker and containerd write and read them.
 */
#pragma once

#include "lib/base/cleanup.h"
#include "lib/base/error.h"
#include "lib/image/tree.h"

enum layer_entry_kind {
        LAYER_INODE,     /* a file, folder, symbolic link, device or fifo: `inode` */
        LAYER_HARD_LINK, /* a further name for `target`, a normalised path */
        LAYER_WHITEOUT,  /* hides `path` of the layers below */
        LAYER_OPAQUE,    /* hides what the layers below have in folder `path` */
};

/* One entry; everything it points at is valid until the next call. */
struct layer_entry {
        enum layer_entry_kind kind;
        const char *path;   /* normalised as tree.h says */
        const char *target; /* of a hard link, normalised */
        /* Of LAYER_INODE; n_links is 0.  Owner, mode and time of a hard link's entry are its target's
         * business. */
        struct image_inode inode;
};

struct layer;

/* Starts reading at offset 0 of `fd`, which must stay open and unchanged meanwhile, and becomes the entries'
 * spool_fd.  -EBADMSG where it is no tar. */
int layer_open(int fd, struct layer **ret_layer, struct error *err);

/* Ends reading. NULL-safe. */
void layer_close(struct layer *layer);
DEFINE_CLEANUP(cleanup_layer_p, struct layer *, layer_close)
#define cleanup_layer CLEANUP(cleanup_layer_p)

/* The next entry: 1 and *ret_entry, 0 at the end, or a negative errno (as image_tree_apply_layer), the text
 * beginning with the entry's name.  Metadata of aufs (.wh..wh.*, the opaque marker excepted) is skipped. */
int layer_next(struct layer *layer, struct layer_entry *ret_entry, struct error *err);
