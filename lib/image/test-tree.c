/* SPDX-License-Identifier: Apache-2.0 */
/* test-tree.c - the merged tree; tests/e2e/test_layers.py compares whole stacks with other tools. */
#include "lib/base/fd.h"
#include "lib/base/text.h"
#include "lib/image/entry-path.h"
#include "lib/image/test-tar.h"
#include "lib/image/tree-internal.h"

#include <malloc.h>
#include <string.h>
#include <sys/stat.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct image_tree *new_tree(void)
{
        struct image_tree *tree;

        assert_int_equal(image_tree_new(&tree, NULL), 0);
        return tree;
}

static const struct image_inode *at(const struct image_tree *tree, const char *path)
{
        const struct image_inode *inode;

        return image_tree_lookup(tree, path, &inode, NULL) == 0 ? inode : NULL;
}

static void assert_content(const struct image_tree *tree, const char *path, const char *expected)
{
        cleanup_buf struct buf content = buf_with_max(0);
        struct error err = {0};

        if (image_tree_read_file(tree, path, 1000, &content, &err) < 0)
                fail_msg("%s", error_text(&err));
        assert_string_equal(buf_string(&content), expected);
}

static int add_line(void *user, const char *path, const struct image_inode *inode, struct error *err)
{
        (void)inode;
        (void)err;
        return buf_printf(user, "%s|", path);
}

static void assert_paths(const struct image_tree *tree, const char *expected)
{
        cleanup_buf struct buf paths = buf_with_max(10000);

        assert_int_equal(image_tree_walk(tree, add_line, &paths, NULL), 0);
        assert_string_equal(buf_string(&paths), expected);
}

static void assert_refused(int r, const struct error *err, int code, const char *text)
{
        assert_int_equal(r, code);
        if (!strstr(error_text(err), text))
                fail_msg("'%s' does not say '%s'", error_text(err), text);
}

static void test_empty_tree_is_a_root_folder(void **state)
{
        cleanup_image_tree struct image_tree *tree = new_tree();

        (void)state;
        assert_paths(tree, "|");
        assert_int_equal(at(tree, "/")->mode, S_IFDIR | 0755);
        assert_int_equal(image_tree_stats(tree).n_nodes, 1);
}

static void test_walk_is_sorted_by_component(void **state)
{
        cleanup_image_tree struct image_tree *tree = new_tree();

        (void)state;
        TEST_APPLY(tree, {.name = "b/x"}, {.name = "a-b"}, {.name = "a/z"}, {.name = "a/\xff"},
                   {.name = "a/Z"}, {.name = "b.c"}, {.name = "a.b"}, {.name = "a/zz"});
        assert_paths(tree, "|a|a/Z|a/z|a/zz|a/\xff|a-b|a.b|b|b/x|b.c|");
}

static void test_missing_parents_are_bare(void **state)
{
        cleanup_image_tree struct image_tree *tree = new_tree();

        (void)state;
        TEST_APPLY(tree, {.name = "a/b/c", .content = "x", .uid = 7});
        assert_int_equal(at(tree, "a/b")->mode, S_IFDIR | 0755);
        assert_int_equal(at(tree, "a/b")->uid, 0);
        assert_int_equal(at(tree, "a/b")->mtime, 0);
        assert_int_equal(at(tree, "a/b/c")->uid, 7);
}

static void test_marker_never_hides_its_own_layer(void **state)
{
        cleanup_image_tree struct image_tree *tree = new_tree();

        (void)state;
        TEST_APPLY(tree, {.name = "d/old"}, {.name = "d/s/old"}, {.name = "d/s/t/old"},
                   {.name = "d/s/", .type = '5', .mode = 0700, .uid = 3}, {.name = "f"});
        TEST_APPLY(tree, {.name = "d/s/new"}, {.name = "f", .content = "2"}, {.name = "d/.wh..wh..opq"},
                   {.name = ".wh.f"}, {.name = ".wh.d"});
        assert_paths(tree, "|d|d/s|d/s/new|f|");
        assert_content(tree, "f", "2");
        /* What led to the own name is as though the lower layer had never had it. */
        assert_int_equal(at(tree, "d/s")->mode, S_IFDIR | 0755);
        assert_int_equal(at(tree, "d/s")->uid, 0);
}

