/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation.  One pass over the headers (libarchive, seeking over the data) notes for each file its
 * name and where its header begins; a member is read by a second libarchive reader that begins there.  The
 * descriptor is read with pread() only, so that several reads don't disturb each other.
 *
 * An archive may name a file twice; which one a reader means is then anybody's guess, so such a name can't be
 * read.
 */
#include "lib/image/tar-index.h"

#include "lib/base/array.h"
#include "lib/base/fd.h"
#include "lib/base/file.h"
#include "lib/base/text.h"
#include "lib/image/decompress.h"
#include "lib/image/layer-internal.h"
#include "lib/image/progress.h"
#include "lib/image/spool.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CHUNK_SIZE = 256 * 1024, LINKS_MAX = 8 };

struct entry {
        char *name;
        char *target; /* of a link: the name it leads to; NULL for a file */
        uint64_t offset;
        uint64_t size;
        size_t order; /* position in the archive */
        bool twice;
};

struct tar_index {
        int fd;
        uint64_t file_size;
        struct entry *entries; /* sorted by name */
        size_t n_entries;
        size_t names_size;
};

/* A libarchive reader over part of the file. */
struct reader {
        struct archive *archive;
        int fd;
        uint64_t at;
        uint64_t end;
        uint8_t chunk[CHUNK_SIZE];
};

static void reader_free_p(struct reader **r)
{
        if (!*r)
                return;
        if ((*r)->archive)
                archive_read_free((*r)->archive);
        free(*r);
}

static la_ssize_t reader_read(struct archive *archive, void *user, const void **ret_p)
{
        struct reader *r = user;
        uint64_t left = r->end - r->at;
        ssize_t n;

        do
                n = pread(r->fd, r->chunk, left < CHUNK_SIZE ? left : CHUNK_SIZE, (off_t)r->at);
        while (n < 0 && errno == EINTR);
        if (n < 0) {
                archive_set_error(archive, errno, "cannot read: %s", strerror(errno));
                return -1;
        }
        r->at += (uint64_t)n;
        *ret_p = r->chunk;
        return n;
}

static la_int64_t reader_skip(struct archive *archive, void *user, la_int64_t request)
{
        struct reader *r = user;
        uint64_t left = r->end - r->at;
        uint64_t n = (uint64_t)request < left ? (uint64_t)request : left;

        (void)archive;
        r->at += n;
        return (la_int64_t)n;
}

static int archive_fault(struct archive *archive, struct error *err)
{
        const char *text = archive_error_string(archive);
        return error_set(err, -EBADMSG, "not a readable tar archive: %s", text ? text : "unknown error");
}

static int reader_new(int fd, uint64_t offset, uint64_t end, struct reader **ret_reader, struct error *err)
{
        CLEANUP(reader_free_p) struct reader *r = calloc(1, sizeof(*r));

        if (!r)
                return error_oom(err);
        r->fd = fd;
        r->at = offset;
        r->end = end;
        r->archive = archive_read_new();
        if (!r->archive)
                return error_oom(err);
        if (archive_read_support_format_tar(r->archive) != ARCHIVE_OK ||
            archive_read_set_read_callback(r->archive, reader_read) != ARCHIVE_OK ||
            archive_read_set_skip_callback(r->archive, reader_skip) != ARCHIVE_OK ||
            archive_read_set_callback_data(r->archive, r) != ARCHIVE_OK ||
            archive_read_open1(r->archive) != ARCHIVE_OK)
                return archive_fault(r->archive, err);
        *ret_reader = take_pointer(&r);
        return 0;
}

/* The name without "./", "..", double or trailing slashes, taken relative to `base` (a file's name, or NULL);
 * NULL where it leads out of the archive or memory ran out. */
static char *normalise(const char *base, const char *name)
{
        const char *slash = base && name[0] != '/' ? strrchr(base, '/') : NULL;
        size_t n_base = slash ? (size_t)(slash - base) : 0;
        char *out = malloc(n_base + strlen(name) + 2);
        size_t n = n_base;

        if (!out)
                return NULL;
        if (n_base)
                memcpy(out, base, n_base);
        for (const char *p = name; *p;) {
                size_t part = strcspn(p, "/");
                if (part == 2 && p[0] == '.' && p[1] == '.') {
                        if (n == 0) {
                                free(out);
                                return NULL;
                        }
                        while (n > 0 && out[n - 1] != '/')
                                n--;
                        n -= n > 0;
                } else if (part > 0 && !(part == 1 && p[0] == '.')) {
                        if (n > 0)
                                out[n++] = '/';
                        memcpy(out + n, p, part);
                        n += part;
                }
                p += part;
                p += *p == '/';
        }
        out[n] = '\0';
        return out;
}

