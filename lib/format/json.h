/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json.h - what jansson lacks: text exactly as Python's json module writes it (shortest floating-point
 * numbers that read back equal, non-ASCII kept), sorted copies, and comparison by value.
 */
#pragma once

#include "lib/base/buf.h"
#include "lib/base/cleanup.h"

#include <jansson.h>
#include <stdbool.h>

DEFINE_CLEANUP(cleanup_json_p, json_t *, json_decref)
#define cleanup_json CLEANUP(cleanup_json_p)

/* Bytes that json_number_text() needs, with the NUL. */
#define JSON_NUMBER_TEXT_MAX 48

/* Appends `value` over several lines, two spaces deeper per level, keys in their present order, without a
 * final newline: json.dumps(value, indent=2, ensure_ascii=False).  0, or -errno as buf_append. */
int json_write_indented(const json_t *value, struct buf *b);

/* As json_write_indented, with ANSI colours: bright blue keys, yellow strings, blue numbers and words. */
int json_write_coloured(const json_t *value, struct buf *b);

/* Appends `value` on one line without spaces:
 * json.dumps(value, separators=(",", ":"), ensure_ascii=False). */
int json_write_compact(const json_t *value, struct buf *b);

/* Writes an integer or real as Python's repr() does: 1, 1.0, 0.1, 1e+16, 1e-05. */
void json_number_text(const json_t *number, char ret_text[JSON_NUMBER_TEXT_MAX]);

/* A deep copy whose objects have their keys sorted by code point: a new reference; NULL when out of
 * memory. */
json_t *json_sorted_copy(const json_t *value);

/* True where both are the same JSON value; 1 equals 1.0, the order of keys does not matter. */
bool json_same(const json_t *a, const json_t *b);
