/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is written where, and in which order: on a folder that stands for a hierarchy.  Files that aren't
 * there are what a kernel lacks.
 */
#include "lib/base/file.h"
#include "lib/base/path.h"
#include "lib/container/cgroup-internal.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define I64(n) ((struct optional_i64){true, (n)})
#define U64(n) ((struct optional_u64){true, (n)})

struct fake {
        struct cgroup cgroup;
        char root[64];
        int inotify;
        struct error err;
};

static struct fake *fake_new(bool unified)
{
        struct fake *f = calloc(1, sizeof(*f));

        assert_non_null(f);
        snprintf(f->root, sizeof(f->root), "/tmp/test-cgroup-XXXXXX");
        assert_non_null(mkdtemp(f->root));
        f->cgroup.unified = unified;
        f->cgroup.driver = &cgroup_fs_driver;
        f->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
        assert_true(f->inotify >= 0);
        return f;
}

static void fake_free(struct fake *f)
{
        for (size_t i = 0; i < f->cgroup.n; i++)
                cgroup_hierarchy_done(&f->cgroup.hierarchies[i]);
        path_remove_tree(AT_FDCWD, f->root, NULL);
        close(f->inotify);
        free(f);
}

static void put(struct fake *f, const char *hierarchy, const char *file, const char *content)
{
        char path[256];

        snprintf(path, sizeof(path), "%s/%s/g/%s", f->root, hierarchy, file);
        FILE *out = fopen(path, "we");
        assert_non_null(out);
        fputs(content, out);
        fclose(out);
}

/* A hierarchy with a group "/g" that has these files, empty. */
static void add(struct fake *f, const char *name, unsigned controllers, const char *const files[])
{
        struct cgroup_hierarchy *h = &f->cgroup.hierarchies[f->cgroup.n++];
        char path[256];

        snprintf(path, sizeof(path), "%s/%s", f->root, name);
        *h = (struct cgroup_hierarchy){.fd = -1,
                                       .name = strdup(name),
                                       .mountpoint = strdup(path),
                                       .path = strdup("/g"),
                                       .unified = f->cgroup.unified,
                                       .asked = f->cgroup.unified,
                                       .controllers = controllers};
        snprintf(path, sizeof(path), "%s/%s/g", f->root, name);
        assert_int_equal(path_make_dirs(path, 0755, NULL), 0);
        for (; *files; files++)
                put(f, name, *files, "");
        assert_true(inotify_add_watch(f->inotify, path, IN_MODIFY) >= 0);
}

static void assert_file(struct fake *f, const char *hierarchy, const char *file, const char *content)
{
        cleanup_buf struct buf text = buf_with_max(0);
        char path[256];

        snprintf(path, sizeof(path), "%s/%s/g/%s", f->root, hierarchy, file);
        assert_int_equal(file_read(AT_FDCWD, path, 4096, &text, &f->err), 0);
        assert_string_equal(buf_string(&text), content);
}

/* The files that were written since, in order, a space behind each; writes to the same file that follow each
 * other count once. */
static void assert_written(struct fake *f, const char *names)
{
        char events[8192] __attribute__((aligned(8)));
        char list[1024] = "";
        size_t n = 0;
        ssize_t got = read(f->inotify, events, sizeof(events));

        for (ssize_t at = 0; at < got;) {
                const struct inotify_event *event = (const struct inotify_event *)(void *)(events + at);
                n += (size_t)snprintf(list + n, sizeof(list) - n, "%s ", event->name);
                at += (ssize_t)(sizeof(*event) + event->len);
        }
        assert_string_equal(list, names);
}

static void ok(struct fake *f, const struct spec_resources *resources)
{
        int r = cgroup_apply(&f->cgroup, resources, &f->err);

        if (r < 0)
                fail_msg("%d %s", r, error_text(&f->err));
}

static void refused(struct fake *f, const struct spec_resources *resources, int code, const char *text)
{
        assert_int_equal(cgroup_apply(&f->cgroup, resources, &f->err), code);
        if (!strstr(error_text(&f->err), text))
                fail_msg("\"%s\" isn't in \"%s\"", text, error_text(&f->err));
}

/* ---- conversions --------------------------------------------------------------------------------------- */

