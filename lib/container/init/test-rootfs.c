/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/container/init/test-rootfs.h"

#include "lib/base/cleanup.h"
#include "lib/base/fd.h"
#include "lib/base/path.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

static bool is_device(const char *path, unsigned major_number, unsigned minor_number)
{
        struct stat st;

        return lstat(path, &st) == 0 && S_ISCHR(st.st_mode) && (st.st_mode & 07777) == 0666 &&
               st.st_rdev == makedev(major_number, minor_number);
}

static bool is_link(const char *path, const char *target)
{
        char text[128] = "";

        return readlink(path, text, sizeof(text) - 1) > 0 && strcmp(text, target) == 0;
}

static void expect_mount(const char *path, const char *type, const char *options)
{
        expect(line_has(path, type), "%s: no %s in: %s", path, type, mount_line(path));
        expect(line_has(path, options), "%s: no %s in: %s", path, options, mount_line(path));
}

static void the_template(struct box *box)
{
        box_folder(box, "rootfs/bin");
        box_default(box);
        box_enter(box);
        expect_mount("/proc", " - proc ", " rw,relatime ");
        expect_mount("/dev", " - tmpfs ", " rw,nosuid ");
        expect_mount("/dev", " - tmpfs tmpfs rw,size=65536k,mode=755", "");
        expect_mount("/dev/pts", " - devpts devpts rw,gid=5,mode=620,ptmxmode=666",
                     " rw,nosuid,noexec,relatime ");
        expect_mount("/dev/shm", " - tmpfs shm ", " rw,nosuid,nodev,noexec,relatime ");
        expect_mount("/dev/mqueue", " - mqueue ", " rw,nosuid,nodev,noexec,relatime ");
        expect_mount("/sys", " - sysfs ", " ro,nosuid,nodev,noexec,relatime ");
        expect_mount("/proc/sys", " - proc ", " ro,relatime ");
        expect_mount("/", " - ", " ro,relatime");
        expect(is_device("/dev/null", 1, 3) && is_device("/dev/zero", 1, 5) && is_device("/dev/full", 1, 7) &&
                       is_device("/dev/random", 1, 8) && is_device("/dev/urandom", 1, 9) &&
                       is_device("/dev/tty", 5, 0),
               "default devices");
        expect(is_link("/dev/fd", "/proc/self/fd") && is_link("/dev/stdin", "/proc/self/fd/0") &&
                       is_link("/dev/stdout", "/proc/self/fd/1") &&
                       is_link("/dev/stderr", "/proc/self/fd/2") && is_link("/dev/ptmx", "pts/ptmx"),
               "symlinks below /dev");
        expect(mkdir("/new", 0755) < 0 && errno == EROFS, "the root is read-only");
        expect(access("/bin", F_OK) == 0 && access("/tmp", F_OK) < 0 && access(box->folder, F_OK) < 0,
               "this is the rootfs, and no more");
        struct stat st;
        expect(stat("/proc/timer_list", &st) < 0 || st.st_rdev == makedev(1, 3), "a masked file");
        expect(stat("/proc/kcore", &st) < 0 || st.st_rdev == makedev(1, 3), "a masked file");
}

/* ---- devices ------------------------------------------------------------------------------------------- */

static void add_device(struct box *box, const char *path, mode_t type, unsigned major_number,
                       unsigned minor_number, mode_t mode, uint32_t uid)
{
        static struct spec_device devices[8];
        size_t n = box->spec.linux.n_devices++;

        devices[n] = (struct spec_device){path, type, major_number, minor_number, mode, uid, uid};
        box->spec.linux.devices = devices;
}

