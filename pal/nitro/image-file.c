/* SPDX-License-Identifier: Apache-2.0 */
#include "pal/nitro/image-file.h"

#include "lib/base/fd.h"

#include <fcntl.h>
#include <inttypes.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- finding ---- */

/* Opens without waiting for anything, and through no link of /proc. */
static int open_at(int dirfd, const char *path, uint64_t resolve)
{
        const struct open_how how = {
                .flags = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK,
                .resolve = resolve | RESOLVE_NO_MAGICLINKS,
        };
        int fd;

        /* The kernel asks to try again where something was renamed meanwhile. */
        do {
                fd = (int)syscall(SYS_openat2, dirfd, path, &how, sizeof(how));
        } while (fd < 0 && errno == EAGAIN);
        return fd < 0 ? -errno : fd;
}

static int check_owner(const struct stat *st, struct error *err)
{
        if (st->st_uid != 0 && st->st_uid != geteuid())
                return error_set(
                        err, -EACCES,
                        "the container has no such file, and on the host it is user %u's; only root's "
                        "and one's own are taken from there",
                        st->st_uid);
        if (st->st_mode & (S_IWGRP | S_IWOTH))
                return error_set(err, -EACCES,
                                 "the container has no such file, and on the host others can write to it; "
                                 "`chmod go-w` it");
        return 0;
}

static int find(int rootfs_fd, const char *path, uint64_t size_max, int *ret_fd, struct error *err)
{
        cleanup_fd int fd =
                rootfs_fd < 0 ? open_at(AT_FDCWD, path, 0) : open_at(rootfs_fd, path, RESOLVE_IN_ROOT);
        struct stat st;
        bool from_host = rootfs_fd >= 0 && (fd == -ENOENT || fd == -ENOTDIR);

        if (from_host)
                fd = open_at(AT_FDCWD, path, 0);
        if (fd < 0)
                return error_errno(
                        err, -fd, from_host ? "neither the container nor the host has it" : "cannot open it");
        if (fstat(fd, &st) < 0)
                return error_errno(err, errno, "stat");
        if (!S_ISREG(st.st_mode))
                return error_set(err, -EINVAL, "it is no regular file");
        int r = from_host ? check_owner(&st, err) : 0;
        if (r < 0)
                return r;
        if ((uint64_t)st.st_size > size_max)
                return error_set(err, -EFBIG,
                                 "it has %" PRIu64 " MiB, and the enclave's memory has room for %" PRIu64,
                                 ((uint64_t)st.st_size + (1 << 20) - 1) >> 20, size_max >> 20);
        *ret_fd = take_fd(&fd);
        return 0;
}

int image_file_open(int rootfs_fd, const char *path, uint64_t size_max, struct boot_image *ret_image,
                    struct error *err)
{
        cleanup_fd int fd = -1;
        int r = find(rootfs_fd, path, size_max, &fd, err);

        if (r == 0)
                r = boot_image_open_whole(fd, ret_image, err);
        if (r == 0 && ret_image->whole_size > size_max) {
                boot_image_done(ret_image);
                r = error_set(err, -EFBIG, "it grew while it was read");
        }
        if (r < 0)
                error_wrap(err, "%s", path);
        return r;
}