static void shares_become_the_weight_of_the_quadratic_formula(void **state)
{
        static const uint64_t pairs[][2] = {
                {0, 0},        {1, 1},          {2, 1},          {3, 2},           {10, 4},
                {100, 17},     {256, 35},       {512, 59},       {1000, 99},       {1023, 100},
                {1024, 100},   {1025, 101},     {2048, 174},     {4096, 303},      {10000, 627},
                {65536, 3023}, {262143, 10000}, {262144, 10000}, {1000000, 10000},
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(pairs); i++)
                assert_int_equal(cgroup_weight_of_shares(pairs[i][0]), pairs[i][1]);
        for (uint64_t shares = 3; shares < 262144; shares++)
                assert_true(cgroup_weight_of_shares(shares) >= cgroup_weight_of_shares(shares - 1));
}

static void io_weight_is_linear(void **state)
{
        (void)state;
        assert_int_equal(cgroup_io_weight_of(0), 0);
        assert_int_equal(cgroup_io_weight_of(10), 1);
        assert_int_equal(cgroup_io_weight_of(500), 4950);
        assert_int_equal(cgroup_io_weight_of(1000), 10000);
        assert_int_equal(cgroup_io_weight_of(5), 1);
        assert_int_equal(cgroup_io_weight_of(100000), 10000);
}

static void swap_is_what_is_above_memory(void **state)
{
        static const struct {
                struct optional_i64 both, memory, swap;
                int code;
        } cases[] = {
                {{0}, {0}, {0}, 0},
                {{0}, {true, 100}, {0}, 0},
                {{0}, {true, -1}, {true, -1}, 0},
                {{true, 0}, {true, -1}, {true, -1}, 0},
                {{true, 150}, {true, 100}, {true, 50}, 0},
                {{true, 100}, {true, 100}, {true, 0}, 0},
                {{true, -1}, {true, 100}, {true, -1}, 0},
                {{true, 150}, {true, -1}, {true, 150}, 0},
                {{true, 99}, {true, 100}, {0}, -EINVAL},
                {{true, 99}, {0}, {0}, -EINVAL},
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct optional_i64 swap;
                assert_int_equal(cgroup_swap_of(cases[i].both, cases[i].memory, &swap, NULL), cases[i].code);
                if (cases[i].code < 0)
                        continue;
                assert_int_equal(swap.set, cases[i].swap.set);
                if (swap.set)
                        assert_int_equal(swap.value, cases[i].swap.value);
        }
}

/* ---- v1 ------------------------------------------------------------------------------------------------ */

static const char *const memory_v1[] = {"memory.limit_in_bytes",      "memory.memsw.limit_in_bytes",
                                        "memory.soft_limit_in_bytes", "memory.oom_control",
                                        "memory.swappiness",          NULL};

static void v1_memory_goes_before_swap_in_a_new_group(void **state)
{
        struct fake *f = fake_new(false);
        struct spec_resources r = {
                .memory = {.limit = I64(1000), .swap = I64(3000), .reservation = I64(500)}};

        (void)state;
        add(f, "memory", 1u << CGROUP_MEMORY, memory_v1);
        f->cgroup.fresh = true;
        f->cgroup.rootless = true; /* has no devices here */
        ok(f, &r);
        assert_file(f, "memory", "memory.limit_in_bytes", "1000");
        assert_file(f, "memory", "memory.memsw.limit_in_bytes", "3000");
        assert_file(f, "memory", "memory.soft_limit_in_bytes", "500");
        assert_written(f, "memory.limit_in_bytes memory.memsw.limit_in_bytes memory.soft_limit_in_bytes ");
        fake_free(f);
}

static void v1_swap_goes_first_where_both_grow(void **state)
{
        struct fake *f = fake_new(false);
        struct spec_resources r = {.memory = {.limit = I64(2000), .swap = I64(4000)}};

        (void)state;
        add(f, "memory", 1u << CGROUP_MEMORY, memory_v1);
        put(f, "memory", "memory.limit_in_bytes", "1000");
        assert_written(f, "memory.limit_in_bytes ");
        ok(f, &r);
        assert_written(f, "memory.memsw.limit_in_bytes memory.limit_in_bytes ");
        /* ... and last where both shrink. */
        put(f, "memory", "memory.limit_in_bytes", "9000");
        assert_written(f, "memory.limit_in_bytes ");
        ok(f, &r);
        assert_written(f, "memory.limit_in_bytes memory.memsw.limit_in_bytes ");
        fake_free(f);
}

