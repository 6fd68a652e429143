/* SPDX-License-Identifier: Apache-2.0 */
/* tree.c - storage of the merged tree: inodes, names, and the treaps that order them. */
#include "lib/image/tree-internal.h"

#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

/* Accounts for `bytes` more of index. */
static int charge(struct image_tree *tree, uint64_t bytes, struct error *err)
{
        if (bytes > IMAGE_TREE_MEMORY_MAX - tree->stats.memory)
                return error_set(err, -E2BIG, "the image's index needs more than %llu MiB of memory",
                                 (unsigned long long)(IMAGE_TREE_MEMORY_MAX >> 20));
        tree->stats.memory += bytes;
        return 0;
}

/* Bytes of an inode with everything that it points at. The parts are limited by the reader, far from
 * overflow. */
static size_t inode_bytes(const struct image_inode *from)
{
        size_t n = sizeof(struct tree_inode) + from->n_extents * sizeof(struct image_extent) +
                   from->n_xattrs * sizeof(struct image_xattr);

        for (size_t i = 0; i < from->n_xattrs; i++)
                n += strlen(from->xattrs[i].name) + 1 + from->xattrs[i].size;
        if (from->target)
                n += strlen(from->target) + 1;
        return n;
}

/* Copies n bytes to *at, which moves behind them; returns where they are now. */
static void *put(char **at, const void *p, size_t n)
{
        void *here = *at;

        if (n)
                memcpy(here, p, n);
        *at += n;
        return here;
}

int tree_inode_new(struct image_tree *tree, const struct image_inode *from, struct tree_inode **ret_inode,
                   struct error *err)
{
        size_t bytes = inode_bytes(from);
        int r = charge(tree, bytes, err);

        if (r < 0)
                return r;
        struct tree_inode *inode = malloc(bytes);
        if (!inode) {
                tree->stats.memory -= bytes;
                return error_oom(err);
        }
        inode->pub = *from;
        inode->pub.n_links = 0;
        inode->bytes = bytes;
        char *at = (char *)(inode + 1);
        inode->pub.extents = put(&at, from->extents, from->n_extents * sizeof(*from->extents));
        struct image_xattr *xattrs = put(&at, from->xattrs, from->n_xattrs * sizeof(*from->xattrs));
        inode->pub.xattrs = xattrs;
        for (size_t i = 0; i < from->n_xattrs; i++) {
                xattrs[i].name = put(&at, from->xattrs[i].name, strlen(from->xattrs[i].name) + 1);
                xattrs[i].value = put(&at, from->xattrs[i].value, from->xattrs[i].size);
        }
        if (from->target)
                inode->pub.target = put(&at, from->target, strlen(from->target) + 1);
        *ret_inode = inode;
        return 0;
}

static uint64_t stored_bytes(const struct image_inode *inode)
{
        uint64_t n = 0;

        for (size_t i = 0; i < inode->n_extents; i++)
                n += inode->extents[i].length;
        return n;
}

void tree_inode_ref(struct image_tree *tree, struct tree_inode *inode)
{
        if (inode->pub.n_links++ > 0)
                return;
        tree->stats.n_bytes += inode->pub.size;
        tree->stats.n_stored += stored_bytes(&inode->pub);
}

void tree_inode_unref(struct image_tree *tree, struct tree_inode *inode)
{
        if (inode->pub.n_links) {
                if (--inode->pub.n_links > 0)
                        return;
                tree->stats.n_bytes -= inode->pub.size;
                tree->stats.n_stored -= stored_bytes(&inode->pub);
        }
        tree->stats.memory -= inode->bytes;
        free(inode);
}

static int compare_names(const char *a, size_t a_len, const char *b, size_t b_len)
{
        int r = memcmp(a, b, a_len < b_len ? a_len : b_len);

        return r ? r : (a_len > b_len) - (a_len < b_len);
}

static int compare_to_node(const char *name, size_t name_len, const struct tree_node *node)
{
        return compare_names(name, name_len, node->name, node->name_len);
}

