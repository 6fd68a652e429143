/* SPDX-License-Identifier: Apache-2.0 */
/*
 * layer.c - theory of operation
 *
 * libarchive gets the spool through our callbacks, window by window, and skips over file data by our skip
 * callback, so that only headers are read.  It knows at which byte of its input it stands
 * (archive_filter_bytes); after a header that is where the data of the entry begins.  The position is not
 * taken on trust: it must equal what the raw headers say (layer-raw.c), and the next entry's header must
 * begin exactly behind the data.  For sparse files the data blocks are read once and compared with the spool
 * at the position that was computed for them.  A libarchive that counted otherwise would give an error, never
 * wrong content.
 *
 * Some writers (umoci insert for one) end the stream with the last byte of data: no padding to a whole block,
 * no end-of-archive blocks.  Readers of the field take that, so libarchive gets the missing zeros from us;
 * data that is itself cut is found by its extent, which must end inside the spool.
 *
 * Names are bytes.  libarchive would convert PAX names from UTF-8 to the locale's character set; in the C
 * locale it cannot convert anything but ASCII and keeps the raw bytes, with a warning, so all calls run in a
 * C locale of this thread.
 */
#include "lib/image/layer.h"

#include "lib/base/array.h"
#include "lib/base/checked.h"
#include "lib/base/fd.h"
#include "lib/base/text.h"
#include "lib/image/entry-path.h"
#include "lib/image/layer-internal.h"

#include <archive.h>
#include <archive_entry.h>
#include <locale.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct layer {
        struct layer_feed feed;
        struct archive *archive;
        locale_t c_locale;
        uint64_t next_header_at; /* where the next header must begin */
        bool next_header_known;
        bool empty; /* a spool of no bytes: a layer without entries */
        struct archive_entry *entry;
        char path[IMAGE_PATH_MAX + 1];
        char target[IMAGE_PATH_MAX + 1];
        struct image_extent *extents;
        size_t n_extents;
        struct image_xattr *xattrs; /* point into raw.xattrs */
        size_t n_xattrs;
        struct layer_raw raw;                /* of the current entry */
        char name[ENTRY_PATH_PRINTABLE_MAX]; /* of the current entry, for messages */
};

static int open_archive(struct layer *layer, struct error *err)
{
        struct archive *a = archive_read_new();

        if (!a)
                return error_oom(err);
        layer->archive = a;
        if (archive_read_support_format_tar(a) != ARCHIVE_OK ||
            archive_read_set_read_callback(a, layer_feed_read) != ARCHIVE_OK ||
            archive_read_set_skip_callback(a, layer_feed_skip) != ARCHIVE_OK ||
            archive_read_set_callback_data(a, &layer->feed) != ARCHIVE_OK ||
            archive_read_open1(a) != ARCHIVE_OK)
                return error_set(err, -EBADMSG, "is not a tar archive: %s", archive_error_string(a));
        return 0;
}

int layer_open(int fd, struct layer **ret_layer, struct error *err)
{
        struct stat st;

        if (fstat(fd, &st) < 0)
                return error_errno(err, errno, "cannot read the spooled layer");
        cleanup_layer struct layer *layer = calloc(1, sizeof(*layer));
        if (!layer)
                return error_oom(err);
        layer->feed = (struct layer_feed){.fd = fd, .size = (uint64_t)st.st_size};
        if (!checked_align64(layer->feed.size, LAYER_BLOCK, &layer->feed.padded_size))
                return error_errno(err, EFBIG, "cannot read the spooled layer");
        layer->feed.window = malloc(LAYER_FEED_MAX);
        layer->entry = archive_entry_new();
        layer->c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
        if (!layer->feed.window || !layer->entry || !layer->c_locale)
                return error_oom(err);
        layer->empty = st.st_size == 0;
        if (!layer->empty) {
                locale_t before = uselocale(layer->c_locale);
                int r = open_archive(layer, err);
                uselocale(before);
                if (r < 0)
                        return r;
        }
        *ret_layer = take_pointer(&layer);
        return 0;
}

