/* SPDX-License-Identifier: Apache-2.0 */
/*
 * layer-header.c - the main header of an entry, as far as readers disagree about it.
 *
 * What each of them makes of a number: libarchive takes the octal digits that a field begins with, GNU tar
 * first skips NULs and all white space, Go cuts NULs and blanks off both ends and refuses what else is there.
 * So a size of "\0" "34" is 28 to two of them and 0 to the third, and the file is empty there.  Writers write
 * digits, with blanks before and blanks or NULs behind, or binary numbers; that is what is taken here.
 */
#include "lib/image/layer-internal.h"

#include <string.h>

enum {
        AT_MODE = 100, /* octal or binary, as all numbers */
        AT_UID = 108,
        AT_GID = 116,
        AT_SIZE = 124,
        AT_MTIME = 136,
        AT_MAGIC = 257,
        AT_MAJOR = 329,
        AT_MINOR = 337,
        AT_PREFIX = 345, /* the beginning of a long name */
        STAR_PREFIX = 131,
        AT_STAR = 508,
        AT_GNU_ATIME = 345, /* where others have the beginning of a long name */
        AT_GNU_CTIME = 357,
        AT_GNU_SPARSE = 386, /* pairs of numbers */
        AT_GNU_MORE = 482,   /* whether a block of further pairs follows */
        AT_GNU_REALSIZE = 483,
        GNU_PAIRS = 4,
        BLOCK_PAIRS = 21,
        AT_BLOCK_MORE = 504,
        SHORT_NUMBER = 8, /* bytes */
        LONG_NUMBER = 12,
        BINARY = 0x80,          /* the first byte of a number that is not octal */
        BINARY_NEGATIVE = 0xff, /* and of a negative one */
};

static const char gnu_magic[8] = "ustar  ";

static bool is_octal(uint8_t c)
{
        return c >= '0' && c <= '7';
}

static bool is_gnu(const uint8_t *block)
{
        return memcmp(block + AT_MAGIC, gnu_magic, sizeof(gnu_magic)) == 0;
}

/* A number as far as it is not above `enough`: all digits are read only where it matters. */
static uint64_t read_number(const uint8_t *p, size_t n, uint64_t enough)
{
        uint64_t value = 0;
        size_t i = 0;

        if (p[0] & BINARY) {
                value = p[0] & ~(unsigned)BINARY;
                for (i = 1; i < n && value <= enough; i++)
                        value = value << 8 | p[i];
                return value;
        }
        while (i < n && p[i] == ' ')
                i++;
        for (; i < n && is_octal(p[i]) && value <= enough; i++)
                value = value << 3 | (uint64_t)(p[i] - '0');
        return value;
}

/* Whether all readers take it for the same number, which isn't negative. An empty field is 0. */
static bool is_plain(const uint8_t *p, size_t n)
{
        size_t i = 0;

        if (p[0] & BINARY)
                return p[0] == BINARY;
        while (i < n && p[i] == ' ')
                i++;
        while (i < n && is_octal(p[i]))
                i++;
        while (i < n && (p[i] == ' ' || p[i] == 0))
                i++;
        return i == n;
}

static bool is_time_before_1970(const uint8_t *block, size_t at)
{
        return at == AT_MTIME && block[at] == BINARY_NEGATIVE;
}

static int check_numbers(const uint8_t *block, char type, struct error *err)
{
        static const struct {
                const char *name;
                size_t at, n;
                bool of_devices; /* others may have anything there */
        } numbers[] = {
                {"mode", AT_MODE, SHORT_NUMBER, false},
                {"user id", AT_UID, SHORT_NUMBER, false},
                {"group id", AT_GID, SHORT_NUMBER, false},
                {"size", AT_SIZE, LONG_NUMBER, false},
                {"time", AT_MTIME, LONG_NUMBER, false},
                {"device's number", AT_MAJOR, SHORT_NUMBER, true},
                {"device's number", AT_MINOR, SHORT_NUMBER, true},
        };
        bool is_device = type == '3' || type == '4';

        for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
                if ((is_device || !numbers[i].of_devices) && !is_plain(block + numbers[i].at, numbers[i].n) &&
                    !is_time_before_1970(block, numbers[i].at))
                        return error_set(err, -EBADMSG,
                                         "its header's %s is not written as a number that every reader takes "
                                         "for the same",
                                         numbers[i].name);
        return 0;
}

