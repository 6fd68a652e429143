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
        const char *fetched;     /* below either: where tools/fetch-kernel puts it, or NULL */
        const char *environment; /* names the part itself, or NULL */
} parts[] = {
        [INSTALL_SUPERVISOR] = {"the supervisor", "coffer-enclave", "supervisor/coffer-enclave", NULL, NULL},
        [INSTALL_INIT] = {"enclave-init", "enclave-init", "guest/enclave-init", NULL, NULL},
        [INSTALL_TEST_QUOTER] = {"the maker of test quotes", "sgx-test-quoter",
                                 "sgx-emulator/sgx-test-quoter", NULL, NULL},
        [INSTALL_KERNEL] = {"the guest kernel", "kernel", "kernel", "kernels/cloud", "COFFER_KERNEL_DIR"},
};

/* The build tree that `file` lies in, `depth` folders deep, or NULL. */
static char *tree_of(const char *file, int depth)
{
        char path[PATH_MAX];

        if (!realpath(file, path))
                return NULL;
        for (int up = 0; up <= depth; up++) {
                char *slash = strrchr(path, '/');
                if (!slash)
                        return NULL;
                *slash = '\0';
        }
        cleanup_free char *mark = string_printf("%s/guest/enclave-init", path);
        return mark && access(mark, F_OK) == 0 ? string_printf("%s", path) : NULL;
}

/* The one that the running program lies in, as "BUILD/qt/qt" does. */
static char *build_tree(void)
{
        return tree_of("/proc/self/exe", 1);
}

static bool offer(char *taken_path, char **ret_path)
{
        cleanup_free char *path = taken_path;

        if (!path || access(path, F_OK) < 0)
                return false;
        *ret_path = take_pointer(&path);
        return true;
}

/* The part below a folder of ours, under the name it was installed by or the one it was fetched by. */
static bool find_below(const char *folder, const char *name, const char *fetched, char **ret_path)
{
        return offer(string_printf("%s/%s", folder, name), ret_path) ||
               (fetched && offer(string_printf("%s/%s", folder, fetched), ret_path));
}

/* Who has just built or installed us has no kernel yet: one command gets it. */
static void hint_kernel(const char *folder, struct error *err)
{
        cleanup_free char *installed = string_printf("%s/fetch-kernel", folder);
        bool have = installed && access(installed, X_OK) == 0;

        error_hint(err, "get it with `%s cloud`, or name one with --kernel or COFFER_KERNEL_DIR",
                   have ? installed : "tools/fetch-kernel");
}

/* `tree` and `beside` may be NULL. */
static int find(const char *tree, const char *beside, enum install_part part, char **ret_path,
                struct error *err)
{
        const char *named = parts[part].environment ? getenv(parts[part].environment) : NULL;
        const char *libexec = getenv("COFFER_LIBEXEC");
        const char *fetched = parts[part].fetched;
        bool told = libexec && libexec[0];
        const char *folder = told ? libexec : COFFER_LIBDIR;

        if (named && named[0])
                return offer(string_printf("%s", named), ret_path)
                               ? 0
                               : error_set(err, -ENOENT, "%s is not where %s says: %s", parts[part].shown,
                                           parts[part].environment, named);
        if (!told && beside && find_below(beside, parts[part].installed, fetched, ret_path))
                return 0;
        if ((!told && tree && find_below(tree, parts[part].built, fetched, ret_path)) ||
            find_below(folder, parts[part].installed, fetched, ret_path))
                return 0;
        error_set(err, -ENOENT, "%s is not %s: there is no %s/%s", parts[part].shown,
                  told ? "where COFFER_LIBEXEC says" : "installed", folder,
                  fetched ? fetched : parts[part].installed);
        if (part == INSTALL_KERNEL)
                hint_kernel(tree && !told ? "" : folder, err);
        return -ENOENT;
}

int install_find(enum install_part part, char **ret_path, struct error *err)
{
        cleanup_free char *tree = build_tree();

        return find(tree, NULL, part, ret_path, err);
}

int install_find_beside(const char *file, enum install_part part, char **ret_path, struct error *err)
{
        cleanup_free char *tree = tree_of(file, 2);
        cleanup_free char *folder = strdup(file);
        char *slash = folder ? strrchr(folder, '/') : NULL;

        if (slash)
                *slash = '\0';
        return find(tree, slash ? folder : NULL, part, ret_path, err);
}