static void devices_of_the_configuration(struct box *box)
{
        struct stat st;

        add_device(box, "/dev/deep/er/loop", S_IFBLK, 7, 3, 0640, 12);
        add_device(box, "/dev/pipe", S_IFIFO, 0, 0, 0604, 0);
        add_device(box, "/dev/null", S_IFCHR, 1, 3, 0620, 0);
        add_device(box, "/dev//ptmx", S_IFCHR, 5, 2, 0666, 0);
        add_device(box, "/opt/device", S_IFCHR, 1, 5, 0600, 0);
        box_mount(box, "/dev", "tmpfs", "tmpfs")->flags = MS_RDONLY;
        box_enter(box);
        expect(stat("/dev/deep/er/loop", &st) == 0 && S_ISBLK(st.st_mode) && (st.st_mode & 07777) == 0640 &&
                       st.st_rdev == makedev(7, 3) && st.st_uid == 12 && st.st_gid == 12,
               "a block device with an owner");
        expect(stat("/dev/pipe", &st) == 0 && S_ISFIFO(st.st_mode) && (st.st_mode & 07777) == 0604, "a pipe");
        expect(stat("/dev/null", &st) == 0 && (st.st_mode & 07777) == 0620, "a default one, set anew");
        expect(is_link("/dev/ptmx", "pts/ptmx"), "ptmx is the one of devpts");
        expect(stat("/opt/device", &st) == 0 && st.st_rdev == makedev(1, 5), "one beside /dev");
        expect(mkdir("/dev/x", 0700) < 0 && errno == EROFS, "/dev is read-only in the end");
}

static void what_an_image_has_below_dev(struct box *box)
{
        box_folder(box, "rootfs/dev");
        box_file(box, "rootfs/dev/zero", "mine");
        box_file(box, "rootfs/dev/ptmx", "mine");
        box_link(box, "rootfs/dev/stdin", "mine");
        box_enter(box);
        expect(file_has("/dev/zero", "mine") && is_link("/dev/stdin", "mine"), "it stays what it is");
        expect(is_link("/dev/ptmx", "pts/ptmx"), "but for ptmx");
        expect(is_device("/dev/full", 1, 7), "what is missing is made");
}

static void a_symlink_for_dev_stays_inside(struct box *box)
{
        static char target[128];
        struct error err = {0};

        box_folder(box, "outside");
        (void)snprintf(target, sizeof(target), "../../..%s/outside", box->folder);
        box_link(box, "rootfs/dev", target);
        box_build(box);
        expect(access("outside/null", F_OK) < 0, "nothing on the host");
        expect(faccessat(AT_FDCWD, target + strlen("../../.."), F_OK, 0) == 0, "the folder is there");
        (void)snprintf(target, sizeof(target), "%s/outside/null", box->folder);
        expect(access(target, F_OK) < 0, "nothing is made outside");
        expect_ok(rootfs_enter(&box->root, &err), &err, "rootfs_enter");
        expect(is_device("/dev/null", 1, 3), "it is inside");
}

static void dev_of_the_host(struct box *box)
{
        box_folder(box, "dev");
        box_mount(box, "//dev/", "bind", path_join(box->folder, "dev"));
        box_enter(box);
        expect(access("/dev/null", F_OK) < 0 && access("/dev/fd", F_OK) < 0, "nothing is made in it");
}

static void devices_in_a_user_namespace(struct box *box)
{
        struct error err = {0};

        box_default(box);
        box_enter(box);
        expect(is_device("/dev/null", 1, 3) && is_device("/dev/tty", 5, 0), "the host's nodes");
        expect_mount("/dev/null", " - devtmpfs ", "");
        rootfs_done(&box->root);
        expect(open("/dev/null", O_RDWR | O_CLOEXEC) >= 0, "it can be opened");
        (void)err;
}

static void a_device_that_the_host_has_not(struct box *box)
{
        struct error err = {0};

        add_device(box, "/dev/zero", S_IFCHR, 1, 9, 0666, 0);
        box_mount(box, "/dev", "tmpfs", "tmpfs");
        expect_ok(rootfs_open(&box->plan, &box->root, &err), &err, "rootfs_open");
        int r = rootfs_mount(&box->root, &err);
        expect(r == -ENODEV && strstr(error_text(&err), "device \"/dev/zero\""), "%s", error_text(&err));
}

