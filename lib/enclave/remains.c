/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/enclave/remains.h"

#include "lib/base/fd.h"
#include "lib/base/path.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static DIR *open_again(int dirfd)
{
        cleanup_fd int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;

        if (dir)
                (void)take_fd(&fd);
        return dir;
}

/* The next of them, or NULL. */
static const char *next(DIR *dir)
{
        struct dirent *entry;

        while ((entry = readdir(dir))) {
                const char *name = entry->d_name;
                if (name[0] == '.' && strcmp(name, ".") != 0 && strcmp(name, "..") != 0)
                        return name;
        }
        return NULL;
}

bool remains_are_in(int dirfd)
{
        cleanup_dir DIR *dir = open_again(dirfd);

        return dir && next(dir);
}

void remains_remove(int dirfd)
{
        cleanup_dir DIR *dir = open_again(dirfd);
        const char *name;

        while (dir && (name = next(dir))) {
                if (unlinkat(dirfd, name, 0) < 0)
                        (void)path_remove_tree(dirfd, name, NULL);
        }
}