static int add_entry(struct tar_index *index, struct archive_entry *ae, uint64_t offset, struct error *err)
{
        const char *path = archive_entry_pathname(ae);
        const char *hard = archive_entry_hardlink(ae);
        const char *soft = archive_entry_filetype(ae) == AE_IFLNK ? archive_entry_symlink(ae) : NULL;

        if (!path || (!hard && !soft && archive_entry_filetype(ae) != AE_IFREG))
                return 0;
        if (index->n_entries == TAR_INDEX_ENTRIES_MAX)
                return error_set(err, -EFBIG, "more than %d members", TAR_INDEX_ENTRIES_MAX);
        if (array_grow(&index->entries, index->n_entries, sizeof(*index->entries)) < 0)
                return error_oom(err);
        struct entry e = {
                .offset = offset, .size = (uint64_t)archive_entry_size(ae), .order = index->n_entries};
        e.name = normalise(NULL, path);
        if (!e.name)
                return 0; /* a name that leads out can't be asked for */
        if (hard || soft)
                e.target = hard ? normalise(NULL, hard) : normalise(e.name, soft);
        index->entries[index->n_entries] = e;
        if ((hard || soft) && !e.target)
                index->entries[index->n_entries].target = strdup(""); /* leads nowhere */
        index->n_entries++;
        index->names_size += strlen(e.name) + (e.target ? strlen(e.target) : 0);
        if (index->names_size > TAR_INDEX_NAMES_MAX)
                return error_set(err, -EFBIG, "names of members take more than %d bytes",
                                 TAR_INDEX_NAMES_MAX);
        return 0;
}

static int compare_entries(const void *a, const void *b)
{
        const struct entry *x = a, *y = b;
        int c = strcmp(x->name, y->name);

        return c ? c : (x->order > y->order) - (x->order < y->order);
}

/* What other readers take for another member is none: layer-raw.c. */
static int check_headers(struct layer_feed *feed, struct archive_entry *ae, uint64_t offset,
                         struct error *err)
{
        struct layer_raw raw = {0};
        int r = layer_raw_scan(feed, offset, &raw, err);

        layer_raw_done(&raw);
        if (r < 0)
                error_wrap(err, "%s", archive_entry_pathname(ae) ?: "?");
        return r;
}

static int scan_members(struct tar_index *index, struct layer_feed *feed, struct error *err)
{
        CLEANUP(reader_free_p) struct reader *reader = NULL;
        struct archive_entry *ae;
        int code, r = reader_new(index->fd, 0, index->file_size, &reader, err);

        while (r == 0 && (code = archive_read_next_header(reader->archive, &ae)) != ARCHIVE_EOF) {
                if (code != ARCHIVE_OK && code != ARCHIVE_WARN)
                        return archive_fault(reader->archive, err);
                uint64_t offset = (uint64_t)archive_read_header_position(reader->archive);
                r = check_headers(feed, ae, offset, err);
                if (r == 0)
                        r = add_entry(index, ae, offset, err);
        }
        return r;
}

static int scan(struct tar_index *index, struct error *err)
{
        struct layer_feed feed = {.fd = index->fd, .size = index->file_size};
        int r = scan_members(index, &feed, err);

        free(feed.scratch);
        if (r < 0)
                return r;
        if (index->n_entries == 0)
                return error_set(err, -EBADMSG, "no members: not a tar archive, or an empty one");
        qsort(index->entries, index->n_entries, sizeof(*index->entries), compare_entries);
        for (size_t i = 1; i < index->n_entries; i++)
                if (strcmp(index->entries[i - 1].name, index->entries[i].name) == 0)
                        index->entries[i - 1].twice = index->entries[i].twice = true;
        return 0;
}

/* A plain archive in a regular file is read where it is. */
static bool readable_in_place(int fd, uint64_t *ret_size)
{
        struct stat st;
        uint8_t magic[4];

        if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
                return false;
        *ret_size = (uint64_t)st.st_size;
        if (fd_pread_full(fd, magic, sizeof(magic), 0) < 0)
                return true;
        bool gzip = magic[0] == 0x1f && magic[1] == 0x8b;
        bool zstd = magic[0] == 0x28 && magic[1] == 0xb5 && magic[2] == 0x2f && magic[3] == 0xfd;
        return !gzip && !zstd;
}

struct spooling {
        int fd;
        struct progress_meter meter;
        struct image_progress progress;
};

static int write_spool(void *user, struct view data, struct error *err)
{
        struct spooling *s = user;

        s->progress.done += data.n;
        progress_report(&s->meter, &s->progress);
        return spool_write(s->fd, data, err);
}

