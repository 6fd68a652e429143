/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/container/memory-image.h"

#include "lib/base/fd.h"

#include <fcntl.h>
#include <linux/memfd.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U
#endif
#ifndef F_SEAL_EXEC
#define F_SEAL_EXEC 0x0020
#endif

static int seal(int fd)
{
        int seals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;

        if (fcntl(fd, F_ADD_SEALS, seals | F_SEAL_EXEC) == 0 || fcntl(fd, F_ADD_SEALS, seals) == 0)
                return 0;
        return -errno;
}

static int image_in_memory(const char *name, struct view image, int *ret_fd)
{
        unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
        /* MFD_EXEC came with Linux 6.3; before, memory files could be executed without it. */
        cleanup_fd int fd = (int)syscall(SYS_memfd_create, name, flags | MFD_EXEC);

        if (fd < 0 && errno == EINVAL)
                fd = (int)syscall(SYS_memfd_create, name, flags);
        if (fd < 0)
                return -errno;
        int r = fd_write_full(fd, image.p, image.n);
        if (r == 0)
                r = seal(fd);
        if (r < 0)
                return r;
        *ret_fd = take_fd(&fd);
        return 0;
}

/* Where the machine's owner forbids executable memory files (vm.memfd_noexec=2): a file without a name, open
 * for reading alone.  The folder of states may be mounted noexec, then others are tried. */
static int image_in_folder(int folder, struct view image, int *ret_fd)
{
        char path[32];
        cleanup_fd int writer = openat(folder, ".", O_TMPFILE | O_EXCL | O_WRONLY | O_CLOEXEC, 0700);

        if (writer < 0)
                return -errno;
        int r = fd_write_full(writer, image.p, image.n);
        if (r < 0)
                return r;
        if (fchmod(writer, 0555) < 0)
                return -errno;
        (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", writer);
        cleanup_fd int reader = open(path, O_RDONLY | O_CLOEXEC);
        if (reader < 0)
                return -errno;
        if (faccessat(reader, "", X_OK, AT_EMPTY_PATH) < 0)
                return -errno;
        *ret_fd = take_fd(&reader);
        return 0;
}

int memory_image_open(const char *name, struct view image, int folder, int *ret_fd, struct error *err)
{
        static const char *const others[] = {"/var/tmp", "/tmp"};
        int first = image_in_memory(name, image, ret_fd);

        if (first == 0 || (folder >= 0 && image_in_folder(folder, image, ret_fd) == 0))
                return 0;
        for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
                cleanup_fd int other = open(others[i], O_PATH | O_DIRECTORY | O_CLOEXEC);
                if (other >= 0 && image_in_folder(other, image, ret_fd) == 0)
                        return 0;
        }
        return error_errno(err, -first, "can't make an executable of %s in memory, nor in a folder", name);
}
