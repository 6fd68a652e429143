/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Figures of a group, named and shaped as `runc events --stats` prints them below "data".
 *
 * What a kernel doesn't count is 0, or absent where it is a list: figures are for looking at, and half of
 * them are better than none.  Numbers are the kernel's, but that "no limit" of v2, and whatever else is
 * beyond it, is 2^63 - 1, the largest that JSON readers agree on.
 */
#include "lib/base/text.h"
#include "lib/container/cgroup-internal.h"
#include "lib/container/cgroup-stats.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ---- numbers and lines --------------------------------------------------------------------------------- */

json_t *cgroup_stats_number(uint64_t value)
{
        return json_integer(value > INT64_MAX ? INT64_MAX : (json_int_t)value);
}

uint64_t cgroup_stats_read(const struct cgroup_hierarchy *h, const char *file)
{
        uint64_t value;

        return cgroup_file_read_u64(h, file, &value) < 0 ? 0 : value;
}

bool cgroup_stats_line(struct cursor *c, char *ret_line, size_t size)
{
        while (!cursor_at_end(c)) {
                struct view line = cursor_until(c, '\n');
                if (!cursor_ok(c))
                        return false;
                if (line.n >= size || view_has_nul(line))
                        continue;
                memcpy(ret_line, line.p, line.n);
                ret_line[line.n] = 0;
                return true;
        }
        return false;
}

json_t *cgroup_stats_map(const struct cgroup_hierarchy *h, const char *file)
{
        cleanup_buf struct buf text = buf_with_max(0);
        json_t *map = json_object();
        char line[256];

        if (cgroup_file_read_all(h, file, &text) < 0)
                return map;
        struct cursor c = cursor_of(buf_view(&text));
        while (cgroup_stats_line(&c, line, sizeof(line))) {
                char *space = strchr(line, ' ');
                uint64_t value;
                if (!space)
                        continue;
                *space = 0;
                if (parse_u64(space + 1, UINT64_MAX, &value))
                        json_object_set_new(map, line, cgroup_stats_number(value));
        }
        return map;
}

static uint64_t member(const json_t *map, const char *key)
{
        return (uint64_t)json_integer_value(json_object_get(map, key));
}

/* ---- pressure (v2) ------------------------------------------------------------------------------------- */

/* " avg10=0.00 avg60=1.25 avg300=0.31 total=4711", the shares with two digits behind the point; NULL for
 * anything else. */
static json_t *pressure_line(const char *line)
{
        static const char *const keys[] = {" avg10=", " avg60=", " avg300="};
        double shares[ARRAY_SIZE(keys)];
        uint64_t whole, hundredths, total;

        for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
                if (!string_starts_with(line, keys[i]))
                        return NULL;
                line += strlen(keys[i]);
                if (!take_u64(&line, 100, &whole) || *line++ != '.' || !take_u64(&line, 99, &hundredths))
                        return NULL;
                shares[i] = (double)whole + (double)hundredths / 100;
        }
        if (!string_starts_with(line, " total="))
                return NULL;
        line += strlen(" total=");
        if (!take_u64(&line, UINT64_MAX, &total))
                return NULL;
        return json_pack("{s:f, s:f, s:f, s:o}", "avg10", shares[0], "avg60", shares[1], "avg300", shares[2],
                         "total", cgroup_stats_number(total));
}

/* {"some": {"avg10": .., "avg60": .., "avg300": .., "total": ..}, "full": {...}}; NULL where the kernel
 * doesn't tell. */
static json_t *pressure(const struct cgroup_hierarchy *h, const char *file)
{
        char text[512], line[128];
        ssize_t n = h->unified ? cgroup_file_read(h, file, text, sizeof(text)) : -1;
        json_t *result;

        if (n <= 0)
                return NULL;
        result = json_object();
        struct cursor c = cursor_of(view_of(text, (size_t)n));
        while (cgroup_stats_line(&c, line, sizeof(line))) {
                char *space = strchr(line, ' ');
                json_t *figures = space ? pressure_line(space) : NULL;
                if (!figures)
                        continue;
                *space = 0;
                json_object_set_new(result, line, figures);
        }
        return result;
}

/* A member that may be missing. */
static void set_if_there(json_t *object, const char *key, json_t *value)
{
        if (value)
                json_object_set_new(object, key, value);
}

/* ---- CPU ----------------------------------------------------------------------------------------------- */

