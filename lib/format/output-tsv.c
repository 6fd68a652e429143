/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/format/json.h"
#include "lib/format/output-internal.h"

#include "lib/base/text.h"

int output_append_plain(const json_t *value, struct buf *b)
{
        char number[JSON_NUMBER_TEXT_MAX];

        switch (json_typeof(value)) {
        case JSON_STRING:
                return buf_append(b, json_string_value(value), json_string_length(value));
        case JSON_INTEGER:
        case JSON_REAL:
                json_number_text(value, number);
                return buf_append_string(b, number);
        case JSON_TRUE:
                return buf_append_string(b, "True");
        case JSON_FALSE:
                return buf_append_string(b, "False");
        case JSON_NULL:
                return buf_append_string(b, "None");
        case JSON_ARRAY:
        case JSON_OBJECT:
                break;
        }
        return json_write_compact(value, b);
}

/* A field: nested arrays count, nested objects are empty so that the number of columns stays. */
static void append_field(const json_t *value, struct buf *b)
{
        if (json_is_array(value))
                buf_printf(b, "%zu", json_array_size(value));
        else if (!json_is_object(value))
                output_append_plain(value, b);
}

static bool is_made_by_query(const json_t *object, const struct output_style *style)
{
        json_t *made;
        size_t i;

        json_array_foreach (style->made, i, made) {
                if (made == object)
                        return true;
        }
        return false;
}

/* Values in the order of their sorted keys, so that columns stay where they are; an object written in the
 * query keeps the order that was written there. */
static int append_object(json_t *object, const struct output_style *style, struct buf *b)
{
        cleanup_json json_t *row =
                is_made_by_query(object, style) ? json_incref(object) : json_sorted_copy(object);
        const char *separator = "";

        if (!row)
                return -ENOMEM;
        for (void *it = json_object_iter(row); it; it = json_object_iter_next(row, it)) {
                buf_append_string(b, separator);
                append_field(json_object_iter_value(it), b);
                separator = "\t";
        }
        return 0;
}

static int append_row(json_t *row, const struct output_style *style, struct buf *b)
{
        json_t *field;
        size_t i;
        int r = 0;

        if (json_is_object(row))
                r = append_object(row, style, b);
        else if (json_is_boolean(row))
                buf_append_string(b, json_is_true(row) ? "true" : "false");
        else if (!json_is_array(row))
                output_append_plain(row, b);
        json_array_foreach (row, i, field) {
                if (i > 0)
                        buf_append_byte(b, '\t');
                append_field(field, b);
        }
        buf_append_byte(b, '\n');
        return r;
}

static int write_rows(const json_t *result, const struct output_style *style, struct buf *b)
{
        json_t *row;
        size_t i;
        int r = 0;

        if (!json_is_array(result))
                r = append_row((json_t *)(uintptr_t)result, style, b);
        json_array_foreach (result, i, row) {
                if (r == 0)
                        r = append_row(row, style, b);
        }
        return r;
}

/* Programs get each value as it is; a terminal would act on it. */
int output_write_tsv(const json_t *result, const struct output_style *style, struct buf *b, struct error *err)
{
        cleanup_buf struct buf raw = buf_with_max(b->max);
        int r = write_rows(result, style, style->terminal ? &raw : b);

        if (r == 0 && style->terminal)
                r = raw.failed ? raw.failed : text_append_printable(buf_view(&raw), "\n\t", b);
        return r == -ENOMEM ? error_oom(err) : r < 0 ? error_set(err, r, "the output is too large") : 0;
}
