/* SPDX-License-Identifier: Apache-2.0 */
/*
 * little-endian.h - fixed-width integers at a place in an array that the caller knows to be large enough:
 * for structures of fixed size, whose offsets are constants.  Input of unknown size goes through a cursor.
 */
#pragma once

#include <stdint.h>

/* Writes the low n bytes of value at p. */
static inline void put_le(uint8_t *p, uint64_t value, unsigned int n)
{
        for (unsigned int i = 0; i < n; i++)
                p[i] = (uint8_t)(value >> (8 * i));
}

/* The integer of n bytes (at most 8) at p. */
static inline uint64_t get_le(const uint8_t *p, unsigned int n)
{
        uint64_t value = 0;

        for (unsigned int i = n; i > 0; i--)
                value = value << 8 | p[i - 1];
        return value;
}
