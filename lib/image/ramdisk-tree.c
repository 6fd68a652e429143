/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ramdisk-tree.c - a whole image into a ramdisk.
 *
 * Of a set of hard links all entries have the same inode number and link count, and the last one carries the
 * data, as the format's other writers do it.  The kernel keeps a table of inodes with more than one link: a
 * later entry becomes a link to the first name, and only data that is not empty truncates and fills it.
 */
#include "lib/image/entry-path.h"
#include "lib/image/ramdisk-internal.h"

#include "lib/base/array.h"
#include "lib/base/text.h"

#include <string.h>
#include <sys/stat.h>

/* An inode that has several names. */
struct link_set {
        const struct image_inode *inode;
        uint32_t ino; /* 0 until its first name is written */
        uint32_t n_seen;
};

/* All of a tree's, ascending by address, so that one is found in logarithmic time. */
struct link_table {
        struct link_set *sets;
        size_t n;
};

static void link_table_done(struct link_table *table)
{
        free(table->sets);
        *table = (struct link_table){0};
}

static int collect_link(void *user, const char *path, const struct image_inode *inode, struct error *err)
{
        struct link_table *table = user;

        (void)path;
        if (inode->n_links < 2)
                return 0;
        if (array_grow(&table->sets, table->n, sizeof(*table->sets)) < 0)
                return error_oom(err);
        table->sets[table->n++] = (struct link_set){.inode = inode};
        return 0;
}

static int compare_sets(const void *a, const void *b)
{
        uintptr_t x = (uintptr_t)((const struct link_set *)a)->inode;
        uintptr_t y = (uintptr_t)((const struct link_set *)b)->inode;

        return (x > y) - (x < y);
}

static int link_table_init(struct link_table *ret_table, const struct image_tree *tree, struct error *err)
{
        struct link_table table = {0};
        int r = image_tree_walk(tree, collect_link, &table, err);

        if (r < 0) {
                link_table_done(&table);
                return r;
        }
        size_t n = 0;
        if (table.n) {
                qsort(table.sets, table.n, sizeof(*table.sets), compare_sets);
                for (size_t i = 1; i < table.n; i++)
                        if (table.sets[i].inode != table.sets[n].inode)
                                table.sets[++n] = table.sets[i];
                table.n = n + 1;
        }
        *ret_table = table;
        return 0;
}

/* The set of an inode, or NULL where it has one name. */
static struct link_set *find_set(const struct link_table *table, const struct image_inode *inode)
{
        struct link_set key = {.inode = inode};

        if (inode->n_links < 2)
                return NULL;
        return bsearch(&key, table->sets, table->n, sizeof(key), compare_sets);
}

struct tree_writer {
        struct ramdisk *ramdisk;
        const char *prefix;
        size_t prefix_n;
        struct link_table links;
        ramdisk_progress_fn progress;
        void *progress_user;
        uint64_t done;
        uint64_t total;
        char path[IMAGE_PATH_MAX + 1];
};

static int put_extents(struct ramdisk *ramdisk, const struct image_inode *inode, struct error *err)
{
        uint64_t at = 0;

        for (size_t i = 0; i < inode->n_extents; i++) {
                const struct image_extent *e = &inode->extents[i];
                int r = ramdisk_put_zeros(ramdisk, e->offset - at, err);
                if (r == 0)
                        r = ramdisk_put_range(ramdisk, inode->spool_fd, e->at, e->length, err);
                if (r < 0)
                        return r;
                at = e->offset + e->length;
        }
        return ramdisk_put_zeros(ramdisk, inode->size - at, err);
}

static int put_content(struct tree_writer *w, const struct image_inode *inode, struct error *err)
{
        if (inode->target)
                return ramdisk_put(w->ramdisk, inode->target, strlen(inode->target), err);
        int r = put_extents(w->ramdisk, inode, err);
        if (r == 0 && w->progress) {
                w->done += inode->size;
                w->progress(w->progress_user, w->done, w->total);
        }
        return r;
}

static int write_inode(struct tree_writer *w, const struct image_inode *inode, struct error *err)
{
        struct link_set *set = find_set(&w->links, inode);
        struct ramdisk_entry entry = {
                .path = w->path,
                .mode = inode->mode,
                .uid = inode->uid,
                .gid = inode->gid,
                .mtime = inode->mtime,
                .n_links = S_ISDIR(inode->mode) ? 2 : inode->n_links,
                .rdev_major = inode->rdev_major,
                .rdev_minor = inode->rdev_minor,
        };
        bool last = true;

        if (set) {
                if (!set->ino)
                        set->ino = ramdisk_take_ino(w->ramdisk);
                entry.ino = set->ino;
                last = ++set->n_seen == inode->n_links;
        } else {
                entry.ino = ramdisk_take_ino(w->ramdisk);
        }
        /* The kernel makes each name of a symbolic link a link of its own, so each has the text. */
        bool content = S_ISLNK(inode->mode) || (S_ISREG(inode->mode) && last);
        if (content)
                entry.size = inode->target ? strlen(inode->target) : inode->size;
        int r = ramdisk_begin(w->ramdisk, &entry, err);
        if (r == 0 && content)
                r = put_content(w, inode, err);
        return r < 0 ? r : ramdisk_end(w->ramdisk, err);
}

