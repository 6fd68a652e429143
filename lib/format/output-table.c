/* SPDX-License-Identifier: Apache-2.0 */
/*
 * output-table.c - the "table" format: what knack picks from a result, laid out as Python's tabulate does in
 * its "simple" format.
 *
 *     EnclaveID    State
 *     -----------  -------
 *     0            running
 *
 * A column is as wide as its widest cell, its header counting two more; two spaces stand between columns,
 * none at the end of a line.  A cell may have several lines.
 */
#include "lib/format/json.h"
#include "lib/format/output-internal.h"

#include "lib/base/text.h"

#include <string.h>

enum { HEADER_PADDING = 2, SEPARATOR = 2 };

/* Rows of cells, an object per row: heading -> text.  The headings in order of their first appearance. */
struct table {
        json_t *rows;     /* array of objects of strings */
        json_t *headings; /* object: heading -> its width */
};

static void table_done(struct table *table)
{
        json_decref(table->rows);
        json_decref(table->headings);
}
#define cleanup_table CLEANUP(table_done)

/* Characters, not bytes. */
static size_t text_width(const char *s, size_t n)
{
        size_t width = 0;

        for (size_t i = 0; i < n; i++)
                width += ((unsigned char)s[i] & 0xc0) != 0x80;
        return width;
}

