/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ne-emulator/image.h"

#include "lib/base/cleanup.h"
#include "lib/base/fd.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SIZE = 8 * 1024 * 1024, OFFSET = 4 * 1024 * 1024 };

/* A memory of two halves, the upper one first, with a header in it; returns what image_copy() says. */
static int copy(uint64_t section_offset, uint64_t section_size, const char *magic, off_t *ret_size)
{
        uint8_t *memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        cleanup_free struct regions *regions = calloc(1, sizeof(*regions));
        cleanup_fd int mem = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
        cleanup_fd int fd = -1;
        const uint64_t begin = (uint64_t)(uintptr_t)memory;
        struct stat st = {.st_size = -1};

        assert_ptr_not_equal(memory, MAP_FAILED);
        const struct region halves[] = {{begin + SIZE / 2, SIZE / 2}, {begin, SIZE / 2}};
        regions_add(regions, &halves[0]);
        regions_add(regions, &halves[1]);
        memcpy(memory, magic, 4); /* offset SIZE / 2 */
        memory[0x1b] = 1;
        for (int i = 0; i < 8; i++) {
                memory[0x1c + i] = (uint8_t)(section_offset >> (8 * (7 - i)));
                memory[0x11c + i] = (uint8_t)(section_size >> (8 * (7 - i)));
        }
        int r = image_copy(mem, regions, OFFSET, &fd, NULL);
        if (r == 0)
                assert_int_equal(fstat(fd, &st), 0);
        *ret_size = st.st_size;
        munmap(memory, SIZE);
        return r;
}

static void an_image_ends_where_its_header_says(void **state)
{
        off_t size;

        (void)state;
        assert_int_equal(copy(548, 1000, ".eif", &size), 0);
        assert_int_equal(size, 548 + 12 + 1000);
        assert_int_equal(copy(548, SIZE / 2 - 548 - 12, ".eif", &size), 0);
        assert_int_equal(size, SIZE / 2);
}

static void an_image_that_leaves_its_memory_is_refused(void **state)
{
        off_t size;

        (void)state;
        assert_int_equal(copy(548, SIZE / 2 - 548 - 11, ".eif", &size), -EBADMSG);
        assert_int_equal(copy(548, UINT64_MAX - 100, ".eif", &size), -EBADMSG);
        assert_int_equal(copy(UINT64_MAX - 5, 1, ".eif", &size), -EBADMSG);
}

static void what_is_no_image_is_refused(void **state)
{
        off_t size;

        (void)state;
        assert_int_equal(copy(548, 1000, "\177ELF", &size), -EBADMSG);
}

static void memory_that_has_gone_is_an_error(void **state)
{
        cleanup_free struct regions *regions = calloc(1, sizeof(*regions));
        cleanup_fd int mem = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
        const struct region nowhere = {0x200000, 0x4000000};
        int fd;

        (void)state;
        regions_add(regions, &nowhere);
        assert_int_equal(image_copy(mem, regions, 0, &fd, NULL), -EFAULT);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(an_image_ends_where_its_header_says),
                cmocka_unit_test(an_image_that_leaves_its_memory_is_refused),
                cmocka_unit_test(what_is_no_image_is_refused),
                cmocka_unit_test(memory_that_has_gone_is_an_error),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
