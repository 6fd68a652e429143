/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/enclave/console.h"

#include <inttypes.h>
#include <string.h>

/* How far back the beginning of a panic is looked for. */
enum { PANIC_MAX = 8192 };

/* Byte number k since the boot lies at bytes[k % capacity]; those in [start, end) are held. */
struct console {
        size_t capacity;
        uint64_t start;
        uint64_t end;
        uint8_t bytes[];
};

struct console *console_new(size_t capacity)
{
        struct console *console = malloc(sizeof(*console) + capacity);

        if (console)
                *console = (struct console){.capacity = capacity};
        return console;
}

void console_free(struct console *console)
{
        free(console);
}

void console_write(struct console *console, struct view v)
{
        /* Of more than fits, only the end would stay. */
        if (v.n > console->capacity) {
                size_t skip = v.n - console->capacity;
                console->end += skip;
                v = view_of(v.p + skip, console->capacity);
        }
        while (v.n > 0) {
                size_t at = (size_t)(console->end % console->capacity);
                size_t n = console->capacity - at < v.n ? console->capacity - at : v.n;
                memcpy(console->bytes + at, v.p, n);
                console->end += n;
                v = view_of(v.p + n, v.n - n);
        }
        if (console->end - console->start > console->capacity)
                console->start = console->end - console->capacity;
}

uint64_t console_end(const struct console *console)
{
        return console->end;
}

struct view console_peek(const struct console *console, uint64_t *position, uint64_t *ret_missed)
{
        uint64_t missed = 0;

        if (*position < console->start) {
                missed = console->start - *position;
                *position = console->start;
        }
        size_t at = (size_t)(*position % console->capacity);
        uint64_t left = console->end - *position;
        size_t n = left < console->capacity - at ? (size_t)left : console->capacity - at;

        *ret_missed = missed;
        return view_of(console->bytes + at, n);
}

int console_note(uint64_t missed, struct buf *b)
{
        return buf_printf(b, "[coffer: %" PRIu64 " bytes of console output were dropped here]\n", missed);
}

int console_copy(const struct console *console, struct buf *b)
{
        uint64_t position = 0;

        for (;;) {
                uint64_t missed;
                struct view piece = console_peek(console, &position, &missed);
                if (missed > 0)
                        console_note(missed, b);
                if (piece.n == 0)
                        return b->failed;
                buf_append_view(b, piece);
                position += piece.n;
        }
}

static uint8_t byte_at(const struct console *console, uint64_t position)
{
        return console->bytes[position % console->capacity];
}

static bool has_text_at(const struct console *console, uint64_t position, const char *text)
{
        for (; *text; text++, position++) {
                if (position >= console->end || byte_at(console, position) != (uint8_t)*text)
                        return false;
        }
        return true;
}

/* Where the last `max` bytes begin, at the start of a line if they hold one. */
static uint64_t tail_start(const struct console *console, size_t max)
{
        if (console->end - console->start <= max)
                return console->start;
        for (uint64_t k = console->end - max; k + 1 < console->end; k++) {
                if (byte_at(console, k) == '\n')
                        return k + 1;
        }
        return console->end - max;
}

/* A panic says why in its first line, and a long trace follows: then that line is where to begin. */
static uint64_t panic_start(const struct console *console, uint64_t fallback)
{
        for (uint64_t k = tail_start(console, PANIC_MAX); k < console->end; k++) {
                if (has_text_at(console, k, "Kernel panic"))
                        return k;
        }
        return fallback;
}

int console_tail(const struct console *console, size_t max, struct buf *b)
{
        bool pending_break = false, any = false;
        uint64_t from = panic_start(console, tail_start(console, max));
        uint64_t to = console->end - from > max ? from + max : console->end;

        for (uint64_t k = from; k < to; k++) {
                uint8_t byte = byte_at(console, k);
                if (byte == '\n')
                        pending_break = true;
                if (byte < ' ' || byte > '~')
                        continue;
                if (pending_break && any)
                        buf_append_string(b, " | ");
                pending_break = false;
                any = true;
                buf_append_byte(b, byte);
        }
        return b->failed;
}
