/* SPDX-License-Identifier: Apache-2.0 */
/* The entries of "mounts", kind by kind and option by option. */
#include "lib/container/init/test-rootfs.h"

#include "lib/base/cleanup.h"
#include "lib/base/fd.h"
#include "lib/base/path.h"
#include "lib/container/sync.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

/* A path below box->folder, for the life of the case. */
static const char *in_box(const struct box *box, const char *path)
{
        return path_join(box->folder, path);
}

/* The mount's error, which must come with `code` and hold `text`. */
static void expect_refused(struct box *box, int code, const char *text)
{
        struct error err = {0};
        int r;

        expect_ok(rootfs_open(&box->plan, &box->root, &err), &err, "rootfs_open");
        r = rootfs_mount(&box->root, &err);
        expect(r == code && strstr(error_text(&err), text), "%d: %s", r, error_text(&err));
}

static void bind_of_folder_and_file(struct box *box)
{
        box_folder(box, "source/sub");
        box_file(box, "source/file", "hello");
        box_folder(box, "rootfs/there");
        box_mount(box, "/there", "bind", in_box(box, "source"));
        box_mount(box, "/made/for/it/", "bind", in_box(box, "source"));
        box_mount(box, "/made/file/", "bind", in_box(box, "source/file"));
        box_mount(box, "relative", "bind", in_box(box, "source"));
        box_enter(box);
        expect(file_has("/there/file", "hello") && file_has("/made/for/it/file", "hello") &&
                       file_has("/made/file", "hello") && file_has("/relative/file", "hello"),
               "what was bound is there");
        expect(access("/there/sub", F_OK) == 0, "with its folders");
}

static void bind_without_source(struct box *box)
{
        box_mount(box, "/x", "bind", in_box(box, "nothing"));
        expect_refused(box, -ENOENT, "/nothing\" to rootfs at \"/x\"");
        expect(access(in_box(box, "rootfs/x"), F_OK) < 0, "nothing was made for it");
}

static void a_symlinked_destination_stays_inside(struct box *box)
{
        box_folder(box, "source");
        box_file(box, "source/file", "hello");
        box_folder(box, "outside");
        box_link(box, "rootfs/link", in_box(box, "outside"));
        box_mount(box, "/link/x/y", "bind", in_box(box, "source/file"));
        box_build(box);
        expect(access(in_box(box, "outside/x"), F_OK) < 0, "nothing is made on the host");
        char path[256];
        (void)snprintf(path, sizeof(path), "%s%s/x/y", box->rootfs, in_box(box, "outside"));
        expect(file_has(path, "hello"), "it is at %s", path);
}

static void rbind_brings_submounts(struct box *box)
{
        box_folder(box, "source/sub");
        expect(mount(NULL, "/", NULL, MS_PRIVATE | MS_REC, NULL) == 0, "private");
        expect(mount("tmpfs", in_box(box, "source/sub"), "tmpfs", 0, NULL) == 0, "tmpfs");
        box_file(box, "source/sub/below", "b");
        box_mount(box, "/plain", "bind", in_box(box, "source"));
        struct spec_mount *mount = box_mount(box, "/deep", "bind", in_box(box, "source"));
        mount->features |= SPEC_MOUNT_RECURSIVE;
        mount->flags = MS_RDONLY;
        if (box->has_setattr) {
                mount = box_mount(box, "/all", "bind", in_box(box, "source"));
                mount->features |= SPEC_MOUNT_RECURSIVE;
                mount->rec_attr_set = MOUNT_ATTR_RDONLY;
        }
        box_enter(box);
        expect(access("/plain/sub/below", F_OK) < 0, "bind has none");
        expect(file_has("/deep/sub/below", "b"), "rbind has them");
        expect(mkdir("/deep/x", 0700) < 0 && errno == EROFS, "ro is for the top");
        expect(mkdir("/deep/sub/x", 0700) == 0, "and for nothing else");
        if (box->has_setattr)
                expect(mkdir("/all/sub/y", 0700) < 0 && errno == EROFS, "rro is for all");
}

