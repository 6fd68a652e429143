/* SPDX-License-Identifier: Apache-2.0 */
/*
 * format-filter.c - lets tests compare queries and formats with other implementations, at their size and
 * variety: `format-filter FORMAT [QUERY]` reads a JSON value from stdin and prints it as `qt` would.  Not
 * installed.
 */
#include "lib/base/fd.h"
#include "lib/format/jmespath.h"
#include "lib/format/json.h"
#include "lib/format/output.h"

#include <unistd.h>

static int filter(const char *format, const char *query, struct error *err)
{
        struct output_style style = {.query_active = query != NULL};
        cleanup_buf struct buf b = buf_with_max(64U << 20);
        cleanup_json json_t *value = json_loadf(stdin, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
        cleanup_json json_t *result = NULL, *made = NULL;
        cleanup_jmespath struct jmespath *compiled = NULL;

        if (!value || !output_format_parse(format, &style.format))
                return error_set(err, -EINVAL, "bad input or format");
        int r = query ? jmespath_compile(query, &compiled, NULL, err) : 0;
        if (r == 0 && query)
                r = jmespath_search(compiled, value, &result, &made, NULL, err);
        if (r < 0)
                return r;
        style.made = made;
        r = output_write(query ? result : value, &style, &b, err);
        return r < 0 ? r : fd_write_full(STDOUT_FILENO, b.p, b.n);
}

int main(int argc, char **argv)
{
        struct error err = {0};

        if (argc < 2 || argc > 3 || filter(argv[1], argv[2], &err) < 0) {
                fprintf(stderr, "%s\n", error_text(&err));
                return 1;
        }
        return 0;
}