static void test_marker_makes_nothing(void **state)
{
        cleanup_image_tree struct image_tree *tree = new_tree();

        (void)state;
        TEST_APPLY(tree, {.name = "f"});
        TEST_APPLY(tree, {.name = "a/b/.wh.x"}, {.name = "c/.wh..wh..opq"}, {.name = "f/.wh.x"},
                   {.name = "f/.wh..wh..opq"});
        assert_paths(tree, "|f|");
}

static void test_hard_link_keeps_identity_and_data(void **state)
{
        cleanup_image_tree struct image_tree *tree = new_tree();

        (void)state;
        TEST_APPLY(tree, {.name = "a", .content = "old"}, {.name = "b", .type = '1', .content = "a"});
        assert_ptr_equal(at(tree, "a"), at(tree, "b"));
        assert_int_equal(at(tree, "a")->n_links, 2);
        TEST_APPLY(tree, {.name = "a", .content = "new"}, {.name = "c", .type = '1', .content = "b"});
        assert_content(tree, "a", "new");
        assert_content(tree, "b", "old");
        assert_ptr_equal(at(tree, "b"), at(tree, "c"));
        assert_int_equal(at(tree, "a")->n_links, 1);
        assert_int_equal(image_tree_stats(tree).n_bytes, 6);
}

static void test_hard_link_replaces_the_folder_of_its_target(void **state)
{
        cleanup_image_tree struct image_tree *tree = new_tree();

        (void)state;
        TEST_APPLY(tree, {.name = "d/a", .content = "x"}, {.name = "d", .type = '1', .content = "d/a"},
                   {.name = "d", .type = '1', .content = "d"});
        assert_paths(tree, "|d|");
        assert_content(tree, "d", "x");
        assert_int_equal(at(tree, "d")->n_links, 1);
}

static void test_hard_link_to_a_symbolic_link_is_one(void **state)
{
        cleanup_image_tree struct image_tree *tree = new_tree();

        (void)state;
        TEST_APPLY(tree, {.name = "a", .content = "x"}, {.name = "s", .type = '2', .content = "a"},
                   {.name = "h", .type = '1', .content = "s"});
        assert_int_equal(at(tree, "a")->n_links, 1);
        assert_content(tree, "h", "x");
        TEST_APPLY(tree, {.name = ".wh.a"});
        assert_null(at(tree, "h"));
        assert_paths(tree, "|h|s|");
}

/* A link that was there already is its layer's from now on. */
static void test_repeated_hard_link_is_not_hidden_by_its_own_layer(void **state)
{
        cleanup_image_tree struct image_tree *tree = new_tree();

        (void)state;
        TEST_APPLY(tree, {.name = "a", .content = "x"}, {.name = "b", .type = '1', .content = "a"});
        TEST_APPLY(tree, {.name = "b", .type = '1', .content = "a"}, {.name = ".wh.b"}, {.name = ".wh.a"});
        assert_paths(tree, "|b|");
        assert_content(tree, "b", "x");
}

static void test_links_are_followed_inside_the_root(void **state)
{
        cleanup_image_tree struct image_tree *tree = new_tree();

        (void)state;
        TEST_APPLY(tree, {.name = "usr/lib/", .type = '5'},
                   {.name = "lib", .type = '2', .content = "/usr/lib"},
                   {.name = "usr/up", .type = '2', .content = "../../../.."});
        TEST_APPLY(tree, {.name = "lib/x", .content = "1"}, {.name = "usr/up/etc/y", .content = "2"});
        assert_paths(tree, "|etc|etc/y|lib|usr|usr/lib|usr/lib/x|usr/up|");
        assert_content(tree, "usr/up/lib/../lib//x", "1");
        assert_content(tree, "../../etc/./y", "2");
}

