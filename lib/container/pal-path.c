/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/container/pal-path.h"

#include "lib/base/cleanup.h"
#include "lib/base/fd.h"
#include "lib/base/text.h"

#include <fcntl.h>
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

/* In a folder that was named for this, or of our own. */
static bool is_chosen(const char *path, const char *more)
{
        cleanup_free char *prefix = pal_path_prefix();
        cleanup_free char *own = prefix ? string_printf("%s/lib/coffer", prefix) : NULL;

        return is_in_list(path, more) || (own && is_below(path, own));
}

/* In a user namespace of its own; "0 0 4294967295" is the machine's. */
static bool users_are_mapped(void)
{
        cleanup_fd int fd = open("/proc/self/uid_map", O_RDONLY | O_CLOEXEC);
        char text[64];
        ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);
        uint64_t numbers[3]; /* first inside, first outside, how many */
        const char *at = text;

        text[n > 0 ? n : 0] = '\0';
        for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
                at += strspn(at, " ");
                if (!take_u64(&at, UINT32_MAX, &numbers[i]))
                        return false;
        }
        return numbers[0] != 0 || numbers[1] != 0 || numbers[2] != UINT32_MAX;
}

/* `part` is the file or one of the folders that lead to it. */
static int check_part(const char *path, const char *part, struct error *err)
{
        struct stat st;

        if (lstat(part, &st) < 0)
                return error_errno(err, errno, "PAL %s", path);
        if (st.st_uid != 0 && st.st_uid != geteuid())
                return error_set(
                        err, -EPERM,
                        "PAL %s: %s belongs to user %u, who could replace it; give it to root, or name "
                        "its folder to rune with --pal-path",
                        path, part, st.st_uid);
        if (S_ISDIR(st.st_mode) && st.st_mode & S_IWOTH)
                return error_set(err, -EPERM, "PAL %s: others can write %s; take that from them (chmod o-w)",
                                 path, part);
        return 0;
}

/* What is below the system's folders need not be the administrator's: programs have folders of their own
 * users there.  Whose a file is says nothing where users are mapped. */
static int check_owners(const char *path, struct error *err)
{
        cleanup_free char *part = strdup(path);
        int r = 0;

        if (!part)
                return error_oom(err);
        if (users_are_mapped())
                return 0;
        for (char *at = part; r == 0 && at;) {
                at = strchr(at + 1, '/');
                if (at)
                        *at = '\0';
                r = check_part(path, part, err);
                if (at)
                        *at = '/';
        }
        return r;
}

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
        bool chosen = is_chosen(real, more);
        if (!chosen && !is_in_list(real, trusted)) {
                (void)error_set(err, -EACCES, "PAL %s: not in a folder that PALs are loaded from", path);
                error_hint(err,
                           "install it below /usr/lib or /opt, or name its folder to rune with --pal-path");
                return -EACCES;
        }
        int r = check_writers(real, err);
        if (r == 0 && !chosen)
                r = check_owners(real, err);
        if (r < 0)
                return r;
        *ret_path = take_pointer(&real);
        return 0;
}
