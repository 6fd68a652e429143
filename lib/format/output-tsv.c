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

/* Addresses of the objects that the query made, ascending, so that one is found in logarithmic time. */
struct made_set {
        uintptr_t *addresses;
        size_t n;
};

static void made_set_done(struct made_set *made)
{
        free(made->addresses);
}
#define cleanup_made_set CLEANUP(made_set_done)

static int compare_addresses(const void *a, const void *b)
{
        uintptr_t x = *(const uintptr_t *)a, y = *(const uintptr_t *)b;

        return (x > y) - (x < y);
}

static int made_set_init(struct made_set *ret_made, const json_t *list)
{
        struct made_set made = {.addresses = calloc(json_array_size(list) + 1, sizeof(uintptr_t))};
        json_t *object;
        size_t i;

        if (!made.addresses)
                return -ENOMEM;
        json_array_foreach (list, i, object) {
                made.addresses[made.n++] = (uintptr_t)object;
        }
        qsort(made.addresses, made.n, sizeof(uintptr_t), compare_addresses);
        *ret_made = made;
        return 0;
}

static bool is_made_by_query(const json_t *object, const struct made_set *made)
{
        uintptr_t address = (uintptr_t)object;

        return bsearch(&address, made->addresses, made->n, sizeof(uintptr_t), compare_addresses);
}

/* Values in the order of their sorted keys, so that columns stay where they are; an object written in the
 * query keeps the order that was written there. */
static int append_object(json_t *object, const struct made_set *made, struct buf *b)
{
        cleanup_json json_t *row =
                is_made_by_query(object, made) ? json_incref(object) : json_sorted_copy(object);
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

static int append_row(json_t *row, const struct made_set *made, struct buf *b)
{
        json_t *field;
        size_t i;
        int r = 0;

        if (json_is_object(row))
                r = append_object(row, made, b);
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
        cleanup_made_set struct made_set made = {0};
        json_t *row;
        size_t i;
        int r = made_set_init(&made, style->made);

        if (r == 0 && !json_is_array(result))
                r = append_row((json_t *)(uintptr_t)result, &made, b);
        json_array_foreach (result, i, row) {
                if (r == 0 && !b->failed)
                        r = append_row(row, &made, b);
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
        if (r == -E2BIG && !b->failed)
                b->failed = r; /* output_write() says it */
        return r == -ENOMEM ? error_oom(err) : 0;
}
