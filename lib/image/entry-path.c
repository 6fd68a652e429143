/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/image/entry-path.h"

#include <string.h>

/* Appends one component to ret_path, which holds `at` bytes; *at moves on. */
static int append_component(const char *name, size_t n, char *ret_path, size_t *at, struct error *err)
{
        if (n == 2 && name[0] == '.' && name[1] == '.')
                return error_set(err, -EBADMSG, "the name escapes the root by '..'");
        if (n > IMAGE_NAME_MAX)
                return error_set(err, -E2BIG, "a part of the name has %zu bytes, more than %d", n,
                                 (int)IMAGE_NAME_MAX);
        if (*at + 1 + n > IMAGE_PATH_MAX)
                return error_set(err, -E2BIG, "the name has more than %d bytes", (int)IMAGE_PATH_MAX);
        if (*at)
                ret_path[(*at)++] = '/';
        memcpy(ret_path + *at, name, n);
        *at += n;
        return 0;
}

int entry_path_normalise(const char *name, char *ret_path, struct error *err)
{
        size_t at = 0;
        size_t depth = 0;

        for (const char *p = name; *p;) {
                size_t n = strcspn(p, "/");
                if (n && !(n == 1 && p[0] == '.')) {
                        int r = append_component(p, n, ret_path, &at, err);
                        if (r < 0)
                                return r;
                        if (++depth > IMAGE_DEPTH_MAX)
                                return error_set(err, -E2BIG, "the name has more than %d parts",
                                                 (int)IMAGE_DEPTH_MAX);
                }
                p += n + (p[n] == '/');
        }
        ret_path[at] = '\0';
        return 0;
}

void entry_path_printable(const char *name, char *ret_text)
{
        static const char digits[] = "0123456789abcdef";
        const size_t room = ENTRY_PATH_PRINTABLE_MAX - sizeof("...");
        size_t at = 0;

        if (!*name)
                name = "/";
        for (; *name; name++) {
                unsigned char c = (unsigned char)*name;
                bool plain = c >= 0x20 && c != 0x7f && c != '\\';
                if (at + (plain ? 1 : 4) > room) {
                        memcpy(ret_text + at, "...", 3);
                        at += 3;
                        break;
                }
                if (plain) {
                        ret_text[at++] = (char)c;
                        continue;
                }
                ret_text[at++] = '\\';
                ret_text[at++] = 'x';
                ret_text[at++] = digits[c >> 4];
                ret_text[at++] = digits[c & 15];
        }
        ret_text[at] = '\0';
}
