/* SPDX-License-Identifier: Apache-2.0 */
#include "rune/amounts.h"
#include "lib/base/cleanup.h"

#include <string.h>
#include <strings.h>

enum { DAYS_MAX = 366 };

/* A decimal number in two parts, so that whole ones stay exact. */
struct decimal {
        uint64_t whole;
        double fraction; /* below 1 */
};

/* Digits with at most one point among them, at *text, which moves behind them. */
static bool take_decimal(const char **text, struct decimal *ret_number)
{
        struct decimal number = {0};
        size_t digits = 0;
        const char *p = *text;

        for (; *p >= '0' && *p <= '9'; p++, digits++) {
                if (__builtin_mul_overflow(number.whole, 10, &number.whole) ||
                    __builtin_add_overflow(number.whole, (uint64_t)(*p - '0'), &number.whole))
                        return false;
        }
        if (*p == '.') {
                double place = 0.1;

                for (p++; *p >= '0' && *p <= '9'; p++, digits++) {
                        number.fraction += place * (*p - '0');
                        place /= 10;
                }
        }
        *text = p;
        *ret_number = number;
        return digits > 0;
}

bool parse_ram_size(const char *text, int64_t *ret_bytes)
{
        static const char prefixes[] = "kmgtp";
        struct decimal number;
        uint64_t unit = 1, bytes;

        if (!take_decimal(&text, &number))
                return false;
        if (*text == ' ')
                text++;
        const char *prefix = *text ? strchr(prefixes, *text | 0x20) : NULL;
        if (prefix) {
                unit = 1ULL << 10 * (prefix - prefixes + 1);
                text++;
                if (strcasecmp(text, "ib") == 0)
                        text++;
        }
        if ((*text | 0x20) == 'b')
                text++;
        if (*text || __builtin_mul_overflow(number.whole, unit, &bytes) ||
            __builtin_add_overflow(bytes, (uint64_t)(number.fraction * (double)unit), &bytes) ||
            bytes > INT64_MAX)
                return false;
        *ret_bytes = (int64_t)bytes;
        return true;
}

bool parse_duration(const char *text, uint64_t *ret_milliseconds)
{
        /* "ms" before "m". */
        static const struct {
                const char *name;
                double milliseconds;
        } units[] = {
                {"ns", 1e-6}, {"us", 1e-3}, {"\302\265s", 1e-3}, {"\316\274s", 1e-3},
                {"ms", 1},    {"s", 1e3},   {"m", 60e3},         {"h", 3600e3},
        };
        double sum = 0;
        bool zero = strcmp(text, "0") == 0;

        if (!*text)
                return false;
        while (*text && !zero) {
                struct decimal number;
                size_t i = 0;

                if (!take_decimal(&text, &number))
                        return false;
                while (i < ARRAY_SIZE(units) && strncmp(text, units[i].name, strlen(units[i].name)) != 0)
                        i++;
                if (i == ARRAY_SIZE(units))
                        return false;
                text += strlen(units[i].name);
                sum += ((double)number.whole + number.fraction) * units[i].milliseconds;
        }
        if (sum > DAYS_MAX * 24 * 3600e3)
                return false;
        *ret_milliseconds = (uint64_t)sum + (sum > (double)(uint64_t)sum);
        return true;
}