static void recursive_options_need_a_kernel(struct box *box)
{
        box_folder(box, "source");
        box_mount(box, "/all", "bind", in_box(box, "source"))->rec_attr_set = MOUNT_ATTR_RDONLY;
        if (box->has_setattr)
                box_enter(box);
        else
                expect_refused(box, strstr(box->denied, "EPERM") ? -EPERM : -ENOSYS,
                               "recursive mount options");
}

static void flags_of_a_bind(struct box *box)
{
        box_folder(box, "source");
        expect(mount(NULL, "/", NULL, MS_PRIVATE | MS_REC, NULL) == 0, "private");
        expect(mount("tmpfs", in_box(box, "source"), "tmpfs",
                     MS_NOSUID | MS_NODEV | MS_NOATIME | MS_NOSYMFOLLOW, NULL) == 0,
               "tmpfs");
        box_mount(box, "/kept", "bind", in_box(box, "source"));
        box_mount(box, "/ro", "bind", in_box(box, "source"))->flags = MS_RDONLY;
        box_mount(box, "/suid", "bind", in_box(box, "source"))->clear_flags = MS_NOSUID;
        box_mount(box, "/noexec", "bind", in_box(box, "source"))->flags =
                MS_NOEXEC | MS_NODIRATIME | MS_RELATIME;
        box_mount(box, "/strict", "bind", in_box(box, "source"))->flags = MS_STRICTATIME | MS_NOSUID;
        box_mount(box, "/private", "bind", in_box(box, "source"))->propagation = MS_PRIVATE | MS_REC;
        box_mount(box, "/shared", "bind", in_box(box, "source"))->propagation = MS_SHARED;
        box_enter(box);
        /* mount_line() is in the file's order: the procfs is the host's, seen through the old descriptor. */
        expect(line_has("/kept", " rw,nosuid,nodev,noatime,nosymfollow "), "%s", mount_line("/kept"));
        expect(line_has("/ro", " ro,noatime "), "%s", mount_line("/ro"));
        expect(line_has("/suid", " rw,noatime "), "%s", mount_line("/suid"));
        expect(line_has("/noexec", " rw,noexec,nodiratime,relatime "), "%s", mount_line("/noexec"));
        expect(line_has("/strict", " rw,nosuid "), "%s", mount_line("/strict"));
        expect(!line_has("/private", "master:") && !line_has("/private", "shared:"), "%s",
               mount_line("/private"));
        expect(line_has("/shared", "shared:"), "%s", mount_line("/shared"));
}

static void write_file(const struct box *box, const char *path, const char *text)
{
        cleanup_fd int fd = openat(box->plan.host_proc_fd, path, O_WRONLY | O_CLOEXEC);

        expect(fd >= 0 && fd_write_full(fd, text, strlen(text)) == 0, "write %s", path);
}

/* What a more privileged user namespace has forbidden stays so, and isn't passed over in silence. */
static void locked_flags(struct box *box)
{
        box_folder(box, "source");
        expect(mount("tmpfs", in_box(box, "source"), "tmpfs", MS_NOSUID | MS_NODEV | MS_NOATIME, NULL) == 0,
               "tmpfs");
        expect(unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0, "unshare");
        write_file(box, "self/setgroups", "deny");
        write_file(box, "self/uid_map", "0 0 1");
        write_file(box, "self/gid_map", "0 0 1");
        box_mount(box, "/ro", "bind", in_box(box, "source"))->flags = MS_RDONLY;
        box_mount(box, "/same", "bind", in_box(box, "source"))->flags = MS_NOEXEC | MS_NOATIME;
        box_build(box);
        char path[128];
        (void)snprintf(path, sizeof(path), "%s/ro", box->rootfs);
        expect(line_has(path, " ro,nosuid,nodev,noatime "), "%s", mount_line(path));
        (void)snprintf(path, sizeof(path), "%s/same", box->rootfs);
        expect(line_has(path, " rw,nosuid,nodev,noexec,noatime "), "%s", mount_line(path));

        rootfs_done(&box->root);
        box->spec.n_mounts = 0;
        struct spec_mount *mount = box_mount(box, "/x", "bind", in_box(box, "source"));
        mount->flags = MS_NOEXEC;
        mount->clear_flags = MS_NODEV;
        expect_refused(box, -EPERM, "cannot clear locked flags");
        rootfs_done(&box->root);
        box->spec.n_mounts = 0;
        box_mount(box, "/y", "bind", in_box(box, "source"))->flags = MS_RELATIME;
        expect_refused(box, -EPERM, "cannot change locked atime flags");
}