static void v1_no_limit_is_minus_one_for_swap_too(void **state)
{
        struct fake *f = fake_new(false);
        struct spec_resources r = {.memory = {.limit = I64(-1)}};

        (void)state;
        add(f, "memory", 1u << CGROUP_MEMORY, memory_v1);
        ok(f, &r);
        assert_file(f, "memory", "memory.limit_in_bytes", "-1");
        assert_file(f, "memory", "memory.memsw.limit_in_bytes", "-1");
        assert_written(f, "memory.memsw.limit_in_bytes memory.limit_in_bytes ");
        fake_free(f);
}

static void v1_without_swap_accounting_says_so(void **state)
{
        static const char *const files[] = {"memory.limit_in_bytes", NULL};
        struct fake *f = fake_new(false);
        struct spec_resources r = {.memory = {.limit = I64(1000), .swap = I64(2000)}};

        (void)state;
        add(f, "memory", 1u << CGROUP_MEMORY, files);
        refused(f, &r, -ENOENT, "swapaccount=1");
        r.memory.swap = I64(-1);
        ok(f, &r);
        fake_free(f);
}

/* No swap at all is what such a kernel gives. */
static void v2_without_swap_accounting_says_so_where_swap_is_wanted(void **state)
{
        static const char *const files[] = {"memory.max", NULL};
        struct fake *f = fake_new(true);
        struct spec_resources r = {.memory = {.limit = I64(1000), .swap = I64(1001)}};

        (void)state;
        add(f, "u", 1u << CGROUP_MEMORY, files);
        refused(f, &r, -ENOENT, "swapaccount=1");
        r.memory.swap = I64(1000);
        ok(f, &r);
        r.memory.swap = I64(-1);
        ok(f, &r);
        fake_free(f);
}

static void usage_above_a_checked_limit_is_refused(void **state)
{
        static const char *const v2_files[] = {"memory.current", "memory.max", "memory.swap.max", NULL};
        struct fake *f = fake_new(true);
        struct spec_resources r = {.memory = {.limit = I64(1000), .check_before_update = {true, true}}};

        (void)state;
        add(f, "u", 1u << CGROUP_MEMORY, v2_files);
        put(f, "u", "memory.current", "1001\n");
        assert_written(f, "memory.current ");
        refused(f, &r, -EBUSY, "rejecting memory limit 1000 <= usage 1001");
        r.memory.limit = I64(1001);
        refused(f, &r, -EBUSY, "rejecting memory limit 1001 <= usage 1001");
        r.memory.swap = I64(1001);
        refused(f, &r, -EBUSY, "rejecting memory+swap limit 1001 <= usage 1001");
        assert_written(f, "");
        r.memory.check_before_update.value = false;
        ok(f, &r);
        fake_free(f);
}

static void v1_cpu_is_written(void **state)
{
        static const char *const files[] = {
                "cpu.shares", "cpu.cfs_period_us", "cpu.cfs_quota_us",  "cpu.cfs_burst_us",
                "cpu.idle",   "cpu.rt_period_us",  "cpu.rt_runtime_us", NULL};
        struct fake *f = fake_new(false);
        struct spec_resources r = {.cpu = {.shares = U64(1024),
                                           .quota = I64(-1),
                                           .period = U64(100000),
                                           .burst = U64(5000),
                                           .idle = I64(1),
                                           .realtime_period = U64(1000000),
                                           .realtime_runtime = I64(950000)}};

        (void)state;
        add(f, "cpu,cpuacct", 1u << CGROUP_CPU | 1u << CGROUP_CPUACCT, files);
        ok(f, &r);
        assert_file(f, "cpu,cpuacct", "cpu.shares", "1024");
        assert_file(f, "cpu,cpuacct", "cpu.cfs_quota_us", "-1");
        assert_file(f, "cpu,cpuacct", "cpu.rt_runtime_us", "950000");
        assert_written(f, "cpu.shares cpu.idle cpu.cfs_period_us cpu.cfs_burst_us cpu.cfs_quota_us "
                          "cpu.rt_period_us cpu.rt_runtime_us ");
        r.cpu.shares = U64(1);
        refused(f, &r, -EINVAL, "the minimum allowed cpu-shares is 2");
        r.cpu.shares = U64(262145);
        r.cpu.idle.set = false;
        refused(f, &r, -EINVAL, "the maximum allowed cpu-shares is 262144");
        fake_free(f);
}

