/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/buf.h"
#include "lib/base/fd.h"
#include "rune/rune.h"

#include <unistd.h>

enum { JSON_TEXT_MAX = 64 * 1024 * 1024 };

int rune_print(struct view text, struct error *err)
{
        int r = fd_write_full(STDOUT_FILENO, text.p, text.n);

        return r < 0 ? error_errno(err, -r, "standard output") : 0;
}

static int append_piece(const char *piece, size_t n, void *text)
{
        return buf_append(text, piece, n);
}

int rune_print_json(const json_t *value, size_t flags, struct error *err)
{
        cleanup_buf struct buf text = buf_with_max(JSON_TEXT_MAX);

        if (!value || json_dump_callback(value, append_piece, &text, flags) < 0 ||
            buf_append_byte(&text, '\n') < 0)
                return error_oom(err);
        return rune_print(buf_view(&text), err);
}
