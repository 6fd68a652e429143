/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/clock.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

uint64_t clock_ms(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void clock_sleep_us(uint64_t us)
{
        struct timespec left = {.tv_sec = (time_t)(us / 1000000), .tv_nsec = (long)(us % 1000000) * 1000};

        while (nanosleep(&left, &left) < 0 && errno == EINTR)
                continue;
}

struct date {
        int64_t year;
        int month;
        int day;
};

/* The Gregorian calendar repeats after 400 years, and is regular in years that begin in March, so that the
 * leap day is their last: then a month's first day follows from its number alone. */
static struct date date_of(int64_t days_since_1970)
{
        enum { DAYS_IN_ERA = 146097, FIRST_OF_MARCH_0_TO_1970 = 719468 };
        int64_t days = days_since_1970 + FIRST_OF_MARCH_0_TO_1970;
        int64_t era = (days >= 0 ? days : days - (DAYS_IN_ERA - 1)) / DAYS_IN_ERA;
        int day = (int)(days - era * DAYS_IN_ERA);
        int year = (day - day / 1460 + day / 36524 - day / (DAYS_IN_ERA - 1)) / 365;
        day -= 365 * year + year / 4 - year / 100;
        int month = (5 * day + 2) / 153;

        return (struct date){.year = era * 400 + year + (month >= 10),
                             .month = month < 10 ? month + 3 : month - 9,
                             .day = day - (153 * month + 2) / 5 + 1};
}

/* Not gmtime_r(3): for leap seconds' sake it reads the host's time zone first. */
bool clock_format(int64_t seconds, char *ret_text, size_t size)
{
        enum { DAY = 24 * 3600 };
        int64_t days = seconds / DAY - (seconds % DAY < 0);
        int of_day = (int)(seconds - days * DAY);
        struct date date = date_of(days);

        if (date.year >= INT32_MIN && date.year <= INT32_MAX) {
                int n = snprintf(ret_text, size, "%04lld-%02d-%02dT%02d:%02d:%02dZ", (long long)date.year,
                                 date.month, date.day, of_day / 3600, of_day / 60 % 60, of_day % 60);
                if (n > 0 && (size_t)n < size)
                        return true;
        }
        ret_text[0] = '\0';
        return false;
}
