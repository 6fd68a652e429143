/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool.h - the memory and the CPUs that this machine's administrator gives to enclaves, shared by all
 * users without a service.
 *
 * Theory of operation.  Each supervisor holds POSIX read locks on the folder of the configuration: a byte
 * for each MiB of memory, for each CPU and for the enclave itself, at offsets that are nobody else's.  So
 * what is in use is what the kernel says is locked, and by whom; it is given back when the supervisor
 * ends, by kill -9 as well; there is nothing to write, to sweep or to forge.  Reading the folder is all
 * the right that this takes.  Whoever looks and takes holds the folder's flock meanwhile, so that two at
 * once can't both take the last of it.
 *
 * It counts, and refuses, for those who use the programs as they are: a user who runs a QEMU of his own
 * needs no leave from us.  Against those there are control groups.
 */
#pragma once

#include "lib/enclave/pool-limits.h"

#define POOL_FOLDER "/etc/coffer"

/* What an enclave takes, for as long as the process lives that took it; `fd` must stay open, and no other
 * descriptor of that folder may be closed, which would give it back. */
struct pool_share {
        int fd; /* -1: nothing had to be taken */
        bool pinned;
        cpu_set_t cpus; /* pinned: those that the enclave may run on */
};

#define POOL_SHARE_NONE ((struct pool_share){.fd = -1})

/* Takes memory and CPUs for one enclave out of the pool that is configured in `folder` (POOL_FOLDER). 
 * Where there is no such folder there is no pool, and nothing is taken.  -EDQUOT: the text says what is
 * left, what is in use and by whom, and the setting; the errors of limits_read(); -ETIMEDOUT where
 * somebody keeps the pool from us. */
int pool_take(const char *folder, unsigned mem_mib, unsigned cpus, struct pool_share *ret_share,
              struct error *err);
