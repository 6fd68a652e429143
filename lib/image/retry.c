/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/image/retry.h"

#include <sys/random.h>

/* From three quarters of `ms` to five quarters. */
static uint64_t jittered(uint64_t ms)
{
        uint32_t chance = 0;

        if (getrandom(&chance, sizeof(chance), GRND_NONBLOCK) != (ssize_t)sizeof(chance))
                return ms;
        return ms - ms / 4 + chance % (ms / 2 + 1);
}

bool retry_again(struct retry *retry, uint64_t at, uint32_t retry_after, uint64_t *ret_pause_ms)
{
        uint64_t first = retry->first_pause_ms ? retry->first_pause_ms : RETRY_FIRST_PAUSE_MS;

        if (at - retry->mark >= RETRY_PROGRESS) {
                retry->failures = 0;
                retry->mark = at;
        }
        if (++retry->failures >= RETRY_TRIES_MAX || retry_after > RETRY_AFTER_MAX)
                return false;
        uint64_t pause = first << (retry->failures - 1);
        pause = jittered(pause < RETRY_PAUSE_MAX_MS ? pause : RETRY_PAUSE_MAX_MS);
        /* Not all at the very moment that was named. */
        uint64_t asked = (uint64_t)retry_after * 1000 + (retry_after ? jittered(first) : 0);
        *ret_pause_ms = pause > asked ? pause : asked;
        return true;
}