struct tree_node *tree_dir_find(const struct tree_node *dir, const char *name, size_t name_len)
{
        struct tree_node *node = dir->children;

        while (node) {
                int r = compare_to_node(name, name_len, node);
                if (r == 0)
                        return node;
                node = r < 0 ? node->left : node->right;
        }
        return NULL;
}

struct tree_node *tree_dir_next(const struct tree_node *dir, const struct tree_node *after)
{
        struct tree_node *next = NULL;

        for (struct tree_node *node = dir->children; node;) {
                if (!after || compare_to_node(after->name, after->name_len, node) < 0) {
                        next = node;
                        node = node->left;
                } else {
                        node = node->right;
                }
        }
        return next;
}

/* xorshift64*: unpredictable is enough, its seed is random. */
static uint32_t next_priority(struct image_tree *tree)
{
        uint64_t x = tree->random;

        x ^= x >> 12;
        x ^= x << 25;
        x ^= x >> 27;
        tree->random = x;
        return (uint32_t)((x * UINT64_C(2685821657736338717)) >> 32);
}

/* Splits the treap `t` into the names before and behind `node`'s, which become node's children. */
static void treap_split(struct tree_node *t, struct tree_node *node)
{
        struct tree_node **left = &node->left;
        struct tree_node **right = &node->right;

        while (t) {
                if (compare_to_node(node->name, node->name_len, t) > 0) {
                        *left = t;
                        left = &t->right;
                        t = t->right;
                } else {
                        *right = t;
                        right = &t->left;
                        t = t->left;
                }
        }
        *left = NULL;
        *right = NULL;
}

static void treap_insert(struct tree_node **at, struct tree_node *node)
{
        while (*at && (*at)->priority >= node->priority)
                at = compare_to_node(node->name, node->name_len, *at) < 0 ? &(*at)->left : &(*at)->right;
        treap_split(*at, node);
        *at = node;
}

static void treap_remove(struct tree_node **at, const struct tree_node *node)
{
        while (*at != node)
                at = compare_to_node(node->name, node->name_len, *at) < 0 ? &(*at)->left : &(*at)->right;
        struct tree_node *left = node->left;
        struct tree_node *right = node->right;
        while (left && right) {
                if (left->priority >= right->priority) {
                        *at = left;
                        at = &left->right;
                        left = left->right;
                } else {
                        *at = right;
                        at = &right->left;
                        right = right->left;
                }
        }
        *at = left ? left : right;
}

/* A node that is in no folder yet. */
static int node_new(struct image_tree *tree, const char *name, size_t name_len, struct tree_node **ret_node,
                    struct error *err)
{
        size_t bytes = sizeof(struct tree_node) + name_len + 1;

        if (tree->stats.n_nodes >= IMAGE_TREE_NODES_MAX)
                return error_set(err, -E2BIG, "the image has more than %d names", (int)IMAGE_TREE_NODES_MAX);
        int r = charge(tree, bytes, err);
        if (r < 0)
                return r;
        struct tree_node *node = calloc(1, bytes);
        if (!node) {
                tree->stats.memory -= bytes;
                return error_oom(err);
        }
        memcpy(node->name, name, name_len);
        node->name_len = (uint8_t)name_len;
        node->priority = next_priority(tree);
        node->layer = tree->layer;
        node->cleared = tree->layer;
        tree->stats.n_nodes++;
        *ret_node = node;
        return 0;
}

/* Drops a node that is in no folder any more and has no children. */
static void node_free(struct image_tree *tree, struct tree_node *node)
{
        tree->stats.n_nodes--;
        tree->stats.memory -= sizeof(*node) + node->name_len + 1;
        if (node->inode)
                tree_inode_unref(tree, node->inode);
        free(node);
}

int tree_node_add(struct image_tree *tree, struct tree_node *parent, const char *name, size_t name_len,
                  struct tree_inode *inode, struct tree_node **ret_node, struct error *err)
{
        size_t path_len = parent->path_len + (parent->path_len ? 1U : 0U) + name_len;
        struct tree_node *node;