static void the_hosts_null_is_let_go(struct box *box)
{
        struct stat st, own;

        cleanup_fd int null = open("/dev/null", O_RDWR | O_CLOEXEC);
        expect(dup2(null, 0) == 0, "dup2");
        box_mount(box, "/dev", "tmpfs", "tmpfs");
        box_enter(box);
        expect(fstat(0, &st) == 0 && stat("/dev/null", &own) == 0 && st.st_dev == own.st_dev &&
                       st.st_ino == own.st_ino,
               "standard input is the container's null");
}

/* ---- masks --------------------------------------------------------------------------------------------- */

static void masks(struct box *box)
{
        struct stat a, b;
        struct statvfs fs;

        box_folder(box, "rootfs/one/in");
        box_folder(box, "rootfs/two");
        box_folder(box, "rootfs/ro/sub");
        box_file(box, "rootfs/file", "secret");
        box_link(box, "rootfs/link", "/one/in");
        box_mount(box, "/dev", "tmpfs", "tmpfs");
        box_mount(box, "/ro/sub", "tmpfs", "tmpfs");
        static const char *const hidden[] = {"/one", "/two",  "/file",   "/file",
                                             "/one", "/none", "/file/x", "two/"};
        for (size_t i = 0; i < ARRAY_SIZE(hidden); i++)
                box_path(&box->spec.linux.masked_paths, hidden[i]);
        box_path(&box->spec.linux.readonly_paths, "/ro");
        box_path(&box->spec.linux.readonly_paths, "/none");
        box_path(&box->spec.linux.readonly_paths, "/link");
        box_enter(box);
        expect(stat("/one", &a) == 0 && stat("/two", &b) == 0 && a.st_dev == b.st_dev, "one tmpfs for both");
        expect(mkdir("/one/x", 0700) < 0 && errno == EROFS && mkdir("/two/x", 0700) < 0 && errno == EROFS,
               "which is read-only");
        expect(access("/one/in", F_OK) < 0, "and empty");
        expect(is_device("/file", 1, 3), "a file reads as nothing");
        expect(mkdir("/ro/x", 0700) < 0 && errno == EROFS, "read-only");
        expect(mkdir("/new", 0700) == 0, "the rest isn't");
        expect(!box->has_setattr || (statvfs("/ro/sub", &fs) == 0 && fs.f_flag & ST_RDONLY),
               "with what is mounted below");
}

/* The masks alone are to see the null device. */
static void leave_null(void)
{
        cleanup_fd int other = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        expect(dup2(other, 0) == 0 && dup2(other, 1) == 1, "dup2");
}

static void a_false_null_hides_nothing(struct box *box)
{
        struct error err = {0};

        leave_null();
        box_folder(box, "rootfs/dev");
        box_file(box, "rootfs/file", "secret");
        box_path(&box->spec.linux.masked_paths, "/file");
        expect(mknod(path_join(box->rootfs, "dev/null"), S_IFCHR | 0666, makedev(1, 5)) == 0, "mknod");
        box_build(box);
        expect_ok(rootfs_enter(&box->root, &err), &err, "rootfs_enter");
        expect(rootfs_seal(&box->root, &err) == -EINVAL &&
                       strstr(error_text(&err), "container's /dev/null is invalid"),
               "%s", error_text(&err));
}

static void a_symlinked_null_hides_nothing(struct box *box)
{
        struct error err = {0};

        leave_null();
        box_folder(box, "rootfs/dev");
        box_file(box, "rootfs/file", "secret");
        box_file(box, "rootfs/target", "");
        box_link(box, "rootfs/dev/null", "/target");
        box_path(&box->spec.linux.masked_paths, "/file");
        box_build(box);
        expect_ok(rootfs_enter(&box->root, &err), &err, "rootfs_enter");
        expect(rootfs_seal(&box->root, &err) < 0 && strstr(error_text(&err), "can't mask path \"/file\""),
               "%s", error_text(&err));
}

/* ---- the root ------------------------------------------------------------------------------------------ */

static bool is_on(int dirfd, const char *path, long magic)
{
        cleanup_fd int fd = openat(dirfd, path, O_PATH | O_CLOEXEC);
        struct statfs fs;

        return fstatfs(fd, &fs) == 0 && fs.f_type == magic;
}

