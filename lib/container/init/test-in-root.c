/* SPDX-License-Identifier: Apache-2.0 */
/* Paths of a container: what the kernel resolves, and what the walk does where the kernel can't. */
#include "lib/container/init/test-rootfs.h"

#include "lib/base/cleanup.h"
#include "lib/base/fd.h"
#include "lib/container/init/in-root.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Two opens of one file. */
static bool is_same(int fd, int root, const char *path)
{
        struct stat a, b;

        return fstat(fd, &a) == 0 && fstatat(root, path, &b, AT_SYMLINK_NOFOLLOW) == 0 &&
               a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

static void make_tree(struct box *box)
{
        box_folder(box, "rootfs/etc/deep/er");
        box_folder(box, "outside");
        box_file(box, "outside/secret", "s");
        box_file(box, "rootfs/etc/file", "content");
        box_link(box, "rootfs/absolute", "/etc/file");
        box_link(box, "rootfs/etc/deep/absolute", "/etc/file");
        box_link(box, "rootfs/up", "../../../../../../etc/file");
        box_link(box, "rootfs/folder", "etc/deep/");
        box_link(box, "rootfs/etc/deep/back", "../../etc");
        box_link(box, "rootfs/loop", "loop");
        box_link(box, "rootfs/dangling", "/made/by/../need");
        box_link(box, "rootfs/escape", "/../outside/secret");
        box_link(box, "rootfs/chain", "chain2/file");
        box_link(box, "rootfs/chain2", "/folder/back");
        box_folder(box, "rootfs/proc");
}

static void resolution(struct box *box)
{
        static const struct {
                const char *path;
                int flags;
                int code;
                const char *same; /* below the rootfs, without symlinks */
        } rows[] = {
                {"/etc/file", O_PATH, 0, "etc/file"},
                {"etc//./file", O_RDONLY, 0, "etc/file"},
                {"/", O_PATH, 0, "."},
                {"", O_PATH, 0, "."},
                {"..", O_PATH, 0, "."},
                {"../../..", O_RDONLY | O_DIRECTORY, 0, "."},
                {"/etc/../../../etc/file", O_PATH, 0, "etc/file"},
                {"/absolute", O_PATH, 0, "etc/file"},
                {"/absolute", O_RDONLY, 0, "etc/file"},
                {"/absolute", O_PATH | O_NOFOLLOW, 0, "absolute"},
                {"/absolute", O_RDONLY | O_NOFOLLOW, -ELOOP, NULL},
                {"/etc/deep/absolute", O_PATH, 0, "etc/file"},
                {"/up", O_PATH, 0, "etc/file"},
                {"/folder", O_PATH, 0, "etc/deep"},
                {"/folder", O_PATH | O_NOFOLLOW, 0, "folder"},
                {"/folder/", O_PATH | O_NOFOLLOW, 0, "etc/deep"},
                {"/folder/er", O_RDONLY, 0, "etc/deep/er"},
                {"/folder/../file", O_PATH, 0, "etc/file"},
                {"/chain", O_RDONLY, 0, "etc/file"},
                {"/loop", O_PATH, -ELOOP, NULL},
                {"/loop", O_PATH | O_NOFOLLOW, 0, "loop"},
                {"/dangling", O_PATH, -ENOENT, NULL},
                {"/escape", O_PATH, -ENOENT, NULL},
                {"/etc/file/", O_PATH, -ENOTDIR, NULL},
                {"/etc/file/..", O_PATH, -ENOTDIR, NULL},
                {"/etc/file", O_PATH | O_DIRECTORY, -ENOTDIR, NULL},
                {"/none", O_PATH, -ENOENT, NULL},
                {"/none/../etc/file", O_PATH, -ENOENT, NULL},
                {"/proc/self/root", O_PATH, -ELOOP, NULL},
                {"/proc/self/root/etc", O_PATH, -ELOOP, NULL},
                {"/proc/self/ns/mnt", O_RDONLY, -ELOOP, NULL},
                {"/proc/self/fd/0", O_RDONLY, -ELOOP, NULL},
        };
        struct error err;

        make_tree(box);
        box_mount(box, "/proc", "proc", "proc");
        box_build(box);
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                cleanup_fd int fd = -1;
                int r = in_root_open(box->root.fd, rows[i].path, rows[i].flags, &fd, &err);
                expect(r == rows[i].code, "\"%s\" %#x: %d instead of %d", rows[i].path,
                       (unsigned)rows[i].flags, r, rows[i].code);
                expect(r < 0 || is_same(fd, box->root.fd, rows[i].same), "\"%s\" is not %s", rows[i].path,
                       rows[i].same);
        }
        char self[32];
        cleanup_fd int fd = -1;
        (void)snprintf(self, sizeof(self), "proc/%d", (int)getpid());
        expect_ok(in_root_open(box->root.fd, "/proc/self", O_PATH, &fd, &err), &err, "/proc/self");
        expect(is_same(fd, box->root.fd, self), "/proc/self is no magic link");
}

