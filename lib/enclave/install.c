/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/enclave/install.h"

#include "lib/base/cleanup.h"
#include "lib/base/text.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct {
        const char *shown;
        const char *installed;   /* below PREFIX/lib/coffer, and $COFFER_LIBEXEC */
        const char *built;       /* below the build tree */
        const char *environment; /* names the part itself, or NULL */
} parts[] = {
        [INSTALL_SUPERVISOR] = {"the supervisor", "coffer-enclave", "supervisor/coffer-enclave", NULL},
        [INSTALL_INIT] = {"enclave-init", "enclave-init", "guest/enclave-init", NULL},
        [INSTALL_KERNEL] = {"the guest kernel", "kernel", "kernel", "COFFER_KERNEL_DIR"},
};

/* The build tree that the running program lies in, as "BUILD/qt/qt" does, or NULL. */
static char *build_tree(void)
{
        char path[PATH_MAX];
        ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);

        if (n <= 0)
                return NULL;
        path[n] = '\0';
        for (int up = 0; up < 2; up++) {
                char *slash = strrchr(path, '/');
                if (!slash)
                        return NULL;
                *slash = '\0';
        }
        cleanup_free char *mark = string_printf("%s/guest/enclave-init", path);
        return mark && access(mark, F_OK) == 0 ? string_printf("%s", path) : NULL;
}

static bool offer(char *taken_path, char **ret_path)
{
        cleanup_free char *path = taken_path;

        if (!path || access(path, F_OK) < 0)
                return false;
        *ret_path = take_pointer(&path);
        return true;
}

int install_find(enum install_part part, char **ret_path, struct error *err)
{
        const char *named = parts[part].environment ? getenv(parts[part].environment) : NULL;
        const char *libexec = getenv("COFFER_LIBEXEC");
        cleanup_free char *tree = build_tree();

        if (named && named[0])
                return offer(string_printf("%s", named), ret_path)
                               ? 0
                               : error_set(err, -ENOENT, "%s is not where %s says: %s", parts[part].shown,
                                           parts[part].environment, named);
        if (libexec && libexec[0])
                return offer(string_printf("%s/%s", libexec, parts[part].installed), ret_path)
                               ? 0
                               : error_set(err, -ENOENT,
                                           "%s is not where COFFER_LIBEXEC says: there is no %s/%s",
                                           parts[part].shown, libexec, parts[part].installed);
        if (tree && offer(string_printf("%s/%s", tree, parts[part].built), ret_path))
                return 0;
        if (offer(string_printf("%s/%s", COFFER_LIBDIR, parts[part].installed), ret_path))
                return 0;
        error_set(err, -ENOENT, "%s is not installed: there is no %s/%s", parts[part].shown, COFFER_LIBDIR,
                  parts[part].installed);
        if (part == INSTALL_KERNEL)
                error_hint(err, "tools/fetch-kernel gets one, and COFFER_KERNEL_DIR names its folder");
        return -ENOENT;
}
