/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/cleanup.h"
#include "lib/base/fd.h"
#include "lib/container/arena.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void memory_is_zeroed_and_aligned_for_any_type(void **state)
{
        (void)state;
        cleanup_arena struct arena arena = ARENA_NONE;
        assert_int_equal(arena_new_private(&arena, NULL), 0);

        assert_non_null(arena_string(&arena, "x"));
        uint8_t *p = arena_alloc(&arena, 3, 5);
        assert_int_equal((uintptr_t)p % 16, 0);
        for (int i = 0; i < 15; i++)
                assert_int_equal(p[i], 0);
}

static void a_product_that_overflows_is_refused(void **state)
{
        (void)state;
        cleanup_arena struct arena arena = ARENA_NONE;
        assert_int_equal(arena_new_private(&arena, NULL), 0);

        assert_null(arena_alloc(&arena, SIZE_MAX / 2, 3));
        assert_null(arena_alloc(&arena, SIZE_MAX, 1));
        assert_non_null(arena_alloc(&arena, 0, SIZE_MAX));
}

static void the_ceiling_is_kept_to_the_byte(void **state)
{
        (void)state;
        cleanup_arena struct arena arena = ARENA_NONE;
        assert_int_equal(arena_new_private(&arena, NULL), 0);

        assert_non_null(arena_alloc(&arena, 1, ARENA_MAX - 16));
        assert_null(arena_alloc(&arena, 1, 17));
        assert_non_null(arena_alloc(&arena, 1, 16));
        assert_null(arena_string(&arena, ""));
        assert_null(arena_printf(&arena, "%d", 1));
}

static void strings_are_copies_with_a_nul(void **state)
{
        (void)state;
        cleanup_arena struct arena arena = ARENA_NONE;
        assert_int_equal(arena_new_private(&arena, NULL), 0);

        assert_string_equal(arena_string_of(&arena, view_of("abcdef", 3)), "abc");
        assert_string_equal(arena_string(&arena, ""), "");
        assert_string_equal(arena_printf(&arena, "%s-%d", "id", 42), "id-42");
}

static void a_second_shared_arena_of_a_process_is_refused(void **state)
{
        (void)state;
        cleanup_arena struct arena first = ARENA_NONE, second = ARENA_NONE;

        assert_int_equal(arena_new_shared(&first, NULL), 0);
        assert_int_equal(arena_new_shared(&second, NULL), -EEXIST);
        assert_int_equal(second.fd, -1);
        arena_done(&first);
        assert_int_equal(arena_new_shared(&second, NULL), 0);
}

static void another_process_reads_pointers_and_later_changes(void **state)
{
        (void)state;
        cleanup_arena struct arena arena = ARENA_NONE;
        assert_int_equal(arena_new_shared(&arena, NULL), 0);
        assert_int_equal(fcntl(arena.fd, F_GETFD), FD_CLOEXEC);
        char **root = arena_alloc(&arena, 1, sizeof(char *));
        assert_ptr_equal(root, arena_root(&arena));
        int go[2];
        assert_int_equal(pipe(go), 0);

        pid_t pid = fork();
        if (pid == 0) {
                struct arena mapped;
                char byte;
                munmap(arena.base, ARENA_MAX);
                if (arena_map(arena.fd, &mapped, NULL) < 0 || read(go[0], &byte, 1) != 1)
                        _exit(1);
                char *const *text = arena_root(&mapped);
                _exit(strcmp(*text, "written later") != 0 || arena_alloc(&mapped, 1, 1) != NULL);
        }
        *root = arena_string(&arena, "written later");
        assert_int_equal(write(go[1], "", 1), 1);
        int status;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
        close(go[0]);
        close(go[1]);
}

static void whoever_gets_the_descriptor_can_neither_resize_nor_write(void **state)
{
        (void)state;
        cleanup_arena struct arena arena = ARENA_NONE;
        assert_int_equal(arena_new_shared(&arena, NULL), 0);

        assert_int_equal(ftruncate(arena.fd, 1), -1);
        assert_int_equal(pwrite(arena.fd, "x", 1, 0), -1);
        assert_ptr_equal(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, arena.fd, 0), MAP_FAILED);
}

static void a_file_of_another_size_is_not_mapped(void **state)
{
        (void)state;
        struct arena arena = ARENA_NONE;
        cleanup_fd int fd = memfd_create("short", MFD_CLOEXEC);

        assert_int_equal(ftruncate(fd, 4096), 0);
        assert_int_equal(arena_map(fd, &arena, NULL), -EINVAL);
        assert_null(arena.base);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(memory_is_zeroed_and_aligned_for_any_type),
                cmocka_unit_test(a_product_that_overflows_is_refused),
                cmocka_unit_test(the_ceiling_is_kept_to_the_byte),
                cmocka_unit_test(strings_are_copies_with_a_nul),
                cmocka_unit_test(a_second_shared_arena_of_a_process_is_refused),
                cmocka_unit_test(another_process_reads_pointers_and_later_changes),
                cmocka_unit_test(whoever_gets_the_descriptor_can_neither_resize_nor_write),
                cmocka_unit_test(a_file_of_another_size_is_not_mapped),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