static void plain_paths(struct box *box)
{
        cleanup_fd int fd = -1;
        struct error err;

        make_tree(box);
        box_build(box);
        expect_ok(in_root_open_plain(box->root.fd, "/etc/deep", O_PATH, &fd, &err), &err, "/etc/deep");
        expect(in_root_open_plain(box->root.fd, "/folder", O_PATH, &fd, &err) == -ELOOP, "a symlink");
        expect(in_root_open_plain(box->root.fd, "/folder/er", O_PATH, &fd, &err) == -ELOOP, "one on the way");
}

static void long_and_deep_paths(struct box *box)
{
        static char path[8192];
        cleanup_fd int fd = -1;
        struct error err;

        box_build(box);
        memset(path, 'a', 256);
        expect(in_root_make_folder(box->root.fd, path, &fd, &err) == -ENAMETOOLONG, "a long name");
        memset(path, 'a', 5000);
        expect(in_root_make_folder(box->root.fd, path, &fd, &err) == -ENAMETOOLONG, "a long path");
        path[0] = '\0';
        for (size_t i = 0; i < 200; i++)
                memcpy(path + 2 * i, "d/", 3);
        expect_ok(in_root_make_folder(box->root.fd, path, &fd, &err), &err, "a deep path");
        expect(is_same(fd, box->root.fd, path), "it is where it was asked for");
        for (size_t i = 0; i < 400; i++)
                memcpy(path + 2 * i, "e/", 3);
        cleanup_fd int deeper = -1;
        expect(in_root_make_folder(box->root.fd, path, &deeper, &err) == -ENAMETOOLONG, "too deep a path");
}

static void missing_paths_are_made(struct box *box)
{
        cleanup_fd int folder = -1, file = -1, there = -1, link = -1, parent = -1, out = -1;
        const char *name;
        struct error err;
        struct stat st;

        make_tree(box);
        box_build(box);
        umask(0);
        int root = box->root.fd;
        expect_ok(in_root_make_folder(root, "/a/b//c", &folder, &err), &err, "folder");
        expect(is_same(folder, root, "a/b/c") && fstat(folder, &st) == 0 && st.st_mode == (S_IFDIR | 0755),
               "a folder of mode 0755");
        expect_ok(in_root_make_file(root, "/a/x/file", &file, &err), &err, "file");
        expect(is_same(file, root, "a/x/file") && fstat(file, &st) == 0 && st.st_mode == (S_IFREG | 0644) &&
                       st.st_size == 0,
               "an empty file of mode 0644");
        expect_ok(in_root_make_file(root, "/etc/file", &there, &err), &err, "a file that is there");
        expect(fstat(there, &st) == 0 && st.st_size == 7, "it is as it was");
        expect_ok(in_root_make_folder(root, "/dangling/more", &link, &err), &err, "a dangling symlink");
        expect(is_same(link, root, "made/need/more"), "what it leads to is made in the root");
        expect_ok(in_root_make_folder(root, "/escape/x", &out, &err), &err, "a symlink out of the root");
        expect(is_same(out, root, "outside/secret/x"), "nothing is made outside");
        expect_ok(in_root_make_parent(root, "/p/q/name", &parent, &name, &err), &err, "parent");
        expect(is_same(parent, root, "p/q") && strcmp(name, "name") == 0, "the folder, and the name in it");
        expect(in_root_make_parent(root, "/p/..", &parent, &name, &err) == -EISDIR, "\"..\" is no name");
        expect(in_root_make_folder(root, "/etc/file/x", &parent, &err) == -ENOTDIR, "below a file");
        expect(in_root_make_folder(root, "/loop/x", &parent, &err) == -ELOOP, "below a loop");
}

static const struct box_case cases[] = {
        {"resolution in the root", resolution, 0, 0},
        {"plain paths", plain_paths, 0, 0},
        {"long and deep paths", long_and_deep_paths, 0, 0},
        {"missing paths are made", missing_paths_are_made, 0, 0},
};

static void in_root_cases(void **state)
{
        (void)state;
        assert_int_equal(run_cases(cases, ARRAY_SIZE(cases)), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(in_root_cases),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
