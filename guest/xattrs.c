/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/xattrs.h"

#include "lib/base/cleanup.h"
#include "lib/base/text.h"

#include <errno.h>
#include <string.h>
#include <sys/xattr.h>

/* XATTR_SIZE_MAX of linux/limits.h. */
enum { VALUE_MAX = 65536 };

static void apply_one(const char *path, const char *name, struct view hex, const struct log *log)
{
        size_t n = hex.n / 2;
        cleanup_free uint8_t *value = n <= VALUE_MAX ? malloc(n + 1) : NULL;
        cleanup_free char *rooted = string_printf("/%s", path);

        if (!value || !rooted || hex.n % 2 || !hex_decode(hex, value, n))
                log_warning(log, "cannot set %s of %s: its value is damaged", name, path);
        else if (lsetxattr(rooted, name, value, n, 0) < 0)
                log_warning(log, "cannot set %s of %s: %s", name, path, strerror(errno));
}

void xattrs_apply(struct view records, const struct log *log)
{
        struct cursor c = cursor_of(records);

        while (!cursor_at_end(&c)) {
                /* Each is NUL-terminated where it lies, as its delimiter is the NUL. */
                struct view path = cursor_until(&c, 0);
                struct view name = cursor_until(&c, 0);
                struct view value = cursor_until(&c, 0);
                if (!cursor_ok(&c)) {
                        log_warning(log, "the list of extended attributes is cut");
                        return;
                }
                apply_one((const char *)path.p, (const char *)name.p, value, log);
        }
}
