/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/settings.h"

#include "lib/base/fd.h"
#include "lib/base/file.h"
#include "lib/base/text.h"

#include "guest/control.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define CONFIG  "/" GUEST_CONFIG_PATH
#define XATTRS  "/" GUEST_XATTRS_PATH
#define ENCLAVE "/enclave"

enum {
        CMDLINE_MAX = 4096,
        XATTRS_MAX = 64 * 1024 * 1024,
};

uint32_t settings_number(const char *cmdline, const char *name, uint32_t fallback)
{
        uint32_t number = fallback;

        while (*cmdline) {
                size_t n = strcspn(cmdline, " \n");
                size_t name_n = strlen(name);
                uint64_t value;
                if (n > name_n && n - name_n <= 10 && strncmp(cmdline, name, name_n) == 0) {
                        char digits[11] = {0};
                        memcpy(digits, cmdline + name_n, n - name_n);
                        if (parse_u64(digits, UINT32_MAX, &value))
                                number = (uint32_t)value;
                }
                cmdline += n + strspn(cmdline + n, " \n");
        }
        return number;
}

uint32_t settings_parent_cid(void)
{
        char cmdline[CMDLINE_MAX + 1] = {0};
        cleanup_fd int fd = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);
        ssize_t n = fd >= 0 ? read(fd, cmdline, CMDLINE_MAX) : -1;

        return n > 0 ? settings_number(cmdline, "coffer.parent_cid=", PARENT_CID_DEFAULT)
                     : PARENT_CID_DEFAULT;
}

static int read_config(struct guest_config *ret_config, struct failure *f)
{
        cleanup_buf struct buf content = buf_with_max(GUEST_CONFIG_MAX);
        struct error err = {0};

        if (access(CONFIG, F_OK) < 0)
                return failure_set(
                        f, errno, CONFIG,
                        "unpack the image: the enclave's memory is too small for it, or it has no ramdisk");
        int r = file_read(AT_FDCWD, CONFIG, GUEST_CONFIG_MAX, &content, &err);
        if (r < 0)
                return failure_set(f, -r, CONFIG, "read the image's configuration");
        r = guest_config_decode(buf_view(&content), ret_config, &err);
        if (r < 0)
                return failure_set(f, 0, NULL, "read the image's configuration: %s: %s", CONFIG,
                                   error_text(&err));
        return 0;
}

int settings_read(struct guest_config *ret_config, struct buf *ret_xattrs, struct failure *f)
{
        int r = read_config(ret_config, f);

        if (r < 0)
                return r;
        *ret_xattrs = buf_with_max(XATTRS_MAX);
        r = file_read(AT_FDCWD, XATTRS, XATTRS_MAX, ret_xattrs, NULL);
        if (r < 0 && r != -ENOENT)
                return failure_set(f, -r, XATTRS, "read the image's extended attributes");
        unlink(XATTRS);
        unlink(CONFIG);
        rmdir(ENCLAVE);
        return 0;
}
