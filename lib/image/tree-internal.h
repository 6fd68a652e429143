/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tree-internal.h - the nodes behind tree.h, shared by tree.c (storage), tree-apply.c (layers) and
 * tree-lookup.c.
 *
 * A node is a name in a folder; an inode is what it stands for, shared by hard links and counted by n_links.
 * The children of a folder are a treap ordered by name: sorted walks need no sorting, and its random
 * priorities leave a hostile archive no order of names that would make it slow.  Nothing recurses, so depth
 * costs no stack.
 */
#pragma once

#include "lib/image/tree.h"

#include <stdbool.h>

struct tree_inode {
        struct image_inode pub;
        size_t bytes; /* of this allocation, which holds all that `pub` points at */
};

struct tree_node {
        struct tree_node *parent; /* NULL for the root */
        struct tree_node *left;   /* names before this one */
        struct tree_node *right;  /* names behind it */
        struct tree_node *children;
        struct tree_inode *inode;
        uint32_t priority; /* not less than that of either child in the treap */
        uint32_t layer;    /* the one that set this name last, counted from 1; 0: none */
        uint32_t cleared;  /* the layer that hid here all of the lower ones': what is below is all its own */
        uint16_t depth;    /* components in the path */
        uint16_t path_len; /* bytes in the path */
        uint8_t name_len;
        char name[]; /* with NUL */
};

struct image_tree {
        struct tree_node *root;
        uint64_t random; /* state of the priorities' generator */
        uint32_t layer;  /* the one being applied, or applied last */
        struct image_tree_stats stats;
        int spools[IMAGE_TREE_LAYERS_MAX];
};

/* Whether the name stands for a folder. */
static inline bool tree_node_is_dir(const struct tree_node *node)
{
        return (node->inode->pub.mode & 0170000) == 0040000;
}

/* A fresh inode with n_links 0, a deep copy of `from`. */
int tree_inode_new(struct image_tree *tree, const struct image_inode *from, struct tree_inode **ret_inode,
                   struct error *err);

/* One link more. */
void tree_inode_ref(struct image_tree *tree, struct tree_inode *inode);

/* One link less; the last one frees it.  An inode without links is freed. */
void tree_inode_unref(struct image_tree *tree, struct tree_inode *inode);

/* Makes a name in folder `parent`, which has none like it, and links it to `inode`. Checks the limits. */
int tree_node_add(struct image_tree *tree, struct tree_node *parent, const char *name, size_t name_len,
                  struct tree_inode *inode, struct tree_node **ret_node, struct error *err);

/* Lets the name stand for another inode. */
void tree_node_set_inode(struct image_tree *tree, struct tree_node *node, struct tree_inode *inode);

/* Removes a name and all below it. Not for the root. */
void tree_node_remove(struct image_tree *tree, struct tree_node *node);

/* The child of that name, or NULL. */
struct tree_node *tree_dir_find(const struct tree_node *dir, const char *name, size_t name_len);

/* The child behind `after` (NULL: the first one) in order of names, or NULL. */
struct tree_node *tree_dir_next(const struct tree_node *dir, const struct tree_node *after);

/* Makes a folder with the metadata of one that no layer describes. */
int tree_make_dir(struct image_tree *tree, struct tree_node *parent, const char *name, size_t name_len,
                  uint32_t mode, struct tree_node **ret_node, struct error *err);

/* What `path` leads to from the root, all links followed. -ENOENT, -ENOTDIR, -ELOOP. */
int tree_find(struct tree_node *root, const char *path, struct tree_node **ret_node, struct error *err);

/* As tree_find, but a link at the end of the path is not followed. */
int tree_find_nofollow(struct tree_node *root, const char *path, struct tree_node **ret_node,
                       struct error *err);

/* As tree_find; missing folders are made with `mode`, and what is found is a folder (else -ENOTDIR). */
int tree_find_or_make_dir(struct image_tree *tree, const char *path, uint32_t mode,
                          struct tree_node **ret_node, struct error *err);