static bool is_blank(char c)
{
        return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Text without blanks around it and without control characters, which could command the terminal. */
static json_t *cell_text(const json_t *value)
{
        cleanup_buf struct buf raw = buf_with_max(64U << 20), clean = buf_with_max(256U << 20);

        if (!json_is_null(value))
                output_append_plain(value, &raw);
        size_t start = 0, end = raw.n;
        while (start < end && is_blank((char)raw.p[start]))
                start++;
        while (end > start && is_blank((char)raw.p[end - 1]))
                end--;
        (void)text_append_printable(view_of(buf_string(&raw) + start, end - start), "\n\t", &clean);
        return raw.failed || clean.failed ? NULL : json_stringn(buf_string(&clean), clean.n);
}

/* The width of the widest line. */
static size_t cell_width(const json_t *cell)
{
        const char *p = json_string_value(cell);
        size_t widest = 0;

        while (p) {
                size_t n = strcspn(p, "\n");
                size_t width = text_width(p, n);
                widest = width > widest ? width : widest;
                p = p[n] ? p + n + 1 : NULL;
        }
        return widest;
}

static int add_cell(struct table *table, json_t *row, const char *heading, const json_t *value)
{
        json_t *cell = cell_text(value);
        size_t width = text_width(heading, strlen(heading)) + HEADER_PADDING;
        const json_t *known = json_object_get(table->headings, heading);

        if (known)
                width = (size_t)json_integer_value(known);
        if (cell && cell_width(cell) > width)
                width = cell_width(cell);
        if (json_object_set_new(row, heading, cell) < 0)
                return -ENOMEM;
        return json_object_set_new(table->headings, heading, json_integer((json_int_t)width)) < 0 ? -ENOMEM
                                                                                                  : 0;
}

/* knack leaves out what every Azure resource has and nobody wants to see. */
static bool is_skipped(const char *key)
{
        return strcmp(key, "id") == 0 || strcmp(key, "type") == 0 || strcmp(key, "etag") == 0;
}

static int add_object(struct table *table, json_t *row, json_t *object)
{
        for (void *it = json_object_iter(object); it; it = json_object_iter_next(object, it)) {
                const json_t *value = json_object_iter_value(it);
                const char *key = json_object_iter_key(it);
                if (is_skipped(key) || json_is_null(value) || json_is_object(value) || json_is_array(value))
                        continue;
                cleanup_buf struct buf clean = buf_with_max(256U << 20);
                if (text_append_printable(view_of_string(key), "", &clean) < 0)
                        return -ENOMEM;
                cleanup_free char *heading = buf_take_string(&clean);
                if (!heading)
                        return -ENOMEM;
                if (heading[0] >= 'a' && heading[0] <= 'z')
                        heading[0] = (char)(heading[0] - 'a' + 'A');
                int r = add_cell(table, row, heading, value);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int add_array(struct table *table, json_t *row, const json_t *array)
{
        json_t *value;
        size_t i;

        json_array_foreach (array, i, value) {
                char heading[32];
                snprintf(heading, sizeof(heading), "Column%zu", i + 1);
                int r = add_cell(table, row, heading, value);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int add_row(struct table *table, json_t *item, const struct output_style *style)
{
        cleanup_json json_t *row = json_object(), *sorted = NULL;
        int r = 0;

        if (!row)
                return -ENOMEM;
        if (json_is_object(item)) {
                sorted = style->query_active ? json_incref(item) : json_sorted_copy(item);
                r = sorted ? add_object(table, row, sorted) : -ENOMEM;
        } else if (json_is_array(item)) {
                r = add_array(table, row, item);
        } else {
                r = add_cell(table, row, "Result", item);
        }
        return r == 0 && json_array_append(table->rows, row) < 0 ? -ENOMEM : r;
}

/* The gap before a cell.  Its callers hold it back until something follows, so that no line ends in
 * spaces. */
static void append_repeated(struct buf *b, char c, size_t n)
{
        char row[64];

        memset(row, c, sizeof(row));
        for (size_t piece; n > 0 && !b->failed; n -= piece) {
                piece = n < sizeof(row) ? n : sizeof(row);
                buf_append(b, row, piece);
        }
}

/* One line of a row: the next one of each of its cells, whose rests move on.  True where there are more. */
static bool append_line(const struct table *table, const char **rests, struct buf *b)
{
        size_t gap = 0, column = 0;
        bool more = false;

        for (void *it = json_object_iter(table->headings); it;
             it = json_object_iter_next(table->headings, it), column++) {
                size_t width = (size_t)json_integer_value(json_object_iter_value(it));
                const char *line = rests[column];
                size_t n = strcspn(line, "\n");
                if (n > 0) {
                        append_repeated(b, ' ', gap);
                        buf_append(b, line, n);
                        gap = 0;
                }
                gap += width - text_width(line, n) + SEPARATOR;
                more = more || line[n] == '\n';
                rests[column] = line + n + (line[n] == '\n');
        }
        buf_append_byte(b, '\n');
        return more;
}

static int append_row(const struct table *table, const json_t *row, struct buf *b)
{
        cleanup_free const char **rests = calloc(json_object_size(table->headings), sizeof(*rests));
        size_t column = 0;

        if (!rests)
                return -ENOMEM;
        for (void *it = json_object_iter(table->headings); it;
             it = json_object_iter_next(table->headings, it)) {
                const char *text = json_string_value(json_object_get(row, json_object_iter_key(it)));
                rests[column++] = text ? text : "";
        }
        while (append_line(table, rests, b) && !b->failed)
                ;
        return 0;
}

static void append_headings(const struct table *table, struct buf *b)
{
        size_t gap = 0;

        for (void *it = json_object_iter(table->headings); it;
             it = json_object_iter_next(table->headings, it)) {
                const char *heading = json_object_iter_key(it);
                append_repeated(b, ' ', gap);
                buf_append_string(b, heading);
                gap = (size_t)json_integer_value(json_object_iter_value(it)) + SEPARATOR -
                      text_width(heading, strlen(heading));
        }
        buf_append_byte(b, '\n');
        gap = 0;
        for (void *it = json_object_iter(table->headings); it;
             it = json_object_iter_next(table->headings, it)) {
                append_repeated(b, ' ', gap);
                append_repeated(b, '-', (size_t)json_integer_value(json_object_iter_value(it)));
                gap = SEPARATOR;
        }
        buf_append_byte(b, '\n');
}

int output_write_table(const json_t *result, const struct output_style *style, struct buf *b,
                       struct error *err)
{
        cleanup_table struct table table = {.rows = json_array(), .headings = json_object()};
        json_t *item;
        size_t i;
        int r = table.rows && table.headings ? 0 : -ENOMEM;

        if (r == 0 && !json_is_array(result))
                r = add_row(&table, (json_t *)(uintptr_t)result, style);
        json_array_foreach (result, i, item) {
                if (r == 0)
                        r = add_row(&table, item, style);
        }
        if (r < 0)
                return error_oom(err);
        if (json_object_size(table.headings) == 0) {
                buf_append_byte(b, '\n');
                return 0;
        }
        append_headings(&table, b);
        json_array_foreach (table.rows, i, item) {
                if (r == 0 && !b->failed)
                        r = append_row(&table, item, b);
        }
        return r < 0 ? error_oom(err) : 0;
}
