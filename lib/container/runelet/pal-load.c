/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/container/runelet/pal-load.h"

#include "lib/base/cleanup.h"

#include <dlfcn.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

enum { ERRNO_MAX = 4095 };

/* A symbol, the place of its pointer, and the versions that must have it: bit N is version N. */

static const struct symbol {
        const char *name;
        size_t offset;
        unsigned needed;
} symbols[] = {
        {"pal_prepare", offsetof(struct pal, prepare), 0},
        {"pal_describe_process", offsetof(struct pal, describe_process), 0},
        {"pal_last_error", offsetof(struct pal, last_error), 0},
        {"pal_init", offsetof(struct pal, init), 1u << 1 | 1u << 2 | 1u << 3},
        {"pal_create_process", offsetof(struct pal, create_process), 1u << 2 | 1u << 3},
        {"pal_exec", offsetof(struct pal, exec), 1u << 1 | 1u << 2 | 1u << 3},
        {"pal_kill", offsetof(struct pal, kill), 1u << 2 | 1u << 3},
        {"pal_get_local_report", offsetof(struct pal, get_local_report), 1u << 3},
        {"pal_destroy", offsetof(struct pal, destroy), 1u << 1 | 1u << 2 | 1u << 3},
};

/* POSIX has dlsym(3) return functions as pointers to data; C has no cast for it. */
static void find(void *library, const char *name, void *ret_pointer)
{
        void *symbol = dlsym(library, name);

        memcpy(ret_pointer, &symbol, sizeof(symbol));
}

static int find_version(void *library, const char *path, int *ret_version, struct error *err)
{
        pal_get_version_fn get_version;

        find(library, "pal_get_version", &get_version);
        *ret_version = get_version ? get_version() : 1;
        if (*ret_version >= 1 && *ret_version <= PAL_VERSION_MAX)
                return 0;
        return error_set(err, -EPROTONOSUPPORT, "PAL %s: unsupported pal api version %d; rune knows 1 to %d",
                         path, *ret_version, PAL_VERSION_MAX);
}

/* Takes what the version has; names all that is missing at once. */
static int find_symbols(void *library, struct pal *pal, struct error *err)
{
        char missing[256] = "";

        for (size_t i = 0; i < ARRAY_SIZE(symbols); i++) {
                const struct symbol *symbol = &symbols[i];
                void *found;
                if (symbol->needed && !(symbol->needed & 1u << pal->version))
                        continue;
                find(library, symbol->name, &found);
                memcpy((char *)pal + symbol->offset, &found, sizeof(found));
                size_t n = strlen(missing);
                if (!found && symbol->needed)
                        (void)snprintf(missing + n, sizeof(missing) - n, "%s%s", n ? ", " : "", symbol->name);
        }
        if (!*missing)
                return 0;
        return error_set(err, -ENOSYS, "PAL %s: its version is %d, and it lacks %s", pal->path, pal->version,
                         missing);
}

int pal_load(const char *path, struct pal *ret_pal, struct error *err)
{
        struct pal pal = {.path = path};
        void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);

        if (!library) {
                const char *why = dlerror();
                return error_set(err, -ELIBACC, "PAL %s: can't be loaded: %s", path,
                                 why ? why : "no reason given");
        }
        int r = find_version(library, path, &pal.version, err);
        if (r == 0)
                r = find_symbols(library, &pal, err);
        if (r == 0)
                *ret_pal = pal;
        return r;
}

int pal_failed(const struct pal *pal, const char *call, int result, struct error *err)
{
        const char *why = pal->last_error ? pal->last_error() : NULL;
        int code = result < 0 && result >= -ERRNO_MAX ? result : -EIO;

        if (why && *why)
                return error_set(err, code, "PAL %s: %s: %s", pal->path, call, why);
        if (code == result)
                return error_set(err, code, "PAL %s: %s: %s (%d)", pal->path, call, strerror(-code), result);
        return error_set(err, code, "PAL %s: %s: it returned %d, which is neither 0 nor an error", pal->path,
                         call, result);
}
