/* SPDX-License-Identifier: Apache-2.0 */
/* Resources as properties; values that systemd rounds (CPU quotas: to a percent) are rounded up, since the
 * exact one is written to the group's file behind it. */
#include "lib/container/systemd-resources.h"

#include "lib/base/text.h"
#include "lib/container/cgroup-internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* CPUs and memory nodes that a list can name: more than any kernel is built for. */
enum { LIST_MAX = 65536 };

/* The kernel's period where only a quota is given; systemd's step: a percent of a second; microseconds. */
enum { PERIOD_DEFAULT = 100000, QUOTA_STEP = 10000, SECOND = 1000000 };

/* ---- resources ----------------------------------------------------------------------------------------- */

/* -1 is systemd's "infinity" as well. */
static void add_limit(struct systemd_properties *properties, const char *name, struct optional_i64 limit)
{
        if (limit.set && limit.value != 0)
                systemd_property_add_number(properties, name, SYSTEMD_U64,
                                            limit.value < 0 ? UINT64_MAX : (uint64_t)limit.value);
}

static int add_memory(struct systemd_properties *properties, const struct spec_memory *memory, bool unified,
                      struct error *err)
{
        struct optional_i64 swap;

        add_limit(properties, unified ? "MemoryMax" : "MemoryLimit", memory->limit);
        if (!unified)
                return 0;
        add_limit(properties, "MemoryLow", memory->reservation);
        int r = cgroup_swap_of(memory->swap, memory->limit, &swap, err);
        if (r == 0 && swap.set)
                systemd_property_add_number(properties, "MemorySwapMax", SYSTEMD_U64,
                                            swap.value < 0 ? UINT64_MAX : (uint64_t)swap.value);
        return r;
}

static void add_quota(struct systemd_properties *properties, const struct spec_cpu *cpu)
{
        uint64_t period = cpu->period.set && cpu->period.value ? cpu->period.value : 0;
        uint64_t per_second = UINT64_MAX;

        if (period)
                systemd_property_add_number(properties, "CPUQuotaPeriodUSec", SYSTEMD_U64, period);
        if (!cpu->quota.set && !period)
                return;
        if (cpu->quota.set && cpu->quota.value > 0) {
                uint64_t quota = (uint64_t)cpu->quota.value;
                period = period ? period : PERIOD_DEFAULT;
                per_second = quota > UINT64_MAX / SECOND ? quota / period * SECOND : quota * SECOND / period;
                per_second += (QUOTA_STEP - per_second % QUOTA_STEP) % QUOTA_STEP;
        }
        systemd_property_add_number(properties, "CPUQuotaPerSecUSec", SYSTEMD_U64, per_second);
}

static void add_cpu(struct systemd_properties *properties, const struct spec_cpu *cpu, bool unified)
{
        if (cpu->shares.set && cpu->shares.value) {
                if (unified)
                        systemd_property_add_number(properties, "CPUWeight", SYSTEMD_U64,
                                                    cgroup_weight_of_shares(cpu->shares.value));
                else
                        systemd_property_add_number(properties, "CPUShares", SYSTEMD_U64, cpu->shares.value);
        }
        add_quota(properties, cpu);
}

/* One "a" or "a-b" of a list; the end must be at `end`. */
static bool set_range(const char *text, size_t n, uint8_t *bits, size_t *size)
{
        char range[32];
        uint64_t first, last;

        if (n >= sizeof(range))
                return false;
        memcpy(range, text, n);
        range[n] = 0;
        char *dash = strchr(range, '-');
        if (dash)
                *dash = 0;
        if (!parse_u64(range, LIST_MAX - 1, &first) ||
            !parse_u64(dash ? dash + 1 : range, LIST_MAX - 1, &last) || last < first)
                return false;
        for (uint64_t i = first; i <= last; i++)
                bits[i / 8] |= (uint8_t)(1u << i % 8);
        if (last / 8 + 1 > *size)
                *size = last / 8 + 1;
        return true;
}

/* "0-3,7" as systemd has it: a bit mask. */
static int add_list(struct systemd_properties *properties, const char *name, const char *list,
                    struct error *err)
{
        uint8_t *bits;
        size_t size = 0;