static void a_root_without_pivot(struct box *box)
{
        cleanup_fd int old = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

        box_folder(box, "rootfs/bin");
        box->plan.no_pivot = true;
        box_default(box);
        box_enter(box);
        expect(access("/bin", F_OK) == 0 && access(box->folder, F_OK) < 0, "this is the rootfs");
        expect_mount("/proc", " - proc ", " rw,relatime");
        expect(mkdir("/new", 0755) < 0 && errno == EROFS, "read-only");
        /* The kernel lets a user namespace mount what it can see a whole of. */
        expect(faccessat(old, "bin", F_OK, 0) == 0 && !is_on(old, "proc", PROC_SUPER_MAGIC) &&
                       !is_on(old, "sys", SYSFS_MAGIC),
               "procfs and sysfs of the host have gone");
        expect(chdir("..") == 0 && access("bin", F_OK) == 0, "\"..\" stays");
}

static void propagation_of_the_root(struct box *box)
{
        static const struct {
                unsigned long propagation;
                const char *has;
                const char *has_not;
        } rows[] = {
                {0, " master:", " shared:"},
                {MS_SLAVE | MS_REC, " master:", " shared:"},
                {MS_PRIVATE | MS_REC, " - ", ":1 shared:"},
                {MS_PRIVATE, " - ", " shared:"},
                {MS_SHARED, " shared:", " master:"},
                {MS_SHARED | MS_REC, " shared:", " master:"},
                {MS_UNBINDABLE, " unbindable ", " shared:"},
        };

        /* The host of this test is this mount namespace; what holds it all is not to take part. */
        expect(mount(NULL, "/", NULL, MS_PRIVATE | MS_REC, NULL) == 0, "private");
        expect(mount(box->folder, box->folder, NULL, MS_BIND, NULL) == 0, "bind");
        expect(mount(NULL, "/", NULL, MS_SHARED | MS_REC, NULL) == 0, "shared");
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                int status;
                pid_t pid = fork();
                if (pid == 0) {
                        expect(unshare(CLONE_NEWNS) == 0, "unshare");
                        box->spec.linux.rootfs_propagation = rows[i].propagation;
                        box_folder(box, "rootfs/x");
                        box_mount(box, "/x", "tmpfs", "tmpfs");
                        box_enter(box);
                        const char *line = mount_line("/");
                        expect(strstr(line, rows[i].has) && !strstr(line, rows[i].has_not), "%#lx: %s",
                               rows[i].propagation, line);
                        _exit(0);
                }
                expect(pid > 0 && waitpid(pid, &status, 0) == pid && status == 0, "propagation %zu", i);
                expect(mount_line(box->folder)[0] && !strstr(mount_line(box->folder), "tmpfs"),
                       "the host's is there");
                expect(!mount_line(box->rootfs)[0], "the container's mounts stay in it: %s",
                       mount_line(box->rootfs));
                char path[128];
                (void)snprintf(path, sizeof(path), "%s/x", box->rootfs);
                expect(!mount_line(path)[0], "all of them");
        }
}

static void a_replaced_rootfs(struct box *box)
{
        struct error err = {0};
        char other[128];

        (void)snprintf(other, sizeof(other), "%s/other", box->folder);
        expect(rename(box->rootfs, other) == 0, "rename");
        box_link(box, "rootfs", "/");
        expect(rootfs_open(&box->plan, &box->root, &err) == -EAGAIN &&
                       strstr(error_text(&err), "was replaced"),
               "%s", error_text(&err));
}

/* ---- control groups ------------------------------------------------------------------------------------ */