static void test_lookup_errors(void **state)
{
        cleanup_image_tree struct image_tree *tree = new_tree();
        cleanup_buf struct buf content = buf_with_max(0);
        const struct image_inode *inode;
        struct error err = {0};

        (void)state;
        TEST_APPLY(tree, {.name = "f", .content = "12345"}, {.name = "loop", .type = '2', .content = "loop"},
                   {.name = "d/", .type = '5'}, {.name = "p", .type = '6'});
        assert_refused(image_tree_lookup(tree, "/no", &inode, &err), &err, -ENOENT,
                       "/no in the image: no such");
        assert_refused(image_tree_lookup(tree, "f/x", &inode, &err), &err, -ENOTDIR, "through f");
        assert_refused(image_tree_lookup(tree, "loop", &inode, &err), &err, -ELOOP,
                       "too many symbolic links");
        assert_int_equal(image_tree_read_file(tree, "f", 5, &content, NULL), 0);
        buf_done(&content);
        assert_refused(image_tree_read_file(tree, "f", 4, &content, &err), &err, -EFBIG,
                       "5 bytes, more than 4");
        assert_refused(image_tree_read_file(tree, "d", 4, &content, &err), &err, -EISDIR, "is a folder");
        assert_refused(image_tree_read_file(tree, "p", 4, &content, &err), &err, -EINVAL,
                       "not a regular file");
}

static void test_forty_links_are_followed_and_no_more(void **state)
{
        cleanup_image_tree struct image_tree *tree = new_tree();
        char name[16] = "l0";
        char target[16] = "end";

        (void)state;
        TEST_APPLY(tree, {.name = "end"});
        for (int i = 0; i <= IMAGE_SYMLINKS_MAX; i++) {
                snprintf(name, sizeof(name), "l%d", i);
                TEST_APPLY(tree, {.name = name, .type = '2', .content = target});
                memcpy(target, name, sizeof(name));
        }
        assert_non_null(at(tree, "l39"));
        assert_null(at(tree, "l40"));
}

static void test_memory_is_returned(void **state)
{
        cleanup_image_tree struct image_tree *tree = new_tree();
        uint64_t before = image_tree_stats(tree).memory;

        (void)state;
        TEST_APPLY(tree, {.name = "a/b/c/d", .content = "x"},
                   {.name = "a/e", .type = '2', .content = "target"},
                   {.name = "f", .type = '1', .content = "a/b/c/d"});
        assert_true(image_tree_stats(tree).memory > before);
        TEST_APPLY(tree, {.name = ".wh..wh..opq"});
        assert_int_equal(image_tree_stats(tree).memory, before);
        assert_int_equal(image_tree_stats(tree).n_nodes, 1);
        assert_int_equal(image_tree_stats(tree).n_bytes, 0);
}

static void test_many_names_in_one_folder(void **state)
{
        enum { N = 20000 };
        cleanup_image_tree struct image_tree *tree = new_tree();
        struct test_member *members = calloc(N, sizeof(*members));
        char(*names)[16] = calloc(N, sizeof(*names));

        (void)state;
        assert_non_null(members);
        assert_non_null(names);
        for (int i = 0; i < N; i++) {
                snprintf(names[i], sizeof(names[i]), "d/%06d", i * 7919 % N);
                members[i].name = names[i];
        }
        test_apply(tree, members, N);
        test_apply(tree, members, N);
        assert_int_equal(image_tree_stats(tree).n_nodes, N + 2);
        free(members);
        free(names);
}

/* What the allocator has handed out before must not show through. */
static void test_holes_are_read_as_zeros(void **state)
{
        cleanup_image_tree struct image_tree *tree = new_tree();
        cleanup_buf struct buf content = buf_with_max(0);
        const struct image_inode sparse = {.mode = S_IFREG | 0644, .spool_fd = -1, .size = 1000};
        static const uint8_t zeros[1000];
        struct tree_inode *inode;
        struct tree_node *node;

        (void)state;
        assert_int_equal(tree_inode_new(tree, &sparse, &inode, NULL), 0);
        assert_int_equal(tree_node_add(tree, tree->root, "s", 1, inode, &node, NULL), 0);
        (void)mallopt(M_PERTURB, 0x5a); /* where the sanitizer allocates, it does that by itself */
        int r = image_tree_read_file(tree, "s", sizeof(zeros), &content, NULL);
        mallopt(M_PERTURB, 0);
        assert_int_equal(r, 0);
        assert_int_equal(content.n, sizeof(zeros));
        assert_memory_equal(content.p, zeros, sizeof(zeros));
}

