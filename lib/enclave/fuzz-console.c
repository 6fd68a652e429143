/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: a guest's console output, read from a small ring at any pace.  The input is a row of records:
 * u8 what the reader does, u8 size of the output before it, then the output.
 */
#include "lib/enclave/console.h"

#include <stdlib.h>
#include <string.h>

enum { CAPACITY = 64, TAIL = 40, RECORDS_MAX = 200 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Reads one piece: it is what was written there, and what was dropped is counted. */
static void read_piece(const struct console *console, const struct buf *all, uint64_t *position)
{
        uint64_t before = *position, missed;
        struct view piece = console_peek(console, position, &missed);

        if (*position != before + missed || *position + piece.n > all->n)
                abort();
        if (piece.n > 0 && memcmp(piece.p, all->p + *position, piece.n) != 0)
                abort();
        *position += piece.n;
        if (missed > 0 && piece.n == 0)
                abort();
}

/* What goes into a message is short and does nothing to a terminal. */
static void check_tail(const struct console *console)
{
        cleanup_buf struct buf tail = buf_with_max((size_t)2 * TAIL);

        if (console_tail(console, TAIL, &tail) < 0)
                abort();
        for (size_t i = 0; i < tail.n; i++) {
                if (tail.p[i] < ' ' || tail.p[i] > '~')
                        abort();
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        cleanup_console struct console *console = console_new(CAPACITY);
        cleanup_buf struct buf all = buf_with_max((size_t)RECORDS_MAX * 256);
        cleanup_buf struct buf copy = buf_with_max(1024);
        struct cursor c = cursor_of(view_of(data, size));
        uint64_t position = 0;

        for (int i = 0; console && i < RECORDS_MAX && !cursor_at_end(&c); i++) {
                uint8_t what = cursor_u8(&c), n = cursor_u8(&c);
                struct view output = cursor_take(&c, n);
                if (!cursor_ok(&c) || buf_append_view(&all, output) < 0)
                        break;
                console_write(console, output);
                if (console_end(console) != all.n)
                        abort();
                for (; what & 3; what--)
                        read_piece(console, &all, &position);
                if (what & 128)
                        check_tail(console);
        }
        if (console && console_copy(console, &copy) < 0)
                abort();
        return 0;
}