static void control_groups_v1(struct box *box)
{
        static struct plan_cgroup_hierarchy hierarchies[] = {{"one", "", ""}, {"cpu,cpuacct", "", ""}};
        static char one[128], two[128];

        /* Whatever groups this machine has: folders do for what is bind-mounted. */
        (void)snprintf(one, sizeof(one), "%s/one", box->folder);
        (void)snprintf(two, sizeof(two), "%s/two", box->folder);
        hierarchies[0] = (struct plan_cgroup_hierarchy){"one", one, "/g/box"};
        hierarchies[1] = (struct plan_cgroup_hierarchy){"cpu,cpuacct", two, "/g"};
        box_folder(box, "one/g/box/below");
        box_folder(box, "two/g");
        box->plan.cgroup = (struct plan_cgroup){false, hierarchies, 2};
        struct spec_mount *mount = box_mount(box, "/sys/fs/cgroup", "cgroup", "cgroup");
        mount->flags = MS_NOSUID | MS_NOEXEC | MS_NODEV | MS_RDONLY;
        box_enter(box);
        expect_mount("/sys/fs/cgroup", " - tmpfs ", " ro,nosuid,nodev,noexec,relatime ");
        expect_mount("/sys/fs/cgroup/one", "/one/g/box /sys/fs/cgroup/one ",
                     " ro,nosuid,nodev,noexec,relatime ");
        expect(access("/sys/fs/cgroup/one/below", F_OK) == 0 && access("/sys/fs/cgroup/one/box", F_OK) < 0,
               "its own group, and no more");
        expect(is_link("/sys/fs/cgroup/cpu", "cpu,cpuacct") &&
                       is_link("/sys/fs/cgroup/cpuacct", "cpu,cpuacct"),
               "a symlink for each controller");
}

static void control_groups_of_a_namespace(struct box *box)
{
        static struct plan_cgroup_hierarchy hierarchies[] = {{"pids", "/sys/fs/cgroup/pids", "/"},
                                                             {"unified", "/sys/fs/cgroup/unified", "/"}};

        box->spec.linux.namespaces[SPEC_NAMESPACE_CGROUP].given = true;
        box->plan.cgroup = (struct plan_cgroup){false, hierarchies, ARRAY_SIZE(hierarchies)};
        box_mount(box, "/sys/fs/cgroup", "cgroup", "cgroup")->flags = MS_NOEXEC;
        if (access("/sys/fs/cgroup/pids", F_OK) < 0)
                hierarchies[0] = hierarchies[1];
        if (access("/sys/fs/cgroup/unified", F_OK) < 0)
                return; /* this host has v2 alone: that is the next case's */
        box_enter(box);
        if (strcmp(hierarchies[0].name, "pids") == 0)
                expect_mount("/sys/fs/cgroup/pids", " - cgroup cgroup rw,pids",
                             " rw,nosuid,nodev,noexec,relatime ");
        expect_mount("/sys/fs/cgroup/unified", " - cgroup2 ", " rw,nosuid,nodev,noexec,relatime ");
}

static void control_groups_v2(struct box *box)
{
        static struct plan_cgroup_hierarchy hierarchy = {"", "/sys/fs/cgroup", "/"};

        box->spec.linux.namespaces[SPEC_NAMESPACE_CGROUP].given = true;
        box->plan.cgroup = (struct plan_cgroup){true, &hierarchy, 1};
        box_mount(box, "/sys/fs/cgroup", "cgroup", "cgroup")->flags = MS_RDONLY | MS_NOEXEC;
        box_enter(box);
        expect_mount("/sys/fs/cgroup", " - cgroup2 ", " ro,noexec,relatime ");
}

/* A user namespace that doesn't own the control group namespace, and a group that it can't see. */
static void control_groups_that_are_not_ours(struct box *box)
{
        static struct plan_cgroup_hierarchy hierarchy = {"", "/nowhere", "/x"};

        box->plan.rootless = true;
        box->spec.linux.namespaces[SPEC_NAMESPACE_CGROUP].given = true;
        box->plan.cgroup = (struct plan_cgroup){true, &hierarchy, 1};
        box_mount(box, "/sys/fs/cgroup", "cgroup", "cgroup")->flags = MS_NOEXEC;
        struct error err = {0};
        box_build(box);
        expect_ok(rootfs_enter(&box->root, &err), &err, "rootfs_enter");
        expect_mount("/sys/fs/cgroup", " - tmpfs ", " ro,");
}

