/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/vsock/guest-memory.h"

#include "lib/base/cleanup.h"
#include "lib/base/fd.h"

#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define PAGE  UINT64_C(4096)
#define TOTAL (16 * PAGE)

#define GUEST UINT64_C(0x100000)
#define USER  UINT64_C(0x7f0000000000)

static int sealed_memory(void)
{
        int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

        assert_true(fd >= 0);
        assert_int_equal(ftruncate(fd, TOTAL), 0);
        assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
        return fd;
}

static int add(struct guest_memory *m, struct guest_memory_place place, struct error *err)
{
        cleanup_fd int fd = sealed_memory();

        return guest_memory_add(m, &place, fd, err);
}

static void regions_may_touch_and_not_overlap(void **state)
{
        static const struct {
                struct guest_memory_place place; /* beside one of 4 pages at GUEST and USER */
                int code;
        } cases[] = {
                {{GUEST - PAGE, PAGE, USER - PAGE, 0}, 0},
                {{GUEST + 4 * PAGE, PAGE, USER + 4 * PAGE, 0}, 0},
                {{GUEST, 4 * PAGE, USER + TOTAL, 0}, -EINVAL},
                {{GUEST + PAGE, PAGE, USER + TOTAL, 0}, -EINVAL},
                {{GUEST - PAGE, 6 * PAGE, USER + TOTAL, 0}, -EINVAL},
                {{GUEST - PAGE, PAGE + 1, USER + TOTAL, 0}, -EINVAL},
                {{GUEST + 4 * PAGE - 1, PAGE, USER + TOTAL, 0}, -EINVAL},
                {{GUEST + TOTAL, PAGE, USER + PAGE, 0}, -EINVAL},
                {{GUEST + TOTAL, PAGE + 1, USER - PAGE, 0}, -EINVAL},
                {{GUEST + TOTAL, PAGE, USER + 4 * PAGE - 1, 0}, -EINVAL},
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct guest_memory m = {.n = 0};
                struct error err = {0};
                assert_int_equal(add(&m, (struct guest_memory_place){GUEST, 4 * PAGE, USER, 0}, NULL), 0);
                if (add(&m, cases[i].place, &err) != cases[i].code)
                        fail_msg("case %zu: %s", i, error_text(&err));
                assert_true(cases[i].code == 0 || strstr(error_text(&err), "overlap"));
                guest_memory_done(&m);
        }
}

static void one_region_too_many_is_refused(void **state)
{
        struct guest_memory m = {.n = 0};
        struct guest_memory_place place = {GUEST, PAGE, USER, 0};

        (void)state;
        for (size_t i = 0; i < GUEST_MEMORY_REGIONS_MAX; i++) {
                assert_int_equal(add(&m, place, NULL), 0);
                place.guest_addr += PAGE;
                place.user_addr += PAGE;
        }
        assert_int_equal(add(&m, place, NULL), -ENOSPC);
        assert_int_equal(m.n, GUEST_MEMORY_REGIONS_MAX);
        guest_memory_done(&m);
}

static void region_ends_where_its_file_does(void **state)
{
        struct guest_memory m = {.n = 0};
        struct error err = {0};

        (void)state;
        assert_int_equal(add(&m, (struct guest_memory_place){GUEST, PAGE + 1, USER, TOTAL - PAGE}, &err),
                         -EINVAL);
        assert_string_equal(error_text(&err),
                            "guest memory at 0x100000 needs 65537 bytes of a file of 65536 bytes");
        assert_int_equal(add(&m, (struct guest_memory_place){GUEST, PAGE, USER, UINT64_MAX - TOTAL}, NULL),
                         -EINVAL);
        assert_int_equal(add(&m, (struct guest_memory_place){GUEST, PAGE, USER, TOTAL - PAGE}, NULL), 0);
        guest_memory_done(&m);
}

