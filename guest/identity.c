/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/identity.h"

#include <errno.h>
#include <grp.h>
#include <unistd.h>

int identity_take_on(uid_t uid, gid_t gid, const gid_t *groups, size_t n_groups, struct failure *f)
{
        if (setgroups(n_groups, groups) < 0)
                return failure_set(f, errno, NULL, "take on %zu supplementary groups", n_groups);
        if (setresgid(gid, gid, gid) < 0)
                return failure_set(f, errno, NULL, "become group %u", gid);
        if (setresuid(uid, uid, uid) < 0)
                return failure_set(f, errno, NULL, "become user %u", uid);
        return 0;
}
