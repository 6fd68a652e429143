/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/sgx/os.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

static int host_open(void *user, const char *path, int flags)
{
        (void)user;
        return open(path, flags);
}

static int host_ioctl(void *user, int fd, unsigned long request, void *argument)
{
        (void)user;
        return ioctl(fd, request, argument);
}

static void *host_mmap(void *user, void *address, size_t size, int prot, int flags, int fd, off_t offset)
{
        (void)user;
        return mmap(address, size, prot, flags, fd, offset);
}

static int host_munmap(void *user, void *address, size_t size)
{
        (void)user;
        return munmap(address, size);
}

static int host_close(void *user, int fd)
{
        (void)user;
        return close(fd);
}

const struct sgx_os sgx_os_host = {
        .open = host_open,
        .ioctl = host_ioctl,
        .mmap = host_mmap,
        .munmap = host_munmap,
        .close = host_close,
};
