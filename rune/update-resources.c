/* SPDX-License-Identifier: Apache-2.0 */
#include "rune/update-resources.h"
#include "lib/base/text.h"
#include "rune/amounts.h"

#include <string.h>

/* The readers of one option's text, to the member of struct spec_resources. */

static bool read_unsigned(const char *text, void *member)
{
        struct optional_u64 *number = member;

        number->set = parse_u64(text, UINT64_MAX, &number->value);
        return number->set;
}

static bool read_signed(const char *text, void *member)
{
        struct optional_i64 *number = member;

        number->set = parse_i64(text, &number->value);
        return number->set;
}

static bool read_idle(const char *text, void *member)
{
        struct optional_i64 *number = member;

        return read_signed(text, number) && (number->value == 0 || number->value == 1);
}

static bool read_size(const char *text, void *member)
{
        struct optional_i64 *number = member;

        number->set = true;
        if (strcmp(text, "-1") != 0)
                return parse_ram_size(text, &number->value);
        number->value = -1;
        return true;
}

static bool read_text(const char *text, void *member)
{
        *(const char **)member = text;
        return true;
}

#define SETTING(option_, values_member, resources_member, read_)                                             \
        {                                                                                                    \
                .option = (option_), .from = offsetof(struct update_values, values_member),                  \
                .to = offsetof(struct spec_resources, resources_member), .read = (read_)                     \
        }

static const struct {
        const char *option;
        size_t from;
        size_t to;
        bool (*read)(const char *text, void *member);
} settings[] = {
        SETTING("cpu-period", cpu_period, cpu.period, read_unsigned),
        SETTING("cpu-burst", cpu_burst, cpu.burst, read_unsigned),
        SETTING("cpu-share", cpu_share, cpu.shares, read_unsigned),
        SETTING("cpu-rt-period", cpu_rt_period, cpu.realtime_period, read_unsigned),
        SETTING("cpu-quota", cpu_quota, cpu.quota, read_signed),
        SETTING("cpu-rt-runtime", cpu_rt_runtime, cpu.realtime_runtime, read_signed),
        SETTING("cpu-idle", cpu_idle, cpu.idle, read_idle),
        SETTING("cpuset-cpus", cpuset_cpus, cpu.cpus, read_text),
        SETTING("cpuset-mems", cpuset_mems, cpu.mems, read_text),
        SETTING("memory", memory, memory.limit, read_size),
        SETTING("memory-reservation", memory_reservation, memory.reservation, read_size),
        SETTING("memory-swap", memory_swap, memory.swap, read_size),
        SETTING("kernel-memory", kernel_memory, memory.kernel, read_size),
        SETTING("kernel-memory-tcp", kernel_memory_tcp, memory.kernel_tcp, read_size),
};

int update_resources_of(const struct update_values *values, struct spec_resources *resources,
                        struct error *err)
{
        for (size_t i = 0; i < ARRAY_SIZE(settings); i++) {
                const char *text = *(const char *const *)((const char *)values + settings[i].from);

                if (text && *text && !settings[i].read(text, (char *)resources + settings[i].to))
                        return error_set(err, -EINVAL, "invalid value for %s: \"%s\"", settings[i].option,
                                         text);
        }
        if (values->blkio_weight.set && values->blkio_weight.value != 0) {
                if (values->blkio_weight.value < 10 || values->blkio_weight.value > 1000)
                        return error_set(err, -EINVAL,
                                         "invalid value for blkio-weight: %lld; it is from 10 to 1000",
                                         (long long)values->blkio_weight.value);
                resources->block_io.weight =
                        (struct optional_u64){.set = true, .value = (uint64_t)values->blkio_weight.value};
        }
        resources->pids_limit = values->pids_limit;
        return 0;
}
