/* SPDX-License-Identifier: Apache-2.0 */
#include "rune/table.h"
#include "lib/base/text.h"

#include <errno.h>
#include <string.h>

enum { PADDING = 3, WIDTH_MIN = 12, CELL_MAX = 64 * 1024 };

/* How many places a cell takes on a terminal, as Go counts: one for each code point. */
static size_t width_of(const char *cell)
{
        size_t width = 0;

        for (; *cell; cell++)
                width += ((unsigned char)*cell & 0xc0) != 0x80;
        return width;
}

/* A cell as it is printed. */
static int show_cell(const char *cell, struct buf *shown)
{
        *shown = buf_with_max(CELL_MAX);
        return text_append_printable(view_of_string(cell), "", shown);
}

static int widen(const char *cell, size_t *width)
{
        cleanup_buf struct buf shown = {0};
        int r = show_cell(cell, &shown);
        size_t needed = width_of(buf_string(&shown)) + PADDING;

        *width = needed > *width ? needed : *width;
        return r;
}

static int append_cell(const char *cell, size_t width, struct buf *text)
{
        cleanup_buf struct buf shown = {0};
        int r = show_cell(cell, &shown);

        if (r < 0)
                return r;
        size_t used = width_of(buf_string(&shown));
        return buf_printf(text, "%s%*s", buf_string(&shown), used < width ? (int)(width - used) : 0, "");
}

int table_append(const char *const *cells, size_t n_rows, size_t n_columns, struct buf *text)
{
        cleanup_free size_t *widths = calloc(n_columns, sizeof(*widths));
        int r = widths ? 0 : -ENOMEM;

        for (size_t column = 0; column < n_columns && r == 0; column++)
                widths[column] = WIDTH_MIN;
        for (size_t i = 0; i < n_rows * n_columns && r == 0; i++)
                r = widen(cells[i], &widths[i % n_columns]);
        for (size_t i = 0; i < n_rows * n_columns && r == 0; i++) {
                bool last = i % n_columns == n_columns - 1;

                r = append_cell(cells[i], last ? 0 : widths[i % n_columns], text);
                if (r == 0 && last)
                        r = buf_append_byte(text, '\n');
        }
        return r;
}

int table_check_format(const char *format, struct error *err)
{
        if (!format || strcmp(format, "json") == 0 || strcmp(format, "table") == 0)
                return 0;
        return error_set(err, -EINVAL, "invalid format option \"%s\"; it is table or json", format);
}
