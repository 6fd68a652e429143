/* SPDX-License-Identifier: Apache-2.0 */
/*
 * amounts.h - sizes and spans as people and engines write them.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Bytes, as docker/go-units' RAMInBytes takes them: a decimal number, perhaps a space, perhaps one of
 * k m g t p (either case, powers of 1024) with b or iB behind it, or b alone.  False for anything else, and
 * for what doesn't fit. */
bool parse_ram_size(const char *text, int64_t *ret_bytes);

/* A span as Go's time.ParseDuration takes it, "1m30s", "1.5h", "100ms", in milliseconds, what is below one
 * rounded up.  False for anything else, for negative ones, and for more than a year. */
bool parse_duration(const char *text, uint64_t *ret_milliseconds);
