/* SPDX-License-Identifier: Apache-2.0 */
#include "ne-emulator/image.h"

#include "lib/base/checked.h"
#include "lib/base/fd.h"
#include "lib/base/file.h"
#include "lib/base/view.h"
#include "lib/eif/eif.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

enum {
        COPY_PIECE = 1024 * 1024,
        MAGIC_SIZE = 4,
        COUNT_AT = 0x1a, /* eif(5) */
        OFFSETS_AT = 0x1c,
        SIZES_AT = 0x11c,
};

/* Reads n bytes, `offset` bytes into the memory. */
static int read_memory(int mem_fd, const struct regions *regions, uint64_t offset, uint8_t *ret_bytes,
                       size_t n)
{
        while (n > 0) {
                uint64_t room;
                uint64_t address = regions_find(regions, offset, &room);
                size_t piece = room < n ? (size_t)room : n;
                if (piece == 0 || fd_pread_full(mem_fd, ret_bytes, piece, address) < 0)
                        return -EFAULT;
                offset += piece;
                ret_bytes += piece;
                n -= piece;
        }
        return 0;
}

/* The number at `at` plus that of section i. */
static uint64_t entry(struct view header, size_t at, size_t i)
{
        struct view field = {0};

        (void)view_slice(header, at + i * sizeof(uint64_t), sizeof(uint64_t), &field);
        struct cursor c = cursor_of(field);
        return cursor_be64(&c);
}

/* Where the last section ends. */
static int measure(struct view header, uint64_t room, uint64_t *ret_size, struct error *err)
{
        struct view count_field = {0};
        uint64_t size = EIF_HEADER_SIZE, end;

        if (memcmp(header.p, ".eif", MAGIC_SIZE) != 0)
                return error_set(err, -EBADMSG,
                                 "no enclave image lies 8 MiB into its memory (there is no \".eif\")");
        (void)view_slice(header, COUNT_AT, sizeof(uint16_t), &count_field);
        struct cursor c = cursor_of(count_field);
        uint16_t count = cursor_be16(&c);
        for (size_t i = 0; i < count && i < EIF_SECTIONS_MAX; i++) {
                if (!checked_add64(entry(header, OFFSETS_AT, i), entry(header, SIZES_AT, i), &end) ||
                    !checked_add64(end, EIF_SECTION_HEADER_SIZE, &end) || end > room)
                        return error_set(
                                err, -EBADMSG,
                                "section %zu of its image ends beyond its memory: the image was cut, "
                                "or the memory is too small for it",
                                i);
                size = end > size ? end : size;
        }
        *ret_size = size;
        return 0;
}

int image_copy(int mem_fd, const struct regions *regions, uint64_t offset, int *ret_fd, struct error *err)
{
        cleanup_free uint8_t *piece = malloc(COPY_PIECE);
        cleanup_fd int fd = -1;
        uint64_t size = 0;
        int r;

        if (!piece)
                return error_oom(err);
        if (read_memory(mem_fd, regions, offset, piece, EIF_HEADER_SIZE) < 0)
                return error_set(err, -EFAULT, "its memory cannot be read");
        if ((r = measure(view_of(piece, EIF_HEADER_SIZE), regions->size - offset, &size, err)) < 0 ||
            (r = file_unnamed(NULL, &fd, err)) < 0)
                return r;
        for (uint64_t at = 0; at < size;) {
                size_t n = size - at < COPY_PIECE ? (size_t)(size - at) : COPY_PIECE;
                if (read_memory(mem_fd, regions, offset + at, piece, n) < 0)
                        return error_set(err, -EFAULT, "its memory cannot be read");
                if ((r = fd_write_full(fd, piece, n)) < 0)
                        return error_errno(err, -r, "temporary file");
                at += n;
        }
        *ret_fd = take_fd(&fd);
        return 0;
}
