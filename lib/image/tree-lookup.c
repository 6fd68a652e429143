/* SPDX-License-Identifier: Apache-2.0 */
/* tree-lookup.c - paths through the merged tree: symbolic links resolved inside the root, sorted walks, file
 * content. */
#include "lib/base/fd.h"
#include "lib/base/text.h"
#include "lib/image/entry-path.h"
#include "lib/image/tree-internal.h"

#include <string.h>
#include <sys/stat.h>

/* A walk along a path. `at` is always a folder while there is more to come. */
struct resolver {
        struct tree_node *at;
        const char *rest; /* what is still to walk */
        char *owned;      /* the buffer that `rest` points into once a link was followed */
        unsigned n_links; /* followed so far */
};

/* Takes the next component that names something; NULL at the end. */
static const char *take_component(struct resolver *r, size_t *ret_n)
{
        for (;;) {
                while (*r->rest == '/')
                        r->rest++;
                const char *name = r->rest;
                size_t n = strcspn(name, "/");
                r->rest += n;
                if (!n)
                        return NULL;
                if (n == 1 && name[0] == '.')
                        continue;
                if (n == 2 && name[0] == '.' && name[1] == '.') {
                        r->at = r->at->parent ?: r->at;
                        continue;
                }
                *ret_n = n;
                return name;
        }
}

static bool at_end(const struct resolver *r)
{
        return r->rest[strspn(r->rest, "/")] == '\0';
}

/* Goes on with the link's text and then what was left. */
static int follow_link(struct resolver *r, struct tree_node *root, const struct tree_node *link,
                       struct error *err)
{
        const char *target = link->inode->pub.target;

        if (++r->n_links > IMAGE_SYMLINKS_MAX)
                return error_set(err, -ELOOP, "too many symbolic links");
        /* At most 40 texts of at most 4095 bytes each, and the path itself: bounded. */
        char *joined = string_printf("%s/%s", target, r->rest);
        if (!joined)
                return error_oom(err);
        if (target[0] == '/')
                r->at = root;
        free(r->owned);
        r->owned = joined;
        r->rest = joined;
        return 0;
}

static int not_a_folder(const struct tree_node *node, struct error *err)
{
        char printable[ENTRY_PATH_PRINTABLE_MAX];

        entry_path_printable(node->name, printable);
        return error_set(err, -ENOTDIR, "the path leads through %s, which is not a folder", printable);
}

/* One component that is there.  1: the walk ended with `node`, 0: it goes on, or negative. */
static int step(struct resolver *r, struct tree_node *root, struct tree_node *node, bool follow_last,
                struct error *err)
{
        if ((node->inode->pub.mode & S_IFMT) == S_IFLNK && (follow_last || !at_end(r)))
                return follow_link(r, root, node, err);
        if (tree_node_is_dir(node)) {
                r->at = node;
                return 0;
        }
        return at_end(r) ? 1 : not_a_folder(node, err);
}

/* What is done about a component that is not there: a folder to go on in, or an error. */
typedef int (*missing_fn)(void *user, struct tree_node *parent, const char *name, size_t n,
                          struct tree_node **ret_node, struct error *err);

static int resolve(struct tree_node *root, const char *path, bool follow_last, missing_fn missing, void *user,
                   struct tree_node **ret_node, struct error *err)
{
        struct resolver r = {.at = root, .rest = path};
        struct tree_node *node = NULL;
        int result = 0;

        while (result == 0) {
                size_t n;
                const char *name = take_component(&r, &n);
                if (!name) {
                        node = r.at;
                        break;
                }
                node = tree_dir_find(r.at, name, n);
                if (!node)
                        result = missing(user, r.at, name, n, &node, err);
                if (result == 0)
                        result = step(&r, root, node, follow_last, err);
        }
        free(r.owned);
        if (result < 0)
                return result;
        *ret_node = node;
        return 0;
}

static int missing_is_error(void *user, struct tree_node *parent, const char *name, size_t n,
                            struct tree_node **ret_node, struct error *err)
{
        (void)user;
        (void)parent;
        (void)name;
        (void)n;
        (void)ret_node;
        return error_set(err, -ENOENT, "no such file or folder in the image");
}

int tree_find(struct tree_node *root, const char *path, struct tree_node **ret_node, struct error *err)
{
        return resolve(root, path, true, missing_is_error, NULL, ret_node, err);
}

int tree_find_nofollow(struct tree_node *root, const char *path, struct tree_node **ret_node,
                       struct error *err)
{
        return resolve(root, path, false, missing_is_error, NULL, ret_node, err);
}

struct maker {
        struct image_tree *tree;
        uint32_t mode;
};

