/* SPDX-License-Identifier: Apache-2.0 */
/*
 * buf.h - a growable byte buffer with a ceiling.
 *
 * The ceiling is declared at birth, so that no input can make us allocate without bound.  Appending past it,
 * or running out of memory, marks the buffer failed (sticky) and returns a negative errno; the content up to
 * then stays.  A buffer always has a NUL behind its last byte once something was appended, so text built in
 * it can be read as a C string through buf_string().
 */
#pragma once

#include "lib/base/cleanup.h"
#include "lib/base/view.h"

#include <stdarg.h>

struct buf {
        uint8_t *p;
        size_t n;        /* bytes used */
        size_t capacity; /* bytes allocated, without the NUL */
        size_t max;      /* ceiling for n */
        int failed;      /* 0, -E2BIG (ceiling) or -ENOMEM */
};

/* An empty buffer that may grow to `max` bytes. Allocates nothing. */
static inline struct buf buf_with_max(size_t max)
{
        return (struct buf){.max = max};
}

/* Frees the content and leaves an empty buffer with the same ceiling. NULL-safe. */
void buf_done(struct buf *b);
#define cleanup_buf CLEANUP(buf_done)

/* Room for `more` further bytes: 0, -E2BIG or -ENOMEM. */
int buf_reserve(struct buf *b, size_t more);

/* Appends; 0, -E2BIG or -ENOMEM.  Once failed, always the same error, so a row of appends needs one check. */
int buf_append(struct buf *b, const void *p, size_t n);
int buf_append_view(struct buf *b, struct view v);
int buf_append_string(struct buf *b, const char *s);
int buf_append_byte(struct buf *b, uint8_t byte);
int buf_append_be16(struct buf *b, uint16_t value);
int buf_append_be32(struct buf *b, uint32_t value);
int buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Drops the first n bytes (n <= b->n), keeping the rest. */
void buf_consume(struct buf *b, size_t n);

/* The content, valid until the next append. */
static inline struct view buf_view(const struct buf *b)
{
        return view_of(b->p, b->n);
}

/* The content as a C string ("" where empty); an embedded NUL ends it early. */
static inline const char *buf_string(const struct buf *b)
{
        return b->p ? (const char *)b->p : "";
}

/* The content as a heap string that the caller frees; the buffer is left empty.  NULL where the buffer failed
 * or memory ran out. */
char *buf_take_string(struct buf *b);