static void the_source_s_propagation_is_kept_out(struct box *box)
{
        box_folder(box, "source");
        box_folder(box, "rootfs/x");
        expect(mount("tmpfs", in_box(box, "source"), "tmpfs", 0, NULL) == 0, "tmpfs");
        expect(mount(NULL, in_box(box, "source"), NULL, MS_SHARED, NULL) == 0, "shared");
        box_mount(box, "/x", "bind", in_box(box, "source"));
        box_enter(box);
        expect(!line_has("/x", "shared:"), "%s", mount_line("/x"));
}

static void a_readonly_tmpfs_takes_mounts_before(struct box *box)
{
        box_folder(box, "source");
        box_file(box, "source/file", "hello");
        struct spec_mount *mount = box_mount(box, "/t", "tmpfs", "tmpfs");
        mount->flags = MS_RDONLY | MS_NOEXEC;
        mount->data = "size=64k,mode=711";
        box_mount(box, "/t/inner", "bind", in_box(box, "source"));
        box_enter(box);
        expect(file_has("/t/inner/file", "hello"), "a mount in it");
        expect(mkdir("/t/x", 0700) < 0 && errno == EROFS, "it is read-only");
        expect(line_has("/t", " ro,noexec,relatime "), "%s", mount_line("/t"));
        struct stat st;
        expect(stat("/t", &st) == 0 && (st.st_mode & 07777) == 0711, "its mode is the option's");
}

static void a_tmpfs_looks_like_what_it_hides(struct box *box)
{
        struct stat st;

        box_folder(box, "rootfs/home");
        expect(chmod(in_box(box, "rootfs/home"), 01750) == 0, "chmod");
        box_mount(box, "/home", "tmpfs", NULL);
        box_enter(box);
        expect(stat("/home", &st) == 0 && (st.st_mode & 07777) == 01750, "%o", st.st_mode);
}

static void tmpcopyup(struct box *box)
{
        struct stat st;
        char text[64] = "";

        box_folder(box, "rootfs/data/sub");
        box_file(box, "rootfs/data/sub/file", "hello");
        box_link(box, "rootfs/data/link", "sub/file");
        expect(mkfifo(in_box(box, "rootfs/data/pipe"), 0600) == 0, "mkfifo");
        expect(setxattr(in_box(box, "rootfs/data/sub/file"), "trusted.test", "v", 1, 0) == 0, "setxattr");
        expect(chown(in_box(box, "rootfs/data/sub/file"), 7, 8) == 0 &&
                       chmod(in_box(box, "rootfs/data/sub/file"), 04751) == 0 &&
                       chown(in_box(box, "rootfs/data"), 5, 6) == 0 &&
                       chmod(in_box(box, "rootfs/data"), 0750) == 0,
               "chown");
        struct spec_mount *mount = box_mount(box, "/data", "tmpfs", "tmpfs");
        mount->features = SPEC_MOUNT_TMPCOPYUP;
        mount->flags = MS_RDONLY | MS_NOSUID;
        box_enter(box);
        expect(line_has("/data", " - tmpfs "), "it is a tmpfs");
        expect(file_has("/data/sub/file", "hello") && stat("/data/sub/file", &st) == 0 && st.st_uid == 7 &&
                       st.st_gid == 8 && (st.st_mode & 07777) == 04751,
               "the file, its owner and mode");
        expect(readlink("/data/link", text, sizeof(text)) == 8 && strcmp(text, "sub/file") == 0,
               "the symlink");
        expect(lstat("/data/pipe", &st) == 0 && S_ISFIFO(st.st_mode), "the pipe");
        expect(stat("/data", &st) == 0 && st.st_uid == 5 && st.st_gid == 6 && (st.st_mode & 07777) == 0750,
               "the folder's own");
        expect(mkdir("/data/x", 0700) < 0 && errno == EROFS, "read-only at the end");
        expect(getxattr("/data/sub/file", "trusted.test", text, sizeof(text)) == 1, "an attribute");
}

