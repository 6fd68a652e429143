/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/container/init/devices.h"

#include "lib/base/cleanup.h"
#include "lib/base/fd.h"
#include "lib/base/text.h"
#include "lib/container/init/in-root.h"
#include "lib/container/init/mounts.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static const struct spec_device default_devices[] = {
        {.path = "/dev/null", .type = S_IFCHR, .major = 1, .minor = 3, .mode = 0666},
        {.path = "/dev/zero", .type = S_IFCHR, .major = 1, .minor = 5, .mode = 0666},
        {.path = "/dev/full", .type = S_IFCHR, .major = 1, .minor = 7, .mode = 0666},
        {.path = "/dev/random", .type = S_IFCHR, .major = 1, .minor = 8, .mode = 0666},
        {.path = "/dev/urandom", .type = S_IFCHR, .major = 1, .minor = 9, .mode = 0666},
        {.path = "/dev/tty", .type = S_IFCHR, .major = 5, .minor = 0, .mode = 0666},
};

static const struct {
        const char *name;
        const char *target;
} links[] = {
        {"fd", "/proc/self/fd"},
        {"stdin", "/proc/self/fd/0"},
        {"stdout", "/proc/self/fd/1"},
        {"stderr", "/proc/self/fd/2"},
};

/* What is behind "/dev", with as many slashes as you like; NULL where the path is of something else. */
static const char *below_dev(const char *path)
{
        path += strspn(path, "/");
        if (!string_starts_with(path, "dev") || (path[3] != '/' && path[3] != '\0'))
                return NULL;
        return path + 3 + strspn(path + 3, "/");
}

bool devices_are_bound(const struct spec *spec)
{
        for (size_t i = 0; i < spec->n_mounts; i++) {
                const char *rest = below_dev(spec->mounts[i].destination);
                if (rest && !*rest && spec->mounts[i].features & SPEC_MOUNT_BIND)
                        return true;
        }
        return false;
}

/* The container's root isn't entered yet: "/dev" is the host's. */
static bool is_dev_of_host(int dev)
{
        struct stat ours, theirs;

        return stat("/dev", &ours) == 0 && fstat(dev, &theirs) == 0 && ours.st_dev == theirs.st_dev &&
               ours.st_ino == theirs.st_ino;
}

static bool is_given(const struct spec_linux *settings, const char *path)
{
        for (size_t i = 0; i < settings->n_devices; i++)
                if (strcmp(settings->devices[i].path, path) == 0)
                        return true;
        return false;
}

static bool is_device(const struct stat *st, const struct spec_device *device)
{
        if ((st->st_mode & S_IFMT) != device->type)
                return false;
        return device->type == S_IFIFO || st->st_rdev == makedev(device->major, device->minor);
}

/* Gives the new node its owner and mode, having made sure that it is the one that was made. */
static int adopt(int folder, const char *name, const struct spec_device *device, struct error *err)
{
        struct stat st;
        cleanup_fd int fd = openat(folder, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);

        if (fd < 0 || fstat(fd, &st) < 0)
                return error_errno(err, errno, "open the new device");
        if (!is_device(&st, device))
                return error_set(err, -EAGAIN, "the new device was replaced by something else");
        if ((st.st_uid != device->uid || st.st_gid != device->gid) &&
            fchownat(fd, "", device->uid, device->gid, AT_EMPTY_PATH) < 0)
                return error_errno(err, errno, "chown it to %u:%u", device->uid, device->gid);
        return 0;
}

