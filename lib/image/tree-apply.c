/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tree-apply.c - theory of operation
 *
 * Entries are applied in the order in which they stand in the tar, as all tools do.  Yet markers must not
 * depend on that order: a whiteout hides what the layers *below* have and never an entry of its own layer. So
 * each name knows which layer set it last.  A marker removes the names of other layers in its reach, and
 * keeps folders of theirs that lead to names of its own layer; such a folder becomes a bare one, as though
 * the lower layer had never had it.
 *
 * Once a folder is cleared for a layer, all in it is that layer's, so it need not be searched again: the cost
 * of all markers of a layer together is linear in the size of the tree.
 */
#include "lib/base/fd.h"
#include "lib/image/entry-path.h"
#include "lib/image/layer.h"
#include "lib/image/tree-internal.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

/* After all below it was settled: keeps a name of this layer, makes a folder that leads to one a bare folder,
 * removes everything else. */
static int settle(struct image_tree *tree, struct tree_node *node, struct error *err)
{
        struct image_inode bare = {.mode = S_IFDIR | 0755, .spool_fd = -1};
        struct tree_inode *inode;

        if (node->layer == tree->layer)
                return 0;
        if (!node->children) {
                tree_node_remove(tree, node);
                return 0;
        }
        int r = tree_inode_new(tree, &bare, &inode, err);
        if (r < 0)
                return r;
        tree_node_set_inode(tree, node, inode);
        node->layer = tree->layer;
        return 0;
}

/* Whether anything of a lower layer may be below. */
static bool may_hide_below(const struct image_tree *tree, const struct tree_node *node)
{
        return node->children && node->cleared != tree->layer;
}

/* Removes all that the lower layers have below `top`. */
static int hide_below(struct image_tree *tree, struct tree_node *top, struct error *err)
{
        if (!may_hide_below(tree, top))
                return 0;
        top->cleared = tree->layer;
        struct tree_node *dir = top;
        struct tree_node *node = tree_dir_next(dir, NULL);
        for (;;) {
                if (node && may_hide_below(tree, node)) {
                        node->cleared = tree->layer;
                        dir = node;
                        node = tree_dir_next(dir, NULL);
                        continue;
                }
                struct tree_node *done = node;
                if (!node) {
                        if (dir == top)
                                return 0;
                        done = dir;
                        dir = dir->parent;
                }
                node = tree_dir_next(dir, done);
                int r = settle(tree, done, err);
                if (r < 0)
                        return r;
        }
}

/* Cuts a path before its last component, which is returned; ret_folder has room for any path. */
static const char *split_path(const char *path, char *ret_folder)
{
        const char *slash = strrchr(path, '/');
        size_t n = slash ? (size_t)(slash - path) : 0;

        memcpy(ret_folder, path, n);
        ret_folder[n] = '\0';
        return slash ? slash + 1 : path;
}

/* The folder in which `path` has its last component, made where it is missing; *ret_name is that
 * component. */
static int find_parent(struct image_tree *tree, const char *path, struct tree_node **ret_parent,
                       const char **ret_name, struct error *err)
{
        char folder[IMAGE_PATH_MAX + 1];

        *ret_name = split_path(path, folder);
        return tree_find_or_make_dir(tree, folder, 0755, ret_parent, err);
}

/* The folder that a marker is about, or NULL where there is none: a marker makes nothing, so it hides nothing
 * then. */
static int find_marked(struct image_tree *tree, const char *path, struct tree_node **ret_dir,
                       struct error *err)
{
        struct tree_node *node;
        int r = tree_find(tree->root, path, &node, err);

        if (r < 0 && r != -ENOENT && r != -ENOTDIR)
                return r;
        *ret_dir = r == 0 && tree_node_is_dir(node) ? node : NULL;
        return 0;
}

static int apply_whiteout(struct image_tree *tree, const struct layer_entry *entry, struct error *err)
{
        char folder[IMAGE_PATH_MAX + 1];
        struct tree_node *parent = NULL;
        const char *name = split_path(entry->path, folder);
        int r = find_marked(tree, folder, &parent, err);

        if (r < 0)
                return r;
        struct tree_node *node = parent ? tree_dir_find(parent, name, strlen(name)) : NULL;
        if (!node)
                return 0;
        r = hide_below(tree, node, err);
        return r < 0 ? r : settle(tree, node, err);
}

static int apply_opaque(struct image_tree *tree, const struct layer_entry *entry, struct error *err)
{
        struct tree_node *dir = NULL;
        int r = find_marked(tree, entry->path, &dir, err);

        return r == 0 && dir ? hide_below(tree, dir, err) : r;
}

/* Lets `name` in `parent` stand for `inode`, which has a link already or is consumed. */
static int set_name(struct image_tree *tree, struct tree_node *parent, const char *name,
                    struct tree_inode *inode, struct error *err)
{
        struct tree_node *node = tree_dir_find(parent, name, strlen(name));

