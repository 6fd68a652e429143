/* SPDX-License-Identifier: Apache-2.0 */
/*
 * output.h - a command's result as text, in the formats and with the rules of Microsoft's knack, which
 * QingTian's `qt` is built on.  Scripts depend on these rules:
 *
 *   json, jsonc  two spaces per level, non-ASCII kept, a final newline; c is coloured
 *   yaml, yamlc  block style
 *   table        a header of capitalised keys; id, type, etag, nulls and nested values are left out
 *   tsv          a line per element; nested arrays become their length, nested objects nothing
 *   none         nothing
 *
 * One deliberate difference: knack sorts all keys always.  Without a query json and yaml keep the order in
 * which the command gave them, because documents about `qt enclave` show that order.
 */
#pragma once

#include "lib/base/buf.h"
#include "lib/base/error.h"

#include <jansson.h>
#include <stdbool.h>

enum output_format {
        OUTPUT_JSON,
        OUTPUT_JSONC,
        OUTPUT_NONE,
        OUTPUT_TABLE,
        OUTPUT_TSV,
        OUTPUT_YAML,
        OUTPUT_YAMLC,
};

struct output_style {
        enum output_format format;
        bool colour;   /* jsonc and yamlc may use colour; else they are json and yaml */
        bool terminal; /* for a terminal: tsv has no raw control characters then; other formats never have */
        bool query_active;  /* the result was filtered by --query */
        const json_t *made; /* with query_active: the array from jmespath_search(), or NULL */
};

/* The names of the formats, alphabetically, at the index of their enum output_format; NULL ends them. */
extern const char *const output_format_names[];

/* The format called `name`, in any case of letters. False where there is none. */
bool output_format_parse(const char *name, enum output_format *ret_format);

/* Appends `result` as text.  A null result appends nothing in any format, a table without columns is an empty
 * line.  -E2BIG past the ceiling of `b`, -ENOMEM. */
int output_write(const json_t *result, const struct output_style *style, struct buf *b, struct error *err);
