/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/enclave/pool.h"

#include "lib/base/array.h"
#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/fd.h"
#include "lib/base/text.h"
#include "lib/base/user.h"

#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

enum {
        HELD_MAX = 4096,        /* ranges of locks that are looked at, of each kind */
        SHOWN_MAX = 4,          /* holders that a refusal names */
        PATIENCE_MS = 5 * 1000, /* for the folder's flock, which is held for microseconds */
        PATIENCE_UNLIMITED_MS = 100,
        STEP_MS = 2,
};

/* Offsets in the folder, as locks see it. */
static const struct region {
        off_t start;
        off_t size;
        const char *unit; /* behind a number, in messages */
} regions[] = {
        {0, INT64_C(1) << 32, " MiB"},
        {INT64_C(1) << 40, INT64_C(1) << 16, " CPUs"},
        {INT64_C(1) << 41, INT64_C(1) << 20, ""},
};
enum { MEMORY, CPUS, ENCLAVES, REGIONS };

/* A range that is locked, in ascending order. */
struct held {
        off_t start;
        off_t end;
        pid_t pid; /* 0: a process that isn't visible here */
        uid_t uid;
};

struct pool {
        int fd;
        struct limits limits;
        struct held *held[REGIONS];
        size_t n_held[REGIONS];
};

static void pool_done(struct pool *pool)
{
        fd_close_p(&pool->fd);
        for (size_t i = 0; i < REGIONS; i++)
                free(pool->held[i]);
}
#define cleanup_pool CLEANUP(pool_done)

/* ---- what is in use ---- */

/* The second number of a line such as "Uid:\t1000\t1000\t1000\t1000". */
static bool second_number(const char *line, uint64_t *ret_value)
{
        const char *at = line + strcspn(line, "\t");
        uint64_t first;

        at += strspn(at, "\t");
        if (!take_u64(&at, UINT32_MAX, &first))
                return false;
        at += strspn(at, "\t");
        return take_u64(&at, UINT32_MAX, ret_value);
}

/* The effective user of a process; root where that can't be told. */
static uid_t user_of(pid_t pid)
{
        cleanup_free char *path = string_printf("/proc/%d/status", (int)pid);
        cleanup_file FILE *file = path && pid > 0 ? fopen(path, "re") : NULL;
        uint64_t effective;
        char line[256];

        while (file && fgets(line, sizeof(line), file)) {
                if (string_starts_with(line, "Uid:") && second_number(line, &effective))
                        return (uid_t)effective;
        }
        return 0;
}

/* Where is still to be looked: [start, end). */
struct gap {
        off_t start;
        off_t end;
};

/* Finds a lock in a gap: 1, 0 where there is none, or -errno.  Of several the kernel names any. */
static int find_one(const struct pool *pool, const struct gap *gap, struct held *ret_found)
{
        const off_t end = gap->end;
        struct flock lock = {
                .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = gap->start, .l_len = end - gap->start};

        if (gap->start >= end)
                return 0;
        if (fcntl(pool->fd, F_GETLK, &lock) < 0)
                return -errno;
        if (lock.l_type == F_UNLCK)
                return 0;
        *ret_found = (struct held){
                .start = lock.l_start > gap->start ? lock.l_start : gap->start,
                .end = lock.l_len > 0 && lock.l_len < end - lock.l_start ? lock.l_start + lock.l_len : end,
                .pid = lock.l_pid > 0 ? lock.l_pid : 0,
                .uid = user_of(lock.l_pid),
        };
        return 1;
}

static int add_gap(struct gap **gaps, size_t *n, off_t start, off_t end)
{
        int r = array_grow(gaps, *n, sizeof(**gaps));

        if (r == 0)
                (*gaps)[(*n)++] = (struct gap){start, end};
        return r;
}