static int visit_for_entry(void *user, const char *path, const struct image_inode *inode, struct error *err)
{
        struct tree_writer *w = user;
        size_t n = strlen(path);
        char printable[ENTRY_PATH_PRINTABLE_MAX];
        int r;

        if (w->prefix_n + 1 + n > IMAGE_PATH_MAX) {
                r = error_set(err, -E2BIG,
                              "the path has more than %zu bytes, too many for the enclave's kernel",
                              IMAGE_PATH_MAX - w->prefix_n - 1);
        } else {
                memcpy(w->path, w->prefix, w->prefix_n);
                w->path[w->prefix_n] = n ? '/' : '\0';
                if (n)
                        memcpy(w->path + w->prefix_n + 1, path, n + 1);
                r = write_inode(w, inode, err);
        }
        if (r < 0) {
                entry_path_printable(path, printable);
                error_wrap(err, "%s", printable);
        }
        return r;
}

int ramdisk_add_tree(struct ramdisk *ramdisk, const struct image_tree *tree, const char *prefix,
                     ramdisk_progress_fn progress, void *progress_user, struct error *err)
{
        struct tree_writer w = {
                .ramdisk = ramdisk,
                .prefix = prefix,
                .prefix_n = strlen(prefix),
                .progress = progress,
                .progress_user = progress_user,
                .total = image_tree_stats(tree).n_bytes,
        };
        int r = link_table_init(&w.links, tree, err);

        if (r == 0)
                r = image_tree_walk(tree, visit_for_entry, &w, err);
        link_table_done(&w.links);
        return r;
}

/* Bytes of one record, beside the path and its NUL. */
static size_t record_size(const struct image_xattr *xattr)
{
        return strlen(xattr->name) + 1 + 2 * xattr->size + 1;
}

struct xattr_list {
        struct ramdisk *ramdisk;
        struct link_table links;
        uint64_t size;
};

/* True for all names of an inode but the first. */
static bool seen_before(struct xattr_list *list, const struct image_inode *inode)
{
        struct link_set *set = find_set(&list->links, inode);

        return set && set->n_seen++ % inode->n_links > 0;
}

static int visit_for_size(void *user, const char *path, const struct image_inode *inode, struct error *err)
{
        struct xattr_list *list = user;

        (void)err;
        if (!inode->n_xattrs || seen_before(list, inode))
                return 0;
        for (size_t i = 0; i < inode->n_xattrs; i++)
                list->size += strlen(path) + 1 + record_size(&inode->xattrs[i]);
        return 0;
}

static int put_hex(struct ramdisk *ramdisk, const uint8_t *p, size_t n, struct error *err)
{
        char hex[2 * 256 + 1];
        int r = 0;

        while (n && r == 0) {
                size_t piece = n < 256 ? n : 256;
                hex_encode(p, piece, hex);
                r = ramdisk_put(ramdisk, hex, 2 * piece, err);
                p += piece;
                n -= piece;
        }
        return r;
}

static int visit_for_xattrs(void *user, const char *path, const struct image_inode *inode, struct error *err)
{
        struct xattr_list *list = user;
        int r = 0;

        if (!inode->n_xattrs || seen_before(list, inode))
                return 0;
        for (size_t i = 0; i < inode->n_xattrs && r == 0; i++) {
                const struct image_xattr *xattr = &inode->xattrs[i];
                r = ramdisk_put(list->ramdisk, path, strlen(path) + 1, err);
                if (r == 0)
                        r = ramdisk_put(list->ramdisk, xattr->name, strlen(xattr->name) + 1, err);
                if (r == 0)
                        r = put_hex(list->ramdisk, xattr->value, xattr->size, err);
                if (r == 0)
                        r = ramdisk_put(list->ramdisk, "", 1, err);
        }
        return r;
}

static int write_xattrs(struct xattr_list *list, const struct image_tree *tree, const char *path,
                        struct error *err)
{
        int r = image_tree_walk(tree, visit_for_size, list, err);

        if (r < 0 || !list->size)
                return r;
        struct ramdisk_entry entry = {
                .path = path,
                .mode = S_IFREG | 0600,
                .ino = ramdisk_take_ino(list->ramdisk),
                .n_links = 1,
                .size = list->size,
        };
        r = ramdisk_begin(list->ramdisk, &entry, err);
        if (r == 0)
                r = image_tree_walk(tree, visit_for_xattrs, list, err);
        return r < 0 ? r : ramdisk_end(list->ramdisk, err);
}

int ramdisk_add_xattrs(struct ramdisk *ramdisk, const struct image_tree *tree, const char *path,
                       struct error *err)
{
        struct xattr_list list = {.ramdisk = ramdisk};
        int r = link_table_init(&list.links, tree, err);

        if (r == 0)
                r = write_xattrs(&list, tree, path, err);
        link_table_done(&list.links);
        return r;
}