/* Puts the uncompressed archive into a spool, which takes the place of *fd. */
static int spool_archive(int *fd, const struct image_options *options, uint64_t *ret_size, struct error *err)
{
        const struct decompress_limits limits = {.max_output = options->max_image_size,
                                                 .max_ratio = options->max_ratio,
                                                 .ratio_floor = options->ratio_floor};
        struct spooling spooling = {.meter.options = options, .progress.phase = IMAGE_PHASE_EXPORT};
        cleanup_decompressor struct decompressor *d = NULL;
        cleanup_free uint8_t *chunk = malloc(CHUNK_SIZE);
        cleanup_fd int out = -1;
        ssize_t n;
        int r = chunk ? file_unnamed(options->spool_dir, &out, err) : error_oom(err);

        spooling.fd = out;
        if (r == 0)
                r = decompressor_new(&limits, write_spool, &spooling, &d, err);
        while (r == 0 && (n = read(*fd, chunk, CHUNK_SIZE)) != 0) {
                if (n > 0)
                        r = decompressor_feed(d, view_of(chunk, (size_t)n), err);
                else if (errno != EINTR)
                        r = error_errno(err, errno, "cannot read");
        }
        if (r == 0)
                r = decompressor_finish(d, err);
        off_t size = r == 0 ? lseek(out, 0, SEEK_END) : 0;
        if (size < 0)
                r = error_errno(err, errno, "cannot seek in the temporary file");
        if (r < 0)
                return r;
        fd_close_p(fd);
        *fd = take_fd(&out);
        *ret_size = (uint64_t)size;
        return 0;
}

int tar_index_open_file(const char *path, const struct image_options *options, struct tar_index **ret_index,
                        struct error *err)
{
        int fd = open(path, O_RDONLY | O_CLOEXEC);

        return fd < 0 ? error_errno(err, errno, "cannot open the file")
                      : tar_index_open(fd, options, ret_index, err);
}

int tar_index_open(int fd, const struct image_options *options, struct tar_index **ret_index,
                   struct error *err)
{
        cleanup_fd int owned = fd;
        cleanup_tar_index struct tar_index *index = calloc(1, sizeof(*index));
        int r = 0;

        if (!index)
                return error_oom(err);
        index->fd = take_fd(&owned);
        if (!readable_in_place(index->fd, &index->file_size))
                r = spool_archive(&index->fd, options, &index->file_size, err);
        if (r == 0)
                r = scan(index, err);
        if (r < 0)
                return r;
        *ret_index = take_pointer(&index);
        return 0;
}

void tar_index_free(struct tar_index *index)
{
        if (!index)
                return;
        for (size_t i = 0; i < index->n_entries; i++) {
                free(index->entries[i].name);
                free(index->entries[i].target);
        }
        free(index->entries);
        fd_close_p(&index->fd);
        free(index);
}

static int compare_name(const void *key, const void *entry)
{
        const struct entry *e = entry;
        return strcmp(key, e->name);
}

static const struct entry *find(const struct tar_index *index, const char *name)
{
        return bsearch(name, index->entries, index->n_entries, sizeof(*index->entries), compare_name);
}

bool tar_index_has(const struct tar_index *index, const char *name)
{
        return find(index, name);
}

/* The file that `name` leads to. */
static int follow(const struct tar_index *index, const char *name, const struct entry **ret_entry,
                  struct error *err)
{
        cleanup_free char *normal = normalise(NULL, name);
        const char *at = normal ? normal : name;

        for (int links = 0; links <= LINKS_MAX; links++) {
                const struct entry *e = find(index, at);
                if (!e && links == 0)
                        return error_set(err, -ENOENT, "%.300s: not in the archive", name);
                if (!e)
                        return error_set(err, -EBADMSG, "%.300s: a link to something outside the archive",
                                         name);
                if (e->twice)
                        return error_set(err, -EBADMSG, "%.300s: is in the archive more than once", e->name);
                if (!e->target) {
                        *ret_entry = e;
                        return 0;
                }
                at = e->target;
        }
        return error_set(err, -EBADMSG, "%.300s: too many links", name);
}

uint64_t tar_index_size(const struct tar_index *index, const char *name)
{
        const struct entry *e;

        return follow(index, name, &e, NULL) == 0 ? e->size : 0;
}

int tar_index_read(const struct tar_index *index, const char *name, image_sink_fn sink, void *user,
                   struct error *err)
{
        CLEANUP(reader_free_p) struct reader *reader = NULL;
        cleanup_free uint8_t *chunk = malloc(CHUNK_SIZE);
        const struct entry *e = NULL;
        struct archive_entry *ae;
        uint64_t total = 0;
        la_ssize_t n;
        int r = chunk ? follow(index, name, &e, err) : error_oom(err);

        if (r == 0)
                r = reader_new(index->fd, e->offset, index->file_size, &reader, err);
        if (r < 0)
                return r;
        int code = archive_read_next_header(reader->archive, &ae);
        if (code != ARCHIVE_OK && code != ARCHIVE_WARN)
                return archive_fault(reader->archive, err);
        while ((n = archive_read_data(reader->archive, chunk, CHUNK_SIZE)) > 0) {
                total += (uint64_t)n;
                /* Holes cost an archive nothing, and a spool all that they pretend. */
                if (total > index->file_size)
                        return error_set(err, -EFBIG,
                                         "%.300s: a sparse file with more bytes than the archive; pack it "
                                         "without --sparse",
                                         name);
                r = sink(user, view_of(chunk, (size_t)n), err);
                if (r < 0)
                        return r;
        }
        if (n < 0) {
                r = archive_fault(reader->archive, err);
                error_wrap(err, "%.300s", name);
                return r;
        }
        return 0;
}
