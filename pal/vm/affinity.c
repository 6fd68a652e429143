/* SPDX-License-Identifier: Apache-2.0 */
#include "pal/vm/affinity.h"

#include "lib/base/text.h"

#include <stdbool.h>

static bool parse(const char *cpus, cpu_set_t *ret_set)
{
        uint64_t first, last;

        CPU_ZERO(ret_set);
        for (const char *at = cpus;; at++) {
                if (!take_u64(&at, CPU_SETSIZE - 1, &first))
                        return false;
                last = first;
                if (*at == '-' && (at++, !take_u64(&at, CPU_SETSIZE - 1, &last)))
                        return false;
                for (uint64_t cpu = first; cpu <= last; cpu++)
                        CPU_SET(cpu, ret_set);
                if (*at != ',')
                        return *at == '\0';
        }
}

int affinity_set(const char *cpus, cpu_set_t *ret_before, struct error *err)
{
        cpu_set_t set;

        if (sched_getaffinity(0, sizeof(*ret_before), ret_before) < 0)
                return error_errno(err, errno, "ask for the CPUs to run on");
        if (!cpus)
                return 0;
        if (!parse(cpus, &set))
                return error_set(err, -EINVAL, "resources.cpu.cpus \"%s\": no list of CPUs", cpus);
        if (sched_setaffinity(0, sizeof(set), &set) < 0)
                return error_errno(err, errno, "resources.cpu.cpus \"%s\"", cpus);
        return 0;
}

void affinity_restore(const cpu_set_t *before)
{
        (void)sched_setaffinity(0, sizeof(*before), before);
}
