/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ramdisk.c - theory of operation
 *
 * An entry is a header of 110 bytes ("070701" and thirteen numbers of eight hex digits), the name with its
 * NUL, padding to four bytes, the data, padding to four bytes.  An entry named TRAILER!!! ends the archive.
 *
 * All goes through one buffer, so that the sink gets few and large pieces however small the entries are.
 */
#include "lib/base/fd.h"
#include "lib/image/ramdisk-internal.h"

#include <string.h>
#include <sys/stat.h>

#define TRAILER_NAME "TRAILER!!!"

enum {
        BUFFER_SIZE = 256 * 1024,
        ALIGNMENT = 4,
        NUMBER_DIGITS = 8,
};

struct ramdisk {
        struct ramdisk_sink sink;
        uint64_t size; /* of the archive so far, with what is in the buffer */
        uint32_t last_ino;
        bool finished;
        size_t n; /* bytes in the buffer */
        uint8_t buffer[BUFFER_SIZE];
};

int ramdisk_new(const struct ramdisk_sink *sink, struct ramdisk **ret_ramdisk, struct error *err)
{
        struct ramdisk *ramdisk = calloc(1, sizeof(*ramdisk));

        if (!ramdisk)
                return error_oom(err);
        ramdisk->sink = *sink;
        *ret_ramdisk = ramdisk;
        return 0;
}

void ramdisk_free(struct ramdisk *ramdisk)
{
        free(ramdisk);
}

uint64_t ramdisk_size(const struct ramdisk *ramdisk)
{
        return ramdisk->size;
}

uint32_t ramdisk_take_ino(struct ramdisk *ramdisk)
{
        return ++ramdisk->last_ino;
}

static int flush(struct ramdisk *ramdisk, struct error *err)
{
        size_t n = ramdisk->n;

        ramdisk->n = 0;
        return n ? ramdisk->sink.write(ramdisk->sink.user, ramdisk->buffer, n, err) : 0;
}

/* Free room in the buffer, up to `wanted` bytes, at least one. */
static int room(struct ramdisk *ramdisk, uint64_t wanted, uint8_t **ret_p, size_t *ret_n, struct error *err)
{
        if (ramdisk->n == BUFFER_SIZE) {
                int r = flush(ramdisk, err);
                if (r < 0)
                        return r;
        }
        size_t left = BUFFER_SIZE - ramdisk->n;
        *ret_p = ramdisk->buffer + ramdisk->n;
        *ret_n = wanted < left ? wanted : left;
        return 0;
}

static void advance(struct ramdisk *ramdisk, size_t n)
{
        ramdisk->n += n;
        ramdisk->size += n;
}

int ramdisk_put(struct ramdisk *ramdisk, const void *p, size_t n, struct error *err)
{
        const uint8_t *from = p;

        while (n) {
                uint8_t *to;
                size_t piece;
                int r = room(ramdisk, n, &to, &piece, err);
                if (r < 0)
                        return r;
                memcpy(to, from, piece);
                advance(ramdisk, piece);
                from += piece;
                n -= piece;
        }
        return 0;
}

int ramdisk_put_zeros(struct ramdisk *ramdisk, uint64_t n, struct error *err)
{
        while (n) {
                uint8_t *to;
                size_t piece;
                int r = room(ramdisk, n, &to, &piece, err);
                if (r < 0)
                        return r;
                memset(to, 0, piece);
                advance(ramdisk, piece);
                n -= piece;
        }
        return 0;
}

/* By the sink's own means. */
static int copy_range(struct ramdisk *ramdisk, int fd, uint64_t offset, uint64_t n, struct error *err)
{
        int r = flush(ramdisk, err);

        if (r < 0)
                return r;
        r = ramdisk->sink.copy(ramdisk->sink.user, fd, offset, n, err);
        if (r == 0)
                ramdisk->size += n;
        return r;
}

int ramdisk_put_range(struct ramdisk *ramdisk, int fd, uint64_t offset, uint64_t n, struct error *err)
{
        /* What fits the buffer is cheaper to copy than a call on its own. */
        if (ramdisk->sink.copy && n >= BUFFER_SIZE)
                return copy_range(ramdisk, fd, offset, n, err);
        while (n) {
                uint8_t *to;
                size_t piece;
                int r = room(ramdisk, n, &to, &piece, err);
                if (r < 0)
                        return r;
                r = fd_pread_full(fd, to, piece, offset);
                if (r < 0)
                        return error_errno(err, -r, "cannot read file content");
                advance(ramdisk, piece);
                offset += piece;
                n -= piece;
        }
        return 0;
}

int ramdisk_end(struct ramdisk *ramdisk, struct error *err)
{
        return ramdisk_put_zeros(ramdisk, -ramdisk->size & (ALIGNMENT - 1), err);
}