        /* Through symbolic links a path may come out longer than the one that was asked for. */
        if (name_len > IMAGE_NAME_MAX || path_len > IMAGE_PATH_MAX)
                return error_set(err, -E2BIG, "its path in the root has more than %d bytes",
                                 (int)IMAGE_PATH_MAX);
        if (parent->depth >= IMAGE_DEPTH_MAX)
                return error_set(err, -E2BIG, "its path in the root has more than %d parts",
                                 (int)IMAGE_DEPTH_MAX);
        int r = node_new(tree, name, name_len, &node, err);
        if (r < 0)
                return r;
        node->parent = parent;
        node->depth = (uint16_t)(parent->depth + 1);
        node->path_len = (uint16_t)path_len;
        node->inode = inode;
        tree_inode_ref(tree, inode);
        treap_insert(&parent->children, node);
        *ret_node = node;
        return 0;
}

void tree_node_set_inode(struct image_tree *tree, struct tree_node *node, struct tree_inode *inode)
{
        struct tree_inode *before = node->inode;

        tree_inode_ref(tree, inode);
        node->inode = inode;
        tree_inode_unref(tree, before);
}

/* Frees all below `top`, leaves first, always taking the root of a folder's treap. */
static void remove_children(struct image_tree *tree, struct tree_node *top)
{
        struct tree_node *dir = top;

        for (;;) {
                struct tree_node *node = dir->children;
                if (node && node->children) {
                        dir = node;
                } else if (node) {
                        treap_remove(&dir->children, node);
                        node_free(tree, node);
                } else if (dir == top) {
                        return;
                } else {
                        dir = dir->parent;
                }
        }
}

void tree_node_remove(struct image_tree *tree, struct tree_node *node)
{
        remove_children(tree, node);
        treap_remove(&node->parent->children, node);
        node_free(tree, node);
}

/* Metadata of a folder that no layer describes. */
static struct image_inode bare_dir(uint32_t mode)
{
        return (struct image_inode){.mode = S_IFDIR | mode, .spool_fd = -1};
}

int tree_make_dir(struct image_tree *tree, struct tree_node *parent, const char *name, size_t name_len,
                  uint32_t mode, struct tree_node **ret_node, struct error *err)
{
        struct image_inode bare = bare_dir(mode);
        struct tree_inode *inode;
        int r = tree_inode_new(tree, &bare, &inode, err);

        if (r < 0)
                return r;
        r = tree_node_add(tree, parent, name, name_len, inode, ret_node, err);
        if (r < 0)
                tree_inode_unref(tree, inode);
        return r;
}

int image_tree_new(struct image_tree **ret_tree, struct error *err)
{
        struct image_inode bare = bare_dir(0755);
        struct tree_inode *inode;
        cleanup_image_tree struct image_tree *tree = calloc(1, sizeof(*tree));

        if (!tree)
                return error_oom(err);
        if (getrandom(&tree->random, sizeof(tree->random), 0) != sizeof(tree->random))
                return error_errno(err, errno, "cannot get random bytes");
        tree->random |= 1; /* zero would stay zero */
        int r = node_new(tree, "", 0, &tree->root, err);
        if (r < 0)
                return r;
        r = tree_inode_new(tree, &bare, &inode, err);
        if (r < 0)
                return r;
        tree_inode_ref(tree, inode);
        tree->root->inode = inode;
        *ret_tree = take_pointer(&tree);
        return 0;
}

void image_tree_free(struct image_tree *tree)
{
        if (!tree)
                return;
        if (tree->root) {
                remove_children(tree, tree->root);
                node_free(tree, tree->root);
        }
        for (unsigned i = 0; i < tree->stats.n_layers; i++)
                close(tree->spools[i]);
        free(tree);
}

struct image_tree_stats image_tree_stats(const struct image_tree *tree)
{
        return tree->stats;
}
