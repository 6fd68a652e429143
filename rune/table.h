/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table.h - rows and columns as Go's tabwriter sets them for runc: a column is as wide as its longest cell
 * and three spaces, at least twelve; the last one isn't padded.
 */
#pragma once

#include "lib/base/buf.h"
#include "lib/base/error.h"

/* Appends `n_rows` rows of `n_columns` cells each, row by row.  Control characters in cells are made visible.
 * 0 or -errno as buf_append. */
int table_append(const char *const *cells, size_t n_rows, size_t n_columns, struct buf *text);

/* What --format asks for: 0 for a table, or no word at all (NULL), or JSON; -EINVAL for anything else. */
int table_check_format(const char *format, struct error *err);
