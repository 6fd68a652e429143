/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/container/pal-path.h"

#include "lib/base/cleanup.h"
#include "lib/base/text.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char trusted[] = "/usr/lib:/usr/lib64:/usr/local/lib:/usr/local/lib64:/lib:/lib64:/opt";

char *pal_path_prefix(void)
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
        return strdup(path);
}

/* Is `path`, which has no links in it, below `folder`, which may have? */
static bool is_below(const char *path, const char *folder)
{
        cleanup_free char *real = realpath(folder, NULL);
        size_t n = real ? strlen(real) : 0;

        return n > 1 && strncmp(path, real, n) == 0 && path[n] == '/';
}

static bool is_in_list(const char *path, const char *list)
{
        for (const char *at = list; at && *at;) {
                size_t n = strcspn(at, ":");
                cleanup_free char *folder = strndup(at, n);
                if (folder && n > 0 && is_below(path, folder))
                        return true;
                at += n + (at[n] == ':');
        }
        return false;
}

static bool is_allowed(const char *path, const char *more)
{
        cleanup_free char *prefix = pal_path_prefix();
        cleanup_free char *own = prefix ? string_printf("%s/lib/coffer", prefix) : NULL;

        return is_in_list(path, trusted) || is_in_list(path, more) || (own && is_below(path, own));
}

/* Whose the file is says nothing where users are mapped; who else may write it does. */
static int check_writers(const char *path, struct error *err)
{
        struct stat st;

        if (stat(path, &st) < 0)
                return error_errno(err, errno, "PAL %s", path);
        if (!S_ISREG(st.st_mode))
                return error_set(err, -EINVAL, "PAL %s: not a regular file", path);
        if (st.st_mode & (S_IWGRP | S_IWOTH))
                return error_set(err, -EPERM,
                                 "PAL %s: others can write this file; take that from them (chmod go-w)",
                                 path);
        return 0;
}

int pal_path_check(const char *path, const char *more, char **ret_path, struct error *err)
{
        cleanup_free char *real = realpath(path, NULL);

        if (!real)
                return error_errno(err, errno, "PAL %s", path);
        if (!is_allowed(real, more)) {
                (void)error_set(err, -EACCES, "PAL %s: not in a folder that PALs are loaded from", path);
                error_hint(err,
                           "install it below /usr/lib or /opt, or name its folder to rune with --pal-path");
                return -EACCES;
        }
        int r = check_writers(real, err);
        if (r < 0)
                return r;
        *ret_path = take_pointer(&real);
        return 0;
}
