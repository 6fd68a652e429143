/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/view.h"

#include <stdlib.h>
#include <string.h>

struct view view_of_string(const char *s)
{
        return view_of(s, s ? strlen(s) : 0);
}

bool view_equal(struct view a, struct view b)
{
        return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

bool view_slice(struct view v, size_t at, size_t n, struct view *ret_v)
{
        if (at > v.n || n > v.n - at)
                return false;
        *ret_v = view_of(v.p ? v.p + at : NULL, n);
        return true;
}

bool view_has_nul(struct view v)
{
        return v.n && memchr(v.p, 0, v.n);
}

char *view_to_string(struct view v)
{
        char *s = malloc(v.n + 1);

        if (!s)
                return NULL;
        if (v.n)
                memcpy(s, v.p, v.n);
        s[v.n] = '\0';
        return s;
}

struct view cursor_take(struct cursor *c, size_t n)
{
        struct view v;

        if (c->failed || !view_slice(c->v, c->at, n, &v)) {
                c->failed = true;
                return view_of(NULL, 0);
        }
        c->at += n;
        return v;
}

static uint64_t take_big_endian(struct cursor *c, size_t n)
{
        struct view v = cursor_take(c, n);
        uint64_t value = 0;

        for (size_t i = 0; i < v.n; i++)
                value = value << 8 | v.p[i];
        return value;
}

static uint64_t take_little_endian(struct cursor *c, size_t n)
{
        struct view v = cursor_take(c, n);
        uint64_t value = 0;

        for (size_t i = v.n; i > 0; i--)
                value = value << 8 | v.p[i - 1];
        return value;
}

uint8_t cursor_u8(struct cursor *c)
{
        return (uint8_t)take_big_endian(c, 1);
}

uint16_t cursor_be16(struct cursor *c)
{
        return (uint16_t)take_big_endian(c, 2);
}

uint32_t cursor_be32(struct cursor *c)
{
        return (uint32_t)take_big_endian(c, 4);
}

uint64_t cursor_be64(struct cursor *c)
{
        return take_big_endian(c, 8);
}

uint16_t cursor_le16(struct cursor *c)
{
        return (uint16_t)take_little_endian(c, 2);
}

uint32_t cursor_le32(struct cursor *c)
{
        return (uint32_t)take_little_endian(c, 4);
}

uint64_t cursor_le64(struct cursor *c)
{
        return take_little_endian(c, 8);
}

struct view cursor_rest(const struct cursor *c)
{
        struct view v;

        if (c->failed || !view_slice(c->v, c->at, c->v.n - c->at, &v))
                return view_of(NULL, 0);
        return v;
}

struct view cursor_until(struct cursor *c, uint8_t delimiter)
{
        struct view rest = cursor_rest(c);
        const uint8_t *end = rest.n ? memchr(rest.p, delimiter, rest.n) : NULL;

        if (!end) {
                c->failed = true;
                return view_of(NULL, 0);
        }
        struct view v = cursor_take(c, (size_t)(end - rest.p));
        cursor_take(c, 1);
        return v;
}
