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
        [INSTALL_INIT_ARM64] = {"enclave-init for arm64", "enclave-init-arm64", "guest/enclave-init-arm64",
                                NULL},
        [INSTALL_TEST_QUOTER] = {"the maker of test quotes", "sgx-test-quoter",
                                 "sgx-emulator/sgx-test-quoter", NULL},
        [INSTALL_KERNEL] = {"the guest kernel", "kernel", "kernel", "COFFER_KERNEL_DIR"},
        [INSTALL_KERNEL_ARM64] = {"the guest kernel for arm64", "kernel-arm64", "kernel-arm64", NULL},
};

/* Where tools/build-kernel and tools/fetch-kernel leave a kernel, below either; ours first. */
static const char *const kernels[] = {"kernels/coffer", "kernels/cloud"};

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

/* The part below a folder of ours, under the name it has there; a kernel may have others. */
static bool find_below(const char *folder, enum install_part part, const char *name, char **ret_path)
{
        bool found = offer(string_printf("%s/%s", folder, name), ret_path);

        for (size_t i = 0; !found && part == INSTALL_KERNEL && i < ARRAY_SIZE(kernels); i++)
                found = offer(string_printf("%s/%s", folder, kernels[i]), ret_path);
        if (!found && part == INSTALL_KERNEL_ARM64)
                found = offer(string_printf("%s/kernels/cloud-arm64", folder), ret_path);
        return found;
}

/* Who has just built or installed us has no kernel yet: one command makes or gets it.  The init of another
 * architecture is there where its compiler was. */
static void hint(enum install_part part, const char *folder, struct error *err)
{
        cleanup_free char *installed = string_printf("%s/fetch-kernel", folder);
        bool have = installed && access(installed, X_OK) == 0;
        const char *tools = have ? folder : "tools";

        if (part == INSTALL_KERNEL)
                error_hint(err,
                           "build it with `%s/build-kernel`, or get the distribution's with `%s/fetch-kernel "
                           "cloud`, "
                           "or name one with --kernel or COFFER_KERNEL_DIR",
                           tools, tools);
        if (part == INSTALL_KERNEL_ARM64)
                error_hint(err, "get it with `%s/fetch-kernel --arch arm64 cloud`, or name one with --kernel",
                           tools);
        if (part == INSTALL_INIT_ARM64)
                error_hint(
                        err,
                        "it is made where aarch64-linux-gnu-gcc is installed (package gcc-aarch64-linux-gnu) "
                        "when Coffer is built");
}

/* As install_find()'s caller is told it: where build-kernel and fetch-kernel would have left a kernel. */
static const char *sought(enum install_part part)
{
        if (part == INSTALL_KERNEL)
                return "kernels/coffer or kernels/cloud";
        return part == INSTALL_KERNEL_ARM64 ? "kernels/cloud-arm64" : parts[part].installed;
}

/* `tree` and `beside` may be NULL. */
static int find(const char *tree, const char *beside, enum install_part part, char **ret_path,
                struct error *err)
{
        const char *named = parts[part].environment ? getenv(parts[part].environment) : NULL;
        const char *libexec = getenv("COFFER_LIBEXEC");
        bool told = libexec && libexec[0];
        const char *folder = told ? libexec : COFFER_LIBDIR;

        if (named && named[0])
                return offer(string_printf("%s", named), ret_path)
                               ? 0
                               : error_set(err, -ENOENT, "%s is not where %s says: %s", parts[part].shown,
                                           parts[part].environment, named);
        if (!told && beside && find_below(beside, part, parts[part].installed, ret_path))
                return 0;
        if ((!told && tree && find_below(tree, part, parts[part].built, ret_path)) ||
            find_below(folder, part, parts[part].installed, ret_path))
                return 0;
        error_set(err, -ENOENT, "%s is not %s: there is no %s/%s", parts[part].shown,
                  told ? "where COFFER_LIBEXEC says" : "installed", folder, sought(part));
        hint(part, tree && !told ? "" : folder, err);
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
