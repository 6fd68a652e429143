/* SPDX-License-Identifier: Apache-2.0 */
/*
 * regions.h - the memory that an enclave was given: the driver's rules for it, and its content as one piece.
 */
#pragma once

#include "lib/base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define REGION_ALIGN     (UINT64_C(2) * 1024 * 1024)
#define REGIONS_SIZE_MIN (UINT64_C(64) * 1024 * 1024) /* of all, to start */
#define REGION_END_MAX   (UINT64_C(1) << 47)          /* addresses of programs end there */

/* How many an enclave can have.  On Nitro the hypervisor says, and counts pages that lie apart. */
enum { REGIONS_MAX = 1024 };

struct region {
        uint64_t address;
        uint64_t size;
};

struct regions {
        struct region region[REGIONS_MAX];
        size_t n;
        uint64_t size; /* of all */
};

/* Whether this region could be added: 0 or the driver's errno, negative: NE_ERR_INVALID_MEM_REGION_SIZE and
 * so on.  What memory it is made of isn't looked at. */
int regions_check(const struct regions *regions, const struct region *region);

/* Adds one that was checked. */
void regions_add(struct regions *regions, const struct region *region);

/* Takes back the last one. */
void regions_drop_last(struct regions *regions);

/* The addresses that a line of /proc/PID/maps or smaps begins with, "FROM-TO ".  False where it begins with
 * none. */
bool region_parse_line(const char *line, uint64_t *ret_from, uint64_t *ret_to);

/* Whether [address, address + size) is made of huge pages, by the text of a process's /proc/PID/smaps:
 * 0; -NE_ERR_MEM_NOT_HUGE_PAGE, -NE_ERR_INVALID_PAGE_SIZE (a page under 2 MiB); -EFAULT where nothing
 * is mapped. */
int regions_check_pages(FILE *smaps, const struct region *region);

/* The address of the byte that lies `offset` bytes into the memory, all regions taken one behind the other,
 * and how many follow it in one piece; *ret_n is 0 where there is none. */
uint64_t regions_find(const struct regions *regions, uint64_t offset, uint64_t *ret_n);