/* The host's node of the same path, over an empty file. */
static int bind_device(const struct rootfs *rootfs, int folder, const char *name,
                       const struct spec_device *device, struct error *err)
{
        cleanup_fd int source = -1, tree = -1;
        struct stat st;
        int r = mount_open_source(device->path, false, &source, err);

        if (r < 0)
                return r;
        if (fstat(source, &st) < 0)
                return error_errno(err, errno, "%s", device->path);
        if (!is_device(&st, device))
                return error_set(
                        err, -ENODEV,
                        "the host's node of that path is another device, and in a user namespace none "
                        "can be made");
        int made = openat(folder, name, O_CREAT | O_NOFOLLOW | O_RDONLY | O_NONBLOCK | O_CLOEXEC, 0);
        if (made < 0)
                return error_errno(err, errno, "make a file to mount it on");
        close(made);
        cleanup_fd int file = openat(folder, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        if (file < 0)
                return error_errno(err, errno, "open the file to mount it on");
        const struct tree_place place = {.rootfs = rootfs, .path = device->path, .fd = file};
        return tree_bind(&place, source, 0, &tree, err);
}

static int make_in(const struct rootfs *rootfs, int folder, const char *name,
                   const struct spec_device *device, struct error *err)
{
        dev_t number = device->type == S_IFIFO ? 0 : makedev(device->major, device->minor);

        if (mknodat(folder, name, device->type | (device->mode & 07777), number) == 0)
                return device->uid || device->gid ? adopt(folder, name, device, err) : 0;
        if (errno == EEXIST)
                return 0;
        if (errno != EPERM)
                return error_errno(err, errno, "mknod");
        return bind_device(rootfs, folder, name, device, err);
}

static int make_device(const struct rootfs *rootfs, const struct spec_device *device, struct error *err)
{
        cleanup_fd int folder = -1;
        const char *name;
        const char *rest = below_dev(device->path);

        /* It is the one of the container's own devpts. */
        if (rest && strcmp(rest, "ptmx") == 0)
                return 0;
        int r = in_root_make_parent(rootfs->fd, device->path, &folder, &name, err);
        if (r == 0)
                r = make_in(rootfs, folder, name, device, err);
        if (r < 0)
                error_wrap(err, "device \"%s\"", device->path);
        return r;
}

static int make_links(const struct rootfs *rootfs, int dev, struct error *err)
{
        for (size_t i = 0; i < ARRAY_SIZE(links); i++)
                if (symlinkat(links[i].target, dev, links[i].name) < 0 && errno != EEXIST)
                        return error_errno(err, errno, "symlink \"/dev/%s\"", links[i].name);
        if (faccessat(rootfs->proc_fd, "kcore", F_OK, 0) == 0 && symlinkat("/proc/kcore", dev, "core") < 0 &&
            errno != EEXIST)
                return error_errno(err, errno, "symlink \"/dev/core\"");
        /* That of an image would be another devpts's. */
        if (symlinkat("pts/ptmx", dev, "ptmx") == 0)
                return 0;
        if (errno == EEXIST && unlinkat(dev, "ptmx", 0) == 0 && symlinkat("pts/ptmx", dev, "ptmx") == 0)
                return 0;
        return error_errno(err, errno, "symlink \"/dev/ptmx\"");
}

int devices_make(struct rootfs *rootfs, struct error *err)
{
        const struct spec *spec = rootfs->plan->spec;
        cleanup_fd int dev = -1;

        rootfs->dev_is_hosts = devices_are_bound(spec);
        if (rootfs->dev_is_hosts)
                return 0;
        int r = in_root_make_folder(rootfs->fd, "/dev", &dev, err);
        if (r < 0)
                return r;
        rootfs->dev_is_hosts = is_dev_of_host(dev);
        if (rootfs->dev_is_hosts)
                return 0;
        for (size_t i = 0; i < ARRAY_SIZE(default_devices) && r == 0; i++) {
                const struct spec_device *device = &default_devices[i];
                if (is_given(&spec->linux, device->path))
                        continue;
                r = make_in(rootfs, dev, device->path + strlen("/dev/"), device, err);
                if (r < 0)
                        error_wrap(err, "device \"%s\"", device->path);
        }
        for (size_t i = 0; i < spec->linux.n_devices && r == 0; i++)
                r = make_device(rootfs, &spec->linux.devices[i], err);
        return r < 0 ? r : make_links(rootfs, dev, err);
}

/* What is opened is known before: opening a device may do things, and who runs in the container may give the
 * name to another one. */
static int open_null(int root, int proc_fd, int *ret_fd, struct error *err)
{
        cleanup_fd int path = -1;
        char name[32];
        struct stat st;
        int r = in_root_open(root, "/dev/null", O_PATH, &path, err);

        if (r < 0)
                return r;
        if (fstat(path, &st) < 0 || !is_device(&st, &default_devices[0]))
                return error_set(err, -EINVAL, "container's /dev/null is invalid: it is no null device");
        (void)snprintf(name, sizeof(name), "self/fd/%d", path);
        int fd = openat(proc_fd, name, O_RDWR | O_NOCTTY | O_CLOEXEC);
        if (fd < 0)
                return error_errno(err, errno, "container's /dev/null");
        *ret_fd = fd;
        return 0;
}

int devices_reopen_null(int root, int proc_fd, struct error *err)
{
        cleanup_fd int null = -1;
        struct stat st;

        for (int fd = 0; fd <= 2; fd++) {
                if (fstat(fd, &st) < 0 || !is_device(&st, &default_devices[0]))
                        continue;
                int r = null >= 0 ? 0 : open_null(root, proc_fd, &null, err);
                if (r < 0)
                        return r;
                if (dup2(null, fd) < 0)
                        return error_errno(err, errno, "reopen /dev/null");
        }
        return 0;
}