static int add_held(struct pool *pool, size_t region, const struct held *held)
{
        size_t *n = &pool->n_held[region];

        if (*n >= HELD_MAX)
                return -E2BIG;
        int r = array_grow(&pool->held[region], *n, sizeof(*held));
        if (r == 0)
                pool->held[region][(*n)++] = *held;
        return r;
}

static int compare_held(const void *a, const void *b)
{
        off_t left = ((const struct held *)a)->start, right = ((const struct held *)b)->start;

        return left < right ? -1 : left > right;
}

/* Finds the locks in a region.  Any user can lock as much as he likes, in the order that he likes, so that
 * neither may decide how deep our stack gets. */
static int find_held(struct pool *pool, size_t region)
{
        const off_t start = regions[region].start;
        cleanup_free struct gap *gaps = NULL;
        size_t n_gaps = 0;
        int r = add_gap(&gaps, &n_gaps, start, start + regions[region].size);

        while (r == 0 && n_gaps > 0) {
                const struct gap gap = gaps[--n_gaps];
                struct held found;
                r = find_one(pool, &gap, &found);
                if (r <= 0)
                        continue;
                r = add_held(pool, region, &found);
                if (r == 0)
                        r = add_gap(&gaps, &n_gaps, gap.start, found.start);
                if (r == 0)
                        r = add_gap(&gaps, &n_gaps, found.end, gap.end);
        }
        if (pool->n_held[region] > 1)
                qsort(pool->held[region], pool->n_held[region], sizeof(*pool->held[region]), compare_held);
        return r;
}

/* How much of a region is in use, by everybody or (`user` not NULL) by one. */
static uint64_t in_use(const struct pool *pool, size_t region, const uid_t *user)
{
        uint64_t sum = 0;

        for (size_t i = 0; i < pool->n_held[region]; i++) {
                const struct held *held = &pool->held[region][i];
                if (!user || held->uid == *user)
                        sum += (uint64_t)(held->end - held->start);
        }
        return sum;
}

/* Sums up, per process, what is in use: "512 MiB by process 12 of user 1000, ...". */
static void describe_use(const struct pool *pool, size_t region, const uid_t *user, struct buf *text)
{
        const struct held *held = pool->held[region];
        size_t n = pool->n_held[region], shown = 0, others = 0;

        for (size_t i = 0; i < n; i++) {
                uint64_t sum = 0;
                bool again = false;
                for (size_t k = 0; k < n; k++) {
                        if (held[k].pid == held[i].pid) {
                                sum += (uint64_t)(held[k].end - held[k].start);
                                again = again || k < i;
                        }
                }
                if (again || (user && held[i].uid != *user))
                        continue;
                if (shown++ >= SHOWN_MAX)
                        others++;
                else
                        buf_printf(text, "%s%" PRIu64 "%s by process %d of user %u", shown > 1 ? ", " : "",
                                   sum, regions[region].unit, (int)held[i].pid, held[i].uid);
        }
        if (others > 0)
                buf_printf(text, ", the rest by %zu others", others);
        if (shown == 0)
                buf_append_string(text, "nothing");
}

/* ---- refusing ---- */

/* One of the limits, and what would be taken. */
struct demand {
        size_t region;
        uint32_t wanted;
        uint32_t limit;
        const char *setting;
        bool per_user;
};

static int refuse(const struct pool *pool, const char *folder, const struct demand *demand, uint64_t left,
                  const uid_t *user, struct error *err)
{
        cleanup_buf struct buf use = buf_with_max(ERROR_TEXT_MAX / 2);
        const char *unit = demand->region == MEMORY ? " MiB" : "";

        describe_use(pool, demand->region, user, &use);
        error_set(err, -EDQUOT,
                  "%s/" LIMITS_FILE " gives %u%s%s (%s): %u%s wanted and %" PRIu64 "%s left; in use: %s",
                  folder, demand->limit, unit, demand->per_user ? " to each user" : "", demand->setting,
                  demand->wanted, unit, left, unit, buf_string(&use));
        error_hint(err, left > 0 && demand->region != ENCLAVES
                                ? "ask for less, stop an enclave, or let the administrator raise the limit"
                                : "stop an enclave, or let the administrator raise the limit");
        return -EDQUOT;
}

