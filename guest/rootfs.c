/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rootfs.c - the ways of file systems in an enclave.
 *
 * Theory of operation.  The kernel unpacks all ramdisks into one file system, its rootfs, which can be
 * neither unmounted nor pivoted away.  So the image's tree, which lies in /rootfs there, is bound on itself
 * to become a mount, and moved over "/".  What lies beneath, init's own file included, was removed before or
 * is out of reach.
 *
 * That file system is a tmpfs of half the memory.  Nothing else wants the memory, so it may take nine tenths:
 * the remaining tenth is what the kernel needs to kill a program that asks for too much, instead of standing
 * still.
 */
#include "guest/rootfs.h"

#include "lib/base/cleanup.h"

#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static const char IMAGE_ROOT[] = "/rootfs";

/* A kernel may have mounted devtmpfs itself. */
static int mount_first(const char *type, const char *target, struct failure *f)
{
        mkdir(target, 0755);
        if (mount(type, target, type, 0, NULL) < 0 && errno != EBUSY)
                return failure_set(f, errno, target, "mount %s", type);
        return 0;
}

int rootfs_prepare(struct failure *f)
{
        int r = mount_first("devtmpfs", "/dev", f);

        return r < 0 ? r : mount_first("proc", "/proc", f);
}

int rootfs_enter(struct failure *f)
{
        struct stat st;

        if (stat(IMAGE_ROOT, &st) < 0 || !S_ISDIR(st.st_mode))
                return failure_set(f, ENOENT, IMAGE_ROOT, "find the image's files");
        umount2("/proc", MNT_DETACH);
        umount2("/dev", MNT_DETACH);
        unlink("/init");
        if (mount(NULL, "/", NULL, MS_REMOUNT, "size=90%") < 0 && errno != EINVAL)
                return failure_set(f, errno, "/", "enlarge the root file system");
        if (mount(IMAGE_ROOT, IMAGE_ROOT, NULL, MS_BIND, NULL) < 0 || chdir(IMAGE_ROOT) < 0 ||
            mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 || chdir("/") < 0)
                return failure_set(f, errno, IMAGE_ROOT, "make the image's files the root");
        return 0;
}

struct place {
        const char *type;
        const char *target;
        unsigned long flags;
        const char *options;
        mode_t mode; /* of the folder, where the image has none */
        bool needed;
};

static const struct place PLACES[] = {
        {"proc", "/proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL, 0755, true},
        {"devtmpfs", "/dev", MS_NOSUID | MS_NOEXEC, "mode=0755", 0755, true},
        {"sysfs", "/sys", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL, 0755, false},
        {"devpts", "/dev/pts", MS_NOSUID | MS_NOEXEC, "gid=5,mode=0620,ptmxmode=0666", 0755, false},
        {"tmpfs", "/dev/shm", MS_NOSUID | MS_NODEV, "mode=1777", 01777, false},
        {"mqueue", "/dev/mqueue", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL, 0755, false},
        {"cgroup2", "/sys/fs/cgroup", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL, 0755, false},
};

static int mount_places(const struct log *log, struct failure *f)
{
        for (size_t i = 0; i < ARRAY_SIZE(PLACES); i++) {
                const struct place *p = &PLACES[i];

                mkdir(p->target, p->mode);
                if (mount(p->type, p->target, p->type, p->flags, p->options) == 0)
                        continue;
                if (p->needed)
                        return failure_set(f, errno, p->target, "mount %s", p->type);
                log_warning(log, "cannot mount %s on %s: %s", p->type, p->target, strerror(errno));
        }
        return 0;
}

struct node {
        const char *path;
        unsigned int major;
        unsigned int minor;
};

/* devtmpfs makes these itself; its modes are the kernel's, which for vsock means root alone. */
static const struct node NODES[] = {
        {"/dev/null", 1, 3},   {"/dev/zero", 1, 5},    {"/dev/full", 1, 7},
        {"/dev/random", 1, 8}, {"/dev/urandom", 1, 9}, {"/dev/tty", 5, 0},
};

struct link {
        const char *target;
        const char *path;
};

static const struct link LINKS[] = {
        {"pts/ptmx", "/dev/ptmx"}, /* devtmpfs has a device there, which does the same */
        {"/proc/self/fd", "/dev/fd"},       {"/proc/self/fd/0", "/dev/stdin"},
        {"/proc/self/fd/1", "/dev/stdout"}, {"/proc/self/fd/2", "/dev/stderr"},
};

struct folder {
        const char *path;
        mode_t mode;
};

static const struct folder FOLDERS[] = {
        {"/etc", 0755}, {"/run", 0755}, {"/tmp", 01777}, {"/var", 0755}, {"/var/tmp", 01777},
};

void rootfs_make_devices(const struct log *log)
{
        mkdir("/dev", 0755);
        for (size_t i = 0; i < ARRAY_SIZE(NODES); i++) {
                mknod(NODES[i].path, S_IFCHR | 0666, makedev(NODES[i].major, NODES[i].minor));
                chmod(NODES[i].path, 0666);
        }
        for (size_t i = 0; i < ARRAY_SIZE(LINKS); i++) {
                if (symlink(LINKS[i].target, LINKS[i].path) < 0 && errno != EEXIST)
                        log_warning(log, "cannot make %s: %s", LINKS[i].path, strerror(errno));
        }
}

int rootfs_mount(const struct log *log, struct failure *f)
{
        int r = mount_places(log, f);

        if (r < 0)
                return r;
        rootfs_make_devices(log);
        chmod("/dev/vsock", 0666);
        for (size_t i = 0; i < ARRAY_SIZE(FOLDERS); i++) {
                if (mkdir(FOLDERS[i].path, FOLDERS[i].mode) < 0 && errno != EEXIST)
                        log_warning(log, "cannot make %s: %s", FOLDERS[i].path, strerror(errno));
        }
        return 0;
}