static void sysfs_of_another_namespace(struct box *box)
{
        struct statvfs fs;
        struct spec_mount *mount = box_mount(box, "/sys", "sysfs", "sysfs");

        mount->flags = MS_NOSUID | MS_NOEXEC | MS_NODEV | MS_RDONLY;
        box_enter(box);
        expect_mount("/sys", " - sysfs ", " ro,nosuid,nodev,noexec,relatime");
        expect(access("/sys/kernel", F_OK) == 0, "the host's is there");
        expect(statvfs("/sys/fs/cgroup", &fs) == 0 && fs.f_flag & ST_RDONLY,
               "its control groups are read-only");
        int fd = open("/sys/fs/cgroup/unified/cgroup.procs", O_WRONLY | O_CLOEXEC);
        expect(fd < 0, "and can't be written to");
}

/* ---- terminal and sysctls ------------------------------------------------------------------------------ */

static void terminal(struct box *box)
{
        cleanup_fd int master = -1, slave = -1;
        struct error err = {0};
        char text[16] = "";
        struct stat st, pty;

        box_default(box);
        box_build(box);
        expect_ok(rootfs_enter(&box->root, &err), &err, "rootfs_enter");
        expect_ok(rootfs_console(&box->plan, &box->root, &master, &slave, &err), &err, "rootfs_console");
        expect_ok(rootfs_seal(&box->root, &err), &err, "rootfs_seal");
        expect(write(slave, "x\n", 2) == 2 && read(master, text, sizeof(text)) == 3 && text[0] == 'x',
               "they are two ends");
        expect(stat("/dev/console", &st) == 0 && stat("/dev/pts/0", &pty) == 0 && st.st_ino == pty.st_ino &&
                       st.st_dev == pty.st_dev,
               "/dev/console is the terminal");
}

static void a_terminal_without_devpts(struct box *box)
{
        cleanup_fd int master = -1, slave = -1;
        struct error err = {0};

        box_folder(box, "rootfs/dev/pts");
        expect(mknod(path_join(box->rootfs, "dev/pts/ptmx"), S_IFCHR | 0666, makedev(5, 2)) == 0, "mknod");
        box_build(box);
        expect_ok(rootfs_enter(&box->root, &err), &err, "rootfs_enter");
        expect(rootfs_console(&box->plan, &box->root, &master, &slave, &err) == -EINVAL &&
                       strstr(error_text(&err), "/dev/pts/ptmx"),
               "%s", error_text(&err));
}

static void a_symlinked_console(struct box *box)
{
        cleanup_fd int master = -1, slave = -1;
        struct error err = {0};

        box_folder(box, "rootfs/dev");
        box_file(box, "rootfs/target", "mine");
        box_link(box, "rootfs/dev/console", "/target");
        box_mount(box, "/dev/pts", "devpts", "devpts")->data = "newinstance,ptmxmode=0666";
        box_build(box);
        expect_ok(rootfs_enter(&box->root, &err), &err, "rootfs_enter");
        expect(rootfs_console(&box->plan, &box->root, &master, &slave, &err) == -ELOOP, "%s",
               error_text(&err));
        expect(file_has("/target", "mine"), "nothing was mounted on its target");
}

static void sysctls(struct box *box)
{
        struct error err = {0};

        box_default(box);
        box_folder(box, "rootfs/proc");
        box_build(box);
        expect_ok(rootfs_enter(&box->root, &err), &err, "rootfs_enter");
        expect_ok(rootfs_sysctl(&box->plan, "net.ipv4.ip_forward", "1", &err), &err, "with dots");
        expect_ok(rootfs_sysctl(&box->plan, "net/ipv4/conf/lo/forwarding", "0", &err), &err, "with slashes");
        expect_ok(rootfs_sysctl(&box->plan, "kernel.shm_rmid_forced", "1", &err), &err, "of IPC");
        expect(file_has("/proc/sys/net/ipv4/ip_forward", "1") &&
                       file_has("/proc/sys/net/ipv4/conf/lo/forwarding", "0") &&
                       file_has("/proc/sys/kernel/shm_rmid_forced", "1"),
               "they are set in our namespaces");
        expect(rootfs_sysctl(&box->plan, "no.such", "1", &err) == -ENOENT &&
                       strstr(error_text(&err), "\"no.such\""),
               "%s", error_text(&err));
        static const char *const elsewhere[] = {"net/../../uptime", "../uptime", "kernel/..",
                                                "net/../..//uptime"};
        for (size_t i = 0; i < ARRAY_SIZE(elsewhere); i++) {
                int r = rootfs_sysctl(&box->plan, elsewhere[i], "h", &err);
                expect(r == -EINVAL || r == -ENOENT, "%s: %d", elsewhere[i], r);
        }
        expect(rootfs_sysctl(&box->plan, "kernel.shm_rmid_forced", "x", &err) == -EINVAL, "a bad value");
}

