/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clock.h - the two clocks: one for waiting, which only goes forward, and the wall's as people read it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes that any moment's text takes, years of more than four digits included. */
enum { CLOCK_TEXT_MAX = 32 };

/* CLOCK_MONOTONIC in milliseconds: for deadlines and spans. */
uint64_t clock_ms(void);

/* Sleeps for so many microseconds, whatever signals come. */
void clock_sleep_us(uint64_t us);

/* Writes `seconds` since 1970 as RFC 3339 in UTC, "2026-11-20T16:08:42Z", to ret_text of `size` bytes.
 * False, and ret_text "", where it isn't a moment of the calendar or has no room. */
bool clock_format(int64_t seconds, char *ret_text, size_t size);
