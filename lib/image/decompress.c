/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation.  The first four bytes decide the format (a tar cannot begin with either magic: its
 * first bytes are a file name).  `between` says that the input may end here: before the first member of an
 * empty plain stream, or behind a complete gzip member or zstd frame.  Every byte of input goes through one
 * of three feeders, each of which gives its output to emit(), where the limits are.
 *
 * ISA-L checks each member's CRC and length; libzstd each frame's checksum where it has one.
 *
 * A gzip member's header may come in pieces.  ISA-L keeps some of what it has read of one in the caller's
 * header: isal_inflate() would give it a new one for each piece, whose flags are whatever the stack held.  So
 * headers are read here, into one that lasts.
 */
#include "lib/image/decompress.h"

#include "lib/base/checked.h"

#include <isa-l/igzip_lib.h>
#include <string.h>
#include <zstd.h>

enum {
        MAGIC_SIZE = 4,
        OUTPUT_SIZE = 256 * 1024,
        ZSTD_WINDOW_LOG_MAX = 27, /* 128 MiB, libzstd's own default */
};

struct decompressor {
        struct decompress_limits limits;
        decompress_sink_fn sink;
        void *user;
        /* NULL while the format is unknown. */
        int (*feed)(struct decompressor *d, struct view data, struct error *err);
        enum compression compression;
        uint8_t magic[MAGIC_SIZE];
        size_t n_magic;
        uint64_t input;
        uint64_t output;
        bool between;
        bool in_header; /* of a gzip member */
        struct isal_gzip_header header;
        struct inflate_state inflate;
        ZSTD_DStream *zstd;
        unsigned turn; /* which buffer is filled next; the sink may still read the others */
        uint8_t out[DECOMPRESS_BUFFERS][OUTPUT_SIZE];
};

const char *compression_name(enum compression compression)
{
        static const char *const names[] = {
                [COMPRESSION_NONE] = "plain", [COMPRESSION_GZIP] = "gzip", [COMPRESSION_ZSTD] = "zstd"};
        return names[compression];
}

int decompressor_new(const struct decompress_limits *limits, decompress_sink_fn sink, void *user,
                     struct decompressor **ret_decompressor, struct error *err)
{
        struct decompressor *d = calloc(1, sizeof(*d));

        if (!d)
                return error_oom(err);
        d->limits = *limits;
        d->sink = sink;
        d->user = user;
        *ret_decompressor = d;
        return 0;
}

void decompressor_free(struct decompressor *d)
{
        if (!d)
                return;
        ZSTD_freeDStream(d->zstd);
        free(d);
}

static int emit(struct decompressor *d, struct view data, struct error *err)
{
        uint64_t total, allowed;

        if (data.n == 0)
                return 0;
        if (!checked_add64(d->output, data.n, &total) ||
            (d->limits.max_output && total > d->limits.max_output))
                return error_set(err, -EFBIG, "more than %llu bytes when uncompressed",
                                 (unsigned long long)d->limits.max_output);
        if (d->limits.max_ratio && total > d->limits.ratio_floor &&
            checked_mul64(d->input, d->limits.max_ratio, &allowed) && total > allowed)
                return error_set(err, -EFBIG,
                                 "grows more than %llu-fold when uncompressed (%llu bytes so far)",
                                 (unsigned long long)d->limits.max_ratio, (unsigned long long)total);
        d->output = total;
        d->turn = (d->turn + 1) % DECOMPRESS_BUFFERS;
        return d->sink(d->user, data, err);
}

/* Copied, for the caller's bytes don't last as long as the sink may need them. */
static int feed_plain(struct decompressor *d, struct view data, struct error *err)
{
        uint8_t *out = d->out[d->turn];

        if (data.n > 0)
                memcpy(out, data.p, data.n);
        return emit(d, view_of(out, data.n), err);
}

static int gzip_fault(int code, struct error *err)
{
        const char *what = code == ISAL_INCORRECT_CHECKSUM   ? "checksum does not match"
                           : code == ISAL_INVALID_WRAPPER    ? "not a gzip header"
                           : code == ISAL_UNSUPPORTED_METHOD ? "unknown compression method"
                                                             : "corrupt deflate data";
        return error_set(err, -EBADMSG, "gzip: %s", what);
}

/* Begins a member: what follows must be a gzip header. */
static void begin_member(struct decompressor *d)
{
        isal_inflate_init(&d->inflate);
        d->inflate.crc_flag = ISAL_GZIP_NO_HDR_VER;
        d->header = (struct isal_gzip_header){0};
        d->in_header = true;
        d->between = false;
}

/* What is left of the member's header, as far as there is input.  Returns a code of ISA-L's. */
static int read_header(struct decompressor *d)
{
        int code = isal_read_gzip_header(&d->inflate, &d->header);

        d->in_header = code == ISAL_END_INPUT;
        return code;
}

