/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cbor-stream.h - CBOR (RFC 8949) read item by item from a view, and written item by item into a buffer.
 *
 * Reading goes through libcbor's stream decoder, one head at a time: nothing is allocated, so a hostile count
 * costs nothing, and byte strings are views into the input.  Indefinite lengths are refused, as every format
 * here is written with definite ones.  The error is sticky, as with a cursor: take what is expected, then
 * look once.
 */
#pragma once

#include "lib/base/buf.h"
#include "lib/base/error.h"
#include "lib/base/view.h"

#include <stdbool.h>
#include <stdint.h>

/* How deep cbor_skip() follows arrays, maps and tags. */
enum { CBOR_DEPTH_MAX = 8 };

enum cbor_kind {
        CBOR_KIND_NONE, /* no item, or one that is refused */
        CBOR_KIND_UINT,
        CBOR_KIND_NEGINT,
        CBOR_KIND_BYTES,
        CBOR_KIND_TEXT,
        CBOR_KIND_ARRAY,
        CBOR_KIND_MAP,
        CBOR_KIND_TAG,
        CBOR_KIND_SIMPLE, /* false, true, null, undefined, floats */
};

struct cbor_reader {
        struct cursor at;
        size_t last;         /* where the item taken last begins */
        const char *problem; /* NULL, or what was wrong first; static text */
        size_t problem_at;   /* the byte where that item begins */
};

/* A reader at the start of v. */
static inline struct cbor_reader cbor_reader_of(struct view v)
{
        return (struct cbor_reader){.at = cursor_of(v)};
}

/* The kind of the next item, without taking it. */
enum cbor_kind cbor_peek(const struct cbor_reader *r);

/* Takes an item of that kind.  Once failed, and where the next item is another, 0 or an empty view.
 * Arrays and maps give their count of items or of pairs, not more than `max`. */
uint64_t cbor_take_uint(struct cbor_reader *r);
int64_t cbor_take_int(struct cbor_reader *r);
struct view cbor_take_bytes(struct cbor_reader *r);
struct view cbor_take_text(struct cbor_reader *r);
uint64_t cbor_take_array(struct cbor_reader *r, uint64_t max);
uint64_t cbor_take_map(struct cbor_reader *r, uint64_t max);
uint64_t cbor_take_tag(struct cbor_reader *r);

/* Notes what a caller found wrong with the item just taken; `problem` is static text that reads behind a
 * name, as "has an item of indefinite length" does.  The first problem stays. */
void cbor_fail(struct cbor_reader *r, const char *problem);

/* Takes one item with everything in it, at most CBOR_DEPTH_MAX deep. */
void cbor_skip(struct cbor_reader *r);

/* 0 where nothing failed and nothing is left, else -EBADMSG with "<what>: <problem> at byte N". */
int cbor_end(const struct cbor_reader *r, const char *what, struct error *err);

/* Append one item, in its shortest form.  For arrays and maps the head alone: the items follow.  A failure
 * stays in the buffer (buf.h). */
void cbor_put_uint(struct buf *b, uint64_t value);
void cbor_put_int(struct buf *b, int64_t value);
void cbor_put_bytes(struct buf *b, struct view v);
void cbor_put_text(struct buf *b, const char *text);
void cbor_put_array(struct buf *b, size_t n);
void cbor_put_map(struct buf *b, size_t n);