static void test_mount_points_and_folders(void **state)
{
        cleanup_image_tree struct image_tree *tree = new_tree();
        struct error err = {0};

        (void)state;
        TEST_APPLY(tree, {.name = "var", .type = '2', .content = "srv"},
                   {.name = "tmp/", .type = '5', .mode = 0700}, {.name = "f"});
        assert_int_equal(image_tree_add_mount_points(tree, NULL), 0);
        assert_paths(tree, "|dev|f|proc|run|sys|tmp|var|");
        assert_int_equal(at(tree, "tmp")->mode, S_IFDIR | 0700);
        assert_int_equal(image_tree_make_dirs(tree, "/var/x/y", 0750, NULL), 0);
        assert_int_equal(at(tree, "srv/x/y")->mode, S_IFDIR | 0750);
        assert_refused(image_tree_make_dirs(tree, "f/x", 0755, &err), &err, -ENOTDIR, "f/x in the image");
}

/* A name whose parts are n bytes long each, `parts` of them. */
static char *long_name(size_t n, size_t parts)
{
        char *name = malloc((n + 1) * parts);

        assert_non_null(name);
        memset(name, 'n', (n + 1) * parts);
        for (size_t i = 1; i <= parts; i++)
                name[i * (n + 1) - 1] = i < parts ? '/' : '\0';
        return name;
}

static void test_names_in_a_tar_have_their_limits(void **state)
{
        static const struct {
                size_t n;
                size_t parts;
                const char *text; /* NULL: as much as may be */
        } cases[] = {
                {IMAGE_NAME_MAX, 1, NULL},
                {IMAGE_NAME_MAX + 1, 1, "a part of the name has 256 bytes, more than 255"},
                {IMAGE_NAME_MAX, 16, NULL},                     /* 4095 bytes */
                {240, 17, "the name has more than 4095 bytes"}, /* 4096 */
                {1, IMAGE_DEPTH_MAX, NULL},
                {1, IMAGE_DEPTH_MAX + 1, "the name has more than 1024 parts"},
        };
        char path[IMAGE_PATH_MAX + 1];

        (void)state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                cleanup_free char *name = long_name(cases[i].n, cases[i].parts);
                struct error err = {0};
                int r = entry_path_normalise(name, path, &err);
                if (cases[i].text)
                        assert_refused(r, &err, -E2BIG, cases[i].text);
                else
                        assert_string_equal(path, name);
        }
}

/* A symbolic link in the root, of any length: tars of the tests have short ones. */
static void link_to(struct image_tree *tree, const char *name, const char *target)
{
        const struct image_inode link = {.mode = S_IFLNK | 0777, .spool_fd = -1, .target = target};
        struct tree_inode *inode;
        struct tree_node *node;

        assert_int_equal(tree_inode_new(tree, &link, &inode, NULL), 0);
        assert_int_equal(tree_node_add(tree, tree->root, name, strlen(name), inode, &node, NULL), 0);
}

/* Nothing in the tar's own names is too long, but what they lead to. */
static void test_links_lead_to_no_longer_paths_than_may_be(void **state)
{
        cleanup_image_tree struct image_tree *tree = new_tree();
        cleanup_free char *name = long_name(IMAGE_NAME_MAX, 15), *deep = long_name(1, IMAGE_DEPTH_MAX);
        struct error err = {0};

        (void)state;
        assert_int_equal(image_tree_make_dirs(tree, name, 0755, NULL), 0); /* 3839 bytes */
        assert_int_equal(image_tree_make_dirs(tree, deep, 0755, NULL), 0);
        link_to(tree, "l", name);
        link_to(tree, "m", deep);
        cleanup_free char *fits = string_printf("l/%0255d", 0);
        assert_int_equal(image_tree_make_dirs(tree, fits, 0755, NULL), 0); /* 4095 */
        cleanup_free char *longer = string_printf("%s/x", fits);
        assert_refused(image_tree_make_dirs(tree, longer, 0755, &err), &err, -E2BIG,
                       "its path in the root has more than 4095 bytes");
        assert_refused(image_tree_make_dirs(tree, "m/x", 0755, &err), &err, -E2BIG,
                       "its path in the root has more than 1024 parts");
}

