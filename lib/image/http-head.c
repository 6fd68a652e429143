/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/image/http-head.h"

#include "lib/base/text.h"

#include <curl/curl.h>
#include <string.h>
#include <strings.h>

bool http_range_parse(const char *text, struct http_range *ret_range)
{
        struct http_range range = {0};
        const char *at = text;

        if (strncasecmp(at, "bytes ", strlen("bytes ")) != 0)
                return false;
        at += strlen("bytes ");
        if (!take_u64(&at, UINT64_MAX, &range.first) || *at++ != '-' ||
            !take_u64(&at, UINT64_MAX, &range.last) || *at++ != '/' || range.last < range.first)
                return false;
        range.has_total = *at != '*';
        if (!range.has_total)
                at++;
        else if (!take_u64(&at, UINT64_MAX, &range.total) || range.last >= range.total)
                return false;
        if (*at)
                return false;
        *ret_range = range;
        return true;
}

bool http_retry_after_parse(const char *text, int64_t now, uint32_t *ret_seconds)
{
        size_t digits = strspn(text, "0123456789");
        uint64_t seconds;

        if (digits > 0 && text[digits] == '\0') {
                *ret_seconds = parse_u64(text, INT32_MAX, &seconds) ? (uint32_t)seconds : INT32_MAX;
                return true;
        }
        time_t then = curl_getdate(text, NULL);
        if (then == -1)
                return false;
        if (then <= now)
                *ret_seconds = 0;
        else
                *ret_seconds = then - now < INT32_MAX ? (uint32_t)(then - now) : INT32_MAX;
        return true;
}
