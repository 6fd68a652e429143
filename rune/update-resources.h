/* SPDX-License-Identifier: Apache-2.0 */
/*
 * update-resources.h - the options of `update` as the resources object that they stand for.
 */
#pragma once

#include "rune/rune.h"

struct update_values {
        const char *resources;
        struct optional_i64 blkio_weight, pids_limit;
        const char *cpu_period, *cpu_quota, *cpu_burst, *cpu_share, *cpu_rt_period, *cpu_rt_runtime,
                *cpu_idle;
        const char *cpuset_cpus, *cpuset_mems;
        const char *memory, *memory_reservation, *memory_swap, *kernel_memory, *kernel_memory_tcp;
        const char *l3_cache_schema, *mem_bw_schema;
};

/* Sets in *resources, which must be zeroed, what is given in `values`; texts stay theirs.  -EINVAL with the
 * option at fault. */
int update_resources_of(const struct update_values *values, struct spec_resources *resources,
                        struct error *err);
