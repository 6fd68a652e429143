/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ramdisk-folder.c - the walk.  A level is a folder whose names are being gone through.  Only the deepest one
 * is open: the way back up is by "..", and what is found there has to be the folder that we came from.
 */
#include "lib/image/ramdisk-folder.h"

#include "lib/base/array.h"
#include "lib/base/fd.h"
#include "lib/base/text.h"
#include "lib/image/entry-path.h"
#include "lib/image/ramdisk-internal.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

enum {
        NOBODY = 65534,
        XATTR_LIST_MAX_BYTES = 64 * 1024, /* the kernel's limit */
        LINKS_IN_HEADER = 2,              /* "more than one" is all that the kernel asks */
};

struct level {
        dev_t dev;
        ino_t ino;
        char **names;
        size_t n;
        size_t at;
        size_t path_n; /* bytes of the folder's path */
};

/* A regular file with several names, of which the first was written. */
struct link {
        dev_t dev;
        ino_t ino;
        uint32_t archive_ino;
};

struct walk {
        struct ramdisk *ramdisk;
        const struct ramdisk_folder_options *options;
        int fd; /* the deepest folder */
        struct level *levels;
        size_t n_levels;
        struct link *links; /* an open hash table */
        size_t n_links;
        size_t links_size; /* a power of two, or 0 */
        size_t n_nodes;
        uint64_t n_bytes;
        size_t prefix_n; /* of path */
        size_t path_n;
        char path[IMAGE_PATH_MAX + 1];
        char *xattr_names;    /* XATTR_LIST_MAX_BYTES */
        uint8_t *xattr_value; /* IMAGE_XATTR_VALUE_MAX */
};

static void level_done(struct level *level)
{
        for (size_t i = 0; i < level->n; i++)
                free(level->names[i]);
        free(level->names);
}

static void walk_done(struct walk *walk)
{
        for (size_t i = 0; i < walk->n_levels; i++)
                level_done(&walk->levels[i]);
        free(walk->levels);
        free(walk->links);
        free(walk->xattr_names);
        free(walk->xattr_value);
        fd_close_p(&walk->fd);
}
#define cleanup_walk CLEANUP(walk_done)

/* ---- opening ---- */

static int open_below(int dirfd, const char *name, int flags)
{
        const struct open_how how = {
                .flags = (uint64_t)(flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY),
                .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV,
        };
        int fd = (int)syscall(SYS_openat2, dirfd, name, &how, sizeof(how));

        return fd < 0 ? -errno : fd;
}

static int open_failed(int r, struct error *err)
{
        if (r == -EXDEV)
                return error_set(err, -EXDEV,
                                 "another file system is mounted there, which can't be part of what is "
                                 "measured; unmount it, or make it a mount of the container");
        if (r == -ESTALE || r == -ELOOP || r == -ENOENT || r == -ENOTDIR)
                return error_set(err, -ESTALE, "changed while it was read");
        return error_errno(err, -r, "open");
}

/* ---- metadata ---- */

static uint32_t map_id(uint32_t id, const struct ramdisk_id_range *ranges, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                if (id >= ranges[i].from && id - ranges[i].from < ranges[i].n)
                        return ranges[i].to + (id - ranges[i].from);
        }
        return n == 0 ? id : NOBODY;
}

static struct ramdisk_entry make_entry(const struct walk *walk, const struct stat *st)
{
        const struct ramdisk_folder_options *o = walk->options;
        bool has_time = S_ISREG(st->st_mode) && st->st_size > 0;
        bool is_node = S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode);

        return (struct ramdisk_entry){
                .path = walk->path,
                .mode = st->st_mode,
                .uid = map_id(st->st_uid, o->uids, o->n_uids),
                .gid = map_id(st->st_gid, o->gids, o->n_gids),
                .mtime = has_time ? st->st_mtime : 0,
                .n_links = S_ISDIR(st->st_mode) ? 2 : 1,
                .rdev_major = is_node ? major(st->st_rdev) : 0,
                .rdev_minor = is_node ? minor(st->st_rdev) : 0,
        };
}

/* ---- extended attributes ---- */

static bool is_wanted(const char *name)
{
        return strcmp(name, "security.capability") == 0 || string_starts_with(name, "user.") ||
               (string_starts_with(name, "trusted.") && !string_starts_with(name, "trusted.overlay."));
}

static int compare_strings(const void *a, const void *b)
{
        return strcmp(*(char *const *)a, *(char *const *)b);
}