        if (node && tree_node_is_dir(node) && (inode->pub.mode & S_IFMT) == S_IFDIR) {
                tree_node_set_inode(tree, node, inode);
                node->layer = tree->layer;
                return 0;
        }
        if (node)
                tree_node_remove(tree, node);
        return tree_node_add(tree, parent, name, strlen(name), inode, &node, err);
}

static int apply_root(struct image_tree *tree, const struct layer_entry *entry, struct error *err)
{
        struct tree_inode *inode;

        if (entry->kind != LAYER_INODE || (entry->inode.mode & S_IFMT) != S_IFDIR)
                return error_set(err, -EBADMSG, "the root must be a folder");
        int r = tree_inode_new(tree, &entry->inode, &inode, err);
        if (r < 0)
                return r;
        tree_node_set_inode(tree, tree->root, inode);
        tree->root->layer = tree->layer;
        return 0;
}

static int apply_inode(struct image_tree *tree, const struct layer_entry *entry, struct error *err)
{
        struct tree_node *parent;
        struct tree_inode *inode;
        const char *name;

        if (!*entry->path)
                return apply_root(tree, entry, err);
        int r = find_parent(tree, entry->path, &parent, &name, err);
        if (r < 0)
                return r;
        r = tree_inode_new(tree, &entry->inode, &inode, err);
        if (r < 0)
                return r;
        r = set_name(tree, parent, name, inode, err);
        if (r < 0)
                tree_inode_unref(tree, inode);
        return r;
}

/* The target is looked up before anything is removed, and its inode is held: the name may replace a folder in
 * which the target lies. */
static int apply_hard_link(struct image_tree *tree, const struct layer_entry *entry, struct error *err)
{
        char printable[ENTRY_PATH_PRINTABLE_MAX];
        struct tree_node *target;
        struct tree_node *parent;
        const char *name;

        if (!*entry->path)
                return apply_root(tree, entry, err);
        entry_path_printable(entry->target, printable);
        if (tree_find_nofollow(tree->root, entry->target, &target, NULL) < 0)
                return error_set(err, -EBADMSG, "the hard link's target %s is not in the image", printable);
        if (tree_node_is_dir(target))
                return error_set(err, -EBADMSG, "the hard link's target %s is a folder", printable);
        int r = find_parent(tree, entry->path, &parent, &name, err);
        if (r < 0)
                return r;
        struct tree_node *node = tree_dir_find(parent, name, strlen(name));
        if (node && node->inode == target->inode) {
                node->layer = tree->layer;
                return 0;
        }
        struct tree_inode *inode = target->inode;
        tree_inode_ref(tree, inode);
        r = set_name(tree, parent, name, inode, err);
        tree_inode_unref(tree, inode);
        return r;
}

static int apply_entry(struct image_tree *tree, const struct layer_entry *entry, struct error *err)
{
        static int (*const apply[])(struct image_tree *, const struct layer_entry *, struct error *) = {
                [LAYER_INODE] = apply_inode,
                [LAYER_HARD_LINK] = apply_hard_link,
                [LAYER_WHITEOUT] = apply_whiteout,
                [LAYER_OPAQUE] = apply_opaque,
        };
        int r = apply[entry->kind](tree, entry, err);

        if (r < 0) {
                char printable[ENTRY_PATH_PRINTABLE_MAX];
                entry_path_printable(entry->path, printable);
                error_wrap(err, "%s", printable);
        }
        return r;
}

static int apply_entries(struct image_tree *tree, int fd, struct error *err)
{
        cleanup_layer struct layer *layer = NULL;
        int r = layer_open(fd, &layer, err);

        while (r >= 0) {
                struct layer_entry entry;
                r = layer_next(layer, &entry, err);
                if (r == 0)
                        return 0;
                if (r > 0)
                        r = apply_entry(tree, &entry, err);
        }
        return r;
}

int image_tree_apply_layer(struct image_tree *tree, int spool_fd, unsigned number, const char *name,
                           struct error *err)
{
        if (tree->stats.n_layers >= IMAGE_TREE_LAYERS_MAX)
                return error_set(err, -E2BIG, "the image has more than %d layers",
                                 (int)IMAGE_TREE_LAYERS_MAX);
        int fd = fcntl(spool_fd, F_DUPFD_CLOEXEC, 0);
        if (fd < 0)
                return error_errno(err, errno, "layer %u (%s)", number, name);
        tree->spools[tree->stats.n_layers++] = fd;
        tree->layer = tree->stats.n_layers;
        int r = apply_entries(tree, fd, err);
        if (r < 0)
                error_wrap(err, "layer %u (%s)", number, name);
        return r;
}
