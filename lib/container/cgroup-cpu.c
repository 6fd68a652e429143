/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPU time: shares, quota, burst, idle, realtime.
 *
 * Shares become a weight by the formula that runc and crun took up in 2025: a quadratic one in the exponent
 * through (2, 1), (1024, 100) and (262144, 10000), so that the default of either version is the default of
 * the other.  The linear one before it made 39 of 1024.
 */
#include "lib/base/text.h"
#include "lib/container/cgroup-internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { SHARES_MIN = 2, SHARES_MAX = 262144, WEIGHT_MAX = 10000 };

/* log2 and 2^x by themselves, since libm would be one more library to load. Both are exact to 1e-15 or so,
 * for x >= 1. */
static double log2_of(double x)
{
        double whole = 0;

        while (x >= 2) {
                x /= 2;
                whole++;
        }
        /* ln x = 2 artanh((x - 1) / (x + 1)) */
        double t = (x - 1) / (x + 1), power = t, sum = 0;
        for (int i = 1; i < 60; i += 2) {
                sum += power / i;
                power *= t * t;
        }
        return whole + 2 * sum / 0.69314718055994530942;
}

static double exp2_of(double x)
{
        double result = 1, term = 1, sum = 1;

        while (x >= 1) {
                result *= 2;
                x--;
        }
        for (int i = 1; i < 30; i++) {
                term *= x * 0.69314718055994530942 / i;
                sum += term;
        }
        return result * sum;
}

uint64_t cgroup_weight_of_shares(uint64_t shares)
{
        const double log2_of_10 = 3.32192809488736234787;

        if (shares == 0)
                return 0;
        if (shares <= SHARES_MIN)
                return 1;
        if (shares >= SHARES_MAX)
                return WEIGHT_MAX;
        double l = log2_of((double)shares);
        double exponent = (l * l + 125 * l) / 612.0 - 7.0 / 34.0;
        double weight = exp2_of(exponent * log2_of_10);
        uint64_t whole = (uint64_t)weight;
        /* Rounded up, but for what only the arithmetic has put above a whole number. */
        return weight - (double)whole > 1e-9 ? whole + 1 : whole;
}

/* ---- quota, period, burst ------------------------------------------------------------------------------ */

/* In v1 each is a file of its own, and the kernel refuses what doesn't go together for the moment: what
 * it refused is written once more behind the quota. */
static int apply_v1_bandwidth(const struct cgroup_hierarchy *h, const struct spec_cpu *cpu, struct error *err)
{
        const struct {
                const char *file;
                struct optional_u64 value;
                bool may_lack;
        } around[] = {
                {"cpu.cfs_period_us", {cpu->period.set && cpu->period.value, cpu->period.value}, false},
                {"cpu.cfs_burst_us", cpu->burst, cpu->burst.value == 0},
        };
        bool has_quota = cpu->quota.set && cpu->quota.value != 0;
        bool again[ARRAY_SIZE(around)] = {false};
        int r;

        for (size_t i = 0; i < ARRAY_SIZE(around); i++) {
                if (!around[i].value.set)
                        continue;
                r = cgroup_file_set_u64(h, around[i].file, around[i].value.value, err);
                if (r == -EINVAL && has_quota)
                        again[i] = true;
                else if (r < 0 && !(r == -ENOENT && around[i].may_lack))
                        return r;
        }
        if (has_quota) {
                r = cgroup_file_set_limit(h, "cpu.cfs_quota_us", cpu->quota.value, "-1", err);
                if (r < 0)
                        return r;
        }
        for (size_t i = 0; i < ARRAY_SIZE(around); i++) {
                r = again[i] ? cgroup_file_set_u64(h, around[i].file, around[i].value.value, err) : 0;
                if (r < 0)
                        return r;
        }
        return 0;
}

/* What cpu.max says now, for the half that isn't given. */
static void read_v2_max(const struct cgroup_hierarchy *h, char ret_quota[32], uint64_t *ret_period)
{
        char text[64];

        if (cgroup_file_read(h, "cpu.max", text, sizeof(text)) <= 0)
                return;
        size_t n = strcspn(text, " ");
        const char *period = text + n + (text[n] == ' ');
        if (n == 0 || n > 31 || !take_u64(&period, UINT64_MAX, ret_period))
                return;
        memcpy(ret_quota, text, n);
        ret_quota[n] = 0;
}