/* One column of cpuacct.usage_all ("cpu user system"), or the numbers of cpuacct.usage_percpu. */
static json_t *per_cpu(const struct cgroup_hierarchy *h, const char *file, unsigned column)
{
        cleanup_buf struct buf text = buf_with_max(0);
        json_t *list = json_array();

        if (cgroup_file_read_all(h, file, &text) < 0)
                return list;
        for (const char *at = buf_string(&text); *at;) {
                uint64_t value = 0;
                char digits[24];
                const char *field = at;
                for (unsigned skip = column; skip > 0; skip--) {
                        field += strcspn(field, " \n");
                        field += *field == ' ';
                }
                size_t n = strcspn(field, " \n");
                snprintf(digits, sizeof(digits), "%.*s", (int)(n < 23 ? n : 23), field);
                if (parse_u64(digits, UINT64_MAX, &value))
                        json_array_append_new(list, cgroup_stats_number(value));
                at += column ? strcspn(at, "\n") : strcspn(at, " \n");
                at += *at != 0;
        }
        return list;
}

static void cpu_usage_v1(const struct cgroup_hierarchy *h, json_t *usage)
{
        uint64_t tick_ns = 1000000000u / (uint64_t)sysconf(_SC_CLK_TCK);
        json_t *stat = cgroup_stats_map(h, "cpuacct.stat");

        json_object_set_new(usage, "total", cgroup_stats_number(cgroup_stats_read(h, "cpuacct.usage")));
        json_object_set_new(usage, "percpu", per_cpu(h, "cpuacct.usage_percpu", 0));
        json_object_set_new(usage, "percpu_kernel", per_cpu(h, "cpuacct.usage_all", 2));
        json_object_set_new(usage, "percpu_user", per_cpu(h, "cpuacct.usage_all", 1));
        json_object_set_new(usage, "kernel", cgroup_stats_number(member(stat, "system") * tick_ns));
        json_object_set_new(usage, "user", cgroup_stats_number(member(stat, "user") * tick_ns));
        json_decref(stat);
}

static json_t *cpu_stats(struct cgroup *cgroup)
{
        const struct cgroup_hierarchy *cpu = cgroup_with(cgroup, CGROUP_CPU);
        const struct cgroup_hierarchy *account = cgroup_with(cgroup, CGROUP_CPUACCT);
        json_t *result = json_object(), *usage = json_object();
        json_t *stat;

        if (cgroup->unified && cgroup->n > 0)
                cpu = &cgroup->hierarchies[0]; /* cpu.stat is there without the controller */
        stat = cpu ? cgroup_stats_map(cpu, "cpu.stat") : json_object();
        if (account && !account->unified) {
                cpu_usage_v1(account, usage);
        } else {
                json_object_set_new(usage, "total", cgroup_stats_number(member(stat, "usage_usec") * 1000));
                json_object_set_new(usage, "kernel", cgroup_stats_number(member(stat, "system_usec") * 1000));
                json_object_set_new(usage, "user", cgroup_stats_number(member(stat, "user_usec") * 1000));
        }
        json_object_set_new(result, "usage", usage);
        json_object_set_new(
                result, "throttling",
                json_pack("{s:o, s:o, s:o}", "periods", cgroup_stats_number(member(stat, "nr_periods")),
                          "throttledPeriods", cgroup_stats_number(member(stat, "nr_throttled")),
                          "throttledTime",
                          cgroup_stats_number(cpu && cpu->unified ? member(stat, "throttled_usec") * 1000
                                                                  : member(stat, "throttled_time"))));
        if (cpu)
                set_if_there(result, "psi", pressure(cpu, "cpu.pressure"));
        json_decref(stat);
        return result;
}

/* "0-3,7" as [0, 1, 2, 3, 7]. */
static json_t *number_list(const struct cgroup_hierarchy *h, const char *file)
{
        enum { LIST_MAX = 65536 };
        char text[4096];
        json_t *list = json_array();

        if (cgroup_file_read(h, file, text, sizeof(text)) <= 0)
                return list;
        text[strcspn(text, "\n")] = 0;
        for (const char *at = text; *at;) {
                uint64_t first, last;
                if (!take_u64(&at, UINT32_MAX, &first))
                        break;
                last = first;
                if (*at == '-') {
                        at++;
                        (void)take_u64(&at, UINT32_MAX, &last);
                }
                for (uint64_t i = first; i <= last && i < LIST_MAX; i++)
                        json_array_append_new(list, json_integer((json_int_t)i));
                at += strcspn(at, ",");
                at += *at == ',';
        }
        return list;
}

