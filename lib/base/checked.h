/* SPDX-License-Identifier: Apache-2.0 */
/*
 * checked.h - arithmetic that says when it overflows.  Each returns true and sets *ret_r where the exact
 * result fits, else false and leaves *ret_r alone.  Check, then compare with the limit, then allocate.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* *ret_r = a + b, or false on overflow. */
static inline bool checked_add(size_t a, size_t b, size_t *ret_r)
{
        size_t r;
        if (__builtin_add_overflow(a, b, &r))
                return false;
        *ret_r = r;
        return true;
}

/* *ret_r = a * b, or false on overflow. */
static inline bool checked_mul(size_t a, size_t b, size_t *ret_r)
{
        size_t r;
        if (__builtin_mul_overflow(a, b, &r))
                return false;
        *ret_r = r;
        return true;
}

/* *ret_r = a + b in 64 bits (file offsets), or false on overflow. */
static inline bool checked_add64(uint64_t a, uint64_t b, uint64_t *ret_r)
{
        uint64_t r;
        if (__builtin_add_overflow(a, b, &r))
                return false;
        *ret_r = r;
        return true;
}

/* *ret_r = a * b in 64 bits, or false on overflow. */
static inline bool checked_mul64(uint64_t a, uint64_t b, uint64_t *ret_r)
{
        uint64_t r;
        if (__builtin_mul_overflow(a, b, &r))
                return false;
        *ret_r = r;
        return true;
}

/* *ret_r = value rounded up to a multiple of `align` (a power of two), or false on overflow. */
static inline bool checked_align64(uint64_t value, uint64_t align, uint64_t *ret_r)
{
        uint64_t r;
        if (!checked_add64(value, align - 1, &r))
                return false;
        *ret_r = r & ~(align - 1);
        return true;
}
