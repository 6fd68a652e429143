/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/enclave/qemu-confine.h"

#include "lib/base/cleanup.h"
#include "lib/base/text.h"
#include "lib/enclave/qemu-args.h"
#include "lib/sandbox/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

char *qemu_home(void)
{
        const char *path = getenv("PATH") ?: "";

        while (*path) {
                size_t n = strcspn(path, ":");
                cleanup_free char *program = string_printf("%.*s/%s", (int)n, path, QEMU_PROGRAM);
                if (program && path[0] == '/' && access(program, X_OK) == 0) {
                        /* Above /bin is all there is. */
                        bool at_top = !memchr(path + 1, '/', n - 1);
                        return string_printf("%.*s%s", (int)n, path, at_top ? "" : "/..");
                }
                path += n + (path[n] == ':');
        }
        return NULL;
}

int qemu_confine(void *user)
{
        const char *home = user;
        const struct sandbox_path paths[] = {
                {.path = "/usr", .execute = true},
                {.path = "/lib", .execute = true},
                {.path = "/lib64", .execute = true},
                {.path = "/bin", .execute = true},
                {.path = home ?: "/usr", .execute = true},
                {.path = "/etc/ld.so.cache"},
                {.path = "/etc/ld.so.preload"},
                {.path = "/nix/store", .execute = true},
                {.path = "/gnu/store", .execute = true},
                {.path = "/proc"},
                {.path = "/sys"},
                {.path = "/dev/urandom"},
                {.path = "/dev/null", .write = true},
                {.path = "/dev/kvm", .write = true},
                {.fd = QEMU_FD_KERNEL},
                {.fd = QEMU_FD_INITRD},
        };
        size_t n = ARRAY_SIZE(paths);

        if (fcntl(QEMU_FD_INITRD, F_GETFD) < 0)
                n--; /* an image without ramdisks */
        int (*const steps[])(void) = {sandbox_restrict_signals, sandbox_deny_calls};
        int r = sandbox_restrict_files(paths, n);
        for (size_t i = 0; (r == 0 || sandbox_is_lacking(r)) && i < ARRAY_SIZE(steps); i++)
                r = steps[i]();
        return sandbox_is_lacking(r) ? 0 : r;
}
