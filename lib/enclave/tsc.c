/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/enclave/tsc.h"

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#if defined(__x86_64__)

enum { SPAN_NS = 5 * 1000 * 1000, CLOSE_NS = 2000, TRIES = 50 };

struct sample {
        int64_t ns;
        uint64_t ticks;
        int64_t doubt_ns; /* the clock moved this much while we looked at the counter */
};

static int64_t now_ns(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Looks at both clocks at once: the best of a few looks, so that being interrupted in one does no harm. */
static struct sample take_sample(void)
{
        struct sample best = {.doubt_ns = INT64_MAX};

        for (int i = 0; i < TRIES && best.doubt_ns > CLOSE_NS; i++) {
                int64_t before = now_ns();
                uint64_t ticks = __builtin_ia32_rdtsc();
                int64_t after = now_ns();
                if (after - before < best.doubt_ns)
                        best = (struct sample){.ns = before + (after - before) / 2,
                                               .ticks = ticks,
                                               .doubt_ns = after - before};
        }
        return best;
}

unsigned tsc_khz(void)
{
        struct timespec span = {.tv_nsec = SPAN_NS};
        struct sample from = take_sample();

        nanosleep(&span, NULL);
        struct sample to = take_sample();
        if (to.ns <= from.ns || to.ticks <= from.ticks)
                return 0;
        double khz = (double)(to.ticks - from.ticks) * 1e6 / (double)(to.ns - from.ns);
        return khz > 0 && khz < 1e8 ? (unsigned)khz : 0;
}

#else

unsigned tsc_khz(void)
{
        return 0;
}

#endif
