/* SPDX-License-Identifier: Apache-2.0 */
#include "pal/vm/translate-resources.h"

#include "lib/base/array.h"
#include "lib/base/cleanup.h"
#include "lib/base/text.h"
#include "lib/container/device-filter.h"
#include "lib/container/device-rules.h"

#include <inttypes.h>
#include <limits.h>
#include <string.h>

enum { MIB = 1024 * 1024, PERIOD_DEFAULT = 100000 /* microseconds, the kernel's */ };

/* ---- what can't be ------------------------------------------------------------------------------------- */

static int check(const struct spec_resources *resources, const struct translate_policy *policy,
                 struct error *err)
{
        const struct spec_memory *memory = &resources->memory;
        const struct spec_cpu *cpu = &resources->cpu;
        const struct {
                const char *name;
                bool wanted;
        } members[] = {
                {"resources.memory.kernel", memory->kernel.set && memory->kernel.value > 0},
                {"resources.memory.kernelTCP", memory->kernel_tcp.set && memory->kernel_tcp.value > 0},
                {"resources.memory.disableOOMKiller",
                 memory->disable_oom_killer.set && memory->disable_oom_killer.value},
                {"resources.cpu.realtimeRuntime",
                 cpu->realtime_runtime.set && cpu->realtime_runtime.value != 0},
                {"resources.cpu.mems", cpu->mems && *cpu->mems},
        };
        int r = 0;

        for (size_t i = 0; r == 0 && i < ARRAY_SIZE(members); i++) {
                if (members[i].wanted)
                        r = translate_refuse(policy, err, "%s", members[i].name);
        }
        return r;
}

/* ---- the machine's ------------------------------------------------------------------------------------- */

/* How many CPUs a list such as "0-3,7" has; 0 where it can't be read. */
static unsigned count_cpus(const char *list)
{
        uint64_t first, last;
        unsigned n = 0;

        while (list && *list && take_u64(&list, INT_MAX, &first)) {
                last = first;
                if (*list == '-' && (list++, !take_u64(&list, INT_MAX, &last)))
                        return 0;
                if (last >= first)
                        n += (unsigned)(last - first + 1);
                list += *list == ',';
        }
        return n;
}

static uint64_t period_of(const struct spec_cpu *cpu)
{
        return cpu->period.set && cpu->period.value > 0 ? cpu->period.value : PERIOD_DEFAULT;
}

static void size_machine(const struct spec_resources *resources, struct translated *translated)
{
        const struct spec_cpu *cpu = &resources->cpu;
        int64_t limit = resources->memory.limit.set ? resources->memory.limit.value : -1;

        if (limit > 0)
                translated->mem_mib = limit / MIB < INT_MAX ? (unsigned)(limit / MIB) : 0;
        if (limit > 0 && limit < MIB)
                translated->mem_mib = 1;
        translated->host_cpus = cpu->cpus && *cpu->cpus ? cpu->cpus : NULL;
        translated->cpus = count_cpus(cpu->cpus);
        if (cpu->quota.set && cpu->quota.value > 0) {
                uint64_t quota = (uint64_t)cpu->quota.value, period = period_of(cpu);
                uint64_t n = quota / period + (quota % period != 0);
                if (translated->cpus == 0 || n < translated->cpus)
                        translated->cpus = n < INT_MAX ? (unsigned)n : 0;
        }
}

/* ---- the control group inside -------------------------------------------------------------------------- */

static int add_limit(struct service_container *container, const char *name, const char *value,
                     struct error *err)
{
        const struct service_limit_file limit = {.name = name, .value = value};

        if (!value || array_grow(&container->limits, container->n_limits, sizeof(limit)) < 0)
                return error_oom(err);
        container->limits[container->n_limits++] = limit;
        return 0;
}

static int add_cpu(const struct spec_cpu *cpu, struct arena *arena, struct service_container *container,
                   struct error *err)
{
        if (!cpu->quota.set || cpu->quota.value <= 0)
                return 0;
        int r = add_limit(container, "cpu.max",
                          arena_printf(arena, "%" PRId64 " %" PRIu64, cpu->quota.value, period_of(cpu)), err);
        if (r == 0 && cpu->burst.set && cpu->burst.value > 0)
                r = add_limit(container, "cpu.max.burst", arena_printf(arena, "%" PRIu64, cpu->burst.value),
                              err);
        return r;
}

/* Files that mean the same inside.  Others are about the host: its CPUs, disks, and who else is on it. */
static bool means_the_same(const char *file)
{
        return string_starts_with(file, "pids.") || string_starts_with(file, "memory.") ||
               string_starts_with(file, "cpu.max");
}

static int add_unified(const struct spec_pairs *unified, const struct translate_policy *policy,
                       struct service_container *container, struct error *err)
{
        int r = 0;

        for (size_t i = 0; r == 0 && i < unified->n; i++) {
                const struct spec_pair *pair = &unified->items[i];
                r = means_the_same(pair->key)
                            ? add_limit(container, pair->key, pair->value, err)
                            : translate_refuse(policy, err, "resources.unified.%s", pair->key);
        }
        return r;
}

static int add_device_filter(const struct spec_resources *resources, struct arena *arena,
                             struct service_container *container, struct error *err)
{
        cleanup_free struct spec_device_rule *rules = NULL;
        cleanup_free struct bpf_insn *instructions = NULL;
        size_t n_rules = 0, n = 0;
        int r = device_rules_complete(resources, &rules, &n_rules, err);

        if (r == 0)
                r = device_filter_make(rules, n_rules, &instructions, &n, err);
        if (r < 0)
                return r;
        struct bpf_insn *copy = arena_alloc(arena, n, sizeof(*copy));
        if (!copy)
                return error_oom(err);
        memcpy(copy, instructions, n * sizeof(*copy));
        container->device_filter = view_of(copy, n * sizeof(*copy));
        return 0;
}

int translate_resources(const struct spec_resources *resources, struct arena *arena,
                        const struct translate_policy *policy, struct translated *translated,
                        struct error *err)
{
        struct service_container *container = &translated->container;
        int r = check(resources, policy, err);

        size_machine(resources, translated);
        if (r == 0 && resources->pids_limit.set && resources->pids_limit.value > 0)
                r = add_limit(container, "pids.max",
                              arena_printf(arena, "%" PRId64, resources->pids_limit.value), err);
        if (r == 0)
                r = add_cpu(&resources->cpu, arena, container, err);
        if (r == 0)
                r = add_unified(&resources->unified, policy, container, err);
        return r < 0 ? r : add_device_filter(resources, arena, container, err);
}