static int append_xattr(struct walk *walk, const char *file, const char *name, struct error *err)
{
        const char *path = walk->path + walk->prefix_n + (walk->path_n > walk->prefix_n);
        struct buf *b = walk->options->xattrs;
        ssize_t n = lgetxattr(file, name, walk->xattr_value, IMAGE_XATTR_VALUE_MAX);

        if (n < 0)
                return errno == ENODATA ? 0 : error_errno(err, errno, "read %s", name);
        cleanup_free char *hex = malloc((size_t)n * 2 + 1);
        if (!hex)
                return error_oom(err);
        hex_encode(walk->xattr_value, (size_t)n, hex);
        buf_append(b, path, strlen(path) + 1);
        buf_append(b, name, strlen(name) + 1);
        if (buf_append(b, hex, (size_t)n * 2 + 1) < 0)
                return error_set(err, b->failed, "more extended attributes than an image may have");
        return 0;
}

/* Of `name` in the open folder. Every file has a few names at most: they are sorted on the stack. */
static int take_xattrs(struct walk *walk, const char *name, struct error *err)
{
        cleanup_free char *file = NULL;
        char *wanted[64];
        size_t n_wanted = 0;

        if (!walk->options->xattrs)
                return 0;
        file = string_printf("/proc/self/fd/%d/%s", walk->fd, name);
        if (!file)
                return error_oom(err);
        ssize_t n = llistxattr(file, walk->xattr_names, XATTR_LIST_MAX_BYTES);
        if (n < 0)
                return errno == EOPNOTSUPP || errno == ENOTSUP
                               ? 0
                               : error_errno(err, errno, "list the extended attributes");
        for (char *at = walk->xattr_names; at < walk->xattr_names + n; at += strlen(at) + 1) {
                if (!is_wanted(at))
                        continue;
                if (n_wanted >= ARRAY_SIZE(wanted))
                        return error_set(err, -E2BIG, "more than %zu extended attributes",
                                         ARRAY_SIZE(wanted));
                wanted[n_wanted++] = at;
        }
        qsort(wanted, n_wanted, sizeof(*wanted), compare_strings);
        int r = 0;
        for (size_t i = 0; r == 0 && i < n_wanted; i++)
                r = append_xattr(walk, file, wanted[i], err);
        return r;
}

/* ---- hard links ---- */

static size_t link_slot(const struct walk *walk, dev_t dev, ino_t ino)
{
        uint64_t hash = ((uint64_t)ino ^ (uint64_t)dev << 32) * UINT64_C(0x9e3779b97f4a7c15);
        size_t slot = (size_t)(hash >> 20) & (walk->links_size - 1);

        while (walk->links[slot].archive_ino &&
               (walk->links[slot].ino != ino || walk->links[slot].dev != dev))
                slot = (slot + 1) & (walk->links_size - 1);
        return slot;
}

static int grow_links(struct walk *walk, struct error *err)
{
        size_t size = walk->links_size;
        struct link *old = walk->links;

        if (walk->n_links * 2 < size)
                return 0;
        struct link *links = calloc(size ? size * 2 : 64, sizeof(*links));
        if (!links)
                return error_oom(err);
        walk->links = links;
        walk->links_size = size ? size * 2 : 64;
        for (size_t i = 0; i < size; i++) {
                if (old[i].archive_ino)
                        walk->links[link_slot(walk, old[i].dev, old[i].ino)] = old[i];
        }
        free(old);
        return 0;
}

/* The archive's number of a file with several names; *ret_is_first where this is its first. */
static int find_link(struct walk *walk, const struct stat *st, uint32_t *ret_ino, bool *ret_is_first,
                     struct error *err)
{
        int r = grow_links(walk, err);

        if (r < 0)
                return r;
        struct link *link = &walk->links[link_slot(walk, st->st_dev, st->st_ino)];
        *ret_is_first = link->archive_ino == 0;
        if (*ret_is_first) {
                *link = (struct link){st->st_dev, st->st_ino, ramdisk_take_ino(walk->ramdisk)};
                walk->n_links++;
        }
        *ret_ino = link->archive_ino;
        return 0;
}

/* ---- entries ---- */

static int put_entry(struct walk *walk, struct ramdisk_entry *entry, struct error *err)
{
        if (!entry->ino)
                entry->ino = ramdisk_take_ino(walk->ramdisk);
        return ramdisk_begin(walk->ramdisk, entry, err);
}

static int charge(struct walk *walk, uint64_t n, struct error *err)
{
        uint64_t max = walk->options->max_bytes;

        if (max && n > max - walk->n_bytes)
                return error_set(err, -EFBIG, "with this file there are more than %llu bytes in all",
                                 (unsigned long long)max);
        walk->n_bytes += n;
        return 0;
}

