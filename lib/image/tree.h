/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tree.h - the merged root of a container image, as an index in memory.
 *
 * Layers are applied bottom to top with the semantics of the OCI image specification (layer.md, "Applying
 * changesets").  The tree knows every path's metadata and where in which layer's spool its data lies; it
 * never holds file data, so memory is bounded by the number of entries, whatever the image's size.
 *
 * A path here is relative to the root, without leading or trailing slash, without empty, "." and ".."
 * components; "" is the root itself.  Bytes are kept as they are: no character set is assumed.
 */
#pragma once

#include "lib/base/buf.h"
#include "lib/base/cleanup.h"
#include "lib/base/error.h"

#include <stddef.h>
#include <stdint.h>

/* What a tree accepts.  Everything past one of these is an error that names the layer, the entry and the
 * limit. */
enum {
        IMAGE_TREE_NODES_MAX = 4 * 1000 * 1000, /* names in the merged tree */
        IMAGE_TREE_LAYERS_MAX = 1024,
        IMAGE_PATH_MAX = 4095,         /* bytes in a path, and in the text of a symbolic link */
        IMAGE_NAME_MAX = 255,          /* bytes in one component */
        IMAGE_DEPTH_MAX = 1024,        /* components in a path */
        IMAGE_SYMLINKS_MAX = 40,       /* symbolic links followed in one look-up, as the kernel does */
        IMAGE_XATTRS_MAX = 256 * 1024, /* bytes of names and values on one entry */
        IMAGE_XATTR_VALUE_MAX = 64 * 1024,
};

/* Bytes of index that a tree may need: names, link texts, extents and extended attributes included. */
#define IMAGE_TREE_MEMORY_MAX (UINT64_C(2) << 30)

/* `length` bytes of a file, from `offset` in it, lie from `at` in the spool.  Bytes in no extent are zero. */
struct image_extent {
        uint64_t offset;
        uint64_t length;
        uint64_t at;
};

/* An extended attribute; `name` with its namespace ("security.capability"). */
struct image_xattr {
        const char *name;
        const uint8_t *value;
        size_t size;
};

/* What a name stands for.  Two names are hard links of each other where they share the same struct.  Belongs
 * to the tree, is read-only, and is valid until the tree changes or goes. */
struct image_inode {
        uint32_t mode; /* type (S_IFREG, S_IFDIR, S_IFLNK, S_IFCHR, S_IFBLK, S_IFIFO) and 07777 bits */
        uint32_t uid;
        uint32_t gid;
        uint32_t n_links; /* names in the tree; 1 for folders */
        uint32_t rdev_major;
        uint32_t rdev_minor;
        int64_t mtime; /* seconds since 1970, may be negative */
        uint32_t mtime_nsec;
        int spool_fd;                       /* for pread(2) of the extents; -1 where there are none */
        uint64_t size;                      /* of a regular file's content, else 0 */
        const char *target;                 /* symbolic link's text, else NULL */
        const struct image_extent *extents; /* ascending, not overlapping, inside `size` */
        size_t n_extents;
        const struct image_xattr *xattrs; /* ascending by name, bytewise */
        size_t n_xattrs;
};

struct image_tree_stats {
        uint64_t n_nodes;  /* names, the root included */
        uint64_t n_bytes;  /* sizes of the regular files, each once however many links it has */
        uint64_t n_stored; /* of them those that are in a layer: the others are holes */
        uint64_t memory;   /* bytes that the index takes */
        unsigned n_layers;
};

struct image_tree;

/* An empty tree: a root folder 0755 owned by 0:0 with mtime 0, as every folder that no layer describes. */
int image_tree_new(struct image_tree **ret_tree, struct error *err);

/* Frees the tree and closes its spools. NULL-safe. */
void image_tree_free(struct image_tree *tree);
DEFINE_CLEANUP(cleanup_image_tree_p, struct image_tree *, image_tree_free)
#define cleanup_image_tree CLEANUP(cleanup_image_tree_p)

/*
 * Applies the next layer up: a plain tar, whole and verified, in `spool_fd` (a regular file or memfd, read
 * with pread(2) from offset 0; duplicated, so the caller keeps and may close its own).  The content must not
 * change while the tree lives.  `number` and `name` (its digest, say) are for messages: "layer 2
 * (sha256:ab..): etc/x: ...".
 *
 * Errors: -EBADMSG where the layer is malformed or hostile, -E2BIG past a limit, -ENOTSUP for an entry type
 * that nothing can represent, -ENOMEM, or the errno of a read.  After an error the tree is fit for
 * image_tree_free() only.
 */
int image_tree_apply_layer(struct image_tree *tree, int spool_fd, unsigned number, const char *name,
                           struct error *err);

/* Makes folder `path` and its missing parents, each `mode` (07777 bits) owned by 0:0 with mtime 0.  Symbolic
 * links are followed inside the root.  A folder that exists is left alone; -ENOTDIR where something else is
 * in the way. */
int image_tree_make_dirs(struct image_tree *tree, const char *path, uint32_t mode, struct error *err);

/* Makes what is missing of the folders that a running container needs: dev, proc, run, sys, tmp (1777), var.
 * Whatever stands under such a name already stays, whatever it is. */
int image_tree_add_mount_points(struct image_tree *tree, struct error *err);

/* What `path` stands for, all symbolic links followed inside the root (the last one too).  Leading and
 * repeated slashes, "." and ".." are understood.  -ENOENT, -ENOTDIR or -ELOOP, the text naming `path`. */
int image_tree_lookup(const struct image_tree *tree, const char *path, const struct image_inode **ret_inode,
                      struct error *err);

/* The whole content of the regular file that `path` leads to, at most `max` bytes, into *ret_content (which
 * must be empty and gets `max` as its ceiling).  As image_tree_lookup, and -EFBIG, -EISDIR or -EINVAL (no
 * regular file). */
int image_tree_read_file(const struct image_tree *tree, const char *path, size_t max, struct buf *ret_content,
                         struct error *err);

/* Sees one name.  `path` is valid during the call.  A negative errno ends the walk with it. */
typedef int (*image_tree_visit_fn)(void *user, const char *path, const struct image_inode *inode,
                                   struct error *err);

/* Visits every name, the root first (as ""), a folder before what is in it, siblings ascending by their
 * bytes: the order depends on the names alone. */
int image_tree_walk(const struct image_tree *tree, image_tree_visit_fn visit, void *user, struct error *err);

/* Counts, for messages and progress. */
struct image_tree_stats image_tree_stats(const struct image_tree *tree);