void layer_close(struct layer *layer)
{
        if (!layer)
                return;
        if (layer->archive)
                archive_read_free(layer->archive);
        archive_entry_free(layer->entry);
        if (layer->c_locale)
                freelocale(layer->c_locale);
        free(layer->feed.window);
        free(layer->feed.scratch);
        free(layer->extents);
        free(layer->xattrs);
        layer_raw_done(&layer->raw);
        free(layer);
}

/* Adds an extent, joined to the one before where both go on without a gap. */
static int add_extent(struct layer *layer, struct image_extent extent, struct error *err)
{
        struct image_extent *last = layer->n_extents ? &layer->extents[layer->n_extents - 1] : NULL;

        if (last && last->offset + last->length == extent.offset && last->at + last->length == extent.at) {
                last->length += extent.length;
                return 0;
        }
        if (array_grow(&layer->extents, layer->n_extents, sizeof(*layer->extents)) < 0)
                return error_oom(err);
        layer->extents[layer->n_extents++] = extent;
        return 0;
}

static int plain_data(struct layer *layer, uint64_t at, uint64_t size, struct error *err)
{
        uint64_t end;

        if (!checked_add64(at, size, &end) || end > layer->feed.size)
                return error_set(err, -EBADMSG,
                                 "the layer is truncated: it ends at byte %llu, the file at byte %llu",
                                 (unsigned long long)layer->feed.size, (unsigned long long)at + size);
        layer->next_header_known = checked_align64(end, LAYER_BLOCK, &layer->next_header_at);
        if (!size)
                return 0;
        return add_extent(layer, (struct image_extent){.offset = 0, .length = size, .at = at}, err);
}

/* Checks one block of a sparse file against the spool and the map's order; adds it. */
static int sparse_block(struct layer *layer, const void *p, size_t n, uint64_t offset, uint64_t size,
                        struct error *err)
{
        const struct image_extent *last = layer->n_extents ? &layer->extents[layer->n_extents - 1] : NULL;
        uint64_t at = (uint64_t)archive_filter_bytes(layer->archive, 0);
        uint64_t end;

        if (!checked_add64(offset, n, &end) || end > size || (last && offset < last->offset + last->length))
                return error_set(err, -EBADMSG, "the map of the sparse file is out of order");
        /* Behind the end libarchive gets zeros, which are nobody's data. */
        if (at > layer->feed.size || n > layer->feed.size - at)
                return error_set(err, -EBADMSG,
                                 "the layer is truncated: it ends at byte %llu, inside a sparse file",
                                 (unsigned long long)layer->feed.size);
        /* A big block is compared piece by piece, so that scratch memory stays small. */
        for (size_t done = 0; done < n;) {
                size_t piece = n - done < LAYER_FEED_MAX ? n - done : LAYER_FEED_MAX;
                const uint8_t *spooled = layer_feed_bytes(&layer->feed, at + done, piece, err);
                if (!spooled)
                        return -EBADMSG;
                if (memcmp(spooled, (const uint8_t *)p + done, piece) != 0)
                        return error_set(err, -EIO, "the sparse file's data is not where it was expected");
                done += piece;
        }
        return add_extent(layer, (struct image_extent){.offset = offset, .length = n, .at = at}, err);
}

static int sparse_data(struct layer *layer, uint64_t size, struct error *err)
{
        for (;;) {
                const void *p;
                size_t n;
                la_int64_t offset;
                int r = archive_read_data_block(layer->archive, &p, &n, &offset);
                if (r == ARCHIVE_EOF)
                        return 0;
                if (r != ARCHIVE_OK)
                        return error_set(err, -EBADMSG,
                                         "the layer is truncated or damaged inside a sparse file: %s",
                                         archive_error_string(layer->archive));
                if (!n)
                        continue;
                if (offset < 0)
                        return error_set(err, -EBADMSG, "the map of the sparse file is out of order");
                r = sparse_block(layer, p, n, (uint64_t)offset, size, err);
                if (r < 0)
                        return r;
        }
}

