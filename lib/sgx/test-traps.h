/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test-traps.h - how often the simulated CPU is trapped, and by which instruction: what speed is made of, in
 * numbers that are the same on every machine.
 */
#pragma once

#include <stdint.h>

struct test_traps {
        unsigned int enclu; /* an ENCLU was executed, which may be a #UD or a #GP, by machine */
        unsigned int hlt;   /* an instruction F4 .. was, always a #GP */
        unsigned int other;
};

/* Counts from here on, before the handlers that a simulation has just taken. */
void test_traps_count(void);

/* What was counted since it was asked last. */
struct test_traps test_traps_take(void);