static void v1_block_io_takes_bfq_where_that_is_what_there_is(void **state)
{
        static const char *const files[] = {"blkio.bfq.weight", "blkio.bfq.weight_device",
                                            "blkio.throttle.read_bps_device",
                                            "blkio.throttle.write_iops_device", NULL};
        struct spec_weight_device weight = {.major = 8, .minor = 16, .weight = U64(300)};
        struct spec_throttle_device throttle[] = {{8, 0, 1048576}, {8, 16, 0}};
        struct fake *f = fake_new(false);
        struct spec_resources r = {.block_io = {.weight = U64(200),
                                                .weight_devices = &weight,
                                                .n_weight_devices = 1,
                                                .read_bps = {throttle, 1},
                                                .write_iops = {throttle, 2}}};

        (void)state;
        add(f, "blkio", 1u << CGROUP_IO, files);
        ok(f, &r);
        assert_file(f, "blkio", "blkio.bfq.weight", "200");
        assert_file(f, "blkio", "blkio.bfq.weight_device", "8:16 300");
        assert_file(f, "blkio", "blkio.throttle.read_bps_device", "8:0 1048576");
        r = (struct spec_resources){.block_io = {.leaf_weight = U64(100)}};
        refused(f, &r, -ENOENT, "no I/O scheduler with weights");
        fake_free(f);
}

static void v1_others_are_written(void **state)
{
        static const char *const net[] = {"net_cls.classid", "net_prio.ifpriomap", NULL};
        static const char *const huge[] = {"hugetlb.2MB.limit_in_bytes", NULL};
        static const char *const rdma[] = {"rdma.max", NULL};
        struct spec_interface_priority priority = {"eth0", 5};
        struct spec_hugepage_limit limit = {"2MB", 4194304};
        struct spec_rdma device = {"mlx5_1", U64(3), U64(10000)};
        struct fake *f = fake_new(false);
        struct spec_resources r = {.network_class_id = U64(1048577),
                                   .network_priorities = &priority,
                                   .n_network_priorities = 1,
                                   .hugepage_limits = &limit,
                                   .n_hugepage_limits = 1,
                                   .rdma = &device,
                                   .n_rdma = 1};

        (void)state;
        add(f, "net_cls,net_prio", 1u << CGROUP_NET_CLS | 1u << CGROUP_NET_PRIO, net);
        add(f, "hugetlb", 1u << CGROUP_HUGETLB, huge);
        add(f, "rdma", 1u << CGROUP_RDMA, rdma);
        ok(f, &r);
        assert_file(f, "net_cls,net_prio", "net_cls.classid", "1048577");
        assert_file(f, "net_cls,net_prio", "net_prio.ifpriomap", "eth0 5");
        assert_file(f, "hugetlb", "hugetlb.2MB.limit_in_bytes", "4194304");
        assert_file(f, "rdma", "rdma.max", "mlx5_1 hca_handle=3 hca_object=10000");
        limit.page_size = "../../x";
        refused(f, &r, -EINVAL, "is no page size");
        priority.name = "eth0 9\nlo";
        refused(f, &r, -EINVAL, "is no page size");
        r.n_hugepage_limits = 0;
        refused(f, &r, -EINVAL, "is no interface's name");
        fake_free(f);
}

/* ---- v2 ------------------------------------------------------------------------------------------------ */

static const char *const v2_files[] = {"memory.max",         "memory.low",
                                       "memory.swap.max",    "cpu.max",
                                       "cpu.weight",         "cpu.idle",
                                       "cpu.max.burst",      "pids.max",
                                       "io.weight",          "io.max",
                                       "cpuset.cpus",        "cpuset.mems",
                                       "hugetlb.2MB.max",    "hugetlb.2MB.rsvd.max",
                                       "cgroup.controllers", NULL};

static struct fake *fake_v2(void)
{
        struct fake *f = fake_new(true);

        add(f, "u", ~(1u << CGROUP_DEVICES | 1u << CGROUP_RDMA), v2_files);
        return f;
}

