/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/image/progress.h"

#include "lib/base/clock.h"

enum { INTERVAL_MS = 100 };

void progress_report(struct progress_meter *meter, const struct image_progress *p)
{
        if (meter->options->progress && clock_ms() - meter->last >= INTERVAL_MS)
                progress_report_now(meter, p);
}

void progress_report_now(struct progress_meter *meter, const struct image_progress *p)
{
        if (!meter->options->progress)
                return;
        meter->options->progress(meter->options->progress_user, p);
        meter->last = clock_ms();
}