static void test_the_index_has_its_limits(void **state)
{
        cleanup_image_tree struct image_tree *tree = new_tree();
        struct image_tree_stats before = tree->stats;
        cleanup_fd int fd = TEST_TAR({.name = "f"});
        struct error err = {0};

        (void)state;
        tree->stats.n_nodes = IMAGE_TREE_NODES_MAX - 1;
        assert_int_equal(image_tree_make_dirs(tree, "a", 0755, NULL), 0);
        assert_refused(image_tree_make_dirs(tree, "b", 0755, &err), &err, -E2BIG, "more than 4000000 names");
        tree->stats.n_nodes = before.n_nodes + 1;
        tree->stats.memory = IMAGE_TREE_MEMORY_MAX - 10;
        assert_refused(image_tree_make_dirs(tree, "b", 0755, &err), &err, -E2BIG, "more than 2048 MiB");

        tree->stats.memory = before.memory;
        memset(tree->spools, 0xff, sizeof(tree->spools));
        tree->stats.n_layers = IMAGE_TREE_LAYERS_MAX - 1;
        assert_int_equal(image_tree_apply_layer(tree, fd, 1, "last", NULL), 0);
        assert_refused(image_tree_apply_layer(tree, fd, 1, "more", &err), &err, -E2BIG,
                       "more than 1024 layers");
}

static void test_errors_name_layer_and_entry(void **state)
{
        cleanup_image_tree struct image_tree *tree = new_tree();
        cleanup_fd int fd = TEST_TAR({.name = "ok"}, {.name = "a/../b\n"});
        struct error err = {0};

        (void)state;
        assert_refused(image_tree_apply_layer(tree, fd, 3, "sha256:ab", &err), &err, -EBADMSG,
                       "layer 3 (sha256:ab): a/../b\\x0a: the name escapes the root by '..'");
}

static void test_printable_names(void **state)
{
        char text[ENTRY_PATH_PRINTABLE_MAX];
        char hostile[2000];

        (void)state;
        entry_path_printable("", text);
        assert_string_equal(text, "/");
        entry_path_printable("a\x1b[2J\\\x7f\xc3\xa9", text);
        assert_string_equal(text, "a\\x1b[2J\\x5c\\x7f\xc3\xa9");
        memset(hostile, '\n', sizeof(hostile));
        hostile[sizeof(hostile) - 1] = '\0';
        entry_path_printable(hostile, text);
        assert_true(strlen(text) < sizeof(text));
        assert_true(strstr(text, "...") != NULL);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_empty_tree_is_a_root_folder),
                cmocka_unit_test(test_walk_is_sorted_by_component),
                cmocka_unit_test(test_missing_parents_are_bare),
                cmocka_unit_test(test_marker_never_hides_its_own_layer),
                cmocka_unit_test(test_marker_makes_nothing),
                cmocka_unit_test(test_hard_link_keeps_identity_and_data),
                cmocka_unit_test(test_hard_link_replaces_the_folder_of_its_target),
                cmocka_unit_test(test_hard_link_to_a_symbolic_link_is_one),
                cmocka_unit_test(test_repeated_hard_link_is_not_hidden_by_its_own_layer),
                cmocka_unit_test(test_links_are_followed_inside_the_root),
                cmocka_unit_test(test_lookup_errors),
                cmocka_unit_test(test_forty_links_are_followed_and_no_more),
                cmocka_unit_test(test_memory_is_returned),
                cmocka_unit_test(test_many_names_in_one_folder),
                cmocka_unit_test(test_holes_are_read_as_zeros),
                cmocka_unit_test(test_mount_points_and_folders),
                cmocka_unit_test(test_names_in_a_tar_have_their_limits),
                cmocka_unit_test(test_links_lead_to_no_longer_paths_than_may_be),
                cmocka_unit_test(test_the_index_has_its_limits),
                cmocka_unit_test(test_errors_name_layer_and_entry),
                cmocka_unit_test(test_printable_names),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
