/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/kernel-modules.h"

#include "lib/base/fd.h"
#include "lib/base/text.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static int is_module(const struct dirent *entry)
{
        return string_ends_with(entry->d_name, ".ko");
}

static int load_one(int folder, const char *name)
{
        cleanup_fd int fd = openat(folder, name, O_RDONLY | O_CLOEXEC);

        if (fd < 0 || (syscall(SYS_finit_module, fd, "", 0) < 0 && errno != EEXIST))
                return -errno;
        unlinkat(folder, name, 0);
        return 0;
}

int kernel_modules_load(const char *folder, char reterr_name[NAME_MAX + 1])
{
        cleanup_fd int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        struct dirent **entries;
        int r = 0;

        reterr_name[0] = '\0';
        if (fd < 0)
                return errno == ENOENT ? 0 : -errno;
        int n = scandir(folder, &entries, is_module, alphasort);
        if (n < 0)
                return -errno;
        for (int i = 0; i < n; i++) {
                if (r == 0 && (r = load_one(fd, entries[i]->d_name)) < 0)
                        snprintf(reterr_name, NAME_MAX + 1, "%s", entries[i]->d_name);
                free(entries[i]);
        }
        free(entries);
        if (r == 0)
                rmdir(folder);
        return r;
}