static int feed_gzip(struct decompressor *d, struct view data, struct error *err)
{
        struct inflate_state *s = &d->inflate;
        /* ISA-L's pointer is not const, but it only reads. */
        s->next_in = (uint8_t *)(uintptr_t)data.p;
        s->avail_in = (uint32_t)data.n;

        do {
                if (d->between) {
                        uint8_t *next = s->next_in;
                        uint32_t left = s->avail_in;
                        if (left == 0)
                                return 0;
                        if (*next != 0x1f)
                                return error_set(err, -EBADMSG, "gzip: garbage behind the last member");
                        begin_member(d);
                        s->next_in = next;
                        s->avail_in = left;
                }
                uint8_t *buffer = d->out[d->turn];
                s->next_out = buffer;
                s->avail_out = OUTPUT_SIZE;
                int code = d->in_header ? read_header(d) : ISAL_DECOMP_OK;
                if (code == ISAL_DECOMP_OK)
                        code = isal_inflate(s);
                if (code != ISAL_DECOMP_OK && code != ISAL_END_INPUT)
                        return gzip_fault(code, err);
                int r = emit(d, view_of(buffer, OUTPUT_SIZE - s->avail_out), err);
                if (r < 0)
                        return r;
                if (s->block_state == ISAL_BLOCK_FINISH)
                        d->between = true;
        } while (s->avail_in > 0 || (!d->between && s->avail_out == 0));
        return 0;
}

static int feed_zstd(struct decompressor *d, struct view data, struct error *err)
{
        ZSTD_inBuffer in = {.src = data.p, .size = data.n};
        ZSTD_outBuffer out;

        do {
                out = (ZSTD_outBuffer){.dst = d->out[d->turn], .size = OUTPUT_SIZE};
                size_t code = ZSTD_decompressStream(d->zstd, &out, &in);
                if (ZSTD_isError(code))
                        return error_set(err, -EBADMSG, "zstd: %s", ZSTD_getErrorName(code));
                /* 0: a frame is complete and wholly given out. */
                d->between = code == 0;
                int r = emit(d, view_of(out.dst, out.pos), err);
                if (r < 0)
                        return r;
        } while (in.pos < in.size || (!d->between && out.pos == out.size));
        return 0;
}

static int begin_zstd(struct decompressor *d, struct error *err)
{
        d->zstd = ZSTD_createDStream();
        if (!d->zstd)
                return error_oom(err);
        size_t code = ZSTD_DCtx_setParameter(d->zstd, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG_MAX);
        if (ZSTD_isError(code))
                return error_set(err, -EINVAL, "zstd: %s", ZSTD_getErrorName(code));
        return 0;
}

/* Chooses the feeder by the first bytes and gives them to it. */
static int begin(struct decompressor *d, struct error *err)
{
        const uint8_t *m = d->magic;
        uint32_t le = d->n_magic < MAGIC_SIZE ? 0 : m[0] | m[1] << 8 | m[2] << 16 | (uint32_t)m[3] << 24;
        int r = 0;

        if (d->n_magic == MAGIC_SIZE && m[0] == 0x1f && m[1] == 0x8b) {
                d->compression = COMPRESSION_GZIP;
                d->feed = feed_gzip;
                begin_member(d);
        } else if (le == ZSTD_MAGICNUMBER || (le & ZSTD_MAGIC_SKIPPABLE_MASK) == ZSTD_MAGIC_SKIPPABLE_START) {
                d->compression = COMPRESSION_ZSTD;
                d->feed = feed_zstd;
                r = begin_zstd(d, err);
        } else {
                d->feed = feed_plain;
                d->between = true;
        }
        return r < 0 ? r : d->feed(d, view_of(d->magic, d->n_magic), err);
}

int decompressor_feed(struct decompressor *d, struct view data, struct error *err)
{
        while (!d->feed && data.n > 0) {
                d->magic[d->n_magic++] = *data.p;
                d->input++;
                data = view_of(data.p + 1, data.n - 1);
                if (d->n_magic == MAGIC_SIZE) {
                        int r = begin(d, err);
                        if (r < 0)
                                return r;
                }
        }
        while (data.n > 0) {
                /* In pieces: ISA-L counts in 32 bits, and the ratio is held to what was read so far. */
                struct view piece = view_of(data.p, data.n < OUTPUT_SIZE ? data.n : OUTPUT_SIZE);
                d->input += piece.n;
                int r = d->feed(d, piece, err);
                if (r < 0)
                        return r;
                data = view_of(data.p + piece.n, data.n - piece.n);
        }
        return 0;
}

int decompressor_finish(struct decompressor *d, struct error *err)
{
        if (!d->feed) {
                int r = begin(d, err);
                if (r < 0)
                        return r;
        }
        if (!d->between)
                return error_set(err, -EBADMSG, "%s: ends in the middle, after %llu bytes",
                                 compression_name(d->compression), (unsigned long long)d->input);
        return 0;
}

enum compression decompressor_compression(const struct decompressor *d)
{
        return d->compression;
}
