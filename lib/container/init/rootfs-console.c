/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The container's terminal.  It is made in the container's own devpts, through descriptors that are checked
 * to be of it: an image could have put anything there (CVE-2025-52565).  A container in the host's mount
 * namespace has no devpts but the host's, and gets its terminal there before its root is entered; nothing
 * is mounted for it.
 */
#include "lib/container/init/rootfs.h"

#include "lib/base/cleanup.h"
#include "lib/base/fd.h"
#include "lib/container/init/in-root.h"
#include "lib/container/init/procfs.h"
#include "lib/container/init/tree.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/tty.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <termios.h>
#include <unistd.h>

#ifndef TIOCGPTPEER
#define TIOCGPTPEER _IO('T', 0x41)
#endif

/* Majors of the slaves (Documentation/admin-guide/devices.txt of the kernel). */
enum { PTS_MAJOR_FIRST = 136, PTS_MAJOR_LAST = 143 };

static int check(int fd, unsigned major_first, unsigned major_last, struct error *err)
{
        struct statfs fs;
        struct stat st;

        if (fstatfs(fd, &fs) < 0 || fstat(fd, &st) < 0)
                return error_errno(err, errno, "stat");
        if (fs.f_type != DEVPTS_SUPER_MAGIC || !S_ISCHR(st.st_mode) || major(st.st_rdev) < major_first ||
            major(st.st_rdev) > major_last)
                return error_set(err, -EINVAL, "it is no terminal of a devpts");
        return 0;
}

/* Opens what `path`, checked, is. */
static int reopen(int proc_fd, int path, int *ret_fd, struct error *err)
{
        char name[32];

        (void)snprintf(name, sizeof(name), "self/fd/%d", path);
        int fd = openat(proc_fd, name, O_RDWR | O_NOCTTY | O_CLOEXEC);
        if (fd < 0)
                return error_errno(err, errno, "open");
        *ret_fd = fd;
        return 0;
}

static int open_master(int root, int proc_fd, int *ret_master, struct error *err)
{
        cleanup_fd int path = -1;
        int r = in_root_open(root, "/dev/pts/ptmx", O_PATH | O_NOFOLLOW, &path, err);

        /* Nothing is opened that isn't known: opening a device may do things.  So it isn't looked up again by
         * a name that a running container could give to something else meanwhile. */
        if (r == 0)
                r = check(path, 5, 5, err);
        if (r == 0)
                r = reopen(proc_fd, path, ret_master, err);
        if (r < 0)
                error_wrap(err, "/dev/pts/ptmx");
        return r;
}

/* Of the host's devpts.  There the ptmx in it is often for nobody, and the one beside it for all; that may be
 * a node of another file system. */
static int open_master_of_host(int *ret_master, struct error *err)
{
        static const char *const paths[] = {"/dev/pts/ptmx", "/dev/ptmx"};
        int fd = -1;

        for (size_t i = 0; i < ARRAY_SIZE(paths) && fd < 0; i++)
                fd = open(paths[i], O_RDWR | O_NOCTTY | O_CLOEXEC);
        if (fd < 0)
                return error_errno(err, errno, "/dev/ptmx");
        *ret_master = fd;
        return 0;
}

/* Before Linux 4.13 the slave is had by its number alone. */
static int open_slave_by_number(int root, int master, int *ret_slave, struct error *err)
{
        unsigned number;
        char path[32];

        if (ioctl(master, TIOCGPTN, &number) < 0)
                return error_errno(err, errno, "number of the terminal");
        (void)snprintf(path, sizeof(path), "/dev/pts/%u", number);
        return in_root_open(root, path, O_RDWR | O_NOCTTY | O_NOFOLLOW, ret_slave, err);
}

static int open_slave(int root, int master, int *ret_slave, struct error *err)
{
        const int locked = 0;

        if (ioctl(master, TIOCSPTLCK, &locked) < 0)
                return error_errno(err, errno, "unlock the terminal");
        cleanup_fd int slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
        int r = 0;
        if (slave < 0 && (errno == EINVAL || errno == ENOTTY))
                r = open_slave_by_number(root, master, &slave, err);
        else if (slave < 0)
                r = error_errno(err, errno, "open the terminal");
        if (r == 0)
                r = check(slave, PTS_MAJOR_FIRST, PTS_MAJOR_LAST, err);
        if (r < 0)
                return r;
        *ret_slave = take_fd(&slave);
        return 0;
}

/* Mounts the slave over /dev/console, itself and no symlink of that name. */
static int bind_console(const struct rootfs *rootfs, int slave, struct error *err)
{
        cleanup_fd int folder = -1, file = -1, tree = -1;
        const char *name;
        int r = in_root_make_parent(rootfs->fd, "/dev/console", &folder, &name, err);

        if (r < 0)
                return r;
        int made = rootfs->dev_is_hosts
                           ? -1
                           : openat(folder, name, O_CREAT | O_EXCL | O_NOFOLLOW | O_RDONLY | O_CLOEXEC, 0666);
        if (made < 0 && !rootfs->dev_is_hosts && errno != EEXIST)
                return error_errno(err, errno, "/dev/console");
        if (made >= 0)
                close(made);
        file = openat(folder, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        if (file < 0 && errno == ENOENT && rootfs->dev_is_hosts)
                return 0;
        struct stat st;
        if (file < 0 || fstat(file, &st) < 0)
                return error_errno(err, errno, "/dev/console");
        if (S_ISLNK(st.st_mode))
                return error_errno(err, ELOOP, "/dev/console");
        const struct tree_place place = {.rootfs = rootfs, .path = "/dev/console", .fd = file};
        r = tree_bind(&place, slave, 0, &tree, err);
        if (r < 0)
                error_wrap(err, "/dev/console");
        return r;
}

int rootfs_console(const struct plan *plan, const struct rootfs *rootfs, int *ret_master, int *ret_slave,
                   struct error *err)
{
        cleanup_fd int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC), proc = -1;
        cleanup_fd int master = -1, slave = -1;
        int proc_fd = plan->host_proc_fd, r = 0;

        if (root < 0)
                return error_errno(err, errno, "open /");
        if (proc_fd < 0) {
                r = procfs_open(&proc, err);
                proc_fd = proc;
        }
        if (r == 0)
                r = plan->spec->linux.namespaces[SPEC_NAMESPACE_MOUNT].given
                            ? open_master(root, proc_fd, &master, err)
                            : open_master_of_host(&master, err);
        if (r == 0)
                r = open_slave(root, master, &slave, err);
        if (r == 0 && rootfs)
                r = bind_console(rootfs, slave, err);
        if (r < 0)
                return r;
        *ret_master = take_fd(&master);
        *ret_slave = take_fd(&slave);
        return 0;
}
