/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory limits.
 *
 * config.json speaks v1: `swap` is memory and swap together.  v1 wants, at any moment, memory <= memory +
 * swap, so the order of the two writes depends on where the limits are.  v2 has a limit for swap alone:
 * the difference.
 */
#include "lib/container/cgroup-internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char v1_limit[] = "memory.limit_in_bytes", v1_swap[] = "memory.memsw.limit_in_bytes";

/* 0 is, for peers and by long habit of engines, "not given". */
static bool is_given(struct optional_i64 value)
{
        return value.set && value.value != 0;
}

int cgroup_swap_of(struct optional_i64 memory_and_swap, struct optional_i64 memory,
                   struct optional_i64 *ret_swap, struct error *err)
{
        int64_t both = memory_and_swap.value, limit = memory.value;

        *ret_swap = (struct optional_i64){.set = true, .value = -1};
        if (!is_given(memory_and_swap)) {
                /* Unlimited memory means unlimited swap, unless told otherwise. */
                ret_swap->set = is_given(memory) && limit < 0;
                return 0;
        }
        if (both < 0)
                return 0;
        if (!is_given(memory))
                return error_set(err, -EINVAL, "unable to set swap limit without memory limit");
        if (limit < 0) {
                ret_swap->value = both;
                return 0;
        }
        if (both < limit)
                return error_set(err, -EINVAL, "memory+swap limit should be >= memory limit");
        ret_swap->value = both - limit;
        return 0;
}

/* The limit must not be below what is used now. */
static int check_usage(const struct cgroup_hierarchy *h, const struct spec_memory *memory, struct error *err)
{
        uint64_t usage;

        if (!memory->check_before_update.set || !memory->check_before_update.value ||
            cgroup_file_read_u64(h, h->unified ? "memory.current" : "memory.usage_in_bytes", &usage) < 0)
                return 0;
        if (memory->swap.set && memory->swap.value > 0 && (uint64_t)memory->swap.value <= usage)
                return error_set(err, -EBUSY, "rejecting memory+swap limit %" PRId64 " <= usage %" PRIu64,
                                 memory->swap.value, usage);
        if (memory->limit.set && memory->limit.value > 0 && (uint64_t)memory->limit.value <= usage)
                return error_set(err, -EBUSY, "rejecting memory limit %" PRId64 " <= usage %" PRIu64,
                                 memory->limit.value, usage);
        return 0;
}

/* ---- v1 ------------------------------------------------------------------------------------------------ */

static int set_v1_limit(const struct cgroup_hierarchy *h, int64_t value, struct error *err)
{
        uint64_t usage = 0, peak = 0;
        int r = cgroup_file_set_limit(h, v1_limit, value, "-1", err);

        if (r != -EBUSY)
                return r;
        (void)cgroup_file_read_u64(h, "memory.usage_in_bytes", &usage);
        (void)cgroup_file_read_u64(h, "memory.max_usage_in_bytes", &peak);
        return error_set(err, r,
                         "unable to set memory limit to %" PRId64 " (current usage: %" PRIu64
                         ", peak usage: %" PRIu64 ")",
                         value, usage, peak);
}

static int set_v1_swap(const struct cgroup_hierarchy *h, int64_t value, struct error *err)
{
        int r = cgroup_file_set_limit(h, v1_swap, value, "-1", err);

        if (r == -ENOENT && value < 0)
                return 0;
        if (r == -ENOENT)
                error_hint(err, "the kernel doesn't count swap (boot it with swapaccount=1)");
        return r;
}

static int apply_v1_limits(const struct cgroup *cgroup, const struct cgroup_hierarchy *h,
                           const struct spec_memory *memory, struct error *err)
{
        int64_t limit = memory->limit.value, swap = memory->swap.value;
        bool has_limit = is_given(memory->limit), has_swap = is_given(memory->swap);
        bool swap_first = false;
        int r = 0;

        if (has_limit && limit < 0 && !has_swap) {
                has_swap = true;
                swap = -1;
        }
        if (has_limit && has_swap) {
                /* A group that we have just made is without limits, so that any memory limit goes first. */
                uint64_t now = UINT64_MAX;
                if (!cgroup->fresh && swap >= 0)
                        (void)cgroup_file_read_u64(h, v1_limit, &now);
                swap_first = swap < 0 || now < (uint64_t)swap;
        }
        if (swap_first)
                r = set_v1_swap(h, swap, err);
        if (r >= 0 && has_limit)
                r = set_v1_limit(h, limit, err);
        if (r >= 0 && has_swap && !swap_first)
                r = set_v1_swap(h, swap, err);
        return r;
}

/* Kernel memory has no limit of its own any more (Linux 5.16, and v2). */
static int apply_v1_kernel(const struct cgroup *cgroup, const struct cgroup_hierarchy *h, const char *file,
                           struct optional_i64 value, struct error *err)
{
        int r;

        if (!is_given(value))
                return 0;
        r = cgroup_file_set_limit(h, file, value.value, "-1", err);
        if (r == -ENOENT || r == -EOPNOTSUPP) {
                log_warning(cgroup->log, "%s: this kernel has no such limit; ignored", file);
                return 0;
        }
        return r;
}

