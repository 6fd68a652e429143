/* SPDX-License-Identifier: Apache-2.0 */
/*
 * output-internal.h - the writers behind output_write(). Each appends a result that is not null.
 */
#pragma once

#include "lib/format/output.h"

/* Rows and columns for people. */
int output_write_table(const json_t *result, const struct output_style *style, struct buf *b,
                       struct error *err);

/* Tab-separated values for scripts. */
int output_write_tsv(const json_t *result, const struct output_style *style, struct buf *b,
                     struct error *err);

/* YAML in block style; and the same with bright blue keys where the style has colour. */
int output_write_yaml(const json_t *result, const struct output_style *style, struct buf *b,
                      struct error *err);
int output_write_yaml_colour(const json_t *result, const struct output_style *style, struct buf *b,
                             struct error *err);

/* Appends a scalar as Python's str() does: True, None, 1.0, text as it is; an array or object as compact
 * JSON. */
int output_append_plain(const json_t *value, struct buf *b);
