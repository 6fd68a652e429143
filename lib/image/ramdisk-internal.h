/* SPDX-License-Identifier: Apache-2.0 */
/* ramdisk-internal.h - what ramdisk.c (the format) and ramdisk-tree.c (a whole image) share. */
#pragma once

#include "lib/image/ramdisk.h"

#include <stdbool.h>

/* One header of the format. */
struct ramdisk_entry {
        const char *path;
        uint32_t mode; /* with type */
        uint32_t uid;
        uint32_t gid;
        int64_t mtime;
        uint32_t ino;
        uint32_t n_links;
        uint32_t rdev_major;
        uint32_t rdev_minor;
        uint64_t size; /* of the data that follows */
};

/* The next inode number that no entry has yet. */
uint32_t ramdisk_take_ino(struct ramdisk *ramdisk);

/* Writes an entry's header and name.  Exactly entry->size bytes of data must follow, then ramdisk_end(). */
int ramdisk_begin(struct ramdisk *ramdisk, const struct ramdisk_entry *entry, struct error *err);

/* Data of the entry begun: n bytes at p, n zero bytes, or n bytes of `fd` from `offset`. */
int ramdisk_put(struct ramdisk *ramdisk, const void *p, size_t n, struct error *err);
int ramdisk_put_zeros(struct ramdisk *ramdisk, uint64_t n, struct error *err);
int ramdisk_put_range(struct ramdisk *ramdisk, int fd, uint64_t offset, uint64_t n, struct error *err);

/* Pads the entry's data to the format's alignment. */
int ramdisk_end(struct ramdisk *ramdisk, struct error *err);
