/* SPDX-License-Identifier: Apache-2.0 */
#include "ne-emulator/pool.h"

#include "lib/base/text.h"

#include <linux/nitro_enclaves.h>
#include <string.h>

/* ---- the list ---- */

/* One "N" or "N-M". */
static bool take_range(const char **at, uint64_t *ret_first, uint64_t *ret_last)
{
        if (!take_u64(at, POOL_CPUS_MAX - 1, ret_first))
                return false;
        *ret_last = *ret_first;
        if (**at != '-')
                return true;
        (*at)++;
        return take_u64(at, POOL_CPUS_MAX - 1, ret_last) && *ret_last >= *ret_first;
}

static int check_cores(const struct pool *pool, struct error *err)
{
        for (unsigned cpu = 0; cpu < POOL_CPUS_MAX; cpu++) {
                if (!pool->member[cpu])
                        continue;
                unsigned core = cpu / pool->threads * pool->threads;
                if (core == 0)
                        return error_set(err, -EINVAL, "CPU %u is of CPU 0's core, which stays the parent's",
                                         cpu);
                for (unsigned i = core; i < core + pool->threads; i++) {
                        if (i >= POOL_CPUS_MAX || !pool->member[i])
                                return error_set(err, -EINVAL,
                                                 "CPU %u is of a core with CPU %u, which is missing: a pool "
                                                 "has whole cores",
                                                 cpu, i);
                }
        }
        return 0;
}

int pool_parse(const char *list, unsigned threads, struct pool *ret_pool, struct error *err)
{
        struct pool pool = {.threads = threads};
        uint64_t first, last;

        if (threads < 1 || threads > POOL_THREADS_MAX)
                return error_set(err, -EINVAL, "a core has 1 to %d CPUs", POOL_THREADS_MAX);
        for (const char *at = list; *list; at++) {
                if (!take_range(&at, &first, &last) || (*at != ',' && *at != '\0'))
                        return error_set(err, -EINVAL, "%s: a list of CPUs is like 2-7,10,11, up to %d", list,
                                         POOL_CPUS_MAX - 1);
                for (uint64_t cpu = first; cpu <= last; cpu++)
                        pool.member[cpu] = true;
                pool.end = last + 1 > pool.end ? (unsigned)last + 1 : pool.end;
                if (*at == '\0')
                        break;
        }
        int r = check_cores(&pool, err);
        if (r < 0)
                return r;
        memcpy(pool.available, pool.member, sizeof(pool.available));
        *ret_pool = pool;
        return 0;
}

int pool_format(const struct pool *pool, struct buf *b)
{
        int r = 0;

        for (unsigned cpu = 0; cpu < pool->end && r == 0; cpu++) {
                unsigned last = cpu;
                if (!pool->member[cpu])
                        continue;
                while (last + 1 < pool->end && pool->member[last + 1])
                        last++;
                r = buf_printf(b, last > cpu ? "%s%u-%u" : "%s%u", b->n > 0 ? "," : "", cpu, last);
                cpu = last;
        }
        return r;
}

/* ---- handing out ---- */

static unsigned first_available(const struct pool *pool)
{
        unsigned cpu = 0;

        while (cpu < pool->end && !pool->available[cpu])
                cpu++;
        return cpu;
}

bool pool_is_empty(const struct pool *pool)
{
        return first_available(pool) == pool->end;
}

static void own_core(struct pool *pool, struct pool_share *share, unsigned cpu)
{
        unsigned core = cpu / pool->threads * pool->threads;

        for (unsigned i = core; i < core + pool->threads; i++) {
                share->owned[i] = pool->available[i];
                pool->available[i] = false;
        }
}

int pool_choose(struct pool *pool, struct pool_share *share, uint32_t *cpu)
{
        if (*cpu >= pool->end)
                return -NE_ERR_INVALID_VCPU;
        if (*cpu != 0) {
                if (share->used[*cpu])
                        return -NE_ERR_VCPU_ALREADY_USED;
                if (share->owned[*cpu])
                        return 0;
                if (!pool->available[*cpu])
                        return -NE_ERR_VCPU_NOT_IN_CPU_POOL;
                own_core(pool, share, *cpu);
                return 0;
        }
        for (unsigned i = 0; i < pool->end; i++) {
                if (share->owned[i] && !share->used[i]) {
                        *cpu = i;
                        return 0;
                }
        }
        if (pool_is_empty(pool))
                return -NE_ERR_NO_CPUS_AVAIL_IN_POOL;
        *cpu = first_available(pool);
        own_core(pool, share, *cpu);
        return 0;
}

void pool_use(struct pool_share *share, uint32_t cpu)
{
        share->used[cpu] = true;
        share->n_used++;
}

void pool_unuse(struct pool_share *share, uint32_t cpu)
{
        share->used[cpu] = false;
        share->n_used--;
}

bool pool_share_is_whole(const struct pool_share *share)
{
        return memcmp(share->owned, share->used, sizeof(share->owned)) == 0;
}

void pool_release(struct pool *pool, struct pool_share *share)
{
        for (unsigned cpu = 0; cpu < pool->end; cpu++)
                pool->available[cpu] |= share->owned[cpu];
        *share = (struct pool_share){.n_used = 0};
}
