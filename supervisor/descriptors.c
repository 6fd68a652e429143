/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/descriptors.h"

#include <sys/resource.h>

/* RESERVED: clients of the control socket, the console, the machine's own; about half of that is ever
 * used. */
enum { CONNECTIONS_MAX = 4096, RESERVED = 256 };

size_t descriptors_for_vsock(void)
{
        const rlim_t wanted = CONNECTIONS_MAX + RESERVED;
        struct rlimit limit;

        if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
                return 1;
        if (limit.rlim_cur < wanted) {
                struct rlimit raised = {.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted,
                                        .rlim_max = limit.rlim_max};
                if (setrlimit(RLIMIT_NOFILE, &raised) == 0)
                        limit = raised;
        }
        if (limit.rlim_cur >= wanted)
                return CONNECTIONS_MAX;
        return limit.rlim_cur > RESERVED ? (size_t)limit.rlim_cur - RESERVED : 1;
}