static uint32_t clamp_time(int64_t t)
{
        if (t < 0)
                return 0;
        return t > UINT32_MAX ? UINT32_MAX : (uint32_t)t;
}

/* Eight digits, most significant first. */
static void put_number(char *at, uint32_t value)
{
        static const char digits[] = "0123456789ABCDEF";

        for (int i = NUMBER_DIGITS - 1; i >= 0; i--) {
                at[i] = digits[value & 15];
                value >>= 4;
        }
}

static int write_header(struct ramdisk *ramdisk, const struct ramdisk_entry *entry, struct error *err)
{
        const size_t name_size = strlen(entry->path) + 1;
        const uint32_t numbers[] = {
                entry->ino,
                entry->mode,
                entry->uid,
                entry->gid,
                entry->n_links,
                clamp_time(entry->mtime),
                (uint32_t)entry->size,
                0 /* device, major */,
                0 /* and minor */,
                entry->rdev_major,
                entry->rdev_minor,
                (uint32_t)name_size,
                0 /* checksum: none in this format */,
        };
        char header[6 + ARRAY_SIZE(numbers) * NUMBER_DIGITS] = {'0', '7', '0', '7', '0', '1'};

        for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
                put_number(header + 6 + i * NUMBER_DIGITS, numbers[i]);
        int r = ramdisk_put(ramdisk, header, sizeof(header), err);
        if (r == 0)
                r = ramdisk_put(ramdisk, entry->path, name_size, err);
        return r < 0 ? r : ramdisk_end(ramdisk, err);
}

int ramdisk_begin(struct ramdisk *ramdisk, const struct ramdisk_entry *entry, struct error *err)
{
        size_t n = strlen(entry->path);

        if (ramdisk->finished)
                return error_set(err, -EINVAL, "%s: the ramdisk is finished", entry->path);
        if (!n || n > IMAGE_PATH_MAX || entry->path[0] == '/' || strcmp(entry->path, TRAILER_NAME) == 0)
                return error_set(err, -EINVAL, "%s: cannot be a name in a ramdisk", n ? entry->path : "''");
        if (entry->size > UINT32_MAX)
                return error_set(err, -EFBIG,
                                 "%s: has %llu bytes, but a ramdisk holds only files of less than 4 GiB",
                                 entry->path, (unsigned long long)entry->size);
        return write_header(ramdisk, entry, err);
}

/* A fresh entry of one link. */
static int begin_own(struct ramdisk *ramdisk, const char *path, const struct ramdisk_attr *attr,
                     uint32_t type, uint64_t size, struct error *err)
{
        if (attr->mode & ~07777U)
                return error_set(err, -EINVAL, "%s: mode 0%o has bits that are no permissions", path,
                                 attr->mode);
        struct ramdisk_entry entry = {
                .path = path,
                .mode = type | attr->mode,
                .uid = attr->uid,
                .gid = attr->gid,
                .mtime = attr->mtime,
                .ino = ramdisk_take_ino(ramdisk),
                .n_links = type == S_IFDIR ? 2 : 1,
                .size = size,
        };
        return ramdisk_begin(ramdisk, &entry, err);
}

int ramdisk_add_dir(struct ramdisk *ramdisk, const char *path, const struct ramdisk_attr *attr,
                    struct error *err)
{
        return begin_own(ramdisk, path, attr, S_IFDIR, 0, err);
}

int ramdisk_add_file(struct ramdisk *ramdisk, const char *path, const struct ramdisk_attr *attr,
                     struct view content, struct error *err)
{
        int r = begin_own(ramdisk, path, attr, S_IFREG, content.n, err);

        if (r == 0)
                r = ramdisk_put(ramdisk, content.p, content.n, err);
        return r < 0 ? r : ramdisk_end(ramdisk, err);
}

int ramdisk_add_file_fd(struct ramdisk *ramdisk, const char *path, const struct ramdisk_attr *attr, int fd,
                        uint64_t offset, uint64_t size, struct error *err)
{
        int r = begin_own(ramdisk, path, attr, S_IFREG, size, err);

        if (r == 0)
                r = ramdisk_put_range(ramdisk, fd, offset, size, err);
        return r < 0 ? r : ramdisk_end(ramdisk, err);
}

int ramdisk_finish(struct ramdisk *ramdisk, struct error *err)
{
        const struct ramdisk_entry trailer = {.path = TRAILER_NAME, .n_links = 1};

        if (ramdisk->finished)
                return error_set(err, -EINVAL, "the ramdisk is finished already");
        int r = write_header(ramdisk, &trailer, err);
        if (r < 0)
                return r;
        ramdisk->finished = true;
        return flush(ramdisk, err);
}