static int missing_is_made(void *user, struct tree_node *parent, const char *name, size_t n,
                           struct tree_node **ret_node, struct error *err)
{
        const struct maker *maker = user;

        return tree_make_dir(maker->tree, parent, name, n, maker->mode, ret_node, err);
}

int tree_find_or_make_dir(struct image_tree *tree, const char *path, uint32_t mode,
                          struct tree_node **ret_node, struct error *err)
{
        struct maker maker = {.tree = tree, .mode = mode};
        struct tree_node *node;
        int r = resolve(tree->root, path, true, missing_is_made, &maker, &node, err);

        if (r < 0)
                return r;
        if (!tree_node_is_dir(node))
                return not_a_folder(node, err);
        *ret_node = node;
        return 0;
}

int image_tree_make_dirs(struct image_tree *tree, const char *path, uint32_t mode, struct error *err)
{
        struct tree_node *node;
        int r = tree_find_or_make_dir(tree, path, mode & 07777, &node, err);

        if (r < 0)
                error_wrap(err, "%s in the image", path);
        return r;
}

int image_tree_add_mount_points(struct image_tree *tree, struct error *err)
{
        static const struct {
                const char *name;
                uint32_t mode;
        } points[] = {{"dev", 0755}, {"proc", 0555}, {"run", 0755},
                      {"sys", 0555}, {"tmp", 01777}, {"var", 0755}};

        for (size_t i = 0; i < ARRAY_SIZE(points); i++) {
                struct tree_node *node;
                if (tree_dir_find(tree->root, points[i].name, strlen(points[i].name)))
                        continue;
                int r = tree_make_dir(tree, tree->root, points[i].name, strlen(points[i].name),
                                      points[i].mode, &node, err);
                if (r < 0)
                        return r;
        }
        return 0;
}

int image_tree_lookup(const struct image_tree *tree, const char *path, const struct image_inode **ret_inode,
                      struct error *err)
{
        struct tree_node *node;
        int r = tree_find(tree->root, path, &node, err);

        if (r < 0)
                return error_wrap(err, "%s in the image", path), r;
        *ret_inode = &node->inode->pub;
        return 0;
}

static int read_extents(const struct image_inode *inode, uint8_t *p)
{
        for (size_t i = 0; i < inode->n_extents; i++) {
                const struct image_extent *e = &inode->extents[i];
                int r = fd_pread_full(inode->spool_fd, p + e->offset, e->length, e->at);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int read_inode(const struct image_inode *inode, size_t max, struct buf *ret_content, struct error *err)
{
        if ((inode->mode & S_IFMT) == S_IFDIR)
                return error_set(err, -EISDIR, "is a folder");
        if ((inode->mode & S_IFMT) != S_IFREG)
                return error_set(err, -EINVAL, "is not a regular file");
        if (inode->size > max)
                return error_set(err, -EFBIG, "has %llu bytes, more than %zu",
                                 (unsigned long long)inode->size, max);
        struct buf content = buf_with_max(max);
        int r = buf_reserve(&content, inode->size);
        if (r < 0)
                return error_errno(err, -r, "cannot hold its content");
        if (inode->size) {
                memset(content.p, 0, inode->size);
                r = read_extents(inode, content.p);
                if (r < 0) {
                        buf_done(&content);
                        return error_errno(err, -r, "cannot read the spooled layer");
                }
                content.n = inode->size;
                content.p[content.n] = '\0';
        }
        *ret_content = content;
        return 0;
}

int image_tree_read_file(const struct image_tree *tree, const char *path, size_t max, struct buf *ret_content,
                         struct error *err)
{
        const struct image_inode *inode;
        int r = image_tree_lookup(tree, path, &inode, err);

        if (r < 0)
                return r;
        r = read_inode(inode, max, ret_content, err);
        if (r < 0)
                error_wrap(err, "%s in the image", path);
        return r;
}

/* The node behind `node` in walk order, or NULL. */
static struct tree_node *next_in_walk(struct tree_node *node)
{
        struct tree_node *next = tree_dir_next(node, NULL);

        while (!next && node->parent) {
                next = tree_dir_next(node->parent, node);
                node = node->parent;
        }
        return next;
}

int image_tree_walk(const struct image_tree *tree, image_tree_visit_fn visit, void *user, struct error *err)
{
        char path[IMAGE_PATH_MAX + 1] = "";
        int r = 0;

        for (struct tree_node *node = tree->root; node && r == 0; node = next_in_walk(node)) {
                /* The parent's path is still in `path`, up to its length. */
                size_t at = node->path_len - node->name_len;
                if (at)
                        path[at - 1] = '/';
                memcpy(path + at, node->name, node->name_len);
                path[node->path_len] = '\0';
                r = visit(user, path, &node->inode->pub, err);
        }
        return r;
}