static void copy_symlink(struct box *box)
{
        char text[64] = "";

        box_file(box, "file", "hello");
        box_link(box, "link", "/no/where");
        box_link(box, "good", "file");
        box_mount(box, "/etc/link", "bind", in_box(box, "link"))->features |= SPEC_MOUNT_COPY_SYMLINK;
        box_mount(box, "/etc/link", "bind", in_box(box, "link"))->features |= SPEC_MOUNT_COPY_SYMLINK;
        box_mount(box, "/etc/file", "bind", in_box(box, "file"))->features |= SPEC_MOUNT_COPY_SYMLINK;
        box_mount(box, "/etc/followed", "bind", in_box(box, "good"));
        box_enter(box);
        expect(readlink("/etc/link", text, sizeof(text)) == 9 && strcmp(text, "/no/where") == 0, "%s", text);
        expect(file_has("/etc/file", "hello") && line_has("/etc/file", "/file /etc/file "),
               "a file is bound");
        expect(file_has("/etc/followed", "hello"), "without the option a symlink is followed");
}

static void links_that_are_not_followed(struct box *box)
{
        struct stat st;

        box_file(box, "file", "hello");
        box_link(box, "link", "file");
        box_link(box, "rootfs/dest", "/else");
        struct spec_mount *mount = box_mount(box, "/dest", "bind", in_box(box, "link"));
        mount->features |= SPEC_MOUNT_SRC_NOFOLLOW | SPEC_MOUNT_DEST_NOFOLLOW;
        if (box->denied && !strstr(box->denied, "openat2") && !strstr(box->denied, "fsopen") &&
            !strstr(box->denied, "mount_setattr"))
                return; /* mount(2) follows the link that a descriptor is */
        box_enter(box);
        expect(lstat("/dest", &st) == 0 && S_ISLNK(st.st_mode) && access("/else", F_OK) < 0,
               "a symlink over a symlink");
}

static void procfs_and_sysfs_need_a_folder(struct box *box)
{
        static const char *const types[] = {"proc", "sysfs"};

        box_folder(box, "rootfs/real");
        box_link(box, "rootfs/proc", "real");
        box_link(box, "rootfs/sub", "real");
        for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
                box->spec.n_mounts = 0;
                box_mount(box, "/proc", types[i], types[i]);
                if (box->root.fd >= 0)
                        rootfs_done(&box->root);
                expect_refused(box, -ELOOP, "must be mounted on ordinary directory");
                box->spec.n_mounts = 0;
                box_mount(box, "/sub/sys", types[i], types[i]);
                rootfs_done(&box->root);
                expect_refused(box, -ELOOP, "must be mounted on ordinary directory");
        }
}

