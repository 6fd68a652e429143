/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/buf.h"
#include "lib/base/fd.h"
#include "lib/base/file.h"
#include "lib/container/spec-parse.h"
#include "rune/commands.h"
#include "rune/update-resources.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static const struct option options[] = {
        {.name = "resources",
         .letter = 'r',
         OPTION_TEXT_IN(struct update_values, resources),
         .metavar = "FILE",
         .summary = "limits as config.json has them in linux.resources, - for standard input; the options "
                    "below, but for the schemata, then count for nothing"},
        {.name = "blkio-weight",
         OPTION_INTEGER_IN(struct update_values, blkio_weight),
         .metavar = "N",
         .summary = "share of block I/O, 10 to 1000"},
        {.name = "cpu-period",
         OPTION_TEXT_IN(struct update_values, cpu_period),
         .metavar = "US",
         .summary = "period that --cpu-quota counts for, in microseconds"},
        {.name = "cpu-quota",
         OPTION_TEXT_IN(struct update_values, cpu_quota),
         .metavar = "US",
         .summary = "CPU time in each period, in microseconds; -1 for no limit"},
        {.name = "cpu-burst",
         OPTION_TEXT_IN(struct update_values, cpu_burst),
         .metavar = "US",
         .summary = "CPU time that may be saved up beyond the quota, in microseconds"},
        {.name = "cpu-share",
         OPTION_TEXT_IN(struct update_values, cpu_share),
         .metavar = "N",
         .summary = "CPU shares, relative to other containers"},
        {.name = "cpu-rt-period",
         OPTION_TEXT_IN(struct update_values, cpu_rt_period),
         .metavar = "US",
         .summary = "period that --cpu-rt-runtime counts for, in microseconds"},
        {.name = "cpu-rt-runtime",
         OPTION_TEXT_IN(struct update_values, cpu_rt_runtime),
         .metavar = "US",
         .summary = "realtime CPU time in each period, in microseconds"},
        {.name = "cpu-idle",
         OPTION_TEXT_IN(struct update_values, cpu_idle),
         .metavar = "N",
         .summary = "1: run when nothing else does (SCHED_IDLE), 0: as usual"},
        {.name = "cpuset-cpus",
         OPTION_TEXT_IN(struct update_values, cpuset_cpus),
         .metavar = "LIST",
         .summary = "CPUs to use, as 0-3,7"},
        {.name = "cpuset-mems",
         OPTION_TEXT_IN(struct update_values, cpuset_mems),
         .metavar = "LIST",
         .summary = "memory nodes to use"},
        {.name = "memory",
         OPTION_TEXT_IN(struct update_values, memory),
         .metavar = "SIZE",
         .summary = "memory, in bytes or as 512M; -1 for no limit"},
        {.name = "memory-reservation",
         OPTION_TEXT_IN(struct update_values, memory_reservation),
         .metavar = "SIZE",
         .summary = "memory that is left to it when the host runs short"},
        {.name = "memory-swap",
         OPTION_TEXT_IN(struct update_values, memory_swap),
         .metavar = "SIZE",
         .summary = "memory and swap together; -1 for no limit"},
        {.name = "kernel-memory",
         OPTION_TEXT_IN(struct update_values, kernel_memory),
         .hidden = true,
         .metavar = "SIZE",
         .summary = "gone from the kernel"},
        {.name = "kernel-memory-tcp",
         OPTION_TEXT_IN(struct update_values, kernel_memory_tcp),
         .hidden = true,
         .metavar = "SIZE",
         .summary = "gone from the kernel"},
        {.name = "pids-limit",
         OPTION_INTEGER_IN(struct update_values, pids_limit),
         .metavar = "N",
         .summary = "how many processes there may be; -1 for no limit"},
        {.name = "l3-cache-schema",
         OPTION_TEXT_IN(struct update_values, l3_cache_schema),
         .metavar = "SCHEMA",
         .summary = "Intel RDT: which parts of the L3 cache, as L3:0=7f0;1=f0"},
        {.name = "mem-bw-schema",
         OPTION_TEXT_IN(struct update_values, mem_bw_schema),
         .metavar = "SCHEMA",
         .summary = "Intel RDT: memory bandwidth, as MB:0=20;1=70"},
};

/* An empty text is none. */
static const char *given(const char *text)
{
        return text && *text ? text : NULL;
}

static int read_resources(const char *path, struct buf *text, struct error *err)
{
        bool standard_input = strcmp(path, "-") == 0;
        cleanup_fd int opened = standard_input ? -1 : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

        if (!standard_input && opened < 0)
                return error_errno(err, errno, "--resources %s", path);
        int r = file_read_fd(standard_input ? STDIN_FILENO : opened, SPEC_TEXT_MAX, text);
        return r < 0 ? error_errno(err, -r, "--resources %s", path) : 0;
}

static int update_from_file(struct rune *rune, const char *id, const char *path, struct error *err)
{
        cleanup_buf struct buf text = {0};
        cleanup_arena struct arena arena = ARENA_NONE;
        struct spec_resources *resources;
        int r = read_resources(path, &text, err);

        if (r == 0)
                r = arena_new_private(&arena, err);
        if (r == 0)
                r = spec_parse_resources(buf_view(&text), &arena, &rune->messages.log, &resources, err);
        return r < 0 ? r : container_update(&rune->engine, id, resources, err);
}

/* First of all: where it can't be, nothing is changed. */
static int update_rdt(struct rune *rune, const char *id, const struct update_values *values,
                      struct error *err)
{
        const struct spec_intel_rdt spec = {
                .l3_cache_schema = given(values->l3_cache_schema),
                .mem_bw_schema = given(values->mem_bw_schema),
        };

        return spec.l3_cache_schema || spec.mem_bw_schema
                       ? container_update_rdt(&rune->engine, id, &spec, err)
                       : 0;
}

static int check(const void *values, const struct operands *operands, struct error *err)
{
        const struct update_values *v = values;
        struct spec_resources resources = {0};

        (void)operands;
        return given(v->resources) ? 0 : update_resources_of(v, &resources, err);
}

static int run(struct rune *rune, const void *values, const struct operands *operands, int *ret_status,
               struct error *err)
{
        const struct update_values *v = values;
        const char *id = operands->items[0];
        struct spec_resources resources = {0};

        (void)ret_status;
        int r = given(v->resources) ? 0 : update_resources_of(v, &resources, err);
        if (r == 0)
                r = update_rdt(rune, id, v, err);
        if (r < 0)
                return r;
        if (given(v->resources))
                return update_from_file(rune, id, v->resources, err);
        if (resources.memory.kernel.set || resources.memory.kernel_tcp.set)
                log_warning(&rune->messages.log,
                            "kernel memory limits are gone from the kernel; they are ignored");
        return container_update(&rune->engine, id, &resources, err);
}

const struct command rune_update = {
        .name = "update",
        .summary = "change the limits of a container",
        .usage = "<container-id>",
        .description = "What isn't given stays as it is.  Sizes are in bytes, or have k, m, g, t or p (1024 "
                       "each) behind\n"
                       "them.",
        .options = {.options = options, .n = ARRAY_SIZE(options)},
        .values_size = sizeof(struct update_values),
        .min_operands = 1,
        .max_operands = 1,
        .check = check,
        .run = run,
};
