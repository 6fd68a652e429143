/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ramdisk-size.h - how much memory a ramdisk takes once the kernel has unpacked it, and whether one name is
 * in it.
 *
 * Linux unpacks into its root file system before init runs, and fails there without a word when memory runs
 * out: so we count before we start.  A newc archive
 * (Documentation/driver-api/early-userspace/buffer-format.rst) is walked by its headers as it streams by;
 * anything else, compressed ramdisks above all, counts RAMDISK_EXPANSION times its size.
 */
#pragma once

#include "lib/base/view.h"

enum {
        RAMDISK_EXPANSION = 4,
        RAMDISK_NEWC_HEADER = 110,
        RAMDISK_PAGE = 4096,
        RAMDISK_ENTRY_COST = 2048, /* inode, name, and the walk's rounding, of one entry */
};

/* The walk over one ramdisk. */
struct ramdisk_size {
        enum { RAMDISK_AT_HEADER, RAMDISK_IN_NAME, RAMDISK_IN_ENTRY, RAMDISK_OPAQUE } state;
        uint8_t header[RAMDISK_NEWC_HEADER];
        size_t n_header;
        uint64_t name;       /* bytes of the entry's name still to come, its NUL included */
        size_t name_at;      /* ... and those that came */
        bool matches;        /* so far it is `watched` */
        uint64_t skip;       /* bytes of padding, data and padding until the next header */
        uint64_t unpacked;   /* so far */
        const char *watched; /* a name to look for; NULL: none.  Belongs to the caller */
        bool seen;           /* there was an entry of that name */
};

/* An untouched walk. `watched` must stay as long, and may be NULL. */
static inline struct ramdisk_size ramdisk_size_new(const char *watched)
{
        return (struct ramdisk_size){.state = RAMDISK_AT_HEADER, .watched = watched};
}

/* Walks over the next piece. Any bytes will do: what is no newc archive counts as compressed. */
void ramdisk_size_feed(struct ramdisk_size *size, struct view piece);

/* Bytes of memory that the archive takes unpacked, as far as it was fed. */
uint64_t ramdisk_size_unpacked(const struct ramdisk_size *size);
