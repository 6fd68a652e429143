/* SPDX-License-Identifier: Apache-2.0 */
/*
 * console.h - what an enclave wrote to its console: the last bytes of it, in a ring.
 *
 * Writing never waits for a reader: where the ring is full, the oldest bytes go.  A reader keeps its own
 * position, a count of bytes since the boot; where the ring has moved past it, it is told how much it missed.
 */
#pragma once

#include "lib/base/buf.h"
#include "lib/base/cleanup.h"

#include <stdint.h>

struct console;

/* A ring of `capacity` bytes (at least 1), free with console_free(); NULL when out of memory. */
struct console *console_new(size_t capacity);

/* NULL-safe. */
void console_free(struct console *console);
DEFINE_CLEANUP(cleanup_console_p, struct console *, console_free)
#define cleanup_console CLEANUP(cleanup_console_p)

/* Adds output at the end. Always succeeds. */
void console_write(struct console *console, struct view v);

/* All bytes ever written: the position of a reader that has seen everything. */
uint64_t console_end(const struct console *console);

/* The next contiguous piece from *position on, empty where there is none; valid until the next
 * console_write(). *ret_missed is the number of bytes that were dropped before it; *position moves over
 * those, not over the piece. */
struct view console_peek(const struct console *console, uint64_t *position, uint64_t *ret_missed);

/* Appends all that is held, after a line that says how much came before it and was dropped. 0 or as
 * buf_append(). */
int console_copy(const struct console *console, struct buf *b);

/* The line that tells a reader what it missed. 0 or as buf_append(). */
int console_note(uint64_t missed, struct buf *b);

/* Appends the last lines, or those from a kernel's panic on, out of at most `max` bytes, printable in one
 * line: newlines become " | ", so that it is up to 2 * max; control characters and empty lines go.  For error
 * messages. 0 or as buf_append(). */
int console_tail(const struct console *console, size_t max, struct buf *b);
