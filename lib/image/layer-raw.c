/* SPDX-License-Identifier: Apache-2.0 */
/*
 * layer-raw.c - a second look at an entry's raw header blocks.
 *
 * libarchive is the reader of record.  Three things it does not tell: the type flag (it makes regular files
 * of unknown types), a NUL byte inside a PAX name (it silently ends the name there), and whether data is
 * stored sparse. An entry is a row of special headers (PAX, GNU long names, volume label), each with a body
 * in whole blocks, and then its main header.
 */
#include "lib/base/checked.h"
#include "lib/base/view.h"
#include "lib/image/layer-internal.h"

#include <string.h>

enum {
        AT_SIZE = 124, /* 12 bytes, octal or base-256 */
        AT_TYPE = 156,
        SPECIAL_HEADERS_MAX = 64,
};

/* The size field of a special header; these are small, so base-256 is read only as far as it matters. */
static int special_size(const uint8_t *block, size_t *ret_size, struct error *err)
{
        const uint8_t *p = block + AT_SIZE;
        uint64_t size = 0;

        if (p[0] & 0x80) {
                size = p[0] & 0x7f;
                for (size_t i = 1; i < 12 && size <= LAYER_SPECIAL_HEADER_MAX; i++)
                        size = size << 8 | p[i];
        } else {
                size_t i = 0;
                while (i < 12 && (p[i] == ' ' || p[i] == '\t'))
                        i++;
                for (; i < 12 && p[i] >= '0' && p[i] <= '7' && size <= LAYER_SPECIAL_HEADER_MAX; i++)
                        size = size << 3 | (uint64_t)(p[i] - '0');
        }
        if (size > LAYER_SPECIAL_HEADER_MAX)
                return error_set(err, -E2BIG, "an extended header has more than %d bytes",
                                 (int)LAYER_SPECIAL_HEADER_MAX);
        *ret_size = size;
        return 0;
}

static bool view_is(struct view v, const char *text)
{
        return view_equal(v, view_of_string(text));
}

static bool view_starts(struct view v, const char *prefix)
{
        size_t n = strlen(prefix);
        return v.n >= n && memcmp(v.p, prefix, n) == 0;
}

static int pax_record(struct view key, struct view value, struct layer_raw *raw, struct error *err)
{
        bool is_name = view_is(key, "path") || view_is(key, "linkpath") || view_is(key, "GNU.sparse.name");

        if (is_name && view_has_nul(value))
                return error_set(err, -EBADMSG, "a name in the PAX header holds a NUL byte");
        if (view_starts(key, "GNU.sparse.") || view_is(key, "SUN.holesdata") ||
            view_is(key, "SCHILY.realsize"))
                raw->sparse = true;
        return 0;
}

/* The records of a PAX header: "<length> <key>=<value>\n", the length counting itself. */
static int pax_records(struct view body, struct layer_raw *raw, struct error *err)
{
        struct cursor c = cursor_of(body);

        while (!cursor_at_end(&c)) {
                size_t start = c.at;
                uint64_t length = 0;
                struct view digits = cursor_until(&c, ' ');
                for (size_t i = 0; i < digits.n && length <= body.n; i++)
                        length = digits.p[i] >= '0' && digits.p[i] <= '9' ? length * 10 + (digits.p[i] - '0')
                                                                          : body.n + 1;
                size_t used = c.at - start;
                if (!cursor_ok(&c) || length <= used || length > body.n - start)
                        return error_set(err, -EBADMSG, "malformed PAX header");
                struct view record = cursor_take(&c, length - used);
                struct cursor inner = cursor_of(record);
                struct view key = cursor_until(&inner, '=');
                struct view value = cursor_rest(&inner);
                if (!cursor_ok(&inner) || !value.n || value.p[value.n - 1] != '\n')
                        return error_set(err, -EBADMSG, "malformed PAX header");
                value.n--;
                int r = pax_record(key, value, raw, err);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* A GNU long name ends at its first NUL; anything but NULs behind that is a second name. */
static int gnu_long_name(struct view body, struct error *err)
{
        size_t n = body.n;

        while (n && body.p[n - 1] == 0)
                n--;
        if (view_has_nul(view_of(body.p, n)))
                return error_set(err, -EBADMSG, "a GNU long name holds a NUL byte");
        return 0;
}

static int special_body(char type, struct view body, struct layer_raw *raw, struct error *err)
{
        if (type == 'x' || type == 'X')
                return pax_records(body, raw, err);
        if (type == 'L' || type == 'K')
                return gnu_long_name(body, err);
        return 0;
}

int layer_raw_scan(struct layer_feed *feed, uint64_t from, struct layer_raw *ret_raw, struct error *err)
{
        struct layer_raw raw = {0};
        uint64_t at = from;

        for (unsigned i = 0; i < SPECIAL_HEADERS_MAX; i++) {
                const uint8_t *block = layer_feed_bytes(feed, at, LAYER_BLOCK, err);
                if (!block)
                        return -EBADMSG;
                at += LAYER_BLOCK;
                raw.type = (char)block[AT_TYPE];
                if (!raw.type || !strchr("AgKLVXx", raw.type)) {
                        raw.sparse = raw.sparse || raw.type == 'S';
                        raw.data_at = at;
                        *ret_raw = raw;
                        return 0;
                }
                if (raw.type == 'V') /* a label has no body, whatever its size says */
                        continue;
                size_t size = 0;
                int r = special_size(block, &size, err);
                if (r < 0)
                        return r;
                const uint8_t *body = layer_feed_bytes(feed, at, size, err);
                if (!body)
                        return -EBADMSG;
                r = special_body(raw.type, view_of(body, size), &raw, err);
                if (r < 0)
                        return r;
                at += (size + LAYER_BLOCK - 1) & ~(uint64_t)(LAYER_BLOCK - 1);
        }
        return error_set(err, -EBADMSG, "more than %d extended headers before one entry",
                         (int)SPECIAL_HEADERS_MAX);
}