/* By name; of two with one name the later in the header is the later here. */
static int compare_xattrs(const void *a, const void *b)
{
        const struct image_xattr *one = a, *other = b;
        int order = strcmp(one->name, other->name);

        return order ? order : (one->name > other->name) - (one->name < other->name);
}

/* Sorts; of those with one name the last counts, as always in a PAX header. */
static void sort_xattrs(struct layer *layer)
{
        size_t n = 0;

        if (!layer->n_xattrs)
                return;
        qsort(layer->xattrs, layer->n_xattrs, sizeof(*layer->xattrs), compare_xattrs);
        for (size_t i = 1; i < layer->n_xattrs; i++) {
                if (strcmp(layer->xattrs[n].name, layer->xattrs[i].name) != 0)
                        n++;
                layer->xattrs[n] = layer->xattrs[i];
        }
        layer->n_xattrs = n + 1;
}

static int read_xattrs(struct layer *layer, const struct layer_raw *raw, struct error *err)
{
        struct cursor c = cursor_of(buf_view(&raw->xattrs));

        layer->n_xattrs = 0;
        while (!cursor_at_end(&c)) {
                struct view one = cursor_take(&c, cursor_be32(&c));
                size_t name = strlen((const char *)one.p) + 1;
                if (array_grow(&layer->xattrs, layer->n_xattrs, sizeof(*layer->xattrs)) < 0)
                        return error_oom(err);
                layer->xattrs[layer->n_xattrs++] = (struct image_xattr){
                        .name = (const char *)one.p, .value = one.p + name, .size = one.n - name};
        }
        sort_xattrs(layer);
        return 0;
}

static int read_owner(const char *what, la_int64_t id, uint32_t *ret_id, struct error *err)
{
        if (id < 0 || id >= UINT32_MAX)
                return error_set(err, -EBADMSG, "its %s is %lld, which is no id", what, (long long)id);
        *ret_id = (uint32_t)id;
        return 0;
}

static int read_device(struct layer *layer, struct image_inode *inode, struct error *err)
{
        uint64_t major = archive_entry_rdevmajor(layer->entry);
        uint64_t minor = archive_entry_rdevminor(layer->entry);

        /* What Linux can number. */
        if (major >= 1U << 12 || minor >= 1U << 20)
                return error_set(err, -EBADMSG, "device number %llu:%llu is out of range",
                                 (unsigned long long)major, (unsigned long long)minor);
        inode->rdev_major = (uint32_t)major;
        inode->rdev_minor = (uint32_t)minor;
        return 0;
}

static int read_target(struct layer *layer, struct image_inode *inode, struct error *err)
{
        const char *target = archive_entry_symlink(layer->entry);

        if (!target || !*target)
                return error_set(err, -EBADMSG, "a symbolic link without target");
        if (strlen(target) > IMAGE_PATH_MAX)
                return error_set(err, -E2BIG, "the target of the symbolic link has more than %d bytes",
                                 (int)IMAGE_PATH_MAX);
        inode->target = target;
        return 0;
}

static int read_data(struct layer *layer, const struct layer_raw *raw, struct image_inode *inode,
                     struct error *err)
{
        la_int64_t size = archive_entry_size(layer->entry);

        if (size < 0)
                return error_set(err, -EBADMSG, "its size is negative");
        inode->size = (uint64_t)size;
        if (!raw->sparse && (uint64_t)archive_filter_bytes(layer->archive, 0) != raw->data_at)
                return error_set(err, -EIO, "its data is not where it was expected");
        int r = raw->sparse ? sparse_data(layer, inode->size, err)
                            : plain_data(layer, raw->data_at, inode->size, err);
        if (r < 0)
                return r;
        inode->extents = layer->extents;
        inode->n_extents = layer->n_extents;
        inode->spool_fd = layer->n_extents ? layer->feed.fd : -1;
        return 0;
}