static void addresses_lead_to_the_bytes_behind_the_offset_and_no_further(void **state)
{
        struct guest_memory m = {.n = 0};
        struct guest_memory_place place = {GUEST, 2 * PAGE, USER, PAGE};
        cleanup_fd int fd = sealed_memory();
        size_t run = 0;

        (void)state;
        assert_int_equal(pwrite(fd, "x", 1, PAGE + 5), 1);
        assert_int_equal(guest_memory_add(&m, &place, fd, NULL), 0);
        assert_int_equal(*(uint8_t *)guest_memory_at(&m, GUEST + 5, 1), 'x');
        assert_int_equal(*(uint8_t *)guest_memory_at_user(&m, USER + 5, 1), 'x');
        assert_ptr_equal(guest_memory_run(&m, GUEST + 5, TOTAL, &run), guest_memory_at(&m, GUEST + 5, 1));
        assert_int_equal(run, 2 * PAGE - 5);
        assert_non_null(guest_memory_at(&m, GUEST + PAGE, PAGE));
        assert_null(guest_memory_at(&m, GUEST + PAGE, PAGE + 1));
        assert_null(guest_memory_at(&m, GUEST + 2 * PAGE, 1));
        assert_null(guest_memory_at(&m, GUEST - 1, 1));
        assert_non_null(guest_memory_at_user(&m, USER + PAGE, PAGE));
        assert_null(guest_memory_at_user(&m, USER + PAGE, PAGE + 1));
        assert_null(guest_memory_at_user(&m, USER + PAGE, SIZE_MAX));
        assert_null(guest_memory_at_user(&m, USER + 2 * PAGE, 1));
        assert_null(guest_memory_at_user(&m, USER - 1, 1));
        guest_memory_done(&m);
}

static void what_could_shrink_or_is_no_memory_file_is_refused(void **state)
{
        const struct guest_memory_place place = {GUEST, PAGE, USER, 0};
        struct guest_memory m = {.n = 0};
        struct error err = {0};
        int fds[2];

        (void)state;
        cleanup_fd int unsealed = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        assert_int_equal(ftruncate(unsealed, TOTAL), 0);
        assert_int_equal(fcntl(unsealed, F_ADD_SEALS, F_SEAL_GROW), 0);
        assert_int_equal(guest_memory_add(&m, &place, unsealed, &err), -EINVAL);
        assert_non_null(strstr(error_text(&err), "(no F_SEAL_SHRINK); give QEMU a memory-backend-memfd"));
        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        assert_int_equal(guest_memory_add(&m, &place, fds[0], NULL), -EINVAL);
        fd_close_p(&fds[0]);
        fd_close_p(&fds[1]);
        cleanup_fd int folder = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_int_equal(guest_memory_add(&m, &place, folder, NULL), -EINVAL);
        assert_int_equal(m.n, 0);
}

/* The kernel's flags of the mapping that begins at p. */
static void mapping_flags(const void *p, char *ret_flags, size_t size)
{
        cleanup_file FILE *maps = fopen("/proc/self/smaps", "re");
        char begin[32], line[512];
        bool here = false;

        ret_flags[0] = '\0';
        assert_non_null(maps);
        (void)snprintf(begin, sizeof(begin), "%08" PRIxPTR "-", (uintptr_t)p);
        while (fgets(line, sizeof(line), maps)) {
                if (strncmp(line, begin, strlen(begin)) == 0)
                        here = true;
                else if (here && strncmp(line, "VmFlags:", 8) == 0) {
                        (void)snprintf(ret_flags, size, "%s", line + 8);
                        return;
                }
        }
}

static void memory_is_in_no_core_dump(void **state)
{
        struct guest_memory m = {.n = 0};
        char flags[512];

        (void)state;
        assert_int_equal(add(&m, (struct guest_memory_place){GUEST, PAGE, USER, 0}, NULL), 0);
        mapping_flags(m.regions[0].mapping, flags, sizeof(flags));
        guest_memory_done(&m);
        if (!strstr(flags, " wr "))
                skip(); /* a kernel that doesn't tell */
        assert_non_null(strstr(flags, " dd "));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(regions_may_touch_and_not_overlap),
                cmocka_unit_test(one_region_too_many_is_refused),
                cmocka_unit_test(region_ends_where_its_file_does),
                cmocka_unit_test(addresses_lead_to_the_bytes_behind_the_offset_and_no_further),
                cmocka_unit_test(what_could_shrink_or_is_no_memory_file_is_refused),
                cmocka_unit_test(memory_is_in_no_core_dump),
        };

        return cmocka_run_group_tests_name("guest-memory", tests, NULL, NULL);
}
