/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/enclave/ramdisk-size.h"

#include <string.h>

enum { NEWC_FILESIZE = 54, NEWC_NAMESIZE = 94, NEWC_MODE = 14 };

/* Eight hex digits; false where they are anything else. */
static bool hex8(const uint8_t *p, uint64_t *ret_value)
{
        uint64_t value = 0;

        for (int i = 0; i < 8; i++) {
                unsigned c = p[i] | 0x20u; /* either case */
                unsigned digit = p[i] >= '0' && p[i] <= '9' ? p[i] - 0x30u
                                 : c >= 'a' && c <= 'f'     ? c - 'a' + 10u
                                                            : 16u;
                if (digit > 15)
                        return false;
                value = value << 4 | digit;
        }
        *ret_value = value;
        return true;
}

static uint64_t round_up(uint64_t value, uint64_t align)
{
        return (value + align - 1) / align * align;
}

/* Where the walk is, by what is still to come of the entry. */
static void go_on(struct ramdisk_size *size)
{
        size->state = size->name > 0   ? RAMDISK_IN_NAME
                      : size->skip > 0 ? RAMDISK_IN_ENTRY
                                       : RAMDISK_AT_HEADER;
}

/* A whole header is there: what follows it, and what it costs. */
static void take_header(struct ramdisk_size *size)
{
        uint64_t file = 0, name = 0, mode = 0;
        bool newc = memcmp(size->header, "070701", 6) == 0 || memcmp(size->header, "070702", 6) == 0;

        if (!newc || !hex8(size->header + NEWC_FILESIZE, &file) ||
            !hex8(size->header + NEWC_NAMESIZE, &name) || !hex8(size->header + NEWC_MODE, &mode)) {
                size->state = RAMDISK_OPAQUE;
                size->unpacked += (uint64_t)RAMDISK_EXPANSION * RAMDISK_NEWC_HEADER;
                return;
        }
        size->unpacked += round_up(file, RAMDISK_PAGE) + RAMDISK_ENTRY_COST;
        size->skip = round_up(RAMDISK_NEWC_HEADER + name, 4) - RAMDISK_NEWC_HEADER - name + round_up(file, 4);
        size->name = name;
        size->name_at = 0;
        size->matches = size->watched && name == strlen(size->watched) + 1;
        size->n_header = 0;
        go_on(size);
}

/* Takes n bytes of the name, no more than it has. */
static void take_name(struct ramdisk_size *size, const uint8_t *p, size_t n)
{
        if (size->matches && memcmp(size->watched + size->name_at, p, n) != 0)
                size->matches = false;
        size->name_at += n;
        size->name -= n;
        if (size->name == 0 && size->matches)
                size->seen = true;
        go_on(size);
}

/* Zeros pad archives, and part one from the next. */
static struct view skip_zeros(struct view v)
{
        while (v.n > 0 && v.p[0] == 0)
                v = view_of(v.p + 1, v.n - 1);
        return v;
}

void ramdisk_size_feed(struct ramdisk_size *size, struct view piece)
{
        while (piece.n > 0) {
                size_t n = piece.n;
                switch (size->state) {
                case RAMDISK_OPAQUE:
                        size->unpacked += (uint64_t)RAMDISK_EXPANSION * n;
                        break;
                case RAMDISK_IN_NAME:
                        if (n > size->name)
                                n = (size_t)size->name;
                        take_name(size, piece.p, n);
                        break;
                case RAMDISK_IN_ENTRY:
                        if (n > size->skip)
                                n = (size_t)size->skip;
                        size->skip -= n;
                        go_on(size);
                        break;
                case RAMDISK_AT_HEADER:
                        if (size->n_header == 0) {
                                struct view rest = skip_zeros(piece);
                                if (rest.n < piece.n) {
                                        n = piece.n - rest.n;
                                        break;
                                }
                        }
                        if (n > RAMDISK_NEWC_HEADER - size->n_header)
                                n = RAMDISK_NEWC_HEADER - size->n_header;
                        memcpy(size->header + size->n_header, piece.p, n);
                        size->n_header += n;
                        if (size->n_header == RAMDISK_NEWC_HEADER)
                                take_header(size);
                        break;
                }
                piece = view_of(piece.p + n, piece.n - n);
        }
}

uint64_t ramdisk_size_unpacked(const struct ramdisk_size *size)
{
        if (size->state == RAMDISK_AT_HEADER)
                return size->unpacked + (uint64_t)RAMDISK_EXPANSION * size->n_header;
        return size->unpacked;
}