/* What differs from type to type. */
static int read_by_type(struct layer *layer, const struct layer_raw *raw, struct image_inode *inode,
                        struct error *err)
{
        switch (inode->mode & S_IFMT) {
        case S_IFREG:
                return read_data(layer, raw, inode, err);
        case S_IFLNK:
                return read_target(layer, inode, err);
        case S_IFCHR:
        case S_IFBLK:
                return read_device(layer, inode, err);
        case S_IFDIR:
                /* A file whose name ends with a slash is a folder to some, whose data the next header
                 * would be, and a file to others.  Without a type, as in the oldest format, it is a folder
                 * to all. */
                if (raw->type != '5' && raw->has_size)
                        return error_set(err, -EBADMSG, "a folder by its name and a file by its data");
                if (raw->type && raw->type != '5')
                        return error_set(err, -EBADMSG, "a folder by its name and a file by its type");
                return 0;
        case S_IFIFO:
                return 0;
        default:
                return error_set(err, -ENOTSUP, "entry type '%c' is not supported", raw->type);
        }
}

static int read_inode(struct layer *layer, const struct layer_raw *raw, struct layer_entry *entry,
                      struct error *err)
{
        struct archive_entry *ae = layer->entry;
        struct image_inode inode = {.spool_fd = -1};
        int r = read_owner("user id", archive_entry_uid(ae), &inode.uid, err);

        if (r == 0)
                r = read_owner("group id", archive_entry_gid(ae), &inode.gid, err);
        if (r == 0)
                r = read_xattrs(layer, raw, err);
        if (r < 0)
                return r;
        inode.mode = archive_entry_filetype(ae) | raw->mode;
        inode.mtime = archive_entry_mtime(ae);
        inode.mtime_nsec = (uint32_t)archive_entry_mtime_nsec(ae);
        inode.xattrs = layer->xattrs;
        inode.n_xattrs = layer->n_xattrs;
        r = read_by_type(layer, raw, &inode, err);
        if (r < 0)
                return r;
        entry->kind = LAYER_INODE;
        entry->inode = inode;
        return 0;
}

static int read_hard_link(struct layer *layer, struct layer_entry *entry, struct error *err)
{
        const char *target = archive_entry_hardlink(layer->entry);

        if (!target || !*target)
                return error_set(err, -EBADMSG, "a hard link without target");
        /* libarchive steps over them; to others they are the next entries. */
        if (archive_entry_size(layer->entry) > 0)
                return error_set(err, -EBADMSG, "a hard link with data of its own");
        int r = entry_path_normalise(target, layer->target, err);
        if (r < 0)
                return error_wrap(err, "the target of the hard link"), r;
        entry->kind = LAYER_HARD_LINK;
        entry->target = layer->target;
        return 0;
}

#define WHITEOUT_PREFIX ".wh."
#define AUFS_PREFIX     ".wh..wh."
#define OPAQUE_NAME     ".wh..wh..opq"

/* Decides by the name whether an entry is a marker.  1: it is one (kind and path set), 0: it is not, and
 * -EALREADY: metadata of aufs, to be skipped. */
static int read_marker(struct layer *layer, struct layer_entry *entry, struct error *err)
{
        char *base = layer->path;

        for (char *slash; (slash = strchr(base, '/')); base = slash + 1) {
                if (string_starts_with(base, AUFS_PREFIX))
                        return -EALREADY;
                if (string_starts_with(base, WHITEOUT_PREFIX))
                        return error_set(err, -EBADMSG, "lies below a whiteout");
        }
        if (!string_starts_with(base, WHITEOUT_PREFIX))
                return 0;
        if (strcmp(base, OPAQUE_NAME) == 0) {
                entry->kind = LAYER_OPAQUE;
                base[base > layer->path ? -1 : 0] = '\0';
                return 1;
        }
        if (string_starts_with(base, AUFS_PREFIX))
                return -EALREADY;
        const char *hidden = base + strlen(WHITEOUT_PREFIX);
        if (!*hidden)
                return error_set(err, -EBADMSG, "a whiteout with an empty name");
        if (strcmp(hidden, ".") == 0 || strcmp(hidden, "..") == 0)
                return error_set(err, -EBADMSG, "a whiteout of '%s'", hidden);
        entry->kind = LAYER_WHITEOUT;
        memmove(base, hidden, strlen(hidden) + 1);
        return 1;
}