static void nothing_but_procfs_on_proc(struct box *box)
{
        static const struct {
                const char *destination;
                const char *text;
        } rows[] = {
                {"/proc", "not of type proc"},  {"//proc/", "not of type proc"},
                {"/link", "not of type proc"},  {"/x/../proc", "not of type proc"},
                {"/proc/x", "is inside /proc"}, {"/link/x/y", "is inside /proc"},
                {"/", "on the top of rootfs"},  {"/x/..", "on the top of rootfs"},
        };

        box_folder(box, "source");
        box_folder(box, "rootfs/proc");
        box_folder(box, "rootfs/x");
        box_link(box, "rootfs/link", "/proc");
        for (size_t i = 0; i < 2 * ARRAY_SIZE(rows); i++) {
                const char *destination = rows[i / 2].destination;
                box->spec.n_mounts = 0;
                if (i % 2)
                        box_mount(box, destination, "tmpfs", "tmpfs");
                else
                        box_mount(box, destination, "bind", in_box(box, "source"));
                rootfs_done(&box->root);
                expect_refused(box, -EPERM, rows[i / 2].text);
        }
}

static void nothing_below_a_mounted_procfs(struct box *box)
{
        box_file(box, "file", "hello");
        box_mount(box, "/proc", "proc", "proc");
        box_mount(box, "/proc/self/attr/current", "bind", in_box(box, "file"));
        expect_refused(box, -EPERM, "is inside /proc");
}

static void what_lxcfs_emulates(struct box *box)
{
        box_file(box, "file", "hello");
        box_mount(box, "/proc", "proc", "proc");
        box_mount(box, "/proc/cpuinfo", "bind", in_box(box, "file"));
        box_mount(box, "/proc/sys/kernel/ns_last_pid", "bind", in_box(box, "file"));
        box_enter(box);
        expect(file_has("/proc/cpuinfo", "hello") && file_has("/proc/sys/kernel/ns_last_pid", "hello"),
               "both");
}

static void procfs_of_the_host(struct box *box)
{
        box_mount(box, "/proc", "bind", "/proc")->features |= SPEC_MOUNT_RECURSIVE;
        box_enter(box);
        expect(access("/proc/1/status", F_OK) == 0, "it is there");
}

static void wrong_types_and_options(struct box *box)
{
        box_mount(box, "/x", "nosuchfs", "none");
        expect_refused(box, -ENODEV, "nosuchfs");
        rootfs_done(&box->root);
        box->spec.n_mounts = 0;
        box_mount(box, "/x", "tmpfs", "tmpfs")->data = "nosuchoption=1";
        expect_refused(box, -EINVAL, "error mounting \"tmpfs\" to rootfs at \"/x\"");
}

static void another_file_system(struct box *box)
{
        static char data[512];

        box_folder(box, "lower");
        box_file(box, "lower/file", "hello");
        expect(mount("tmpfs", box->folder, "tmpfs", 0, NULL) == 0, "tmpfs");
        box_folder(box, "rootfs/x");
        box_folder(box, "lower");
        box_file(box, "lower/file", "hello");
        box_folder(box, "upper");
        box_folder(box, "work");
        box->plan.rootfs_fd = -1;
        (void)snprintf(data, sizeof(data), "lowerdir=%s/lower,upperdir=%s/upper,workdir=%s/work", box->folder,
                       box->folder, box->folder);
        struct spec_mount *mount = box_mount(box, "/x", "overlay", "overlay");
        mount->data = data;
        mount->flags = MS_NODEV;
        mount->propagation = MS_SHARED;
        box_enter(box);
        expect(file_has("/x/file", "hello"), "it is there");
        expect(line_has("/x", " rw,nodev,relatime shared:") && line_has("/x", " - overlay "), "%s",
               mount_line("/x"));
}

static void remount(struct box *box)
{
        box_mount(box, "/x", "tmpfs", "tmpfs")->data = "size=64k";
        struct spec_mount *mount = box_mount(box, "/x", "tmpfs", "tmpfs");
        mount->features = SPEC_MOUNT_REMOUNT;
        mount->flags = MS_REMOUNT | MS_NOEXEC;
        mount->data = "size=128k";
        box_mount(box, "/y", "tmpfs", "tmpfs");
        mount = box_mount(box, "/y", "bind", "/y");
        mount->features |= SPEC_MOUNT_REMOUNT;
        mount->flags = MS_REMOUNT | MS_BIND | MS_RDONLY;
        box_enter(box);
        expect(line_has("/x", " rw,noexec,relatime ") && line_has("/x", "size=128k"), "%s", mount_line("/x"));
        expect(line_has("/y", " ro,relatime "), "%s", mount_line("/y"));
}

