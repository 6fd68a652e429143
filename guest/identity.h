/* SPDX-License-Identifier: Apache-2.0 */
/*
 * identity.h - the user and groups that a process of the workload runs as.
 */
#pragma once

#include "guest/failure.h"

#include <sys/types.h>

/* Makes `uid`, `gid` and the `n_groups` supplementary `groups` those of the calling process: real, effective
 * and saved, so that nothing is left to go back to.  Groups come first, while we are still privileged.
 * 0, or -errno with `f` set; what was taken on before a failure stays. */
int identity_take_on(uid_t uid, gid_t gid, const gid_t *groups, size_t n_groups, struct failure *f);
