/* SPDX-License-Identifier: Apache-2.0 */
/*
 * layer-raw.c - a second look at an entry's raw header blocks.
 *
 * libarchive is the reader of record.  What it does not tell: the type flag (it makes regular files of
 * unknown types), a NUL byte inside a PAX name (it silently ends the name there), whether data is stored
 * sparse, and the mode as it stands there (it changes it by an access list).  An entry is a row of special
 * headers (PAX, GNU long names, volume label), each with a body in whole blocks, and then its main header.
 *
 * layer-header.c has what is wrong with a main header alone.
 *
 * Where the readers of the field take the same bytes for different trees, whoever looked at an image with one
 * of them does not know what it is for another.  So what they disagree about is refused here.
 */
#include "lib/base/checked.h"
#include "lib/base/view.h"
#include "lib/image/layer-internal.h"
#include "lib/image/tree.h"

#include <string.h>

enum {
        AT_TYPE = 156,
        SPECIAL_HEADERS_MAX = 64,
};

#define XATTR_KEY "SCHILY.xattr."

/* Which records of the GNU formats 0.0, 0.1 and 1.0 for sparse files are there. */
enum {
        PAX_SPARSE_ANY = 1,
        PAX_SPARSE_VERSION = 2,
        PAX_SPARSE_1_X = 4,
        PAX_SPARSE_X_0 = 8,
        PAX_SPARSE_SIZE = 16,
        PAX_SPARSE_MAP = 32,
};

