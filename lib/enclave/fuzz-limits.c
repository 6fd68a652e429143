/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/enclave/pool-limits.h"

#include "lib/base/cleanup.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What was understood keeps its own rules; any text at all is a list of CPUs, or is refused. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct limits limits;
        cpu_set_t cpus;
        cleanup_free char *text = view_to_string(view_of(data, size));

        if (limits_parse(view_of(data, size), &limits, NULL) == 0 && limits.has_list &&
            (limits.cpus == 0 || limits.cpus != (uint32_t)CPU_COUNT(&limits.list)))
                abort();
        if (text && limits_parse_cpus(text, &cpus, NULL) == 0 && CPU_COUNT(&cpus) == 0)
                abort();
        return 0;
}