static json_t *cpuset_stats(struct cgroup *cgroup)
{
        static const char *const flags[] = {
                "cpu_exclusive",      "mem_hardwall",       "mem_exclusive",   "memory_migrate",
                "memory_spread_page", "memory_spread_slab", "memory_pressure", "sched_load_balance",
        };
        const struct cgroup_hierarchy *h = cgroup_with(cgroup, CGROUP_CPUSET);
        json_t *result = json_object();
        char file[64], text[32] = "0";

        if (h) {
                json_object_set_new(result, "cpus", number_list(h, "cpuset.cpus"));
                json_object_set_new(result, "mems", number_list(h, "cpuset.mems"));
        }
        for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
                snprintf(file, sizeof(file), "cpuset.%s", flags[i]);
                json_object_set_new(result, flags[i],
                                    cgroup_stats_number(h && !h->unified ? cgroup_stats_read(h, file) : 0));
        }
        if (!h || h->unified ||
            cgroup_file_read(h, "cpuset.sched_relax_domain_level", text, sizeof(text)) <= 0)
                text[0] = '0';
        json_object_set_new(result, "sched_relax_domain_level",
                            json_integer(text[0] == '-' ? -(json_int_t)(text[1] - '0') : text[0] - '0'));
        return result;
}

/* ---- memory -------------------------------------------------------------------------------------------- */

static json_t *memory_entry(uint64_t limit, uint64_t usage, uint64_t max, uint64_t failcnt)
{
        return json_pack("{s:o, s:o, s:o, s:o}", "limit", cgroup_stats_number(limit), "usage",
                         cgroup_stats_number(usage), "max", cgroup_stats_number(max), "failcnt",
                         cgroup_stats_number(failcnt));
}

/* The four files of "memory", "memory.memsw", "memory.kmem", "memory.kmem.tcp". */
static json_t *memory_entry_v1(const struct cgroup_hierarchy *h, const char *name)
{
        static const char *const ends[4] = {"limit_in_bytes", "usage_in_bytes", "max_usage_in_bytes",
                                            "failcnt"};
        uint64_t values[4];
        char file[64];

        for (size_t i = 0; i < 4; i++) {
                snprintf(file, sizeof(file), "%s.%s", name, ends[i]);
                values[i] = cgroup_stats_read(h, file);
        }
        return memory_entry(values[0], values[1], values[2], values[3]);
}

static void memory_v2(const struct cgroup_hierarchy *h, json_t *result)
{
        uint64_t limit = cgroup_stats_read(h, "memory.max"), usage = cgroup_stats_read(h, "memory.current");
        uint64_t swap_limit = cgroup_stats_read(h, "memory.swap.max");
        uint64_t swap = cgroup_stats_read(h, "memory.swap.current");

        json_object_set_new(result, "usage",
                            memory_entry(limit, usage, cgroup_stats_read(h, "memory.peak"), 0));
        /* Together, as v1 has it. */
        if (__builtin_add_overflow(limit, swap_limit, &swap_limit))
                swap_limit = UINT64_MAX;
        json_object_set_new(result, "swap", memory_entry(swap_limit, usage + swap, 0, 0));
        json_object_set_new(result, "kernel", memory_entry(0, 0, 0, 0));
        json_object_set_new(result, "kernelTCP", memory_entry(0, 0, 0, 0));
        set_if_there(result, "psi", pressure(h, "memory.pressure"));
}

static json_t *memory_stats(struct cgroup *cgroup)
{
        const struct cgroup_hierarchy *h = cgroup_with(cgroup, CGROUP_MEMORY);
        json_t *result = json_object(), *raw;

        if (!h)
                return result;
        raw = cgroup_stats_map(h, "memory.stat");
        json_object_set_new(result, "cache", cgroup_stats_number(member(raw, h->unified ? "file" : "cache")));
        if (h->unified) {
                memory_v2(h, result);
        } else {
                json_object_set_new(result, "usage", memory_entry_v1(h, "memory"));
                json_object_set_new(result, "swap", memory_entry_v1(h, "memory.memsw"));
                json_object_set_new(result, "kernel", memory_entry_v1(h, "memory.kmem"));
                json_object_set_new(result, "kernelTCP", memory_entry_v1(h, "memory.kmem.tcp"));
        }
        json_object_set_new(result, "raw", raw);
        return result;
}