static void sysctls_ignore_the_container_s_proc(struct box *box)
{
        struct error err = {0};

        box_folder(box, "rootfs/proc/sys/net/ipv4");
        box_file(box, "rootfs/proc/sys/net/ipv4/ip_forward", "false");
        box_build(box);
        expect_ok(rootfs_enter(&box->root, &err), &err, "rootfs_enter");
        expect_ok(rootfs_sysctl(&box->plan, "net.ipv4.ip_forward", "1", &err), &err, "sysctl");
        expect(file_has("/proc/sys/net/ipv4/ip_forward", "false"), "the image's file is not what is written");
        box->plan.host_proc_fd = open("/proc", O_PATH | O_CLOEXEC);
        expect(rootfs_sysctl(&box->plan, "net.ipv4.ip_forward", "1", &err) == -EXDEV &&
                       strstr(error_text(&err), "no file of a procfs"),
               "%s", error_text(&err));
        box->plan.host_proc_fd = -1;
        expect(rootfs_sysctl(&box->plan, "net.ipv4.ip_forward", "1", &err) == -EXDEV &&
                       strstr(error_text(&err), "/proc is no procfs"),
               "%s", error_text(&err));
}

static const struct box_case cases[] = {
        {"the template's file system", the_template, 0, 0},
        {"devices of the configuration", devices_of_the_configuration, 0, 0},
        {"what an image has below /dev", what_an_image_has_below_dev, 0, 0},
        {"a symlink for /dev stays inside (CVE-2026-47766)", a_symlink_for_dev_stays_inside, 0, 0},
        {"/dev of the host", dev_of_the_host, 0, 0},
        {"devices in a user namespace", devices_in_a_user_namespace, CLONE_NEWUSER, 0},
        {"a device that the host hasn't", a_device_that_the_host_has_not, CLONE_NEWUSER, 0},
        {"the host's null is let go", the_hosts_null_is_let_go, 0, 0},
        {"masks", masks, 0, 0},
        {"a false null hides nothing (CVE-2025-31133)", a_false_null_hides_nothing, 0, 0},
        {"a symlinked null hides nothing (CVE-2025-31133)", a_symlinked_null_hides_nothing, 0, 0},
        {"a root without pivot_root", a_root_without_pivot, 0, 0},
        {"propagation of the root", propagation_of_the_root, 0, 0},
        {"a replaced rootfs", a_replaced_rootfs, 0, 0},
        {"control groups v1", control_groups_v1, 0, 0},
        {"control groups of a namespace", control_groups_of_a_namespace, CLONE_NEWCGROUP, 0},
        {"control groups v2", control_groups_v2, CLONE_NEWCGROUP, 0},
        {"control groups that aren't ours (CVE-2023-25809)", control_groups_that_are_not_ours, CLONE_NEWUSER,
         0},
        {"sysfs of another namespace", sysfs_of_another_namespace, CLONE_NEWUSER, CLONE_NEWNET},
        {"a terminal", terminal, 0, 0},
        {"a terminal without devpts (CVE-2025-52565)", a_terminal_without_devpts, 0, 0},
        {"a symlinked console (CVE-2025-52565)", a_symlinked_console, 0, 0},
        {"sysctls", sysctls, 0, 0},
        {"sysctls ignore the container's /proc (CVE-2025-52881)", sysctls_ignore_the_container_s_proc, 0, 0},
};

static void rootfs_cases(void **state)
{
        (void)state;
        assert_int_equal(run_cases(cases, ARRAY_SIZE(cases)), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(rootfs_cases),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
