/* SPDX-License-Identifier: Apache-2.0 */
/* test-ramdisk-folder.c - real folders, made by somebody hostile, become ramdisks. */
#include "lib/image/ramdisk-folder.h"

#include "lib/base/fd.h"
#include "lib/base/file.h"
#include "lib/base/path.h"
#include "lib/base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

struct fixture {
        char folder[64];
        int fd;
        struct buf out;
        struct buf xattrs;
        struct error err;
};

static int set_up(void **state)
{
        struct fixture *f = calloc(1, sizeof(*f));

        snprintf(f->folder, sizeof(f->folder), "/tmp/test-ramdisk-folder-XXXXXX");
        if (!mkdtemp(f->folder))
                return -1;
        f->fd = open(f->folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
        f->out = buf_with_max(64 << 20);
        f->xattrs = buf_with_max(1 << 20);
        *state = f;
        return f->fd < 0 ? -1 : 0;
}

static int tear_down(void **state)
{
        struct fixture *f = *state;

        close(f->fd);
        buf_done(&f->out);
        buf_done(&f->xattrs);
        path_remove_tree(AT_FDCWD, f->folder, NULL);
        free(f);
        return 0;
}

static int catch_write(void *user, const void *p, size_t n, struct error *err)
{
        (void)err;
        return buf_append(user, p, n);
}

static int archive(struct fixture *f, struct ramdisk_folder_options options)
{
        const struct ramdisk_sink sink = {.write = catch_write, .user = &f->out};
        cleanup_ramdisk struct ramdisk *ramdisk = NULL;

        options.xattrs = &f->xattrs;
        f->out.n = 0;
        f->err = (struct error){0};
        assert_int_equal(ramdisk_new(&sink, &ramdisk, NULL), 0);
        int r = ramdisk_add_folder(ramdisk, f->fd, "root", &options, &f->err);
        return r < 0 ? r : ramdisk_finish(ramdisk, NULL);
}

static void put(struct fixture *f, const char *name, const char *content)
{
        cleanup_fd int fd = openat(f->fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

        assert_true(fd >= 0);
        assert_int_equal(fd_write_full(fd, content, strlen(content)), 0);
}

/* ---- a reader of archives ---- */

struct seen {
        char name[128];
        uint32_t ino, mode, uid, gid, n_links, mtime, size, rdev_major, rdev_minor;
        const uint8_t *data;
};

static uint32_t number(const uint8_t *header, int index)
{
        char digits[9] = {0};

        memcpy(digits, header + 6 + (size_t)8 * (size_t)index, 8);
        return (uint32_t)strtoul(digits, NULL, 16);
}

/* The entry at *at, which moves behind it. False at the end. */
static bool next(const struct fixture *f, size_t *at, struct seen *ret)
{
        const uint8_t *h = f->out.p + *at;
        uint32_t name_n = number(h, 11);

        assert_memory_equal(h, "070701", 6);
        *ret = (struct seen){.ino = number(h, 0),
                             .mode = number(h, 1),
                             .uid = number(h, 2),
                             .gid = number(h, 3),
                             .n_links = number(h, 4),
                             .mtime = number(h, 5),
                             .size = number(h, 6),
                             .rdev_major = number(h, 9),
                             .rdev_minor = number(h, 10)};
        snprintf(ret->name, sizeof(ret->name), "%s", (const char *)h + 110);
        size_t data = (*at + 110 + name_n + 3) & ~(size_t)3;
        ret->data = f->out.p + data;
        *at = (data + ret->size + 3) & ~(size_t)3;
        return strcmp(ret->name, "TRAILER!!!") != 0;
}

static struct seen find(const struct fixture *f, const char *name)
{
        struct seen seen;
        size_t at = 0;

        while (next(f, &at, &seen)) {
                if (strcmp(seen.name, name) == 0)
                        return seen;
        }
        fail_msg("no %s in the archive", name);
        return seen;
}

/* The names, one behind the other with a space. */
static void names(const struct fixture *f, char *ret_names, size_t size)
{
        struct seen seen;
        size_t at = 0, n = 0;

        while (next(f, &at, &seen))
                n += (size_t)snprintf(ret_names + n, size - n, "%s%s", n ? " " : "", seen.name);
}

/* ---- tests ---- */

static void test_order_is_that_of_names_and_a_folder_comes_first(void **state)
{
        struct fixture *f = *state;
        char got[512];

        put(f, "b", "1");
        put(f, "a.x", "2");
        assert_int_equal(mkdirat(f->fd, "a", 0700), 0);
        put(f, "a/z", "3");
        put(f, "a/Z", "");
        assert_int_equal(mkdirat(f->fd, "a/m", 0755), 0);
        put(f, "a/m/deep", "4");
        assert_int_equal(archive(f, (struct ramdisk_folder_options){0}), 0);
        names(f, got, sizeof(got));
        assert_string_equal(got, "root root/a root/a/Z root/a/m root/a/m/deep root/a/z root/a.x root/b");
        assert_int_equal(find(f, "root/a").mode, S_IFDIR | 0700);
        assert_memory_equal(find(f, "root/a/z").data, "3", 1);
        assert_int_equal(find(f, "root/a").mtime, 0);
        assert_int_equal(find(f, "root/a/Z").mtime, 0);
        assert_true(find(f, "root/a/z").mtime > 0);
}

static void test_equal_trees_give_equal_archives(void **state)
{
        struct fixture *f = *state;
        cleanup_buf struct buf first = buf_with_max(1 << 20);

        put(f, "b", "1");
        put(f, "a", "2");
        assert_int_equal(utimensat(f->fd, "a", (struct timespec[]){{1, 0}, {2, 0}}, 0), 0);
        assert_int_equal(utimensat(f->fd, "b", (struct timespec[]){{1, 0}, {3, 0}}, 0), 0);
        assert_int_equal(archive(f, (struct ramdisk_folder_options){0}), 0);
        buf_append_view(&first, buf_view(&f->out));
        put(f, "c", "");
        assert_int_equal(unlinkat(f->fd, "c", 0), 0); /* the folder's own time is now another */
        assert_int_equal(archive(f, (struct ramdisk_folder_options){0}), 0);
        assert_true(view_equal(buf_view(&first), buf_view(&f->out)));
}

static void test_links_are_taken_as_they_are_and_lead_nowhere(void **state)
{
        struct fixture *f = *state;
        char got[512];

        assert_int_equal(symlinkat("/etc/passwd", f->fd, "file"), 0);
        assert_int_equal(symlinkat("/etc", f->fd, "folder"), 0);
        assert_int_equal(symlinkat("../../..", f->fd, "up"), 0);
        assert_int_equal(symlinkat("self", f->fd, "self"), 0);
        assert_int_equal(archive(f, (struct ramdisk_folder_options){0}), 0);
        names(f, got, sizeof(got));
        assert_string_equal(got, "root root/file root/folder root/self root/up");
        struct seen link = find(f, "root/folder");
        assert_int_equal(link.mode & S_IFMT, S_IFLNK);
        assert_memory_equal(link.data, "/etc", 4);
}

static void test_nothing_waits_on_a_fifo_or_a_socket(void **state)
{
        struct fixture *f = *state;
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        cleanup_fd int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        char got[512];

        assert_int_equal(mkfifoat(f->fd, "fifo", 0640), 0);
        snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket", f->folder);
        assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
        assert_int_equal(archive(f, (struct ramdisk_folder_options){0}), 0);
        names(f, got, sizeof(got));
        assert_string_equal(got, "root root/fifo");
        assert_int_equal(find(f, "root/fifo").mode, S_IFIFO | 0640);
}

static void test_devices_are_named_and_not_opened(void **state)
{
        struct fixture *f = *state;

        if (mknodat(f->fd, "device", S_IFCHR | 0600, makedev(4, 65)) < 0)
                skip(); /* takes CAP_MKNOD */
        assert_int_equal(archive(f, (struct ramdisk_folder_options){0}), 0);
        struct seen device = find(f, "root/device");
        assert_int_equal(device.mode & S_IFMT, S_IFCHR);
        assert_int_equal(device.rdev_major, 4);
        assert_int_equal(device.rdev_minor, 65);
}

static void test_hard_links_share_a_number_and_the_first_has_the_data(void **state)
{
        struct fixture *f = *state;

        put(f, "a", "data");
        for (int i = 0; i < 100; i++) {
                char name[16], twin[16];
                snprintf(name, sizeof(name), "x%d", i);
                snprintf(twin, sizeof(twin), "y%d", i);
                put(f, name, name);
                assert_int_equal(linkat(f->fd, name, f->fd, twin, 0), 0);
        }
        assert_int_equal(linkat(f->fd, "a", f->fd, "b", 0), 0);
        assert_int_equal(archive(f, (struct ramdisk_folder_options){0}), 0);
        struct seen a = find(f, "root/a"), b = find(f, "root/b");
        assert_int_equal(a.ino, b.ino);
        assert_true(a.n_links > 1 && b.n_links > 1);
        assert_int_equal(a.size, 4);
        assert_int_equal(b.size, 0);
        assert_int_equal(find(f, "root/x99").ino, find(f, "root/y99").ino);
        assert_int_not_equal(find(f, "root/x98").ino, find(f, "root/y99").ino);
}

static void test_holes_are_zeros_and_count(void **state)
{
        struct fixture *f = *state;
        cleanup_fd int fd = openat(f->fd, "sparse", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

        assert_int_equal(fd_pwrite_full(fd, "end", 3, 1 << 20), 0);
        assert_int_equal(archive(f, (struct ramdisk_folder_options){0}), 0);
        struct seen sparse = find(f, "root/sparse");
        assert_int_equal(sparse.size, (1 << 20) + 3);
        assert_int_equal(sparse.data[12345], 0);
        assert_memory_equal(sparse.data + (1 << 20), "end", 3);
        assert_int_equal(ftruncate(fd, (off_t)1 << 40), 0);
        assert_int_equal(archive(f, (struct ramdisk_folder_options){.max_bytes = 1 << 30}), -EFBIG);
        assert_non_null(
                strstr(error_text(&f->err), "/sparse: with this file there are more than 1073741824"));
}

static void test_attributes_of_images_are_listed(void **state)
{
        static const uint8_t value[] = {0, 0xff};
        struct fixture *f = *state;
        cleanup_free char *path = path_join(f->folder, "d/x");

        assert_int_equal(mkdirat(f->fd, "d", 0755), 0);
        put(f, "d/x", "1");
        if (setxattr(path, "user.b", value, sizeof(value), 0) < 0)
                skip(); /* the file system of /tmp has none */
        assert_int_equal(setxattr(path, "user.a", "", 0, 0), 0);
        assert_int_equal(archive(f, (struct ramdisk_folder_options){0}), 0);
        assert_int_equal(f->xattrs.n, 28);
        assert_memory_equal(f->xattrs.p,
                            "d/x\0user.a\0\0d/x\0user.b\0"
                            "00ff\0",
                            28);
}

static void test_attributes_that_are_the_hosts_own_are_left_out(void **state)
{
        struct fixture *f = *state;
        cleanup_free char *path = path_join(f->folder, "x");

        put(f, "x", "1");
        if (setxattr(path, "trusted.overlay.opaque", "y", 1, 0) < 0)
                skip(); /* takes root, and a file system that has them */
        assert_int_equal(setxattr(path, "trusted.x", "", 0, 0), 0);
        assert_int_equal(archive(f, (struct ramdisk_folder_options){0}), 0);
        assert_int_equal(f->xattrs.n, 13);
        assert_memory_equal(f->xattrs.p, "x\0trusted.x\0", 13);
}

static void test_ids_are_mapped_and_strangers_are_nobody(void **state)
{
        const struct ramdisk_id_range uids[] = {{.from = 100000, .to = 0, .n = 10},
                                                {.from = 7, .to = 1000, .n = 1}};
        struct fixture *f = *state;

        if (getuid() != 0)
                skip(); /* to give files away takes root */
        put(f, "root", "");
        put(f, "other", "");
        put(f, "mine", "");
        put(f, "last", "");
        put(f, "behind", "");
        assert_int_equal(fchownat(f->fd, "root", 100003, 100003, 0), 0);
        assert_int_equal(fchownat(f->fd, "other", 7, 7, 0), 0);
        assert_int_equal(fchownat(f->fd, "last", 100009, 0, 0), 0);
        assert_int_equal(fchownat(f->fd, "behind", 100010, 0, 0), 0);
        assert_int_equal(archive(f, (struct ramdisk_folder_options){.uids = uids, .n_uids = 2}), 0);
        assert_int_equal(find(f, "root/root").uid, 3);
        assert_int_equal(find(f, "root/root").gid, 100003);
        assert_int_equal(find(f, "root/other").uid, 1000);
        assert_int_equal(find(f, "root/last").uid, 9);
        assert_int_equal(find(f, "root/behind").uid, 65534);
        assert_int_equal(find(f, "root/mine").uid, 65534);
}

static void test_a_mount_below_is_refused_by_name(void **state)
{
        struct fixture *f = *state;
        cleanup_free char *path = path_join(f->folder, "mnt");

        assert_int_equal(mkdirat(f->fd, "mnt", 0755), 0);
        if (mount("tmpfs", path, "tmpfs", 0, NULL) < 0)
                skip(); /* takes CAP_SYS_ADMIN */
        int r = archive(f, (struct ramdisk_folder_options){0});
        assert_int_equal(umount(path), 0); /* first, or a failure would leave it behind */
        assert_int_equal(r, -EXDEV);
        assert_non_null(strstr(error_text(&f->err), "/mnt: another file system is mounted there"));
}

static void test_depth_costs_no_descriptors_and_has_a_limit(void **state)
{
        struct fixture *f = *state;
        cleanup_fd int at = openat(f->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        for (int i = 0; i < 1023; i++) {
                assert_int_equal(mkdirat(at, "d", 0755), 0);
                int below = openat(at, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                assert_true(below >= 0);
                close(at);
                at = below;
        }
        assert_int_equal(archive(f, (struct ramdisk_folder_options){0}), 0);
        assert_int_equal(mkdirat(at, "d", 0755), 0);
        assert_int_equal(archive(f, (struct ramdisk_folder_options){0}), -E2BIG);
        assert_non_null(strstr(error_text(&f->err), "deeper than 1024 folders"));
}

static void test_paths_have_their_limit(void **state)
{
        struct fixture *f = *state;
        cleanup_fd int at = openat(f->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        char name[NAME_MAX + 1];

        memset(name, 'n', sizeof(name));
        name[NAME_MAX] = '\0';
        for (int i = 0; i < 15; i++) {
                assert_int_equal(mkdirat(at, name, 0755), 0);
                int below = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                assert_true(below >= 0);
                close(at);
                at = below;
        }
        name[IMAGE_PATH_MAX - 4 - 15 * (NAME_MAX + 1) - 1] = '\0'; /* "root" and 15 of them before it */
        assert_int_equal(mkdirat(at, name, 0755), 0);
        assert_int_equal(archive(f, (struct ramdisk_folder_options){0}), 0);
        memcpy(strchr(name, '\0'), "n", 2);
        assert_int_equal(mkdirat(at, name, 0755), 0);
        assert_int_equal(archive(f, (struct ramdisk_folder_options){0}), -E2BIG);
        assert_non_null(strstr(error_text(&f->err), "a path of more than 4095 bytes"));
}

static void test_all_files_together_are_held_to_the_ceiling(void **state)
{
        struct fixture *f = *state;

        put(f, "a", "12345");
        put(f, "b", "67890");
        assert_int_equal(linkat(f->fd, "b", f->fd, "c", 0), 0); /* counts once */
        assert_int_equal(archive(f, (struct ramdisk_folder_options){.max_bytes = 10}), 0);
        assert_int_equal(archive(f, (struct ramdisk_folder_options){.max_bytes = 9}), -EFBIG);
        assert_non_null(strstr(error_text(&f->err), "/b: with this file there are more than 9 bytes"));
}

/* ---- somebody who changes it meanwhile ---- */

struct meddler {
        struct fixture *f;
        void (*meddle)(struct fixture *f); /* once the first bytes are written */
};

static int catch_and_meddle(void *user, const void *p, size_t n, struct error *err)
{
        struct meddler *m = user;

        (void)p, (void)n, (void)err;
        if (m->meddle)
                m->meddle(m->f);
        m->meddle = NULL;
        return 0;
}

/* A file in d/e, larger than what is buffered. */
static int archive_under(struct fixture *f, void (*meddle)(struct fixture *f))
{
        struct meddler m = {.f = f, .meddle = meddle};
        const struct ramdisk_sink sink = {.write = catch_and_meddle, .user = &m};
        const struct ramdisk_folder_options options = {0};
        cleanup_ramdisk struct ramdisk *ramdisk = NULL;

        assert_int_equal(mkdirat(f->fd, "d", 0755), 0);
        assert_int_equal(mkdirat(f->fd, "d/e", 0755), 0);
        put(f, "d/e/large", "");
        cleanup_fd int fd = openat(f->fd, "d/e/large", O_WRONLY | O_CLOEXEC);
        assert_int_equal(ftruncate(fd, 1 << 20), 0);
        assert_int_equal(ramdisk_new(&sink, &ramdisk, NULL), 0);
        int r = ramdisk_add_folder(ramdisk, f->fd, "root", &options, &f->err);
        assert_null(m.meddle);
        return r;
}

static void move_away(struct fixture *f)
{
        assert_int_equal(renameat(f->fd, "d/e", f->fd, "elsewhere"), 0);
}

static void test_a_folder_that_was_moved_leads_to_no_other(void **state)
{
        struct fixture *f = *state;

        assert_int_equal(archive_under(f, move_away), -ESTALE);
        assert_string_equal(error_text(&f->err), "/d: changed while it was read");
}

static void cut_short(struct fixture *f)
{
        cleanup_fd int fd = openat(f->fd, "d/e/large", O_WRONLY | O_TRUNC | O_CLOEXEC);

        assert_true(fd >= 0);
}

static void test_a_file_that_became_shorter_has_changed(void **state)
{
        struct fixture *f = *state;

        assert_int_equal(archive_under(f, cut_short), -ESTALE);
        assert_string_equal(error_text(&f->err), "/d/e/large: changed while it was read");
}

static void test_thousands_of_names_come_in_order(void **state)
{
        struct fixture *f = *state;
        struct seen seen;
        char last[128] = "";
        size_t at = 0, n = 0;

        for (int i = 0; i < 5000; i++) {
                char name[16];
                snprintf(name, sizeof(name), "%d", (i * 7919) % 5000);
                put(f, name, "");
        }
        assert_int_equal(archive(f, (struct ramdisk_folder_options){0}), 0);
        while (next(f, &at, &seen)) {
                assert_true(strcmp(last, seen.name) < 0);
                memcpy(last, seen.name, sizeof(last));
                n++;
        }
        assert_int_equal(n, 5001);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        const struct CMUnitTest tests[] = {
                TEST(test_order_is_that_of_names_and_a_folder_comes_first),
                TEST(test_equal_trees_give_equal_archives),
                TEST(test_links_are_taken_as_they_are_and_lead_nowhere),
                TEST(test_nothing_waits_on_a_fifo_or_a_socket),
                TEST(test_devices_are_named_and_not_opened),
                TEST(test_hard_links_share_a_number_and_the_first_has_the_data),
                TEST(test_holes_are_zeros_and_count),
                TEST(test_attributes_of_images_are_listed),
                TEST(test_attributes_that_are_the_hosts_own_are_left_out),
                TEST(test_ids_are_mapped_and_strangers_are_nobody),
                TEST(test_a_mount_below_is_refused_by_name),
                TEST(test_depth_costs_no_descriptors_and_has_a_limit),
                TEST(test_paths_have_their_limit),
                TEST(test_all_files_together_are_held_to_the_ceiling),
                TEST(test_a_folder_that_was_moved_leads_to_no_other),
                TEST(test_a_file_that_became_shorter_has_changed),
                TEST(test_thousands_of_names_come_in_order),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