/* "ustar" is followed by a NUL, or by two blanks and a NUL.  With something else behind it some readers know
 * of long names and others don't. */
static bool has_odd_magic(const uint8_t *block)
{
        const uint8_t *magic = block + AT_MAGIC;

        return memcmp(magic, "ustar", 5) == 0 && magic[5] != 0 && !is_gnu(block);
}

/* The format of star has less room for the beginning of a name, and times behind it.  Readers that don't know
 * it take what is there for a longer name. */
static bool has_name_beyond_star(const uint8_t *block)
{
        return memcmp(block + AT_STAR, "tar", 4) == 0 && !memchr(block + AT_PREFIX, 0, STAR_PREFIX);
}

/* The GNU format has times where others have the beginning of a long name.  Writers in Go before 2017 put a
 * name there all the same, and readers in Go still know; all others would lose it. */
static bool has_name_for_time(const uint8_t *block)
{
        static const size_t times[] = {AT_GNU_ATIME, AT_GNU_CTIME};

        for (size_t i = 0; is_gnu(block) && i < ARRAY_SIZE(times); i++) {
                const uint8_t *p = block + times[i];
                if (p[0] != 0 && !(p[0] & BINARY) && !is_plain(p, LONG_NUMBER))
                        return true;
        }
        return false;
}

/* The GNU format has room for the size of a sparse file with its holes.  libarchive takes it for the size of
 * any file, nobody else does. */
static bool has_second_size(const uint8_t *block, char type)
{
        const uint8_t *second = block + AT_GNU_REALSIZE;

        return is_gnu(block) && type != 'S' && second[0] != 0 &&
               read_number(second, LONG_NUMBER, UINT64_MAX >> 8) !=
                       read_number(block + AT_SIZE, LONG_NUMBER, UINT64_MAX >> 8);
}

uint64_t layer_header_size(const uint8_t block[static LAYER_BLOCK], uint64_t enough)
{
        return read_number(block + AT_SIZE, LONG_NUMBER, enough);
}

bool layer_header_size_is_plain(const uint8_t block[static LAYER_BLOCK])
{
        return is_plain(block + AT_SIZE, LONG_NUMBER);
}

uint32_t layer_header_mode(const uint8_t block[static LAYER_BLOCK])
{
        return (uint32_t)read_number(block + AT_MODE, SHORT_NUMBER, UINT32_MAX) & 07777;
}

static bool pairs_are_plain(const uint8_t *p, size_t n)
{
        for (size_t i = 0; i < 2 * n; i++)
                if (!is_plain(p + i * LONG_NUMBER, LONG_NUMBER))
                        return false;
        return true;
}

int layer_header_check_sparse(struct layer_feed *feed, uint64_t at, struct error *err)
{
        const uint8_t *block = layer_feed_bytes(feed, at, LAYER_BLOCK, err);
        bool plain, more;

        if (!block)
                return -EBADMSG;
        if (!is_gnu(block))
                return error_set(err, -EBADMSG, "a sparse file whose header isn't in the GNU format");
        plain = pairs_are_plain(block + AT_GNU_SPARSE, GNU_PAIRS) &&
                is_plain(block + AT_GNU_REALSIZE, LONG_NUMBER);
        more = block[AT_GNU_MORE];
        while (plain && more) {
                at += LAYER_BLOCK;
                block = layer_feed_bytes(feed, at, LAYER_BLOCK, err);
                if (!block)
                        return -EBADMSG;
                plain = pairs_are_plain(block, BLOCK_PAIRS);
                more = block[AT_BLOCK_MORE];
        }
        return plain ? 0
                     : error_set(err, -EBADMSG,
                                 "its map of holes isn't written in numbers that every reader takes for the "
                                 "same");
}

int layer_header_check(const uint8_t block[static LAYER_BLOCK], char type, struct error *err)
{
        if (has_odd_magic(block))
                return error_set(err, -EBADMSG, "its header is of no format that every reader knows");
        if (has_name_beyond_star(block))
                return error_set(
                        err, -EBADMSG,
                        "its name is longer than the format of star has room for; to readers that don't "
                        "know that format it is another one");
        if (has_name_for_time(block))
                return error_set(err, -EBADMSG,
                                 "part of its name stands where the GNU format has a time; make the image "
                                 "again with a tool that is not from before 2017");
        if (has_second_size(block, type))
                return error_set(err, -EBADMSG,
                                 "its header has two sizes, and readers differ in which counts");
        return check_numbers(block, type, err);
}
