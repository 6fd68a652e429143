/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/container/host-proc.h"

#include "lib/base/fd.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>

/* Only the root of a procfs has this inode number (PROC_ROOT_INO of the kernel). */
enum { PROC_ROOT_INODE = 1 };

int procfs_open(int *ret_fd, struct error *err)
{
        cleanup_fd int fd = open("/proc", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        struct statfs fs;
        struct stat st;

        if (fd < 0)
                return error_errno(err, errno, "/proc");
        if (fstatfs(fd, &fs) < 0 || fstat(fd, &st) < 0)
                return error_errno(err, errno, "/proc");
        if (fs.f_type != PROC_SUPER_MAGIC || st.st_ino != PROC_ROOT_INODE)
                return error_set(err, -EXDEV, "/proc is no procfs; mount one there");
        *ret_fd = take_fd(&fd);
        return 0;
}
