/* SPDX-License-Identifier: Apache-2.0 */
/*
 * view.h - bytes that belong to somebody else, and a cursor that walks them without ever leaving them.
 *
 * All pointer arithmetic over input happens in view.c.  A cursor's error is sticky: a parser may take ten
 * fields and look at cursor_ok() once; after the first failure every getter returns 0 or an empty view and
 * moves nothing.  Byte order is in the getter's name; input is never cast to a struct.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* n readable bytes at p; p may be NULL only where n is 0.  Valid as long as its owner says. */
struct view {
        const uint8_t *p;
        size_t n;
};

struct cursor {
        struct view v;
        size_t at;   /* <= v.n always */
        bool failed; /* sticky */
};

/* A view of n bytes at p. */
static inline struct view view_of(const void *p, size_t n)
{
        return (struct view){.p = p, .n = n};
}

/* A view of a C string without its NUL.  NULL gives an empty view. */
struct view view_of_string(const char *s);

/* True where both hold the same bytes. */
bool view_equal(struct view a, struct view b);

/* The sub-view of n bytes from `at`; *ret_v is set only where it lies wholly inside. */
bool view_slice(struct view v, size_t at, size_t n, struct view *ret_v);

/* True where v holds a NUL byte. */
bool view_has_nul(struct view v);

/* A heap copy with a NUL behind it, to be freed by the caller; NULL when out of memory. */
char *view_to_string(struct view v);

/* A cursor at the start of v. */
static inline struct cursor cursor_of(struct view v)
{
        return (struct cursor){.v = v};
}

/* The next fixed-width integer, in the byte order of the name. 0 once failed. */
uint8_t cursor_u8(struct cursor *c);
uint16_t cursor_be16(struct cursor *c);
uint32_t cursor_be32(struct cursor *c);
uint64_t cursor_be64(struct cursor *c);
uint16_t cursor_le16(struct cursor *c);
uint32_t cursor_le32(struct cursor *c);
uint64_t cursor_le64(struct cursor *c);

/* The next n bytes as a view into the same memory; empty once failed. */
struct view cursor_take(struct cursor *c, size_t n);

/* The bytes up to (not including) `delimiter`, and steps over it.  Fails where it does not occur. */
struct view cursor_until(struct cursor *c, uint8_t delimiter);

/* What is left, without moving; empty once failed. */
struct view cursor_rest(const struct cursor *c);

/* True while no getter has run past the end. */
static inline bool cursor_ok(const struct cursor *c)
{
        return !c->failed;
}

/* True where nothing failed and nothing is left. */
static inline bool cursor_at_end(const struct cursor *c)
{
        return !c->failed && c->at == c->v.n;
}
