/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ne-emulator/regions.h"

#include "lib/base/cleanup.h"

#include <linux/nitro_enclaves.h>
#include <string.h>

#define MIB (UINT64_C(1024) * 1024)

static int add(struct regions *regions, uint64_t address, uint64_t size)
{
        const struct region region = {address, size};
        int r = regions_check(regions, &region);

        if (r == 0)
                regions_add(regions, &region);
        return r;
}

static void regions_are_checked_as_the_driver_does(void **state)
{
        cleanup_free struct regions *regions = calloc(1, sizeof(*regions));

        (void)state;
        assert_int_equal(add(regions, 2 * MIB, MIB), -NE_ERR_INVALID_MEM_REGION_SIZE);
        assert_int_equal(add(regions, 2 * MIB, 0), -NE_ERR_INVALID_MEM_REGION_SIZE);
        assert_int_equal(add(regions, MIB, 2 * MIB), -NE_ERR_UNALIGNED_MEM_REGION_ADDR);
        assert_int_equal(add(regions, REGION_END_MAX - 2 * MIB, 4 * MIB), -NE_ERR_INVALID_MEM_REGION_ADDR);
        assert_int_equal(add(regions, UINT64_C(0) - 2 * MIB, 4 * MIB), -NE_ERR_INVALID_MEM_REGION_ADDR);
        assert_int_equal(add(regions, 4 * MIB, 4 * MIB), 0);
        assert_int_equal(add(regions, 4 * MIB, 2 * MIB), -NE_ERR_MEM_REGION_ALREADY_USED);
        assert_int_equal(add(regions, 6 * MIB, 4 * MIB), -NE_ERR_MEM_REGION_ALREADY_USED);
        assert_int_equal(add(regions, 2 * MIB, 8 * MIB), -NE_ERR_MEM_REGION_ALREADY_USED);
        assert_int_equal(add(regions, 8 * MIB, 2 * MIB), 0);
        assert_int_equal(regions->size, 6 * MIB);
}

static void there_can_be_so_many_regions_and_no_more(void **state)
{
        cleanup_free struct regions *regions = calloc(1, sizeof(*regions));

        (void)state;
        for (uint64_t i = 1; i <= REGIONS_MAX; i++)
                assert_int_equal(add(regions, i * 2 * MIB, 2 * MIB), 0);
        assert_int_equal(add(regions, UINT64_C(1) << 40, 2 * MIB), -NE_ERR_MEM_MAX_REGIONS);
        regions_drop_last(regions);
        assert_int_equal(add(regions, UINT64_C(1) << 40, 2 * MIB), 0);
}

static void bytes_are_found_across_regions(void **state)
{
        cleanup_free struct regions *regions = calloc(1, sizeof(*regions));
        uint64_t n;

        (void)state;
        assert_int_equal(add(regions, 100 * MIB, 4 * MIB), 0);
        assert_int_equal(add(regions, 50 * MIB, 2 * MIB), 0);
        assert_int_equal(regions_find(regions, 3 * MIB, &n), 103 * MIB);
        assert_int_equal(n, MIB);
        assert_int_equal(regions_find(regions, 4 * MIB, &n), 50 * MIB);
        assert_int_equal(n, 2 * MIB);
        regions_find(regions, 6 * MIB, &n);
        assert_int_equal(n, 0);
}

static int check_pages(const char *text, uint64_t address, uint64_t size)
{
        const struct region region = {address, size};
        cleanup_free char *copy = strdup(text);
        cleanup_file FILE *smaps = fmemopen(copy, strlen(copy), "r");

        return regions_check_pages(smaps, &region);
}

static void only_huge_pages_will_do(void **state)
{
        static const char small[] = "00400000-00800000 rw-p 00000000 00:00 0\nKernelPageSize:        4 kB\n";
        static const char odd[] = "00400000-00800000 rw-p 00000000 00:00 0\nKernelPageSize:       64 kB\n";
        static const char huge[] =
                "00200000-00400000 rw-p 00000000 00:00 0 \nSize: 1\nKernelPageSize:     2048 kB\n"
                "00400000-00800000 rw-p 00000000 00:00 0 \nKernelPageSize:     2048 kB\n";

        (void)state;
        assert_int_equal(check_pages(small, 0x400000, 0x200000), -NE_ERR_MEM_NOT_HUGE_PAGE);
        assert_int_equal(check_pages(odd, 0x400000, 0x200000), -NE_ERR_INVALID_PAGE_SIZE);
        assert_int_equal(check_pages(huge, 0x200000, 0x600000), 0);
        assert_int_equal(check_pages(huge, 0x600000, 0x400000), -EFAULT);
        assert_int_equal(check_pages(huge, 0x1000000, 0x200000), -EFAULT);
        assert_int_equal(check_pages("", 0x200000, 0x200000), -EFAULT);
}

static void lines_of_maps_are_told_from_others(void **state)
{
        uint64_t from, to;

        (void)state;
        assert_true(region_parse_line("00400000-7fff00800000 rw-p 00000000 00:00 0\n", &from, &to));
        assert_int_equal(from, 0x400000);
        assert_int_equal(to, 0x7fff00800000);
        assert_false(region_parse_line("AnonHugePages:         0 kB", &from, &to));
        assert_false(region_parse_line("Private_Clean: 4-5 kB", &from, &to));
        assert_false(region_parse_line("", &from, &to));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(regions_are_checked_as_the_driver_does),
                cmocka_unit_test(there_can_be_so_many_regions_and_no_more),
                cmocka_unit_test(bytes_are_found_across_regions),
                cmocka_unit_test(only_huge_pages_will_do),
                cmocka_unit_test(lines_of_maps_are_told_from_others),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
