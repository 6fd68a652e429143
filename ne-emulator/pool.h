/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool.h - the CPUs that enclaves may have: the driver's parameter ne_cpus, and its rules for handing them
 * out (Linux, drivers/virt/nitro_enclaves/ne_misc_dev.c).
 *
 * CPUs of a core lie side by side.  An enclave gets whole cores: with its first CPU of one it owns the core,
 * and it cannot start before it has added all CPUs of the cores that it owns.  CPU 0 and its core stay the
 * parent's.
 */
#pragma once

#include "lib/base/buf.h"
#include "lib/base/error.h"

#include <stdbool.h>
#include <stdint.h>

enum { POOL_CPUS_MAX = 1024, POOL_THREADS_MAX = 8 };

struct pool {
        unsigned threads;              /* of a core */
        unsigned end;                  /* numbers below it are CPUs of this machine */
        bool member[POOL_CPUS_MAX];    /* is one of ne_cpus */
        bool available[POOL_CPUS_MAX]; /* ... and no enclave owns its core */
};

/* What of it one enclave has. */
struct pool_share {
        bool owned[POOL_CPUS_MAX]; /* its core is the enclave's */
        bool used[POOL_CPUS_MAX];  /* it was added */
        unsigned n_used;
};

/* Reads a list as "2-7,10,11" for cores of `threads` CPUs.  -EINVAL says what is wrong: a number out of
 * range, CPU 0's core, or a core that is not whole. */
int pool_parse(const char *list, unsigned threads, struct pool *ret_pool, struct error *err);

/* Appends the pool's CPUs as such a list. 0 or as buf_append(). */
int pool_format(const struct pool *pool, struct buf *b);

/* True where no core is left. */
bool pool_is_empty(const struct pool *pool);

/* Chooses a CPU (*cpu is 0) or checks the one named, and gives its core to the share.  0, or the driver's
 * errno, negative: NE_ERR_INVALID_VCPU and so on. */
int pool_choose(struct pool *pool, struct pool_share *share, uint32_t *cpu);

/* The CPU that pool_choose() gave is the enclave's now. */
void pool_use(struct pool_share *share, uint32_t cpu);

/* Takes back pool_use(); the core stays with the share. */
void pool_unuse(struct pool_share *share, uint32_t cpu);

/* True where all CPUs of all its cores were added. */
bool pool_share_is_whole(const struct pool_share *share);

/* Gives back all that a share has. */
void pool_release(struct pool *pool, struct pool_share *share);