        if (!list || !*list)
                return 0;
        bits = calloc(1, LIST_MAX / 8);
        if (!bits)
                return error_oom(err);
        for (const char *at = list; *at;) {
                size_t n = strcspn(at, ", \n");
                if (n > 0 && !set_range(at, n, bits, &size)) {
                        free(bits);
                        return error_set(err, -EINVAL, "%s: \"%s\" is no list of numbers like 0-3,7", name,
                                         list);
                }
                at += n;
                at += *at != 0;
        }
        systemd_property_add_text(properties, name, SYSTEMD_BYTES, (char *)bits, size);
        return 0;
}

int systemd_property_add_resources(struct systemd_properties *properties,
                                   const struct spec_resources *resources, bool unified, struct error *err)
{
        const struct spec_block_io *io = &resources->block_io;

        int r = add_memory(properties, &resources->memory, unified, err);
        add_cpu(properties, &resources->cpu, unified);
        add_limit(properties, "TasksMax", resources->pids_limit);
        if (io->weight.set && io->weight.value && unified)
                systemd_property_add_number(properties, "IOWeight", SYSTEMD_U64,
                                            cgroup_io_weight_of(io->weight.value));
        else if (io->weight.set && io->weight.value)
                systemd_property_add_number(properties, "BlockIOWeight", SYSTEMD_U64, io->weight.value);
        if (r == 0)
                r = add_list(properties, "AllowedCPUs", resources->cpu.cpus, err);
        if (r == 0)
                r = add_list(properties, "AllowedMemoryNodes", resources->cpu.mems, err);
        return r < 0 || !properties->failed ? r : error_oom(err);
}

/* ---- device rules -------------------------------------------------------------------------------------- */

static void put_pair(struct buf *pairs, const struct spec_device_rule *rule, char type)
{
        const char *kind = type == 'b' ? "block" : "char";

        if (rule->major.set && rule->minor.set)
                buf_printf(pairs, "/dev/%s/%u:%u", kind, (unsigned)rule->major.value,
                           (unsigned)rule->minor.value);
        else if (rule->major.set)
                buf_printf(pairs, "%s-%u", kind, (unsigned)rule->major.value);
        else
                buf_printf(pairs, "%s-*", kind);
        buf_append_byte(pairs, 0);
        if (rule->access & SPEC_ACCESS_READ)
                buf_append_byte(pairs, 'r');
        if (rule->access & SPEC_ACCESS_WRITE)
                buf_append_byte(pairs, 'w');
        if (rule->access & SPEC_ACCESS_MKNOD)
                buf_append_byte(pairs, 'm');
        buf_append_byte(pairs, 0);
}

void systemd_property_add_devices(struct systemd_properties *properties, const struct spec_device_rule *rules,
                                  size_t n)
{
        struct buf pairs = buf_with_max(1 << 20);

        systemd_property_add_string(properties, "DevicePolicy", "strict");
        for (size_t i = 0; i < n; i++) {
                const struct spec_device_rule *rule = &rules[i];
                bool all = rule->type == 'a' && !rule->major.set && !rule->minor.set;
                /* What came before an allow or deny of everything is void. */
                if (all)
                        buf_consume(&pairs, pairs.n);
                if (!rule->allow || !(rule->access & 7) || (!rule->major.set && rule->minor.set))
                        continue;
                if (rule->type != 'b')
                        put_pair(&pairs, rule, 'c');
                if (rule->type != 'c')
                        put_pair(&pairs, rule, 'b');
        }
        if (pairs.failed)
                properties->failed = pairs.failed;
        else
                systemd_property_add_text(properties, "DeviceAllow", SYSTEMD_PAIRS, (char *)pairs.p, pairs.n);
        if (pairs.failed)
                buf_done(&pairs);
}

/* ---- annotations --------------------------------------------------------------------------------------- */

/* A quoted string at *text, which moves behind it, with "\x" as x. */
static bool take_quoted(const char **text, struct buf *value)
{
        char quote = **text;

        if (quote != '\'' && quote != '"')
                return false;
        const char *at = *text + 1;
        for (; *at && *at != quote; at++) {
                if (*at == '\\' && at[1])
                        at++;
                buf_append_byte(value, (uint8_t)*at);
        }
        if (*at != quote)
                return false;
        buf_append_byte(value, 0);
        *text = at + 1;
        return true;
}

/* "['a', 'b']" */
static bool take_strings(const char *text, struct buf *value)
{
        const char *at = text + 1;

        for (;;) {
                at += strspn(at, " ");
                if (!take_quoted(&at, value))
                        return *at == ']' && !at[1];
                at += strspn(at, " ");
                if (*at == ',')
                        at++;
                else if (*at != ']')
                        return false;
        }
}