static void v2_all_is_converted(void **state)
{
        struct spec_hugepage_limit limit = {"2MB", 4194304};
        struct spec_throttle_device throttle = {8, 0, 0};
        struct fake *f = fake_v2();
        struct spec_resources r = {
                .memory = {.limit = I64(1000),
                           .swap = I64(3000),
                           .reservation = I64(500),
                           .swappiness = U64(60)},
                .cpu = {.shares = U64(1024),
                        .quota = I64(50000),
                        .period = U64(200000),
                        .cpus = "0-1",
                        .mems = "0"},
                .pids_limit = I64(0),
                .block_io = {.weight = U64(1000), .read_bps = {&throttle, 1}},
                .hugepage_limits = &limit,
                .n_hugepage_limits = 1,
        };

        (void)state;
        ok(f, &r);
        assert_file(f, "u", "memory.max", "1000");
        assert_file(f, "u", "memory.swap.max", "2000");
        assert_file(f, "u", "memory.low", "500");
        assert_file(f, "u", "cpu.max", "50000 200000");
        assert_file(f, "u", "cpu.weight", "100");
        assert_file(f, "u", "cpuset.cpus", "0-1");
        assert_file(f, "u", "cpuset.mems", "0");
        assert_file(f, "u", "pids.max", "1");
        assert_file(f, "u", "io.weight", "10000");
        assert_file(f, "u", "io.max", "8:0 rbps=max");
        assert_file(f, "u", "hugetlb.2MB.max", "4194304");
        assert_file(f, "u", "hugetlb.2MB.rsvd.max", "4194304");
        fake_free(f);
}

static void v2_half_of_cpu_max_keeps_the_other_half(void **state)
{
        struct fake *f = fake_v2();
        struct spec_resources r = {.cpu = {.quota = I64(1000)}};

        (void)state;
        put(f, "u", "cpu.max", "max 50000\n");
        ok(f, &r);
        assert_file(f, "u", "cpu.max", "1000 50000");
        put(f, "u", "cpu.max", "7000 50000");
        r = (struct spec_resources){.cpu = {.period = U64(60000)}};
        ok(f, &r);
        assert_file(f, "u", "cpu.max", "7000 60000");
        r = (struct spec_resources){.cpu = {.quota = I64(-1)}};
        put(f, "u", "cpu.max", "");
        ok(f, &r);
        assert_file(f, "u", "cpu.max", "max 100000");
        fake_free(f);
}

static void v2_swap_alone_counts_from_the_memory_limit_there_is(void **state)
{
        struct fake *f = fake_v2();
        struct spec_resources r = {.memory = {.swap = I64(1500)}};

        (void)state;
        put(f, "u", "memory.max", "1000\n");
        ok(f, &r);
        assert_file(f, "u", "memory.swap.max", "500");
        put(f, "u", "memory.max", "max\n");
        refused(f, &r, -EINVAL, "unable to set swap limit without memory limit");
        fake_free(f);
}

static void unified_is_the_last_word(void **state)
{
        struct spec_pair pairs[] = {{"pids.max", "7"}, {"io.max", "8:0 rbps=1\n\n8:0 wbps=2\n"}};
        struct fake *f = fake_v2();
        struct spec_resources r = {.pids_limit = I64(20), .unified = {pairs, 2}};

        (void)state;
        ok(f, &r);
        assert_file(f, "u", "pids.max", "70"); /* "20", and "7" written over it */
        assert_file(f, "u", "io.max", "8:0 rbps=18:0 wbps=2");
        fake_free(f);
}

static void unified_names_what_is_wrong(void **state)
{
        struct spec_pair pair = {"../x/pids.max", "7"};
        struct fake *f = fake_v2();
        struct spec_resources r = {.unified = {&pair, 1}};

        (void)state;
        put(f, "u", "cgroup.controllers", "cpuset cpu memory pids\n");
        refused(f, &r, -EINVAL, "unified resource \"../x/pids.max\" must be a file name (no slashes)");
        pair.key = "pidsmax";
        refused(f, &r, -EINVAL, "unified resource \"pidsmax\" must be in the form CONTROLLER.PARAMETER");
        pair.key = "rdma.max";
        refused(f, &r, -ENOTSUP,
                "unified resource \"rdma.max\" can't be set: controller \"rdma\" not available");
        pair.key = "cpu.nothing";
        refused(f, &r, -ENOENT, "unable to set unified resource \"cpu.nothing\"");
        f->cgroup.unified = false;
        refused(f, &r, -EINVAL, "invalid configuration: cannot use unified on cgroup v1");
        fake_free(f);
}

