/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tsc.h - how fast this machine's time-stamp counter runs.
 */
#pragma once

/* Its frequency in kHz, measured against CLOCK_MONOTONIC for a few milliseconds; 0 where there is none. */
unsigned tsc_khz(void);