static void a_prepared_tree(struct box *box)
{
        static struct plan_mount prepared[2] = {{true}, {false}};
        struct sync_message asked;
        int pair[2];
        struct error err = {0};

        if (box->denied && !strstr(box->denied, "openat2") && !strstr(box->denied, "fsopen") &&
            !strstr(box->denied, "mount_setattr"))
                return; /* whoever makes one has the calls */
        box_folder(box, "source");
        box_file(box, "source/file", "hello");
        box_mount(box, "/x/y", "bind", "/nowhere/that/init/reaches")->flags = MS_RDONLY;
        box_mount(box, "/z", "bind", in_box(box, "source"));
        expect_ok(rootfs_open(&box->plan, &box->root, &err), &err, "rootfs_open");
        int tree = open_tree(AT_FDCWD, in_box(box, "source"), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
        expect(tree >= 0, "open_tree");
        expect(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0, "socketpair");
        expect(sync_send(pair[1], PLAN_GO, NULL, tree) == 0, "an answer that is there already");
        box->plan.sync_fd = pair[0];
        box->plan.mounts = prepared;
        expect_ok(rootfs_mount(&box->root, &err), &err, "rootfs_mount");
        expect_ok(sync_receive(pair[1], &asked, &err), &err, "sync_receive");
        expect(asked.type == PLAN_WANT_TREE && strcmp(asked.text, "0") == 0 && asked.fd >= 0,
               "asked for one");
        expect_ok(rootfs_enter(&box->root, &err), &err, "rootfs_enter");
        expect(file_has("/x/y/file", "hello") && line_has("/x/y", " ro,"), "%s", mount_line("/x/y"));
        expect(file_has("/z/file", "hello"), "the others are made");
}

static const struct box_case cases[] = {
        {"bind of folder and file", bind_of_folder_and_file, 0, 0},
        {"bind without source", bind_without_source, 0, 0},
        {"a symlinked destination stays inside (CVE-2024-45310)", a_symlinked_destination_stays_inside, 0, 0},
        {"rbind brings submounts", rbind_brings_submounts, 0, 0},
        {"recursive options need a kernel", recursive_options_need_a_kernel, 0, 0},
        {"flags of a bind", flags_of_a_bind, 0, 0},
        {"locked flags", locked_flags, 0, 0},
        {"the source's propagation is kept out", the_source_s_propagation_is_kept_out, 0, 0},
        {"a read-only tmpfs takes mounts before", a_readonly_tmpfs_takes_mounts_before, 0, 0},
        {"a tmpfs looks like what it hides", a_tmpfs_looks_like_what_it_hides, 0, 0},
        {"tmpcopyup", tmpcopyup, 0, 0},
        {"copy-symlink", copy_symlink, 0, 0},
        {"links that are not followed", links_that_are_not_followed, 0, 0},
        {"procfs and sysfs need a folder (CVE-2023-27561)", procfs_and_sysfs_need_a_folder, 0, 0},
        {"nothing but procfs on /proc (CVE-2019-16884)", nothing_but_procfs_on_proc, 0, 0},
        {"nothing below a mounted procfs", nothing_below_a_mounted_procfs, 0, 0},
        {"what lxcfs emulates", what_lxcfs_emulates, 0, 0},
        {"procfs of the host", procfs_of_the_host, 0, 0},
        {"wrong types and options", wrong_types_and_options, 0, 0},
        {"another file system", another_file_system, 0, 0},
        {"remount", remount, 0, 0},
        {"a prepared tree", a_prepared_tree, 0, 0},
};

static void mount_cases(void **state)
{
        (void)state;
        assert_int_equal(run_cases(cases, ARRAY_SIZE(cases)), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(mount_cases),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
