/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/enclave/nitro-blobs.h"

#include "lib/base/fd.h"
#include "lib/base/file.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int open_part(int folder, const char *name, int *ret_fd, uint64_t *ret_size, struct error *err)
{
        cleanup_fd int fd = openat(folder, name, O_RDONLY | O_CLOEXEC);
        struct stat st;

        if (fd < 0 || fstat(fd, &st) < 0)
                return error_errno(err, errno, "%s", name);
        if (!S_ISREG(st.st_mode))
                return error_set(err, -EINVAL, "%s is no regular file", name);
        *ret_fd = take_fd(&fd);
        *ret_size = (uint64_t)st.st_size;
        return 0;
}

static int read_cmdline(int folder, const struct architecture *architecture, char **ret_cmdline,
                        struct error *err)
{
        cleanup_buf struct buf text = {0};
        int r = 0;

        if (faccessat(folder, "cmdline", F_OK, 0) < 0) {
                *ret_cmdline = strdup(architecture->nitro_cmdline);
        } else if ((r = file_read(folder, "cmdline", EIF_CMDLINE_MAX, &text, err)) == 0) {
                const char *line = buf_string(&text);
                *ret_cmdline = strndup(line, strcspn(line, "\n"));
        }
        if (r < 0)
                return r;
        return *ret_cmdline ? 0 : error_oom(err);
}

/* A program or module, which must be the architecture's. */
static int open_elf(int folder, const char *name, const struct architecture *architecture, int *ret_fd,
                    uint64_t *ret_size, struct error *err)
{
        int r = open_part(folder, name, ret_fd, ret_size, err);

        if (r == 0 && (r = architecture_check_elf(architecture, *ret_fd, err)) < 0)
                error_wrap(err, "%s", name);
        return r;
}

static int open_kernel(int folder, const struct architecture *architecture, struct kernel *ret_kernel,
                       struct error *err)
{
        char config[64];

        snprintf(config, sizeof(config), "%s.config", architecture->nitro_kernel);
        int r = kernel_open_bare(folder, architecture->nitro_kernel, config, architecture, ret_kernel, err);
        if (r < 0)
                error_wrap(err, "%s", architecture->nitro_kernel);
        return r;
}

static int open_parts(int folder, const struct architecture *architecture, struct build_parts *parts,
                      char **ret_cmdline, struct error *err)
{
        int r;

        parts->architecture = architecture;
        if ((r = open_kernel(folder, architecture, &parts->kernel, err)) < 0 ||
            (r = open_elf(folder, "init", architecture, &parts->init_fd, &parts->init_size, err)) < 0)
                return r;
        if (faccessat(folder, "nsm.ko", F_OK, 0) == 0 &&
            (r = open_elf(folder, "nsm.ko", architecture, &parts->nsm_fd, &parts->nsm_size, err)) < 0)
                return r;
        return read_cmdline(folder, architecture, ret_cmdline, err);
}

int nitro_blobs_open(const char *folder, const struct architecture *architecture,
                     struct build_parts *ret_parts, char **ret_cmdline, struct error *err)
{
        cleanup_build_parts struct build_parts parts = BUILD_PARTS_NONE;
        cleanup_fd int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        int r = fd < 0 ? error_errno(err, errno, "cannot open")
                       : open_parts(fd, architecture, &parts, ret_cmdline, err);

        if (r < 0) {
                error_wrap(err, "%s", folder);
                if (r == -ENOENT)
                        error_hint(err,
                                   "it must have AWS's %s and init, which come with nitro-cli; --kernel or "
                                   "NITRO_CLI_BLOBS names another folder",
                                   architecture->nitro_kernel);
                return r;
        }
        *ret_parts = parts;
        parts = BUILD_PARTS_NONE;
        return 0;
}