static int check(const struct pool *pool, const char *folder, unsigned mem_mib, unsigned cpus,
                 struct error *err)
{
        const struct limits *limits = &pool->limits;
        const struct demand demands[] = {
                {MEMORY, mem_mib, limits->memory_mib, "memory_mib", false},
                {CPUS, cpus, limits->cpus, limits->has_list ? "cpu_list" : "cpus", false},
                {ENCLAVES, 1, limits->max_enclaves, "max_enclaves", false},
                {MEMORY, mem_mib, limits->user_memory_mib, "user_memory_mib", true},
                {CPUS, cpus, limits->user_cpus, "user_cpus", true},
                {ENCLAVES, 1, limits->user_max_enclaves, "user_max_enclaves", true},
        };
        const uid_t self = geteuid();

        for (size_t i = 0; i < ARRAY_SIZE(demands); i++) {
                const struct demand *demand = &demands[i];
                if (demand->limit == UINT32_MAX || (demand->per_user && user_is_host_root()))
                        continue;
                const uid_t *user = demand->per_user ? &self : NULL;
                uint64_t used = in_use(pool, demand->region, user);
                uint64_t left = used < demand->limit ? demand->limit - used : 0;
                if (demand->wanted > left)
                        return refuse(pool, folder, demand, left, user, err);
        }
        return 0;
}

/* ---- taking ---- */

static int take_range(struct pool *pool, off_t start, off_t end)
{
        struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = start, .l_len = end - start};

        return fcntl(pool->fd, F_SETLK, &lock) < 0 ? -errno : 0;
}

/* Takes the lowest `wanted` that nobody has. */
static int take_lowest(struct pool *pool, size_t region, off_t wanted)
{
        off_t at = regions[region].start, end = at + regions[region].size;

        for (size_t i = 0; wanted > 0 && at < end; i++) {
                bool last = i >= pool->n_held[region];
                off_t gap_end = last ? end : pool->held[region][i].start;
                off_t n = gap_end - at < wanted ? gap_end - at : wanted;
                int r = n > 0 ? take_range(pool, at, at + n) : 0;
                if (r < 0)
                        return r;
                wanted -= n > 0 ? n : 0;
                at = last ? end : pool->held[region][i].end;
        }
        return wanted > 0 ? -ENOSPC : 0;
}

static bool is_held(const struct pool *pool, size_t region, off_t at)
{
        for (size_t i = 0; i < pool->n_held[region]; i++) {
                if (at >= pool->held[region][i].start && at < pool->held[region][i].end)
                        return true;
        }
        return false;
}

/* Takes CPUs of the list that nobody has. */
static int take_listed(struct pool *pool, const char *folder, unsigned wanted, cpu_set_t *ret_cpus,
                       struct error *err)
{
        const off_t start = regions[CPUS].start;
        unsigned taken = 0, left = 0;
        int r = 0;

        CPU_ZERO(ret_cpus);
        for (off_t cpu = 0; cpu < LIMITS_CPUS_MAX; cpu++)
                left += CPU_ISSET((size_t)cpu, &pool->limits.list) && !is_held(pool, CPUS, start + cpu);
        if (left < wanted) {
                const struct demand demand = {CPUS, wanted, pool->limits.cpus, "cpu_list", false};
                return refuse(pool, folder, &demand, left, NULL, err);
        }
        for (off_t cpu = 0; r == 0 && taken < wanted; cpu++) {
                if (!CPU_ISSET((size_t)cpu, &pool->limits.list) || is_held(pool, CPUS, start + cpu))
                        continue;
                r = take_range(pool, start + cpu, start + cpu + 1);
                CPU_SET((size_t)cpu, ret_cpus);
                taken++;
        }
        return r < 0 ? error_errno(err, -r, "%s: cannot take CPUs", folder) : 0;
}

