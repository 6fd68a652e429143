/* SPDX-License-Identifier: Apache-2.0 */
/*
 * text.h - small encodings and strict number parsing.  No locale, no surprises.
 */
#pragma once

#include "lib/base/buf.h"
#include "lib/base/view.h"

#include <stdbool.h>
#include <stdint.h>

/* Writes 2*n lower-case hex digits and a NUL to ret_hex, which has room for 2*n+1. */
void hex_encode(const void *p, size_t n, char *ret_hex);

/* Decodes exactly n bytes from 2*n hex digits (either case). False where `hex` is anything else. */
bool hex_decode(struct view hex, void *ret_p, size_t n);

/* Appends base64 (RFC 4648 section 4, padded). 0 or -errno as buf_append. */
int base64_encode(struct view v, struct buf *b);

/* Appends the decoded bytes of padded or unpadded base64, standard or URL alphabet. -EBADMSG on anything
 * else. */
int base64_decode(struct view text, struct buf *b);

/* A decimal number without sign, space or leading junk, at most `max`. False otherwise. */
bool parse_u64(const char *text, uint64_t max, uint64_t *ret_value);

/* The decimal number, at most `max`, that *at begins with; *at moves behind its last digit. False, and *at as
 * it was, where there is none. */
bool take_u64(const char **at, uint64_t max, uint64_t *ret_value);

/* True where `s` begins with `prefix`. */
bool string_starts_with(const char *s, const char *prefix);

/* True where `s` ends with `suffix`. */
bool string_ends_with(const char *s, const char *suffix);

/* Copies what of `v` fits into ret_text, which has `size` bytes (at least 1), and ends it with a NUL;
 * whatever is no printable ASCII becomes '?': texts of strangers, fit for a terminal. */
void text_printable(struct view v, char *ret_text, size_t size);

/* Appends text of strangers so that a terminal shows it and does not act on it: control characters (C0 but
 * those in `allowed`, DEL, C1) and bytes that are no UTF-8 become \xNN, byte by byte.  0 or -errno as
 * buf_append. */
int text_append_printable(struct view text, const char *allowed, struct buf *b);

/* printf to a fresh heap string for the caller to free; NULL when out of memory. */
char *string_printf(const char *format, ...) __attribute__((format(printf, 1, 2)));