/* Of several names the first has the data: the kernel makes the others links to it. */
static int write_file(struct walk *walk, int fd, const char *name, struct error *err)
{
        bool is_first = true;
        struct stat st;
        int r = 0;

        if (fstat(fd, &st) < 0)
                return error_errno(err, errno, "look at it");
        if (!S_ISREG(st.st_mode))
                return open_failed(-ESTALE, err);
        struct ramdisk_entry entry = make_entry(walk, &st);
        if (st.st_nlink > 1) {
                entry.n_links = LINKS_IN_HEADER;
                r = find_link(walk, &st, &entry.ino, &is_first, err);
        }
        entry.size = is_first ? (uint64_t)st.st_size : 0;
        if (r < 0 || (r = charge(walk, entry.size, err)) < 0 || (r = put_entry(walk, &entry, err)) < 0)
                return r;
        r = ramdisk_put_range(walk->ramdisk, fd, 0, entry.size, err);
        if (r == -ENODATA) /* it became shorter */
                return open_failed(-ESTALE, err);
        if (r < 0 || (r = ramdisk_end(walk->ramdisk, err)) < 0)
                return r;
        return is_first && name ? take_xattrs(walk, name, err) : 0;
}

static int open_and_write_file(struct walk *walk, const char *name, struct error *err)
{
        cleanup_fd int fd = open_below(walk->fd, name, O_RDONLY);

        return fd < 0 ? open_failed(fd, err) : write_file(walk, fd, name, err);
}

static int write_link(struct walk *walk, const char *name, const struct stat *st, struct error *err)
{
        char target[IMAGE_PATH_MAX + 1];
        struct ramdisk_entry entry = make_entry(walk, st);
        ssize_t n = readlinkat(walk->fd, name, target, sizeof(target));
        int r;

        if (n < 0)
                return open_failed(-errno, err);
        if ((size_t)n > IMAGE_PATH_MAX)
                return error_set(err, -E2BIG, "a link's text of more than %d bytes", IMAGE_PATH_MAX);
        entry.size = (uint64_t)n;
        if ((r = put_entry(walk, &entry, err)) < 0 ||
            (r = ramdisk_put(walk->ramdisk, target, (size_t)n, err)) < 0 ||
            (r = ramdisk_end(walk->ramdisk, err)) < 0)
                return r;
        return take_xattrs(walk, name, err);
}

static int write_node(struct walk *walk, const char *name, const struct stat *st, struct error *err)
{
        struct ramdisk_entry entry = make_entry(walk, st);
        int r = put_entry(walk, &entry, err);

        if (r == 0)
                r = ramdisk_end(walk->ramdisk, err);
        return r < 0 ? r : take_xattrs(walk, name, err);
}

/* ---- folders ---- */

static int add_name(struct level *level, const char *name, struct error *err)
{
        char *copy = strdup(name);

        if (!copy || array_grow(&level->names, level->n, sizeof(*level->names)) < 0) {
                free(copy);
                return error_oom(err);
        }
        level->names[level->n++] = copy;
        return 0;
}