static void limits_without_a_controller_are_refused(void **state)
{
        static const char *const none[] = {NULL};
        struct fake *f = fake_new(true);
        struct spec_resources r = {.pids_limit = I64(10)};

        (void)state;
        add(f, "u", 0, none);
        refused(f, &r, -ENOTSUP, "controller \"pids\" is not available in");
        f->cgroup.rootless = true;
        refused(f, &r, -ENOTSUP, "cannot set pids limit: container could not join or create cgroup");
        r = (struct spec_resources){.pids_limit = I64(-1),
                                    .memory = {.limit = I64(-1), .swappiness = U64(60)}};
        ok(f, &r);
        r = (struct spec_resources){.network_class_id = U64(1)};
        refused(f, &r, -ENOTSUP, "cgroup v2 has no such limit");
        r = (struct spec_resources){.cpu = {.realtime_runtime = I64(1)}};
        refused(f, &r, -ENOTSUP, "cpu");
        fake_free(f);
}

/* ---- devices on v1 ------------------------------------------------------------------------------------- */

static const char *const device_files[] = {"devices.allow", "devices.deny", "devices.list", NULL};
static const char default_rules[] = "c *:* mb *:* mc 1:3 rwmc 1:5 rwmc 1:7 rwmc 1:8 rwmc 1:9 rwmc 5:0 rwm"
                                    "c 5:2 rwmc 136:* rwmc 10:200 rwm";

static void v1_new_group_has_what_is_allowed_alone(void **state)
{
        struct spec_device_rule rules[] = {
                {.type = 'a', .access = 7},
                {.allow = true, .type = 'c', .major = U64(10), .minor = U64(229), .access = 3},
                {.allow = true, .type = 'b', .major = U64(8), .access = 1},
                {.type = 'c', .major = U64(10), .minor = U64(229), .access = 2},
        };
        struct fake *f = fake_new(false);
        struct spec_resources r = {.devices = rules, .n_devices = 4};
        char wanted[512];

        (void)state;
        add(f, "devices", 1u << CGROUP_DEVICES, device_files);
        f->cgroup.fresh = true;
        ok(f, &r);
        assert_file(f, "devices", "devices.deny", "a");
        snprintf(wanted, sizeof(wanted), "c 10:229 rb 8:* r%s", default_rules);
        assert_file(f, "devices", "devices.allow", wanted);
        fake_free(f);
}

static void v1_new_group_without_rules_has_the_defaults(void **state)
{
        struct fake *f = fake_new(false);
        struct spec_resources r = {.n_devices = 0};

        (void)state;
        add(f, "devices", 1u << CGROUP_DEVICES, device_files);
        f->cgroup.fresh = true;
        ok(f, &r);
        assert_file(f, "devices", "devices.deny", "a");
        assert_file(f, "devices", "devices.allow", default_rules);
        fake_free(f);
}

static void v1_privileged_group_is_left_as_it_is(void **state)
{
        struct spec_device_rule rule = {.allow = true, .type = 'a', .access = 7};
        struct fake *f = fake_new(false);
        struct spec_resources r = {.devices = &rule, .n_devices = 1};

        (void)state;
        add(f, "devices", 1u << CGROUP_DEVICES, device_files);
        f->cgroup.fresh = true;
        ok(f, &r);
        assert_written(f, "");
        fake_free(f);
}

static void v1_hole_in_a_wildcard_is_refused(void **state)
{
        struct spec_device_rule rules[] = {
                {.allow = true, .type = 'c', .major = U64(10), .access = 7},
                {.type = 'c', .major = U64(10), .minor = U64(229), .access = 7},
        };
        struct fake *f = fake_new(false);
        struct spec_resources r = {.devices = rules, .n_devices = 2};

        (void)state;
        add(f, "devices", 1u << CGROUP_DEVICES, device_files);
        f->cgroup.fresh = true;
        refused(f, &r, -EINVAL, "cannot punch hole in existing wildcard rule");
        assert_written(f, "");
        fake_free(f);
}

