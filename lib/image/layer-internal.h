/* SPDX-License-Identifier: Apache-2.0 */
/* layer-internal.h - what layer.c, layer-feed.c and layer-raw.c share. */
#pragma once

#include "lib/base/buf.h"
#include "lib/base/error.h"

#include <archive.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
        LAYER_BLOCK = 512,
        LAYER_FEED_MAX = 128 * 1024,           /* bytes given to libarchive at a time */
        LAYER_SPECIAL_HEADER_MAX = 1024 * 1024 /* libarchive's limit for a PAX or long-name header */
};

/* The spool and the window of it that was read last. */
struct layer_feed {
        int fd;
        uint64_t size;        /* of the spool */
        uint64_t padded_size; /* the same in whole blocks: what libarchive gets, zeros behind the end */
        uint64_t at;          /* where the next window begins */
        uint64_t window_at;   /* where the window lies in the spool */
        size_t window_n;
        uint8_t *window;  /* LAYER_FEED_MAX bytes */
        uint8_t *scratch; /* what layer_feed_bytes() had to read */
        size_t scratch_size;
};

/* n bytes of the spool from `at`, valid until the next call or the next window.  NULL with *err set. */
const uint8_t *layer_feed_bytes(struct layer_feed *feed, uint64_t at, size_t n, struct error *err);

/* libarchive's read and skip callbacks; `user` is the struct layer_feed.  A skip goes at most to the end:
 * what is missing then shows as a truncated archive. */
la_ssize_t layer_feed_read(struct archive *archive, void *user, const void **ret_buffer);
la_int64_t layer_feed_skip(struct archive *archive, void *user, la_int64_t request);

/* What the raw headers of one entry say that libarchive doesn't tell. */
struct layer_raw {
        char type;           /* type flag of the main header */
        bool sparse;         /* the data is stored with holes left out */
        unsigned pax_sparse; /* what a PAX header says of that, a set of PAX_SPARSE_... (layer-raw.c) */
        bool has_size;       /* the main header or a PAX header gives a size that isn't 0 */
        uint32_t mode;       /* the main header's; libarchive's is what an access list made of it */
        uint64_t data_at;    /* behind the main header: where the data begins, unless sparse */
        bool pax;            /* there is a PAX header of its own */
        /* Who names the entry and its target beside the main header. */
        bool pax_name;
        bool pax_link;
        bool gnu_name;
        bool gnu_link;
        struct buf xattrs; /* for each, in the header's order: be32 length of the rest, name, NUL, value */
};

/* Looks at the header blocks of the entry that begins at `from`.  -EBADMSG where they are malformed, or where
 * readers disagree about what they say: a NUL byte in a name, a number that is none, two names.  *raw is to
 * be released in any case. */
int layer_raw_scan(struct layer_feed *feed, uint64_t from, struct layer_raw *raw, struct error *err);

/* Releases it. Safe on an all-zero struct. */
void layer_raw_done(struct layer_raw *raw);

/* Whether all readers take the size of a header block for the same. */
bool layer_header_size_is_plain(const uint8_t block[static LAYER_BLOCK]);

/* Of a header block: the size as far as it is not above `enough`, and the mode's twelve bits. */
uint64_t layer_header_size(const uint8_t block[static LAYER_BLOCK], uint64_t enough);
uint32_t layer_header_mode(const uint8_t block[static LAYER_BLOCK]);

/* -EBADMSG where readers disagree about the map of holes in the main header at `at`, of type 'S'. */
int layer_header_check_sparse(struct layer_feed *feed, uint64_t at, struct error *err);

/* -EBADMSG where readers disagree about what is in a main header of this type. */
int layer_header_check(const uint8_t block[static LAYER_BLOCK], char type, struct error *err);