/* Type flags that mean what POSIX or GNU tar say they mean; libarchive takes all others for regular files. */
static int check_type(char type, struct error *err)
{
        if (!type || strchr("01234567S", type))
                return 0;
        if (type > 0x20 && type < 0x7f)
                return error_set(err, -ENOTSUP, "entry type '%c' is not supported", type);
        return error_set(err, -ENOTSUP, "entry type 0x%02x is not supported", (unsigned char)type);
}

/* One entry whose header libarchive has read. 1, 0 where it is to be skipped, or negative. */
static int read_entry(struct layer *layer, uint64_t header_at, struct layer_entry *ret_entry,
                      struct error *err)
{
        struct layer_entry entry = {.path = layer->path, .inode.spool_fd = -1};
        struct layer_raw *raw = &layer->raw;
        int r;

        layer_raw_done(raw);
        r = layer_raw_scan(&layer->feed, header_at, raw, err);

        if (r < 0)
                return r;
        r = check_type(raw->type, err);
        if (r < 0)
                return r;
        r = entry_path_normalise(archive_entry_pathname(layer->entry) ?: "", layer->path, err);
        if (r < 0)
                return r;
        r = read_marker(layer, &entry, err);
        if (r == -EALREADY)
                return 0;
        if (r < 0)
                return r;
        if (r == 0) {
                r = raw->type == '1' ? read_hard_link(layer, &entry, err)
                                     : read_inode(layer, raw, &entry, err);
                if (r < 0)
                        return r;
        }
        *ret_entry = entry;
        return 1;
}

/* Where the next header begins, as far as one can tell before it is read. */
static uint64_t expected_header_at(const struct layer *layer)
{
        return layer->next_header_known ? layer->next_header_at
                                        : (uint64_t)archive_filter_bytes(layer->archive, 0);
}

/* libarchive's next header: 1, 0 at the end, or negative. */
static int next_header(struct layer *layer, struct error *err)
{
        uint64_t at = expected_header_at(layer);
        int r = archive_read_next_header2(layer->archive, layer->entry);

        if (r == ARCHIVE_EOF)
                return 0;
        /* The one harmless warning (EILSEQ): a name that is not ASCII stayed as it is. */
        if (r == ARCHIVE_OK || (r == ARCHIVE_WARN && archive_errno(layer->archive) == EILSEQ))
                return 1;
        const char *text = archive_error_string(layer->archive);
        return error_set(err, -EBADMSG, "the tar is damaged or truncated at byte %llu: %s",
                         (unsigned long long)at, text ? text : "bad header");
}

static int next_entry(struct layer *layer, struct layer_entry *ret_entry, struct error *err)
{
        for (;;) {
                int r = next_header(layer, err);
                uint64_t header_at = (uint64_t)archive_read_header_position(layer->archive);
                if (r < 0)
                        return r;
                if (layer->next_header_known && header_at != layer->next_header_at)
                        return error_set(err, -EIO,
                                         "the entry after %s begins at byte %llu, expected at %llu",
                                         layer->name, (unsigned long long)header_at,
                                         (unsigned long long)layer->next_header_at);
                if (r == 0)
                        return 0;
                layer->next_header_known = false;
                layer->n_extents = 0;
                entry_path_printable(archive_entry_pathname(layer->entry) ?: "", layer->name);
                r = read_entry(layer, header_at, ret_entry, err);
                if (r < 0)
                        return error_wrap(err, "%s", layer->name), r;
                if (r > 0)
                        return 1;
        }
}

int layer_next(struct layer *layer, struct layer_entry *ret_entry, struct error *err)
{
        if (layer->empty)
                return 0;
        locale_t before = uselocale(layer->c_locale);
        int r = next_entry(layer, ret_entry, err);
        uselocale(before);
        return r;
}
