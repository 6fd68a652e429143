/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/share.h"

#include "lib/base/fd.h"

int share_take(const char *folder, const struct enclave_info *info, struct pool_share *ret_share,
               struct error *err)
{
        struct pool_share share;
        cpu_set_t granted;
        int r = pool_take(folder, info->mem_mib, info->cpus, &share, err);

        if (r < 0)
                return r;
        /* The kernel leaves out those that it can't give, and says nothing. */
        if (!share.pinned ||
            (sched_setaffinity(0, sizeof(share.cpus), &share.cpus) == 0 &&
             sched_getaffinity(0, sizeof(granted), &granted) == 0 && CPU_EQUAL(&granted, &share.cpus))) {
                *ret_share = share;
                return 0;
        }
        fd_close_p(&share.fd);
        return error_set(err, -EINVAL,
                         "%s/" LIMITS_FILE
                         ": cpu_list names CPUs that aren't online, or that the control group of "
                         "this process keeps from it",
                         folder);
}