static int apply_v1_behaviour(const struct cgroup *cgroup, const struct cgroup_hierarchy *h,
                              const struct spec_memory *memory, struct error *err)
{
        int r = 0;

        if (memory->use_hierarchy.set &&
            cgroup_file_write(h, "memory.use_hierarchy", memory->use_hierarchy.value ? "1" : "0") < 0)
                log_warning(cgroup->log,
                            "resources.memory.useHierarchy: this kernel knows no other way; ignored");
        if (memory->disable_oom_killer.set && (memory->disable_oom_killer.value || !cgroup->fresh))
                r = cgroup_file_set(h, "memory.oom_control", memory->disable_oom_killer.value ? "1" : "0",
                                    err);
        if (r >= 0 && memory->swappiness.set)
                r = cgroup_file_set_u64(h, "memory.swappiness", memory->swappiness.value, err);
        return r;
}

static int apply_v1(const struct cgroup *cgroup, const struct cgroup_hierarchy *h,
                    const struct spec_memory *memory, struct error *err)
{
        /* While a group has processes its way of counting can't change: hence behaviour first. */
        int r = apply_v1_behaviour(cgroup, h, memory, err);

        if (r >= 0)
                r = apply_v1_limits(cgroup, h, memory, err);
        if (r >= 0 && is_given(memory->reservation))
                r = cgroup_file_set_limit(h, "memory.soft_limit_in_bytes", memory->reservation.value, "-1",
                                          err);
        if (r >= 0)
                r = apply_v1_kernel(cgroup, h, "memory.kmem.limit_in_bytes", memory->kernel, err);
        if (r >= 0)
                r = apply_v1_kernel(cgroup, h, "memory.kmem.tcp.limit_in_bytes", memory->kernel_tcp, err);
        return r;
}

/* ---- v2 ------------------------------------------------------------------------------------------------ */

static int apply_v2_swap(const struct cgroup_hierarchy *h, const struct spec_memory *memory,
                         struct error *err)
{
        struct optional_i64 limit = memory->limit, swap;
        uint64_t now;
        int r;

        /* Swap alone is told against the memory limit that there is. */
        if (is_given(memory->swap) && memory->swap.value > 0 && !is_given(limit) &&
            cgroup_file_read_u64(h, "memory.max", &now) == 0 && now <= INT64_MAX)
                limit = (struct optional_i64){.set = true, .value = (int64_t)now};
        r = cgroup_swap_of(memory->swap, limit, &swap, err);
        if (r < 0 || !swap.set)
                return r;
        r = cgroup_file_set_limit(h, "memory.swap.max", swap.value, "max", err);
        if (r == -ENOENT && swap.value <= 0)
                return 0;
        if (r == -ENOENT)
                error_hint(err, "the kernel doesn't count swap (boot it with swapaccount=1)");
        return r;
}

static int apply_v2(const struct cgroup *cgroup, const struct cgroup_hierarchy *h,
                    const struct spec_memory *memory, struct error *err)
{
        const struct {
                const char *setting;
                bool asked;
        } unknown[] = {
                {"kernel", is_given(memory->kernel)},
                {"kernelTCP", is_given(memory->kernel_tcp)},
                {"swappiness", memory->swappiness.set},
                {"disableOOMKiller", memory->disable_oom_killer.set && memory->disable_oom_killer.value},
                {"useHierarchy", memory->use_hierarchy.set && !memory->use_hierarchy.value},
        };
        int r = apply_v2_swap(h, memory, err);

        for (size_t i = 0; i < ARRAY_SIZE(unknown); i++)
                if (unknown[i].asked)
                        log_warning(cgroup->log,
                                    "resources.memory.%s: cgroup v2 has no such setting; ignored",
                                    unknown[i].setting);
        if (r >= 0 && is_given(memory->limit))
                r = cgroup_file_set_limit(h, "memory.max", memory->limit.value, "max", err);
        if (r >= 0 && is_given(memory->reservation))
                r = cgroup_file_set_limit(h, "memory.low", memory->reservation.value, "max", err);
        return r;
}

int cgroup_apply_memory(struct cgroup *cgroup, const struct spec_resources *resources, struct error *err)
{
        const struct spec_memory *memory = &resources->memory;
        bool limits = is_given(memory->limit) || is_given(memory->swap) || is_given(memory->reservation);
        bool asks = (memory->limit.set && memory->limit.value > 0) ||
                    (memory->swap.set && memory->swap.value > 0) ||
                    (memory->reservation.set && memory->reservation.value > 0);
        bool others = memory->swappiness.set || memory->disable_oom_killer.set || memory->use_hierarchy.set ||
                      is_given(memory->kernel) || is_given(memory->kernel_tcp);
        struct cgroup_hierarchy *h;
        int r;

        if (!limits && !others)
                return 0;
        h = cgroup_with(cgroup, CGROUP_MEMORY);
        if (!h && !asks) {
                log_debug(cgroup->log, "resources.memory: nothing that needs a memory controller");
                return 0;
        }
        r = cgroup_require(cgroup, CGROUP_MEMORY, "memory", &h, err);
        if (r >= 0)
                r = check_usage(h, memory, err);
        if (r < 0)
                return r;
        return h->unified ? apply_v2(cgroup, h, memory, err) : apply_v1(cgroup, h, memory, err);
}
