/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/format/output-internal.h"
#include "lib/format/json.h"

#include <string.h>
#include <strings.h>

const char *const output_format_names[] = {
        [OUTPUT_JSON] = "json", [OUTPUT_JSONC] = "jsonc", [OUTPUT_NONE] = "none",   [OUTPUT_TABLE] = "table",
        [OUTPUT_TSV] = "tsv",   [OUTPUT_YAML] = "yaml",   [OUTPUT_YAMLC] = "yamlc", NULL,
};

bool output_format_parse(const char *name, enum output_format *ret_format)
{
        for (int i = 0; output_format_names[i]; i++) {
                if (strcasecmp(name, output_format_names[i]) == 0) {
                        *ret_format = (enum output_format)i;
                        return true;
                }
        }
        return false;
}

static int write_json_plain(const json_t *result, const struct output_style *style, struct buf *b,
                            struct error *err)
{
        (void)style;
        (void)err;
        json_write_indented(result, b);
        return buf_append_byte(b, '\n');
}

static int write_json_colour(const json_t *result, const struct output_style *style, struct buf *b,
                             struct error *err)
{
        if (!style->colour)
                return write_json_plain(result, style, b, err);
        json_write_coloured(result, b);
        return buf_append_byte(b, '\n');
}

static int write_none(const json_t *result, const struct output_style *style, struct buf *b,
                      struct error *err)
{
        (void)result;
        (void)style;
        (void)b;
        (void)err;
        return 0;
}

/* Whether keys are written in sorted order where a query is active. */
static const struct {
        int (*write)(const json_t *result, const struct output_style *style, struct buf *b,
                     struct error *err);
        bool sorted;
} writers[] = {
        [OUTPUT_JSON] = {write_json_plain, true},
        [OUTPUT_JSONC] = {write_json_colour, true},
        [OUTPUT_NONE] = {write_none, false},
        [OUTPUT_TABLE] = {output_write_table, false},
        [OUTPUT_TSV] = {output_write_tsv, false},
        [OUTPUT_YAML] = {output_write_yaml, true},
        [OUTPUT_YAMLC] = {output_write_yaml_colour, true},
};

int output_write(const json_t *result, const struct output_style *style, struct buf *b, struct error *err)
{
        cleanup_json json_t *sorted = NULL;

        if (json_is_null(result))
                return 0;
        if (style->query_active && writers[style->format].sorted) {
                sorted = json_sorted_copy(result);
                if (!sorted)
                        return error_oom(err);
                result = sorted;
        }
        int r = writers[style->format].write(result, style, b, err);
        if (b->failed == -E2BIG)
                return error_set(err, b->failed,
                                 "the output has more than %zu bytes; --query shows a part of it", b->max);
        return b->failed ? error_oom(err) : r;
}