static int take_all(struct pool *pool, const char *folder, unsigned mem_mib, unsigned cpus,
                    struct pool_share *share, struct error *err)
{
        int r;

        if (pool->limits.has_list && (r = take_listed(pool, folder, cpus, &share->cpus, err)) < 0)
                return r;
        share->pinned = pool->limits.has_list;
        if ((r = take_lowest(pool, MEMORY, mem_mib)) < 0 ||
            (!share->pinned && (r = take_lowest(pool, CPUS, cpus)) < 0) ||
            (r = take_lowest(pool, ENCLAVES, 1)) < 0)
                return error_errno(err, -r, "%s: cannot take a share of the pool", folder);
        return 0;
}

static int lock_folder(int fd, const char *folder, uint64_t patience_ms, struct error *err)
{
        for (uint64_t deadline = clock_ms() + patience_ms; flock(fd, LOCK_EX | LOCK_NB) < 0;) {
                if (errno != EWOULDBLOCK && errno != EINTR)
                        return error_errno(err, errno, "%s: cannot lock it", folder);
                if (clock_ms() >= deadline)
                        return error_set(err, -ETIMEDOUT,
                                         "%s: some process keeps it locked; /proc/locks names it", folder);
                (void)poll(NULL, 0, STEP_MS);
        }
        return 0;
}

/* Only limits make it worth waiting: without any nothing can be refused, and whoever keeps the lock, as any
 * user can, must not keep others from their enclaves. */
static int lock_and_read(struct pool *pool, const char *folder, struct error *err)
{
        int r = limits_read(pool->fd, folder, &pool->limits, err);

        if (r < 0)
                return r;
        if (limits_are_none(&pool->limits)) {
                (void)lock_folder(pool->fd, folder, PATIENCE_UNLIMITED_MS, NULL);
                return 0;
        }
        r = lock_folder(pool->fd, folder, PATIENCE_MS, err);
        /* What it says now counts. */
        return r < 0 ? r : limits_read(pool->fd, folder, &pool->limits, err);
}

static int look(struct pool *pool, const char *folder, struct error *err)
{
        int r = 0;

        for (size_t i = 0; r == 0 && i < REGIONS; i++)
                r = find_held(pool, i);
        if (r == -E2BIG)
                return error_set(err, r,
                                 "%s: more than %d ranges of it are locked; /proc/locks names the processes",
                                 folder, HELD_MAX);
        return r < 0 ? error_errno(err, -r, "%s: cannot see its locks", folder) : 0;
}

/* What this enclave wants, out of what is left. */
static int take_share(struct pool *pool, const char *folder, unsigned mem_mib, unsigned cpus,
                      struct pool_share *share, struct error *err)
{
        int r;

        if ((r = look(pool, folder, err)) < 0 || (r = check(pool, folder, mem_mib, cpus, err)) < 0)
                return r;
        return take_all(pool, folder, mem_mib, cpus, share, err);
}

int pool_take(const char *folder, unsigned mem_mib, unsigned cpus, struct pool_share *ret_share,
              struct error *err)
{
        cleanup_pool struct pool pool = {.fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
        struct pool_share share = POOL_SHARE_NONE;
        int r;

        if (pool.fd < 0 && errno == ENOENT) {
                *ret_share = share;
                return 0;
        }
        if (pool.fd < 0)
                return error_errno(err, errno, "%s", folder);
        if ((r = lock_and_read(&pool, folder, err)) < 0)
                return r;
        /* Without limits a share is for those that may be set later; that others lock too much, as any user
         * can, refuses nobody. */
        bool limited = !limits_are_none(&pool.limits);
        r = take_share(&pool, folder, mem_mib, cpus, &share, limited ? err : NULL);
        if (r < 0 && limited)
                return r;
        (void)flock(pool.fd, LOCK_UN);
        share.fd = take_fd(&pool.fd);
        *ret_share = share;
        return 0;
}