/* The size field of a special header. */
static int special_size(const uint8_t *block, size_t *ret_size, struct error *err)
{
        uint64_t size = layer_header_size(block, LAYER_SPECIAL_HEADER_MAX);

        if (!layer_header_size_is_plain(block))
                return error_set(
                        err, -EBADMSG,
                        "an extended header's size is not written as a number that every reader takes "
                        "for the same");
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

/* Seconds since 1970, with a fraction or without. */
static bool is_time(struct view v)
{
        size_t whole = 0;

        while (whole < v.n && v.p[whole] != '.')
                whole++;
        for (size_t i = whole + 1; i < v.n; i++)
                if (v.p[i] < '0' || v.p[i] > '9')
                        return false;
        return is_number(view_of(v.p, whole));
}

/* libarchive alone knows of other keys for attributes: LIBARCHIVE.xattr, RHT.security.selinux. */
static int xattr(struct view key, struct view value, struct layer_raw *raw, struct error *err)
{
        struct view name = view_of(key.p + strlen(XATTR_KEY), key.n - strlen(XATTR_KEY));

        if (name.n == 0 || name.n > IMAGE_NAME_MAX || view_has_nul(name))
                return error_set(err, -EBADMSG,
                                 "an extended attribute has an empty or overlong name, or one with a NUL");
        if (value.n > IMAGE_XATTR_VALUE_MAX)
                return error_set(err, -E2BIG, "extended attribute %.*s has %zu bytes, more than %d",
                                 (int)name.n, (const char *)name.p, value.n, (int)IMAGE_XATTR_VALUE_MAX);
        int r = buf_append_be32(&raw->xattrs, (uint32_t)(name.n + 1 + value.n));
        if (r == 0)
                r = buf_append_view(&raw->xattrs, name);
        if (r == 0)
                r = buf_append_byte(&raw->xattrs, 0);
        if (r == 0)
                r = buf_append_view(&raw->xattrs, value);
        if (r == -E2BIG)
                return error_set(err, r, "its extended attributes have more than %d bytes",
                                 (int)IMAGE_XATTRS_MAX);
        return r < 0 ? error_oom(err) : 0;
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

/* Of GNU.sparse.KEY. */
static int pax_sparse(struct view key, struct view value, struct layer_raw *raw, struct error *err)
{
        static const struct {
                const char *key;
                unsigned means;
                bool is_number;
        } records[] = {
                {"GNU.sparse.major", PAX_SPARSE_VERSION, true},
                {"GNU.sparse.minor", PAX_SPARSE_VERSION, true},
                {"GNU.sparse.realsize", PAX_SPARSE_SIZE, true},
                {"GNU.sparse.size", PAX_SPARSE_SIZE, true},
                {"GNU.sparse.numblocks", 0, true},
                {"GNU.sparse.offset", PAX_SPARSE_MAP, true},
                {"GNU.sparse.numbytes", PAX_SPARSE_MAP, true},
                {"GNU.sparse.map", PAX_SPARSE_MAP, false},
        };

        raw->sparse = true;
        raw->pax_sparse |= PAX_SPARSE_ANY;
        for (size_t i = 0; i < ARRAY_SIZE(records); i++) {
                if (!view_is(key, records[i].key))
                        continue;
                if (records[i].is_number && !is_number(value))
                        return error_set(err, -EBADMSG, "\"%s\" in the PAX header is no number",
                                         records[i].key);
                raw->pax_sparse |= records[i].means;
        }
        if (view_is(key, "GNU.sparse.major") && view_is(value, "1"))
                raw->pax_sparse |= PAX_SPARSE_1_X;
        if (view_is(key, "GNU.sparse.minor") && view_is(value, "0"))
                raw->pax_sparse |= PAX_SPARSE_X_0;
        return 0;
}

/* Whether a PAX header describes a sparse file wholly, or not at all.  Of half a description each reader
 * takes what it knows. */
static bool pax_sparse_is_whole(unsigned sparse, char type)
{
        static const unsigned version_1_0 =
                PAX_SPARSE_ANY | PAX_SPARSE_VERSION | PAX_SPARSE_1_X | PAX_SPARSE_X_0 | PAX_SPARSE_SIZE;
        static const unsigned version_0 = PAX_SPARSE_ANY | PAX_SPARSE_SIZE | PAX_SPARSE_MAP;

        return !sparse || (type != 'S' && (sparse == version_1_0 || sparse == version_0));
}

static int pax_record(struct view key, struct view value, struct layer_raw *raw, struct error *err)
{
        bool is_name = view_is(key, "path") || view_is(key, "GNU.sparse.name");
        bool is_link = view_is(key, "linkpath");

        if ((is_name || is_link) && view_has_nul(value))
                return error_set(err, -EBADMSG, "a name in the PAX header holds a NUL byte");
        /* POSIX: then the main header's counts.  To libarchive and GNU tar it is an empty name. */
        if ((is_name || is_link) && value.n == 0)
                return error_set(err, -EBADMSG, "a name in the PAX header is empty");
        if (view_is(key, "SUN.holesdata") || view_is(key, "SCHILY.realsize"))
                return error_set(err, -ENOTSUP, "holes described by %.*s, which few readers know", (int)key.n,
                                 (const char *)key.p);
        raw->pax_name = raw->pax_name || is_name;
        raw->pax_link = raw->pax_link || is_link;
        if (view_is(key, "size") || view_is(key, "uid") || view_is(key, "gid"))
                return pax_number(key, value, raw, err);
        if (view_starts(key, "GNU.sparse."))
                return pax_sparse(key, value, raw, err);
        if (view_is(key, "mtime") && !is_time(value))
                return error_set(err, -EBADMSG, "\"mtime\" in the PAX header is no time");
        return view_starts(key, XATTR_KEY) ? xattr(key, value, raw, err) : 0;
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
        if (n == 0) /* some take the main header's then */
                return error_set(err, -EBADMSG, "a GNU long name is empty");
        if (view_has_nul(view_of(body.p, n)))
                return error_set(err, -EBADMSG, "a GNU long name holds a NUL byte");
        return 0;
}

static int special_body(char type, struct view body, struct layer_raw *raw, struct error *err)
{
        bool again =
                (type == 'x' && raw->pax) || (type == 'L' && raw->gnu_name) || (type == 'K' && raw->gnu_link);

        if (again) /* to some the second counts alone */
                return error_set(err, -EBADMSG, "two headers of type '%c'", type);
        raw->pax = raw->pax || type == 'x';
        if (type == 'x')
                return pax_records(body, raw, err);
        raw->gnu_name = raw->gnu_name || type == 'L';
        raw->gnu_link = raw->gnu_link || type == 'K';
        if (type == 'L' || type == 'K')
                return gnu_long_name(body, err);
        return 0;
}

static int main_header(const uint8_t *block, struct layer_raw *raw, struct error *err)
{
        raw->sparse = raw->sparse || raw->type == 'S';
        raw->has_size = raw->has_size || layer_header_size(block, 0) > 0;
        raw->mode = layer_header_mode(block);
        if ((raw->pax_name && raw->gnu_name) || (raw->pax_link && raw->gnu_link))
                return error_set(err, -EBADMSG, "a PAX header and a GNU long name both name it");
        if (!pax_sparse_is_whole(raw->pax_sparse, raw->type))
                return error_set(err, -EBADMSG, "its PAX header describes half of a sparse file");
        return layer_header_check(block, raw->type, err);
}

/* A volume's label, or a global PAX header. */
static bool is_of_nothing(char type)
{
        return type == 'V' || type == 'g';
}

int layer_raw_scan(struct layer_feed *feed, uint64_t from, struct layer_raw *raw, struct error *err)
{
        uint64_t at = from;
        bool bound = false; /* a header was read that says something of this entry */

        *raw = (struct layer_raw){.xattrs = buf_with_max(IMAGE_XATTRS_MAX)};
        for (unsigned i = 0; i < SPECIAL_HEADERS_MAX; i++) {
                const uint8_t *block = layer_feed_bytes(feed, at, LAYER_BLOCK, err);
                if (!block)
                        return -EBADMSG;
                at += LAYER_BLOCK;
                raw->type = (char)block[AT_TYPE];
                if (!raw->type || !strchr("gKLVx", raw->type)) {
                        raw->data_at = at;
                        int r = main_header(block, raw, err);
                        return r < 0 || raw->type != 'S'
                                       ? r
                                       : layer_header_check_sparse(feed, at - LAYER_BLOCK, err);
                }
                /* To some they are entries, which end what the headers before them were for. */
                if (is_of_nothing(raw->type) && bound)
                        return error_set(err, -EBADMSG,
                                         "a header of type '%c' between it and another of its headers",
                                         raw->type);
                bound = bound || !is_of_nothing(raw->type);
                size_t size = 0;
                int r = special_size(block, &size, err);
                if (r < 0)
                        return r;
                if (raw->type == 'V' && size > 0)
                        return error_set(err, -EBADMSG,
                                         "a volume's label with data, which some readers skip");
                const uint8_t *body = layer_feed_bytes(feed, at, size, err);
                if (!body)
                        return -EBADMSG;
                r = special_body(raw->type, view_of(body, size), raw, err);
                if (r < 0)
                        return r;
                at += (size + LAYER_BLOCK - 1) & ~(uint64_t)(LAYER_BLOCK - 1);
        }
        return error_set(err, -EBADMSG, "more than %d extended headers before one entry",
                         (int)SPECIAL_HEADERS_MAX);
}

void layer_raw_done(struct layer_raw *raw)
{
        buf_done(&raw->xattrs);
}
