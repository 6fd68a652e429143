/* SPDX-License-Identifier: Apache-2.0 */
/*
 * array.h - arrays on the heap that grow by one member at a time.
 *
 * How much room an array has follows from how many members it has: always a power of two.  So it is full
 * exactly where that many are in it, and nobody has to keep a capacity beside the count.
 */
#pragma once

#include "lib/base/checked.h"

#include <errno.h>
#include <stdlib.h>

/* Makes room for one more member behind the `n` that the array has, each of `size` bytes.  `array` points at
 * the pointer to it, NULL where it is empty; every member but dropped ones came in through this call.  0 or
 * -ENOMEM, which leaves the array as it was. */
static inline int array_grow(void *array, size_t n, size_t size)
{
        void **p = array;
        size_t bytes;

        if (n & (n - 1))
                return 0;
        if (!checked_mul(n ? n : 1, 2 * size, &bytes))
                return -ENOMEM;
        void *grown = realloc(*p, bytes);
        if (!grown)
                return -ENOMEM;
        *p = grown;
        return 0;
}
