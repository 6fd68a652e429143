/* SPDX-License-Identifier: Apache-2.0 */
/* Folders that rune was told of; those of the system are root's to write, and so tests/e2e's. */
#include "lib/container/pal-path.h"

#include "lib/base/cleanup.h"
#include "lib/base/path.h"
#include "lib/base/text.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct place {
        char root[64];
        char *folder, *sibling, *file;
};

/* ROOT/pals/p.so and ROOT/pals-of-others, whose name begins as the other's. */
static int make_place(void **state)
{
        struct place *p = calloc(1, sizeof(*p));

        (void)stpcpy(p->root, "/tmp/test-pal-path.XXXXXX");
        if (!mkdtemp(p->root))
                return -1;
        p->folder = string_printf("%s/pals", p->root);
        p->sibling = string_printf("%s/pals-of-others", p->root);
        p->file = string_printf("%s/p.so", p->folder);
        if (mkdir(p->folder, 0755) < 0 || mkdir(p->sibling, 0755) < 0)
                return -1;
        int fd = open(p->file, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
        close(fd);
        *state = p;
        return fd < 0 ? -1 : chmod(p->file, 0644);
}

static int remove_place(void **state)
{
        struct place *p = *state;
        int r = path_remove_tree(AT_FDCWD, p->root, NULL);

        free(p->folder);
        free(p->sibling);
        free(p->file);
        free(p);
        return r;
}

static int check(const char *path, const char *more)
{
        cleanup_free char *real = NULL;

        return pal_path_check(path, more, &real, NULL);
}

static void a_folder_that_was_named_has_what_is_below_it(void **state)
{
        const struct place *p = *state;
        cleanup_free char *several = string_printf("::%s:%s:", p->sibling, p->folder), *real = NULL;

        assert_int_equal(check(p->file, NULL), -EACCES);
        assert_int_equal(check(p->file, ""), -EACCES);
        assert_int_equal(check(p->file, p->sibling), -EACCES);
        assert_int_equal(check(p->file, "/"), -EACCES);
        assert_int_equal(check(p->file, p->file), -EACCES);
        assert_int_equal(check(p->file, p->folder), 0);
        assert_int_equal(check(p->file, p->root), 0);
        assert_int_equal(pal_path_check(p->file, several, &real, NULL), 0);
        assert_string_equal(real, p->file);
}

static void a_name_that_begins_as_the_folders_is_another(void **state)
{
        const struct place *p = *state;
        cleanup_free char *file = string_printf("%s/p.so", p->sibling);

        assert_int_equal(link(p->file, file), 0);
        assert_int_equal(check(file, p->folder), -EACCES);
        assert_int_equal(check(file, p->sibling), 0);
}

static void links_count_for_what_they_lead_to(void **state)
{
        const struct place *p = *state;
        cleanup_free char *out = string_printf("%s/p.so", p->sibling), *real = NULL,
                          *up = string_printf("%s/../pals/p.so", p->sibling),
                          *folder = string_printf("%s/link", p->root);

        /* Into the folder, by a link and by "..": the file itself is what is loaded. */
        assert_int_equal(symlink(p->file, out), 0);
        assert_int_equal(pal_path_check(out, p->folder, &real, NULL), 0);
        assert_string_equal(real, p->file);
        assert_int_equal(check(out, p->sibling), -EACCES);
        assert_int_equal(check(up, p->sibling), -EACCES);
        assert_int_equal(check(up, p->folder), 0);
        /* The folder itself may be named by a link. */
        assert_int_equal(symlink(p->folder, folder), 0);
        assert_int_equal(check(p->file, folder), 0);
}

static void what_others_can_write_is_not_loaded(void **state)
{
        static const mode_t modes[] = {0664, 0646, 0622, 0777};
        const struct place *p = *state;

        for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
                assert_int_equal(chmod(p->file, modes[i]), 0);
                assert_int_equal(check(p->file, p->folder), -EPERM);
        }
        assert_int_equal(chmod(p->file, 0755), 0);
        assert_int_equal(check(p->file, p->folder), 0);
}

static void only_files_are_loaded(void **state)
{
        const struct place *p = *state;
        cleanup_free char *fifo = string_printf("%s/fifo", p->folder),
                          *none = string_printf("%s/none", p->folder);

        assert_int_equal(mkfifo(fifo, 0600), 0);
        assert_int_equal(check(fifo, p->folder), -EINVAL);
        assert_int_equal(check(p->folder, p->root), -EINVAL);
        assert_int_equal(check(none, p->folder), -ENOENT);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(a_folder_that_was_named_has_what_is_below_it, make_place,
                                                remove_place),
                cmocka_unit_test_setup_teardown(a_name_that_begins_as_the_folders_is_another, make_place,
                                                remove_place),
                cmocka_unit_test_setup_teardown(links_count_for_what_they_lead_to, make_place, remove_place),
                cmocka_unit_test_setup_teardown(what_others_can_write_is_not_loaded, make_place,
                                                remove_place),
                cmocka_unit_test_setup_teardown(only_files_are_loaded, make_place, remove_place),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