static int apply_v2_bandwidth(const struct cgroup *cgroup, const struct cgroup_hierarchy *h,
                              const struct spec_cpu *cpu, struct error *err)
{
        bool has_quota = cpu->quota.set && cpu->quota.value != 0,
             has_period = cpu->period.set && cpu->period.value;
        bool burst_later = false;
        char quota[32] = "max", text[64];
        uint64_t period = 100000;
        int r;

        if (cpu->burst.set) {
                r = cgroup_file_set_u64(h, "cpu.max.burst", cpu->burst.value, err);
                burst_later = r == -EINVAL && has_quota;
                if (r < 0 && !burst_later && !(r == -ENOENT && cpu->burst.value == 0))
                        return r;
        }
        if (has_quota || has_period) {
                if (!cgroup->fresh && has_quota != has_period)
                        read_v2_max(h, quota, &period);
                if (has_quota && cpu->quota.value < 0)
                        snprintf(quota, sizeof(quota), "max");
                else if (has_quota)
                        snprintf(quota, sizeof(quota), "%" PRId64, cpu->quota.value);
                if (has_period)
                        period = cpu->period.value;
                snprintf(text, sizeof(text), "%s %" PRIu64, quota, period);
                r = cgroup_file_set(h, "cpu.max", text, err);
                if (r < 0)
                        return r;
        }
        return burst_later ? cgroup_file_set_u64(h, "cpu.max.burst", cpu->burst.value, err) : 0;
}

/* ---- the rest ------------------------------------------------------------------------------------------ */

static int apply_realtime(const struct cgroup_hierarchy *h, const struct spec_cpu *cpu, struct error *err)
{
        bool has_period = cpu->realtime_period.set && cpu->realtime_period.value;
        bool has_runtime = cpu->realtime_runtime.set && cpu->realtime_runtime.value;
        bool again = false;
        int r = 0;

        if (!has_period && !has_runtime)
                return 0;
        if (h->unified)
                return error_set(err, -ENOTSUP, "resources.cpu: cgroup v2 has no realtime limits");
        if (has_period) {
                r = cgroup_file_set_u64(h, "cpu.rt_period_us", cpu->realtime_period.value, err);
                again = r == -EINVAL && has_runtime;
        }
        if ((r >= 0 || again) && has_runtime)
                r = cgroup_file_set_limit(h, "cpu.rt_runtime_us", cpu->realtime_runtime.value, "-1", err);
        if (r >= 0 && again)
                r = cgroup_file_set_u64(h, "cpu.rt_period_us", cpu->realtime_period.value, err);
        return r;
}

/* The kernel would quietly take the nearest; in v2 every number has a weight. */
static int check_shares(const struct cgroup_hierarchy *h, uint64_t shares, struct error *err)
{
        if (!h->unified && shares > SHARES_MAX)
                return error_set(err, -EINVAL, "the maximum allowed cpu-shares is %d", SHARES_MAX);
        if (!h->unified && shares < SHARES_MIN)
                return error_set(err, -EINVAL, "the minimum allowed cpu-shares is %d", SHARES_MIN);
        return 0;
}

static int apply_weight(const struct cgroup_hierarchy *h, const struct spec_cpu *cpu, struct error *err)
{
        uint64_t shares = cpu->shares.set ? cpu->shares.value : 0;
        bool idle = cpu->idle.set && cpu->idle.value != 0;
        int r = shares ? check_shares(h, shares, err) : 0;

        if (r >= 0 && cpu->idle.set && !idle) {
                r = cgroup_file_set(h, "cpu.idle", "0", err);
                if (r == -ENOENT) /* Linux 5.15 */
                        r = 0;
        }
        if (r >= 0 && shares) {
                r = h->unified ? cgroup_file_set_u64(h, "cpu.weight", cgroup_weight_of_shares(shares), err)
                               : cgroup_file_set_u64(h, "cpu.shares", shares, err);
                if (r == -EINVAL && idle) /* a group that is idle already has no weight */
                        r = 0;
        }
        if (r >= 0 && idle)
                r = cgroup_file_set(h, "cpu.idle", "1", err);
        return r;
}

int cgroup_apply_cpu(struct cgroup *cgroup, const struct spec_resources *resources, struct error *err)
{
        const struct spec_cpu *cpu = &resources->cpu;
        struct cgroup_hierarchy *h;
        int r;

        if (!(cpu->shares.set && cpu->shares.value) && !(cpu->quota.set && cpu->quota.value) &&
            !(cpu->period.set && cpu->period.value) && !cpu->burst.set && !cpu->idle.set &&
            !(cpu->realtime_runtime.set && cpu->realtime_runtime.value) &&
            !(cpu->realtime_period.set && cpu->realtime_period.value))
                return 0;
        r = cgroup_require(cgroup, CGROUP_CPU, "cpu", &h, err);
        if (r >= 0)
                r = apply_weight(h, cpu, err);
        if (r >= 0)
                r = h->unified ? apply_v2_bandwidth(cgroup, h, cpu, err) : apply_v1_bandwidth(h, cpu, err);
        if (r >= 0)
                r = apply_realtime(h, cpu, err);
        return r;
}
