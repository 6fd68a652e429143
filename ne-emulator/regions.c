/* SPDX-License-Identifier: Apache-2.0 */
#include "ne-emulator/regions.h"

#include "lib/base/cleanup.h"
#include "lib/base/text.h"

#include <linux/nitro_enclaves.h>
#include <string.h>

static bool overlap(const struct region *a, const struct region *b)
{
        return a->address < b->address + b->size && b->address < a->address + a->size;
}

int regions_check(const struct regions *regions, const struct region *region)
{
        if (region->size == 0 || region->size % REGION_ALIGN != 0)
                return -NE_ERR_INVALID_MEM_REGION_SIZE;
        if (region->address % REGION_ALIGN != 0)
                return -NE_ERR_UNALIGNED_MEM_REGION_ADDR;
        if (region->address >= REGION_END_MAX || region->size > REGION_END_MAX - region->address)
                return -NE_ERR_INVALID_MEM_REGION_ADDR;
        for (size_t i = 0; i < regions->n; i++) {
                if (overlap(&regions->region[i], region))
                        return -NE_ERR_MEM_REGION_ALREADY_USED;
        }
        return regions->n == REGIONS_MAX ? -NE_ERR_MEM_MAX_REGIONS : 0;
}

void regions_add(struct regions *regions, const struct region *region)
{
        regions->region[regions->n++] = *region;
        regions->size += region->size;
}

void regions_drop_last(struct regions *regions)
{
        regions->size -= regions->region[--regions->n].size;
}

bool region_parse_line(const char *line, uint64_t *ret_from, uint64_t *ret_to)
{
        char *end;

        *ret_from = strtoull(line, &end, 16);
        if (end == line || *end != '-')
                return false;
        const char *second = end + 1;
        *ret_to = strtoull(second, &end, 16);
        return end != second && *end == ' ';
}

/* Of a line such as "KernelPageSize:     2048 kB". False where it is another. */
static bool parse_page_size(const char *line, uint64_t *ret_kib)
{
        static const char key[] = "KernelPageSize:";

        if (!string_starts_with(line, key))
                return false;
        line += sizeof(key) - 1;
        line += strspn(line, " ");
        return take_u64(&line, UINT32_MAX, ret_kib);
}

int regions_check_pages(FILE *smaps, const struct region *region)
{
        uint64_t from, to, kib, at = region->address, end = region->address + region->size;
        cleanup_free char *line = NULL;
        bool inside = false;
        size_t size = 0;

        while (at < end && getline(&line, &size, smaps) > 0) {
                if (region_parse_line(line, &from, &to)) {
                        inside = from <= at && at < to;
                        if (from > at)
                                break; /* they are sorted: nothing is mapped at `at` */
                } else if (inside && parse_page_size(line, &kib)) {
                        if (kib < 8)
                                return -NE_ERR_MEM_NOT_HUGE_PAGE;
                        if (kib * 1024 % REGION_ALIGN != 0)
                                return -NE_ERR_INVALID_PAGE_SIZE;
                        at = to;
                }
        }
        return at < end ? -EFAULT : 0;
}

uint64_t regions_find(const struct regions *regions, uint64_t offset, uint64_t *ret_n)
{
        for (size_t i = 0; i < regions->n; i++) {
                const struct region *region = &regions->region[i];
                if (offset < region->size) {
                        *ret_n = region->size - offset;
                        return region->address + offset;
                }
                offset -= region->size;
        }
        *ret_n = 0;
        return 0;
}
