/* SPDX-License-Identifier: Apache-2.0 */
/*
 * retry.h - how often and after which pauses a transfer is tried again.
 *
 * Pauses double from the first one, each made up to a quarter longer or shorter by chance, so that transfers
 * that failed together don't come back together.  What a server asks for (Retry-After) is the least, up to a
 * limit; a server that asks for more is not tried again.  A transfer that gets on counts as a new one.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum {
        RETRY_TRIES_MAX = 6, /* in all, without progress */
        RETRY_FIRST_PAUSE_MS = 500,
        RETRY_PAUSE_MAX_MS = 30 * 1000,
        RETRY_AFTER_MAX = 120,        /* seconds that a server may have us wait each time */
        RETRY_PROGRESS = 1024 * 1024, /* bytes that count as getting on */
};

struct retry {
        unsigned first_pause_ms; /* 0: RETRY_FIRST_PAUSE_MS */
        unsigned failures;
        uint64_t mark; /* bytes that there were when they began to be counted */
};

/* A try has failed with `at` bytes there in all; the server asked to be left alone for `retry_after` seconds,
 * or 0.  True, and *ret_pause_ms, where another try is worth it. */
bool retry_again(struct retry *retry, uint64_t at, uint32_t retry_after, uint64_t *ret_pause_ms);
