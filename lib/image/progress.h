/* SPDX-License-Identifier: Apache-2.0 */
/*
 * progress.h - tells the caller how far a fetch is, but not more often than people can read.
 */
#pragma once

#include "lib/image/image.h"

struct progress_meter {
        const struct image_options *options;
        uint64_t last; /* clock_ms() of the last report */
};

/* Reports `p` where a tenth of a second has passed since the last report. */
void progress_report(struct progress_meter *meter, const struct image_progress *p);

/* Reports `p` at once. */
void progress_report_now(struct progress_meter *meter, const struct image_progress *p);
