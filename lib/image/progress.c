/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/image/progress.h"

#include <time.h>

static const uint64_t interval = 100000000; /* nanoseconds */

static uint64_t now(void)
{
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void progress_report(struct progress_meter *meter, const struct image_progress *p)
{
        if (meter->options->progress && now() - meter->last >= interval)
                progress_report_now(meter, p);
}

void progress_report_now(struct progress_meter *meter, const struct image_progress *p)
{
        if (!meter->options->progress)
                return;
        meter->options->progress(meter->options->progress_user, p);
        meter->last = now();
}
