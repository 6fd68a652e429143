/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decompress.h - a push decompressor for layer blobs: gzip with any number of members (RFC 1952), zstd with
 * any number of frames (RFC 8878), or plain bytes, told apart by their first bytes.
 *
 * The end is part of the format: a stream that stops inside a member, or has anything but another member
 * behind one, is refused.  Memory is bounded (zstd windows up to 128 MiB); output is bounded by the limits.
 */
#pragma once

#include "lib/base/cleanup.h"
#include "lib/base/error.h"
#include "lib/base/view.h"

#include <stdint.h>

enum compression {
        COMPRESSION_NONE,
        COMPRESSION_GZIP,
        COMPRESSION_ZSTD,
};

struct decompress_limits {
        uint64_t max_output;  /* bytes; 0: no limit */
        uint64_t max_ratio;   /* output bytes per input byte; 0: no limit */
        uint64_t ratio_floor; /* output up to here is not held to max_ratio */
};

/* Output goes through so many buffers in turn. */
enum { DECOMPRESS_BUFFERS = 8 };

/* Takes the next output bytes, which stay as they are until the sink has returned DECOMPRESS_BUFFERS - 1
 * times more, so that another thread can hash them meanwhile; a negative errno (with err set) ends the
 * feeding call with it. */
typedef int (*decompress_sink_fn)(void *user, struct view data, struct error *err);

struct decompressor;

/* A decompressor that gives its output to `sink`. For decompressor_free(). */
int decompressor_new(const struct decompress_limits *limits, decompress_sink_fn sink, void *user,
                     struct decompressor **ret_decompressor, struct error *err);

/* Frees it. NULL-safe. */
void decompressor_free(struct decompressor *d);
DEFINE_CLEANUP(cleanup_decompressor_p, struct decompressor *, decompressor_free)
#define cleanup_decompressor CLEANUP(cleanup_decompressor_p)

/* Takes the next input bytes, of any number.  -EBADMSG for corrupt input, -EFBIG past a limit, or the sink's
 * error. After an error only decompressor_free() may follow. */
int decompressor_feed(struct decompressor *d, struct view data, struct error *err);

/* Says that the input has ended; gives the rest to the sink.  -EBADMSG where the input stops too early. */
int decompressor_finish(struct decompressor *d, struct error *err);

/* What the first bytes turned out to be; COMPRESSION_NONE before four bytes were fed or the input ended. */
enum compression decompressor_compression(const struct decompressor *d);

/* "plain", "gzip", "zstd": for messages. */
const char *compression_name(enum compression compression);
