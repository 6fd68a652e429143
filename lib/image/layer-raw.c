/* SPDX-License-Identifier: Apache-2.0 */
/*
 * layer-raw.c - a second look at an entry's raw header blocks.
 *
 * libarchive is the reader of record.  What it does not tell: the type flag (it makes regular files of
 * unknown types), a NUL byte inside a PAX name (it silently ends the name there), whether data is stored
 * sparse, and the mode as it stands there (it changes it by an access list).  An entry is a row of special
 * headers (PAX, GNU long names, volume label), each with a body in whole blocks, and then its main header.
 *
 * Where the readers of the field take the same bytes for different trees, whoever looked at an image with one
 * of them does not know what it is for another.  So what they disagree about is refused here.
 */
#include "lib/base/checked.h"
#include "lib/base/view.h"
#include "lib/image/layer-internal.h"

#include <string.h>

enum {
        AT_MODE = 100, /* 8 bytes, octal or base-256, as all numbers */
        AT_SIZE = 124, /* 12 bytes */
        AT_TYPE = 156,
        AT_MAGIC = 257,
        AT_GNU_ATIME = 345, /* 12 bytes; where others have the beginning of a long name */
        MODE_SIZE = 8,
        SIZE_SIZE = 12,
        SPECIAL_HEADERS_MAX = 64,
};

static const char gnu_magic[8] = "ustar  ";

/* A number of the header, as far as it is not above `enough`: all digits are read only where it matters. */
static uint64_t header_number(const uint8_t *p, size_t n, uint64_t enough)
{
        uint64_t value = 0;
        size_t i = 0;

        if (p[0] & 0x80) {
                value = p[0] & 0x7f;
                for (i = 1; i < n && value <= enough; i++)
                        value = value << 8 | p[i];
                return value;
        }
        while (i < n && (p[i] == ' ' || p[i] == '\t'))
                i++;
        for (; i < n && p[i] >= '0' && p[i] <= '7' && value <= enough; i++)
                value = value << 3 | (uint64_t)(p[i] - '0');
        return value;
}

/* The size field of a special header. */
static int special_size(const uint8_t *block, size_t *ret_size, struct error *err)
{
        uint64_t size = header_number(block + AT_SIZE, SIZE_SIZE, LAYER_SPECIAL_HEADER_MAX);

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

/* A whole decimal number. libarchive takes whatever it begins with, others go back to the main header. */
static bool is_number(struct view v)
{
        size_t sign = v.n > 0 && v.p[0] == '-';

        for (size_t i = sign; i < v.n; i++)
                if (v.p[i] < '0' || v.p[i] > '9')
                        return false;
        return v.n > sign;
}

static bool is_zero(struct view v)
{
        for (size_t i = 0; i < v.n; i++)
                if (v.p[i] != '0')
                        return false;
        return true;
}

static int pax_number(struct view key, struct view value, struct layer_raw *raw, struct error *err)
{
        if (!is_number(value))
                return error_set(err, -EBADMSG, "\"%.*s\" in the PAX header is no number", (int)key.n,
                                 (const char *)key.p);
        if (view_is(key, "size") && !is_zero(value))
                raw->has_size = true;
        return 0;
}

static int pax_record(struct view key, struct view value, struct layer_raw *raw, struct error *err)
{
        bool is_name = view_is(key, "path") || view_is(key, "GNU.sparse.name");
        bool is_link = view_is(key, "linkpath");

        if ((is_name || is_link) && view_has_nul(value))
                return error_set(err, -EBADMSG, "a name in the PAX header holds a NUL byte");
        if (view_starts(key, "GNU.sparse.") || view_is(key, "SUN.holesdata") ||
            view_is(key, "SCHILY.realsize"))
                raw->sparse = true;
        raw->pax_name = raw->pax_name || is_name;
        raw->pax_link = raw->pax_link || is_link;
        if (view_is(key, "size") || view_is(key, "uid") || view_is(key, "gid"))
                return pax_number(key, value, raw, err);
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
        raw->gnu_name = raw->gnu_name || type == 'L';
        raw->gnu_link = raw->gnu_link || type == 'K';
        if (type == 'L' || type == 'K')
                return gnu_long_name(body, err);
        return 0;
}

/* The GNU format has a time where others have the beginning of a long name.  Writers in Go before 2017 put a
 * name there all the same, and readers in Go still know; all others would lose it. */
static bool has_name_for_time(const uint8_t *block)
{
        const uint8_t *p = block + AT_GNU_ATIME;

        if (memcmp(block + AT_MAGIC, gnu_magic, sizeof(gnu_magic)) != 0 || p[0] & 0x80)
                return false;
        for (size_t i = 0; i < SIZE_SIZE; i++)
                if (p[i] != 0 && p[i] != ' ' && (p[i] < '0' || p[i] > '7'))
                        return true;
        return false;
}

static int main_header(const uint8_t *block, struct layer_raw *raw, struct error *err)
{
        raw->sparse = raw->sparse || raw->type == 'S';
        raw->has_size = raw->has_size || header_number(block + AT_SIZE, SIZE_SIZE, 0) > 0;
        raw->mode = (uint32_t)header_number(block + AT_MODE, MODE_SIZE, UINT32_MAX) & 07777;
        if ((raw->pax_name && raw->gnu_name) || (raw->pax_link && raw->gnu_link))
                return error_set(err, -EBADMSG, "a PAX header and a GNU long name both name it");
        if (has_name_for_time(block))
                return error_set(err, -EBADMSG,
                                 "part of its name stands where the GNU format has a time; make the image "
                                 "again with a tool that is not from before 2017");
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
                        raw.data_at = at;
                        *ret_raw = raw;
                        return main_header(block, ret_raw, err);
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
