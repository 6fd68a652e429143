/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/container/init/no-pivot.h"

#include "lib/base/buf.h"
#include "lib/base/cleanup.h"
#include "lib/base/file.h"
#include "lib/base/text.h"

#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

enum { MOUNTINFO_MAX = 16 * 1024 * 1024 };

/* Fields of a line of mountinfo (proc(5)) before those that are optional. */
enum { FIELD_ROOT = 3, FIELD_MOUNT_POINT = 4, FIELDS = 6 };

/* Turns "\040" into what it stands for, in place. */
static void unescape(char *text)
{
        char *to = text;

        for (const char *p = text; *p; p++) {
                if (p[0] == '\\' && p[1] >= '0' && p[1] <= '3' && p[2] >= '0' && p[2] <= '7' && p[3] >= '0' &&
                    p[3] <= '7') {
                        *to++ = (char)((p[1] - '0') * 64 + (p[2] - '0') * 8 + (p[3] - '0'));
                        p += 3;
                } else {
                        *to++ = *p;
                }
        }
        *to = '\0';
}

/* The mount point of the line (in it) where that shows a whole procfs or sysfs outside of the rootfs, else
 * NULL. */
static char *full_mount(char *line, const char *rootfs)
{
        char *fields[FIELDS] = {NULL};
        char *type = strstr(line, " - ");
        char *rest = line;

        if (!type)
                return NULL;
        type += strlen(" - ");
        for (size_t i = 0; i < FIELDS; i++)
                fields[i] = strsep(&rest, " ");
        if (!fields[FIELD_MOUNT_POINT] || strcmp(fields[FIELD_ROOT], "/") != 0)
                return NULL;
        if (!string_starts_with(type, "proc ") && !string_starts_with(type, "sysfs "))
                return NULL;
        unescape(fields[FIELD_MOUNT_POINT]);
        size_t n = strlen(rootfs);
        char *point = fields[FIELD_MOUNT_POINT];
        if (strncmp(point, rootfs, n) == 0 && (point[n] == '/' || point[n] == '\0'))
                return NULL;
        return point;
}

/* Takes it away, or hides it where that isn't allowed. */
static int drop(const char *path, struct error *err)
{
        if (mount(NULL, path, NULL, MS_SLAVE | MS_REC, NULL) < 0)
                /* With a folder above it that has gone, it has gone as well. */
                return errno == ENOENT || errno == EINVAL ? 0 : error_errno(err, errno, "unshare %s", path);
        if (umount2(path, MNT_DETACH) == 0)
                return 0;
        if (errno != EINVAL && errno != EPERM)
                return error_errno(err, errno, "unmount %s", path);
        if (mount("tmpfs", path, "tmpfs", 0, NULL) < 0)
                return error_errno(err, errno, "hide %s", path);
        return 0;
}

static int drop_all(const struct rootfs *rootfs, struct error *err)
{
        cleanup_buf struct buf text = {0};
        int r = file_read(rootfs->proc_fd, "self/mountinfo", MOUNTINFO_MAX, &text, err);

        if (r < 0)
                return r;
        cleanup_free char *lines = buf_take_string(&text);
        if (!lines)
                return error_oom(err);
        for (char *rest = lines; rest && r == 0;) {
                char *point = full_mount(strsep(&rest, "\n"), rootfs->path);
                if (point)
                        r = drop(point, err);
        }
        return r;
}

int no_pivot_enter(const struct rootfs *rootfs, struct error *err)
{
        int r = drop_all(rootfs, err);

        if (r < 0)
                return r;
        if (fchdir(rootfs->fd) < 0)
                return error_errno(err, errno, "enter the rootfs");
        if (mount(".", "/", NULL, MS_MOVE, NULL) < 0)
                return error_errno(err, errno, "move the rootfs to /");
        if (chroot(".") < 0)
                return error_errno(err, errno, "chroot");
        return 0;
}