static void v1_update_writes_the_difference(void **state)
{
        struct spec_device_rule rules[] = {
                {.type = 'a', .access = 7},
                {.allow = true, .type = 'c', .major = U64(10), .minor = U64(229), .access = 7},
        };
        struct fake *f = fake_new(false);
        struct spec_resources r = {.devices = rules, .n_devices = 2};

        (void)state;
        add(f, "devices", 1u << CGROUP_DEVICES, device_files);
        put(f, "devices", "devices.list",
            "c *:* m\nb *:* m\nc 1:3 rwm\nc 1:5 rwm\nc 1:7 rwm\nc 1:8 rwm\nc 1:9 rwm\nc 5:0 rwm\nc 5:2 rwm\n"
            "c 136:* rwm\nc 10:200 rwm\nc 4:1 rw\nc 10:229 r\n");
        ok(f, &r);
        assert_file(f, "devices", "devices.allow", "c 10:229 wm");
        assert_file(f, "devices", "devices.deny", "c 4:1 rw");
        /* An update that says nothing of devices leaves them. */
        assert_written(f, "devices.list devices.allow devices.deny ");
        r = (struct spec_resources){.n_devices = 0};
        ok(f, &r);
        assert_written(f, "");
        fake_free(f);
}

/* ---- processes ----------------------------------------------------------------------------------------- */

/* 0 stands for one whose number isn't ours to know; a signal for it would be for our own process group. */
static void processes_of_other_namespaces_are_left_out(void **state)
{
        static const char *const files[] = {"cgroup.procs", NULL};
        static const char *const bad[] = {"7", "x\n", "-1\n", "\n", "2147483648\n", "00000000000000007\n"};
        struct fake *f = fake_new(true);
        pid_t *pids = NULL;
        size_t n = 0;

        (void)state;
        add(f, "u", 0, files);
        put(f, "u", "cgroup.procs", "0\n7\n0\n2147483647\n");
        assert_int_equal(cgroup_pids_in(&f->cgroup.hierarchies[0], &pids, &n, &f->err), 0);
        assert_int_equal(n, 2);
        assert_int_equal(pids[0], 7);
        assert_int_equal(pids[1], INT32_MAX);
        free(pids);
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                put(f, "u", "cgroup.procs", bad[i]);
                assert_int_equal(cgroup_pids_in(&f->cgroup.hierarchies[0], &pids, &n, &f->err), -EBADMSG);
        }
        fake_free(f);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(shares_become_the_weight_of_the_quadratic_formula),
                cmocka_unit_test(io_weight_is_linear),
                cmocka_unit_test(swap_is_what_is_above_memory),
                cmocka_unit_test(v1_memory_goes_before_swap_in_a_new_group),
                cmocka_unit_test(v1_swap_goes_first_where_both_grow),
                cmocka_unit_test(v1_no_limit_is_minus_one_for_swap_too),
                cmocka_unit_test(v1_without_swap_accounting_says_so),
                cmocka_unit_test(v2_without_swap_accounting_says_so_where_swap_is_wanted),
                cmocka_unit_test(usage_above_a_checked_limit_is_refused),
                cmocka_unit_test(v1_cpu_is_written),
                cmocka_unit_test(v1_block_io_takes_bfq_where_that_is_what_there_is),
                cmocka_unit_test(v1_others_are_written),
                cmocka_unit_test(v2_all_is_converted),
                cmocka_unit_test(v2_half_of_cpu_max_keeps_the_other_half),
                cmocka_unit_test(v2_swap_alone_counts_from_the_memory_limit_there_is),
                cmocka_unit_test(unified_is_the_last_word),
                cmocka_unit_test(unified_names_what_is_wrong),
                cmocka_unit_test(limits_without_a_controller_are_refused),
                cmocka_unit_test(v1_new_group_has_what_is_allowed_alone),
                cmocka_unit_test(v1_new_group_without_rules_has_the_defaults),
                cmocka_unit_test(v1_privileged_group_is_left_as_it_is),
                cmocka_unit_test(v1_hole_in_a_wildcard_is_refused),
                cmocka_unit_test(v1_update_writes_the_difference),
                cmocka_unit_test(processes_of_other_namespaces_are_left_out),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
