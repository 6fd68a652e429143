/* SPDX-License-Identifier: Apache-2.0 */
/* An input is an expression, and, behind a first newline, the JSON value that it is applied to. */
#include "lib/format/jmespath.h"
#include "lib/format/json.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        const uint8_t *line_end = size ? memchr(data, '\n', size) : NULL;
        size_t n = line_end ? (size_t)(line_end - data) : size;
        cleanup_free char *expression = view_to_string(view_of(data, n));
        cleanup_jmespath struct jmespath *query = NULL;
        cleanup_json json_t *value = NULL, *result = NULL, *made = NULL;
        cleanup_buf struct buf text = buf_with_max(1 << 20);
        json_error_t ignored;

        if (!expression || jmespath_compile(expression, &query, NULL, NULL) < 0)
                return 0;
        if (line_end)
                value = json_loadb((const char *)line_end + 1, size - n - 1, JSON_DECODE_ANY | JSON_ALLOW_NUL,
                                   &ignored);
        if (!value)
                value = json_pack("{s:[i,f,s,n,b,{s:i}]}", "a", 1, 2.5, "x", 1, "b", 3);
        if (jmespath_search(query, value, &result, &made, NULL, NULL) == 0)
                json_write_compact(result, &text);
        return 0;
}
