/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest-memory.h - the guest's memory as this process sees it, and the only way from a guest's address to a
 * pointer.
 *
 * The guest goes on writing to this memory while we look at it: whatever decides something is copied out
 * first, and the copy is checked and used.
 */
#pragma once

#include "lib/base/error.h"

#include <stddef.h>
#include <stdint.h>

enum { GUEST_MEMORY_REGIONS_MAX = 8 }; /* what vhost-user allows in one table */

/* Where one region lies, in the three address spaces that vhost-user knows. */
struct guest_memory_place {
        uint64_t guest_addr; /* guest-physical */
        uint64_t size;       /* bytes */
        uint64_t user_addr;  /* in QEMU's address space; rings are named by these */
        uint64_t offset;     /* in the descriptor */
};

struct guest_memory_region {
        struct guest_memory_place place;
        uint8_t *p; /* its first byte here */
        void *mapping;
        size_t mapping_size;
};

struct guest_memory {
        struct guest_memory_region regions[GUEST_MEMORY_REGIONS_MAX];
        size_t n;
};

/* Maps a region; `fd` stays the caller's and may be closed afterwards.  It has to be a memfd (or hugetlbfs
 * file) that cannot shrink (F_SEAL_SHRINK), or its owner could kill us with SIGBUS.  -EINVAL for a place that
 * wraps around, lies outside of the file or overlaps another region, -ENOSPC for one too many. */
int guest_memory_add(struct guest_memory *m, const struct guest_memory_place *place, int fd,
                     struct error *err);

/* Unmaps all and leaves an empty memory. */
void guest_memory_done(struct guest_memory *m);

/* The n > 0 bytes at a guest-physical address, or NULL where they do not lie in one region. */
void *guest_memory_at(const struct guest_memory *m, uint64_t guest_addr, size_t n);

/* As guest_memory_at, for as many of the n bytes as lie in one region: sets *ret_n (> 0), or NULL. */
void *guest_memory_run(const struct guest_memory *m, uint64_t guest_addr, size_t n, size_t *ret_n);

/* As guest_memory_at, for an address in QEMU's address space. */
void *guest_memory_at_user(const struct guest_memory *m, uint64_t user_addr, size_t n);