/* ---- processes, huge pages ----------------------------------------------------------------------------- */

static json_t *pids_stats(struct cgroup *cgroup)
{
        const struct cgroup_hierarchy *h = cgroup_with(cgroup, CGROUP_PIDS);
        uint64_t current = 0, limit = 0;

        if (h) {
                current = cgroup_stats_read(h, "pids.current");
                limit = cgroup_stats_read(h, "pids.max");
        } else {
                cleanup_free pid_t *pids = NULL;
                size_t n;
                if (cgroup_pids(cgroup, &pids, &n, NULL) == 0)
                        current = n;
        }
        return json_pack("{s:o, s:o}", "current", cgroup_stats_number(current), "limit",
                         cgroup_stats_number(limit == UINT64_MAX ? 0 : limit));
}

/* The kernel's files speak of "2MB" where the folder is hugepages-2048kB. */
static bool page_size_name(const char *folder, char ret_name[16])
{
        uint64_t kib;
        char digits[16];

        if (!string_starts_with(folder, "hugepages-") || !string_ends_with(folder, "kB"))
                return false;
        size_t n = strlen(folder) - strlen("hugepages-") - strlen("kB");
        if (n >= sizeof(digits))
                return false;
        memcpy(digits, folder + strlen("hugepages-"), n);
        digits[n] = 0;
        if (!parse_u64(digits, UINT32_MAX, &kib))
                return false;
        if (kib >> 20)
                snprintf(ret_name, 16, "%uGB", (unsigned)(kib >> 20));
        else if (kib >= 1024)
                snprintf(ret_name, 16, "%uMB", (unsigned)(kib >> 10));
        else
                snprintf(ret_name, 16, "%uKB", (unsigned)kib);
        return true;
}

static json_t *hugetlb_entry(const struct cgroup_hierarchy *h, const char *size)
{
        char prefix[48], file[96];
        uint64_t value, max = 0, failcnt = 0;

        snprintf(prefix, sizeof(prefix), "hugetlb.%s.rsvd", size);
        snprintf(file, sizeof(file), "%s.%s", prefix, h->unified ? "current" : "usage_in_bytes");
        if (cgroup_file_read_u64(h, file, &value) == -ENOENT) {
                snprintf(prefix, sizeof(prefix), "hugetlb.%s", size);
                snprintf(file, sizeof(file), "%s.%s", prefix, h->unified ? "current" : "usage_in_bytes");
        }
        value = cgroup_stats_read(h, file);
        if (h->unified) {
                snprintf(file, sizeof(file), "hugetlb.%s.events", size);
                (void)cgroup_file_read_key(h, file, "max", &failcnt);
        } else {
                snprintf(file, sizeof(file), "%s.max_usage_in_bytes", prefix);
                max = cgroup_stats_read(h, file);
                snprintf(file, sizeof(file), "%s.failcnt", prefix);
                failcnt = cgroup_stats_read(h, file);
        }
        return json_pack("{s:o, s:o, s:o}", "usage", cgroup_stats_number(value), "max",
                         cgroup_stats_number(max), "failcnt", cgroup_stats_number(failcnt));
}

static json_t *hugetlb_stats(struct cgroup *cgroup)
{
        const struct cgroup_hierarchy *h = cgroup_with(cgroup, CGROUP_HUGETLB);
        cleanup_dir DIR *dir = h ? opendir("/sys/kernel/mm/hugepages") : NULL;
        json_t *result = json_object();
        char name[16];

        for (const struct dirent *entry; dir && (entry = readdir(dir));)
                if (page_size_name(entry->d_name, name))
                        json_object_set_new(result, name, hugetlb_entry(h, name));
        return result;
}

int cgroup_stats(struct cgroup *cgroup, json_t **ret_stats, struct error *err)
{
        json_t *stats;

        if (cgroup->n == 0)
                return error_set(err, -ENOTSUP, "the container has no control group");
        stats = json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "cpu", cpu_stats(cgroup), "cpuset",
                          cpuset_stats(cgroup), "memory", memory_stats(cgroup), "pids", pids_stats(cgroup),
                          "blkio", cgroup_stats_io(cgroup), "hugetlb", hugetlb_stats(cgroup));
        if (!stats)
                return error_oom(err);
        set_if_there(json_object_get(stats, "blkio"), "psi",
                     cgroup->unified ? pressure(&cgroup->hierarchies[0], "io.pressure") : NULL);
        *ret_stats = stats;
        return 0;
}
