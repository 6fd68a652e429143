/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http-head.h - values of response headers that decide what happens to a transfer (RFC 9110).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Content-Range: which bytes of the whole a reply carries. */
struct http_range {
        uint64_t first;
        uint64_t last; /* inclusive */
        bool has_total;
        uint64_t total;
};

/* Reads "bytes FIRST-LAST/TOTAL", TOTAL a number or "*".  False where it is anything else, or where the range
 * is empty or ends behind the whole. */
bool http_range_parse(const char *text, struct http_range *ret_range);

/* Reads Retry-After, a number of seconds or an HTTP date, as seconds from `now` (since 1970): 0 for a moment
 * that has passed, at most INT32_MAX.  False where it is neither. */
bool http_retry_after_parse(const char *text, int64_t now, uint32_t *ret_seconds);
