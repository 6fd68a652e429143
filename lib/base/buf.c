/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/buf.h"

#include "lib/base/checked.h"

#include <errno.h>
#include <string.h>

enum { BUF_FIRST_CAPACITY = 64 };

void buf_done(struct buf *b)
{
        if (!b)
                return;
        free(b->p);
        *b = buf_with_max(b->max);
}

int buf_reserve(struct buf *b, size_t more)
{
        size_t need;

        if (b->failed)
                return b->failed;
        if (!checked_add(b->n, more, &need) || need > b->max)
                return b->failed = -E2BIG;
        if (b->p && need <= b->capacity)
                return 0;

        size_t capacity = b->capacity > BUF_FIRST_CAPACITY ? b->capacity : BUF_FIRST_CAPACITY;
        while (capacity < need && !__builtin_mul_overflow(capacity, 2, &capacity))
                ;
        if (capacity < need || capacity > b->max)
                capacity = b->max;
        /* One byte more than counted, for the NUL. */
        uint8_t *p = capacity < SIZE_MAX ? realloc(b->p, capacity + 1) : NULL;
        if (!p)
                return b->failed = -ENOMEM;
        b->p = p;
        b->capacity = capacity;
        b->p[b->n] = 0;
        return 0;
}

int buf_append(struct buf *b, const void *p, size_t n)
{
        int r = buf_reserve(b, n);

        if (r < 0)
                return r;
        if (n)
                memcpy(b->p + b->n, p, n);
        b->n += n;
        b->p[b->n] = 0;
        return 0;
}

int buf_append_view(struct buf *b, struct view v)
{
        return buf_append(b, v.p, v.n);
}

int buf_append_string(struct buf *b, const char *s)
{
        return buf_append(b, s, strlen(s));
}

int buf_append_byte(struct buf *b, uint8_t byte)
{
        return buf_append(b, &byte, 1);
}

static int append_big_endian(struct buf *b, uint64_t value, size_t n)
{
        uint8_t bytes[8];

        for (size_t i = 0; i < n; i++)
                bytes[i] = (uint8_t)(value >> (8 * (n - 1 - i)));
        return buf_append(b, bytes, n);
}

int buf_append_be16(struct buf *b, uint16_t value)
{
        return append_big_endian(b, value, 2);
}

int buf_append_be32(struct buf *b, uint32_t value)
{
        return append_big_endian(b, value, 4);
}

int buf_printf(struct buf *b, const char *format, ...)
{
        va_list args;

        va_start(args, format);
        int n = vsnprintf(NULL, 0, format, args);
        va_end(args);
        if (n < 0)
                return b->failed = -EINVAL;
        int r = buf_reserve(b, (size_t)n);
        if (r < 0)
                return r;
        va_start(args, format);
        (void)vsnprintf((char *)b->p + b->n, (size_t)n + 1, format, args);
        va_end(args);
        b->n += (size_t)n;
        return 0;
}

void buf_consume(struct buf *b, size_t n)
{
        if (n == 0)
                return;
        memmove(b->p, b->p + n, b->n - n);
        b->n -= n;
        b->p[b->n] = 0;
}

char *buf_take_string(struct buf *b)
{
        char *s = NULL;

        if (!b->failed && buf_reserve(b, 0) == 0) {
                s = (char *)b->p;
                b->p = NULL;
        }
        buf_done(b);
        return s;
}