static int read_names(struct walk *walk, struct level *level, struct error *err)
{
        int copy = openat(walk->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        cleanup_dir DIR *dir = copy < 0 ? NULL : fdopendir(copy);
        const struct dirent *entry;
        int r = 0;

        if (!dir) {
                fd_close_p(&copy);
                return error_errno(err, errno, "open");
        }
        while (r == 0 && (errno = 0, entry = readdir(dir))) {
                if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
                        continue;
                if (++walk->n_nodes >= IMAGE_TREE_NODES_MAX)
                        return error_set(err, -E2BIG, "more than %d names", (int)IMAGE_TREE_NODES_MAX);
                r = add_name(level, entry->d_name, err);
        }
        if (r == 0 && errno != 0)
                r = error_errno(err, errno, "read");
        if (level->n > 0)
                qsort(level->names, level->n, sizeof(*level->names), compare_strings);
        return r;
}

/* Goes into the folder that walk->fd now is. */
static int enter(struct walk *walk, struct error *err)
{
        struct level level = {.path_n = walk->path_n};
        struct stat st;
        int r;

        if (fstat(walk->fd, &st) < 0)
                return error_errno(err, errno, "look at it");
        if (walk->n_levels >= IMAGE_DEPTH_MAX)
                return error_set(err, -E2BIG, "deeper than %d folders", IMAGE_DEPTH_MAX);
        level.dev = st.st_dev;
        level.ino = st.st_ino;
        struct ramdisk_entry entry = make_entry(walk, &st);
        if ((r = put_entry(walk, &entry, err)) < 0 || (r = ramdisk_end(walk->ramdisk, err)) < 0 ||
            (r = take_xattrs(walk, ".", err)) < 0)
                return r;
        r = read_names(walk, &level, err);
        if (r == 0 && array_grow(&walk->levels, walk->n_levels, sizeof(level)) < 0)
                r = error_oom(err);
        if (r < 0)
                level_done(&level);
        else
                walk->levels[walk->n_levels++] = level;
        return r;
}

/* Back to the folder above, which has to be the same. */
static int leave(struct walk *walk, struct error *err)
{
        struct stat st;

        level_done(&walk->levels[--walk->n_levels]);
        if (walk->n_levels == 0)
                return 0;
        const struct level *above = &walk->levels[walk->n_levels - 1];
        walk->path_n = above->path_n;
        walk->path[walk->path_n] = '\0';
        int fd = openat(walk->fd, "..", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
                return error_errno(err, errno, "open");
        fd_close_p(&walk->fd);
        walk->fd = fd;
        if (fstat(fd, &st) < 0 || st.st_dev != above->dev || st.st_ino != above->ino)
                return open_failed(-ESTALE, err);
        return 0;
}

static int go_down(struct walk *walk, const char *name, struct error *err)
{
        int fd = open_below(walk->fd, name, O_RDONLY | O_DIRECTORY);

        if (fd < 0)
                return open_failed(fd, err);
        fd_close_p(&walk->fd);
        walk->fd = fd;
        return enter(walk, err);
}

static int visit(struct walk *walk, const char *name, struct error *err)
{
        struct stat st;

        if (fstatat(walk->fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return open_failed(-errno, err);
        switch (st.st_mode & S_IFMT) {
        case S_IFDIR:
                return go_down(walk, name, err);
        case S_IFREG:
                return open_and_write_file(walk, name, err);
        case S_IFLNK:
                return write_link(walk, name, &st, err);
        case S_IFCHR:
        case S_IFBLK:
        case S_IFIFO:
                return write_node(walk, name, &st, err);
        default:
                return 0;
        }
}

/* The path of `name` in the deepest folder. */
static int set_path(struct walk *walk, const char *name, struct error *err)
{
        size_t base = walk->levels[walk->n_levels - 1].path_n, n = strlen(name);

        if (base + 1 + n > IMAGE_PATH_MAX)
                return error_set(err, -E2BIG, "a path of more than %d bytes", IMAGE_PATH_MAX);
        walk->path[base] = '/';
        memcpy(walk->path + base + 1, name, n + 1);
        walk->path_n = base + 1 + n;
        return 0;
}

static int step(struct walk *walk, struct error *err)
{
        struct level *level = &walk->levels[walk->n_levels - 1];

        if (level->at == level->n)
                return leave(walk, err);
        const char *name = level->names[level->at++];
        int r = set_path(walk, name, err);
        return r < 0 ? r : visit(walk, name, err);
}

static int begin(struct walk *walk, const char *path, struct error *err)
{
        walk->prefix_n = walk->path_n = strlen(path);
        if (walk->path_n > IMAGE_PATH_MAX)
                return error_set(err, -E2BIG, "a path of more than %d bytes", IMAGE_PATH_MAX);
        memcpy(walk->path, path, walk->path_n + 1);
        walk->xattr_names = malloc(XATTR_LIST_MAX_BYTES);
        walk->xattr_value = malloc(IMAGE_XATTR_VALUE_MAX);
        return walk->xattr_names && walk->xattr_value ? 0 : error_oom(err);
}

static int name_path(const struct walk *walk, int r, struct error *err)
{
        char printable[ENTRY_PATH_PRINTABLE_MAX];

        entry_path_printable(walk->path + walk->prefix_n, printable);
        error_wrap(err, "%s", printable);
        return r;
}

int ramdisk_add_folder(struct ramdisk *ramdisk, int dirfd, const char *prefix,
                       const struct ramdisk_folder_options *options, struct error *err)
{
        cleanup_walk struct walk walk = {.ramdisk = ramdisk, .options = options, .fd = -1};
        int r = begin(&walk, prefix, err);

        if (r < 0)
                return r;
        walk.fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (walk.fd < 0)
                return name_path(&walk, error_errno(err, errno, "open"), err);
        r = enter(&walk, err);
        while (r == 0 && walk.n_levels > 0)
                r = step(&walk, err);
        return r < 0 ? name_path(&walk, r, err) : 0;
}

int ramdisk_add_anything(struct ramdisk *ramdisk, int fd, const char *path,
                         const struct ramdisk_folder_options *options, struct error *err)
{
        cleanup_walk struct walk walk = {.ramdisk = ramdisk, .options = options, .fd = -1};
        char reopen[64];
        struct stat st;

        if (fstat(fd, &st) < 0)
                return error_errno(err, errno, "look at it");
        if (S_ISDIR(st.st_mode))
                return ramdisk_add_folder(ramdisk, fd, path, options, err);
        if (!S_ISREG(st.st_mode))
                return error_set(err, -ENOTSUP, "it is neither a folder nor a regular file");
        int r = begin(&walk, path, err);
        if (r < 0)
                return r;
        (void)snprintf(reopen, sizeof(reopen), "/proc/self/fd/%d", fd);
        walk.fd = open(reopen, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        return walk.fd < 0 ? error_errno(err, errno, "open") : write_file(&walk, walk.fd, NULL, err);
}
