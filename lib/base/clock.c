/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/clock.h"

#include <time.h>

uint64_t clock_ms(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

bool clock_format(int64_t seconds, char *ret_text, size_t size)
{
        time_t t = seconds;
        struct tm utc;

        if (gmtime_r(&t, &utc) && strftime(ret_text, size, "%Y-%m-%dT%H:%M:%SZ", &utc) > 0)
                return true;
        ret_text[0] = '\0';
        return false;
}
