/* SPDX-License-Identifier: Apache-2.0 */
/*
 * share.h - an enclave's share of what this machine gives to enclaves (lib/enclave/pool.h).
 */
#pragma once

#include "lib/enclave/enclave.h"
#include "lib/enclave/pool.h"

/* Takes the share of this process, for as long as it lives.  Where that comes with CPUs this process, and
 * whatever it starts, runs on these and no others.  The errors of pool_take(); -EINVAL where they aren't
 * to be had. */
int share_take(const char *folder, const struct enclave_info *info, struct pool_share *ret_share,
               struct error *err);