static const struct {
        const char *prefix;
        enum systemd_property_type type;
        int64_t min;
        uint64_t max;
} number_types[] = {
        {"int32 ", SYSTEMD_I32, INT32_MIN, INT32_MAX}, {"uint32 ", SYSTEMD_U32, 0, UINT32_MAX},
        {"int64 ", SYSTEMD_I64, INT64_MIN, INT64_MAX}, {"uint64 ", SYSTEMD_U64, 0, UINT64_MAX},
        {"", SYSTEMD_I32, INT32_MIN, INT32_MAX},
};

static bool add_typed_number(struct systemd_properties *properties, const char *name, const char *text)
{
        for (size_t i = 0; i < ARRAY_SIZE(number_types); i++) {
                uint64_t value, limit = number_types[i].max;
                if (!string_starts_with(text, number_types[i].prefix))
                        continue;
                const char *digits = text + strlen(number_types[i].prefix);
                bool negative = *digits == '-';
                if (negative)
                        limit = (uint64_t)0 - (uint64_t)number_types[i].min;
                if (!parse_u64(digits + negative, limit, &value))
                        return false;
                systemd_property_add_number(properties, name, number_types[i].type,
                                            negative ? (uint64_t)0 - value : value);
                return true;
        }
        return false;
}

static bool add_value(struct systemd_properties *properties, const char *name, const char *text)
{
        bool truth = strcmp(text, "true") == 0;

        if (truth || strcmp(text, "false") == 0) {
                systemd_property_add_number(properties, name, SYSTEMD_BOOLEAN, truth);
                return true;
        }
        struct buf value = buf_with_max(1 << 16);
        const char *rest = text;
        bool is_strings = *text == '[' && take_strings(text, &value);
        bool is_string = !is_strings && *text != '[' && take_quoted(&rest, &value) && !*rest;
        if ((is_strings || is_string) && !value.failed) {
                systemd_property_add_text(properties, name, is_string ? SYSTEMD_STRING : SYSTEMD_STRINGS,
                                          (char *)value.p, value.n);
                return true;
        }
        buf_done(&value);
        return add_typed_number(properties, name, text);
}

/* Seconds, whole or not, as systemd's microseconds. */
static bool add_seconds(struct systemd_properties *properties, const char *name, const char *text)
{
        char micro[80];
        char *end;
        size_t n = strlen(name) - strlen("Sec");

        if (snprintf(micro, sizeof(micro), "%.*sUSec", (int)n, name) >= (int)sizeof(micro))
                return false;
        for (size_t i = 0; i < ARRAY_SIZE(number_types); i++)
                if (*number_types[i].prefix && string_starts_with(text, number_types[i].prefix))
                        text += strlen(number_types[i].prefix);
        double seconds = strtod(text, &end);
        if (end == text || *end || !(seconds >= 0) || seconds > 1e12)
                return false;
        systemd_property_add_number(properties, micro, SYSTEMD_U64, (uint64_t)(seconds * SECOND));
        return true;
}

static bool is_name(const char *name)
{
        static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

        return strlen(name) >= 3 && strlen(name) < 64 && !name[strspn(name, letters)];
}

static bool is_seconds(const char *name)
{
        size_t n = strlen(name);

        return n > 3 && string_ends_with(name, "Sec") && name[n - 4] >= 'a' && name[n - 4] <= 'z';
}

int systemd_property_add_annotations(struct systemd_properties *properties,
                                     const struct spec_pairs *annotations, struct error *err)
{
        static const char prefix[] = "org.systemd.property.";

        for (size_t i = 0; annotations && i < annotations->n; i++) {
                const struct spec_pair *pair = &annotations->items[i];
                if (!string_starts_with(pair->key, prefix))
                        continue;
                const char *name = pair->key + strlen(prefix);
                if (!is_name(name))
                        return error_set(err, -EINVAL,
                                         "annotation %s name incorrect: a property has letters alone, three "
                                         "at least",
                                         pair->key);
                if (!(is_seconds(name) ? add_seconds : add_value)(properties, name, pair->value))
                        return error_set(err, -EINVAL,
                                         "annotation %s=%s value parse error; write it like 'text', 5, true, "
                                         "uint64 5 or ['a', 'b']",
                                         pair->key, pair->value);
        }
        return properties->failed ? error_oom(err) : 0;
}
