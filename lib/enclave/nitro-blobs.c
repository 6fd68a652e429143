/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/enclave/nitro-blobs.h"

#include "lib/base/fd.h"
#include "lib/base/file.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Those of i8042 are for the keyboard controller, by which this kernel ends the machine (reboot=k). */
const char NITRO_CMDLINE[] = "reboot=k panic=30 pci=off nomodules console=ttyS0 i8042.noaux i8042.nomux "
                             "i8042.nopnp i8042.dumbkbd random.trust_cpu=on";

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

static int read_cmdline(int folder, char **ret_cmdline, struct error *err)
{
        cleanup_buf struct buf text = {0};
        int r = 0;

        if (faccessat(folder, "cmdline", F_OK, 0) < 0) {
                *ret_cmdline = strdup(NITRO_CMDLINE);
        } else if ((r = file_read(folder, "cmdline", EIF_CMDLINE_MAX, &text, err)) == 0) {
                const char *line = buf_string(&text);
                *ret_cmdline = strndup(line, strcspn(line, "\n"));
        }
        if (r < 0)
                return r;
        return *ret_cmdline ? 0 : error_oom(err);
}

static int open_parts(int folder, struct build_parts *parts, char **ret_cmdline, struct error *err)
{
        int r = kernel_open_bare(folder, "bzImage", "bzImage.config", &parts->kernel, err);

        if (r < 0) {
                error_wrap(err, "bzImage");
                return r;
        }
        if ((r = open_part(folder, "init", &parts->init_fd, &parts->init_size, err)) < 0)
                return r;
        if (faccessat(folder, "nsm.ko", F_OK, 0) == 0 &&
            (r = open_part(folder, "nsm.ko", &parts->nsm_fd, &parts->nsm_size, err)) < 0)
                return r;
        return read_cmdline(folder, ret_cmdline, err);
}

int nitro_blobs_open(const char *folder, struct build_parts *ret_parts, char **ret_cmdline, struct error *err)
{
        cleanup_build_parts struct build_parts parts = BUILD_PARTS_NONE;
        cleanup_fd int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        int r = fd < 0 ? error_errno(err, errno, "cannot open") : open_parts(fd, &parts, ret_cmdline, err);

        if (r < 0) {
                error_wrap(err, "%s", folder);
                if (r == -ENOENT)
                        error_hint(
                                err,
                                "it must have AWS's bzImage and init, which come with nitro-cli; --kernel or "
                                "NITRO_CLI_BLOBS names another folder");
                return r;
        }
        *ret_parts = parts;
        parts = BUILD_PARTS_NONE;
        return 0;
}
