/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/container/init/attributes.h"

#include "lib/base/text.h"

#include <stdbool.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* More CPUs than any kernel is built for (CONFIG_NR_CPUS has 13 bits at most). */
enum { CPUS_MAX = 8192, WORD_BITS = 8 * sizeof(unsigned long) };

/* "0-3,7" */
static bool parse_list(const char *cpus, unsigned long mask[CPUS_MAX / WORD_BITS])
{
        for (const char *at = cpus;; at++) {
                uint64_t from, to;
                if (!take_u64(&at, CPUS_MAX - 1, &from))
                        return false;
                to = from;
                if (*at == '-') {
                        at++;
                        if (!take_u64(&at, CPUS_MAX - 1, &to) || to < from)
                                return false;
                }
                for (uint64_t cpu = from; cpu <= to; cpu++)
                        mask[cpu / WORD_BITS] |= 1UL << cpu % WORD_BITS;
                if (*at != ',')
                        return *at == '\0';
        }
}

void attributes_all_cpus(void)
{
        unsigned long mask[CPUS_MAX / WORD_BITS];

        memset(mask, 0xff, sizeof(mask));
        (void)syscall(SYS_sched_setaffinity, 0, sizeof(mask), mask);
}

int attributes_affinity(const char *cpus, struct error *err)
{
        unsigned long mask[CPUS_MAX / WORD_BITS] = {0};

        if (!cpus)
                return 0;
        if (!parse_list(cpus, mask))
                return error_set(err, -EINVAL, "set CPU affinity \"%s\": not a list of CPUs", cpus);
        if (syscall(SYS_sched_setaffinity, 0, sizeof(mask), mask) < 0)
                return error_errno(err, errno, "set CPU affinity \"%s\"", cpus);
        return 0;
}
