/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Control groups on the system that this runs on, in groups of unique names, all of which are gone at the
 * end.  It runs here, and in the test host VM for the layouts that this machine doesn't have
 * (tests/vm/test_cgroup_vm.py).
 */
#include "lib/container/cgroup-internal.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
        struct cgroup *cgroup;
        char path[64];
        pid_t child;
        int go; /* a byte to the child */
        int said;
        struct error err;
};

static unsigned serial;

static struct spec_resources no_limits(void)
{
        static struct spec_device_rule deny_all = {.type = 'a', .access = 7};

        return (struct spec_resources){.devices = &deny_all, .n_devices = 1};
}

#define check(f, call) check_that((call), (f), #call, __LINE__)

static void check_that(int r, const struct fixture *f, const char *what, int line)
{
        if (r < 0)
                fail_msg("line %d: %s: %d %s", line, what, r, error_text(&f->err));
}

static void make(struct fixture *f, const struct spec_resources *resources)
{
        struct cgroup_request request = {.id = "live", .path = f->path, .resources = resources};

        snprintf(f->path, sizeof(f->path), "/coffer-test-%d/%u", getpid(), serial++);
        check(f, cgroup_create(&request, NULL, &f->cgroup, &f->err));
}

/* A process that enters the group as container-init does: cloned into v2, and by writing "0" in v1.  Then it
 * answers each byte with what became of an open of /dev/full or of a fork. */
static void start(struct fixture *f)
{
        struct clone_args args = {.exit_signal = SIGCHLD};
        int to_child[2], from_child[2], *tasks;
        size_t n;

        check(f, cgroup_open_tasks(f->cgroup, &tasks, &n, &f->err));
        assert_int_equal(pipe2(to_child, O_CLOEXEC), 0);
        assert_int_equal(pipe2(from_child, O_CLOEXEC), 0);
        if (cgroup_clone_fd(f->cgroup) >= 0) {
                args.flags = CLONE_INTO_CGROUP;
                args.cgroup = (unsigned)cgroup_clone_fd(f->cgroup);
        }
        f->child = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
        assert_true(f->child >= 0);
        if (f->child == 0) {
                char c;
                for (size_t i = 0; i < n; i++)
                        if (write(tasks[i], "0", 1) != 1)
                                _exit(100);
                c = 'i';
                (void)!write(from_child[1], &c, 1);
                close(to_child[1]);
                while (read(to_child[0], &c, 1) == 1) {
                        if (c == 'f') {
                                pid_t pid = fork();
                                if (pid == 0)
                                        for (;;)
                                                pause();
                                c = pid > 0 ? '+' : '-';
                        } else if (c == 'o') {
                                for (;;) {
                                        /* volatile: a compiler may leave out memory that nobody reads */
                                        volatile char *memory = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE,
                                                                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
                                        for (size_t i = 0; i < 1 << 20; i += 4096)
                                                memory[i] = 1;
                                }
                        } else if (c == 'd') {
                                c = open("/dev/kmsg", O_RDONLY | O_CLOEXEC) >= 0 ? '+' : '-';
                        } else if (c == 'n') {
                                c = open("/dev/null", O_RDWR | O_CLOEXEC) >= 0 ? '+' : '-';
                        }
                        (void)!write(from_child[1], &c, 1);
                }
                _exit(0);
        }
        close(to_child[0]);
        close(from_child[1]);
        f->go = to_child[1];
        f->said = from_child[0];
        for (size_t i = 0; i < n; i++)
                close(tasks[i]);
        free(tasks);
        char c = 0;
        assert_int_equal(read(f->said, &c, 1), 1);
        assert_int_equal(c, 'i');
}

static char ask(struct fixture *f, char what)
{
        char c = 0;

        assert_int_equal(write(f->go, &what, 1), 1);
        assert_int_equal(read(f->said, &c, 1), 1);
        return c;
}

/* Is the child in the group in each hierarchy that the group has? */
static void assert_inside(const struct fixture *f)
{
        char name[64], text[8192], line[300];
        FILE *file;

        snprintf(name, sizeof(name), "/proc/%d/cgroup", f->child);
        file = fopen(name, "re");
        assert_non_null(file);
        text[fread(text, 1, sizeof(text) - 1, file)] = 0;
        fclose(file);
        for (size_t i = 0; i < f->cgroup->n; i++) {
                const struct cgroup_hierarchy *h = &f->cgroup->hierarchies[i];
                snprintf(line, sizeof(line), ":%s%s:%s\n", h->named ? "name=" : "", h->unified ? "" : h->name,
                         h->path);
                if (!strstr(text, line))
                        fail_msg("no line \"%s\" in %s", line, text);
        }
}

static void end(struct fixture *f)
{
        char parent[CGROUP_FILE_PATH_MAX];

        check(f, cgroup_destroy(f->cgroup, &f->err));
        if (f->child > 0) {
                waitpid(f->child, NULL, 0);
                close(f->go);
                close(f->said);
        }
        for (size_t i = 0; i < f->cgroup->n; i++) {
                struct cgroup_hierarchy *h = &f->cgroup->hierarchies[i];
                assert_int_equal(cgroup_file_path(h, "", parent), 0);
                assert_int_not_equal(access(parent, F_OK), 0);
                *strrchr(parent, '/') = 0;
                rmdir(parent);
        }
        cgroup_free(f->cgroup);
}

/* What a file of the group says. */
static const char *content(struct fixture *f, enum cgroup_controller controller, const char *file)
{
        static char text[256];
        struct cgroup_hierarchy *h = cgroup_with(f->cgroup, controller);

        assert_non_null(h);
        ssize_t n = cgroup_file_read(h, file, text, sizeof(text));
        if (n < 0)
                fail_msg("%s: %s", file, strerror((int)-n));
        text[strcspn(text, "\n")] = 0;
        return text;
}

static void process_enters_by_itself(void **state)
{
        struct spec_resources resources = no_limits();
        struct fixture f = {.child = 0};

        (void)state;
        make(&f, &resources);
        check(&f, cgroup_apply(f.cgroup, &resources, &f.err));
        start(&f);
        assert_inside(&f);
        end(&f);
}

static void process_is_put_in(void **state)
{
        struct fixture f = {.child = 0};

        (void)state;
        make(&f, NULL);
        f.child = fork();
        if (f.child == 0)
                for (;;)
                        pause();
        f.go = f.said = -1;
        check(&f, cgroup_enter(f.cgroup, f.child, &f.err));
        assert_inside(&f);
        end(&f);
}

static void limits_are_set(void **state)
{
        struct spec_resources r = no_limits();
        struct fixture f = {.child = 0};
        bool v2;

        (void)state;
        r.memory.limit = (struct optional_i64){true, 64 << 20};
        r.memory.reservation = (struct optional_i64){true, 32 << 20};
        r.cpu.shares = (struct optional_u64){true, 512};
        r.cpu.quota = (struct optional_i64){true, 50000};
        r.cpu.period = (struct optional_u64){true, 200000};
        r.cpu.cpus = "0";
        r.cpu.mems = "0";
        r.pids_limit = (struct optional_i64){true, 2};
        make(&f, &r);
        check(&f, cgroup_apply(f.cgroup, &r, &f.err));
        v2 = f.cgroup->unified;
        assert_string_equal(content(&f, CGROUP_MEMORY, v2 ? "memory.max" : "memory.limit_in_bytes"),
                            "67108864");
        assert_string_equal(content(&f, CGROUP_MEMORY, v2 ? "memory.low" : "memory.soft_limit_in_bytes"),
                            "33554432");
        if (v2) {
                assert_string_equal(content(&f, CGROUP_CPU, "cpu.weight"), "59");
                assert_string_equal(content(&f, CGROUP_CPU, "cpu.max"), "50000 200000");
        } else {
                assert_string_equal(content(&f, CGROUP_CPU, "cpu.shares"), "512");
                assert_string_equal(content(&f, CGROUP_CPU, "cpu.cfs_quota_us"), "50000");
                assert_string_equal(content(&f, CGROUP_CPU, "cpu.cfs_period_us"), "200000");
        }
        assert_string_equal(content(&f, CGROUP_CPUSET, "cpuset.cpus"), "0");
        assert_string_equal(content(&f, CGROUP_PIDS, "pids.max"), "2");
        start(&f);
        assert_inside(&f);
        assert_int_equal(ask(&f, 'f'), '+');
        assert_int_equal(ask(&f, 'f'), '-');

        /* An update leaves what it doesn't mention; the period shrinks below the quota's old share. */
        struct spec_resources update = {.pids_limit = {true, -1}};
        update.cpu.period = (struct optional_u64){true, 100000};
        update.cpu.quota = (struct optional_i64){true, 20000};
        check(&f, cgroup_apply(f.cgroup, &update, &f.err));
        assert_string_equal(content(&f, CGROUP_PIDS, "pids.max"), "max");
        assert_string_equal(content(&f, CGROUP_MEMORY, v2 ? "memory.max" : "memory.limit_in_bytes"),
                            "67108864");
        assert_string_equal(content(&f, CGROUP_CPU, v2 ? "cpu.max" : "cpu.cfs_quota_us"),
                            v2 ? "20000 100000" : "20000");
        assert_int_equal(ask(&f, 'f'), '+');
        end(&f);
}

static void group_with_processes_is_refused(void **state)
{
        struct fixture f = {.child = 0};
        struct cgroup *second = NULL;

        (void)state;
        make(&f, NULL);
        start(&f);
        struct cgroup_request request = {.id = "live", .path = f.path};
        assert_int_equal(cgroup_create(&request, NULL, &second, &f.err), -EEXIST);
        assert_string_equal(f.err.text, "container's cgroup is not empty: 1 process(es) found");
        assert_inside(&f);
        end(&f);
}

/* The kernel takes no newline in the name of a group. */
static void group_that_cannot_be_made_leaves_none_above_it(void **state)
{
        struct cgroup *cgroup = NULL;
        struct error err = {0};
        struct fixture f = {.child = 0};
        char path[96], folder[256];

        (void)state;
        make(&f, NULL);
        snprintf(path, sizeof(path), "%s-new/a/\n/b", f.path);
        struct cgroup_request request = {.id = "live", .path = path};
        assert_int_equal(cgroup_create(&request, NULL, &cgroup, &err), -EINVAL);
        for (size_t i = 0; i < f.cgroup->n; i++) {
                snprintf(folder, sizeof(folder), "%s%s-new", f.cgroup->hierarchies[i].mountpoint, f.path);
                assert_int_equal(access(folder, F_OK), -1);
        }
        end(&f);
}

static void root_of_all_groups_is_no_containers(void **state)
{
        static const char *const paths[] = {"/", "//", "/..", "/a/.."};

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
                struct cgroup_request request = {.id = "live", .path = paths[i]};
                struct cgroup *cgroup = NULL;
                struct error err = {0};
                assert_int_equal(cgroup_create(&request, NULL, &cgroup, &err), -EINVAL);
                assert_non_null(strstr(err.text, "is the root of all groups"));
        }
}

static void frozen_group_is_refused_and_stays(void **state)
{
        struct fixture f = {.child = 0};
        struct cgroup *second = NULL;
        bool frozen;

        (void)state;
        make(&f, NULL);
        check(&f, cgroup_freeze(f.cgroup, &f.err));
        struct cgroup_request request = {.id = "live", .path = f.path};
        assert_int_equal(cgroup_create(&request, NULL, &second, &f.err), -EINVAL);
        assert_string_equal(f.err.text, "container's cgroup unexpectedly frozen");
        check(&f, cgroup_is_frozen(f.cgroup, &frozen, &f.err));
        assert_true(frozen);
        check(&f, cgroup_thaw(f.cgroup, &f.err));
        end(&f);
}

static void all_are_frozen_thawed_and_killed(void **state)
{
        struct fixture f = {.child = 0};
        pid_t *pids;
        size_t n;
        bool frozen;

        (void)state;
        make(&f, NULL);
        start(&f);
        assert_int_equal(ask(&f, 'f'), '+');
        assert_int_equal(ask(&f, 'f'), '+');
        check(&f, cgroup_pids(f.cgroup, &pids, &n, &f.err));
        assert_int_equal(n, 3);
        free(pids);

        check(&f, cgroup_freeze(f.cgroup, &f.err));
        check(&f, cgroup_is_frozen(f.cgroup, &frozen, &f.err));
        assert_true(frozen);
        check(&f, cgroup_thaw(f.cgroup, &f.err));
        check(&f, cgroup_is_frozen(f.cgroup, &frozen, &f.err));
        assert_false(frozen);
        assert_int_equal(ask(&f, 'x'), 'x');

        check(&f, cgroup_signal(f.cgroup, SIGKILL, &f.err));
        int status;
        assert_int_equal(waitpid(f.child, &status, 0), f.child);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        f.child = 0;
        close(f.go);
        close(f.said);
        end(&f);
}

static void figures_are_told(void **state)
{
        struct fixture f = {.child = 0};
        json_t *stats;
        uint64_t kills;
        int fd;

        (void)state;
        make(&f, NULL);
        start(&f);
        check(&f, cgroup_stats(f.cgroup, &stats, &f.err));
        for (const char *const *name =
                     (const char *const[]){"cpu", "cpuset", "memory", "pids", "blkio", "hugetlb", NULL};
             *name; name++)
                assert_true(json_is_object(json_object_get(stats, *name)));
        json_t *memory = json_object_get(stats, "memory");
        assert_int_equal(json_integer_value(json_object_get(json_object_get(stats, "pids"), "current")), 1);
        assert_true(json_integer_value(json_object_get(json_object_get(memory, "usage"), "limit")) > 0);
        assert_true(json_object_size(json_object_get(memory, "raw")) > 10);
        json_t *usage = json_object_get(json_object_get(stats, "cpu"), "usage");
        assert_true(json_integer_value(json_object_get(usage, "total")) > 0);
        json_decref(stats);

        check(&f, cgroup_oom_count(f.cgroup, &kills, &f.err));
        assert_int_equal(kills, 0);
        check(&f, cgroup_oom_events(f.cgroup, &fd, &f.err));
        close(fd);
        end(&f);
}

static void oom_kill_is_told(void **state)
{
        struct spec_resources r = no_limits();
        struct fixture f = {.child = 0};
        uint64_t kills;
        int fd;

        (void)state;
        r.memory.limit = r.memory.swap = (struct optional_i64){true, 8 << 20};
        make(&f, &r);
        check(&f, cgroup_apply(f.cgroup, &r, &f.err));
        check(&f, cgroup_oom_events(f.cgroup, &fd, &f.err));
        start(&f);
        assert_int_equal(write(f.go, "o", 1), 1);
        int status;
        assert_int_equal(waitpid(f.child, &status, 0), f.child);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        f.child = 0;
        close(f.go);
        close(f.said);
        struct pollfd p = {.fd = fd, .events = POLLIN | POLLPRI};
        assert_int_equal(poll(&p, 1, 10000), 1);
        check(&f, cgroup_oom_count(f.cgroup, &kills, &f.err));
        assert_int_equal(kills, 1);
        close(fd);
        end(&f);
}

static void devices_are_denied_but_those_of_every_container(void **state)
{
        struct spec_resources r = no_limits();
        struct fixture f = {.child = 0};

        (void)state;
        make(&f, &r);
        check(&f, cgroup_apply(f.cgroup, &r, &f.err));
        start(&f);
        assert_int_equal(ask(&f, 'd'), '-');
        assert_int_equal(ask(&f, 'n'), '+');
        end(&f);
}

static void further_process_goes_where_the_first_is(void **state)
{
        struct fixture f = {.child = 0};
        struct cgroup *sub, *group;
        char path[CGROUP_FILE_PATH_MAX];

        (void)state;
        make(&f, NULL);
        start(&f);
        assert_int_equal(cgroup_open_subgroup(f.cgroup, "inner", &sub, &f.err), -ENOENT);
        for (size_t i = 0; i < f.cgroup->n; i++) {
                assert_int_equal(cgroup_file_path(&f.cgroup->hierarchies[i], "inner", path), 0);
                assert_int_equal(mkdir(path, 0755), 0);
        }
        check(&f, cgroup_open_subgroup(f.cgroup, "../../inner/", &sub, &f.err));
        for (size_t i = 0; i < sub->n; i++)
                if (!sub->hierarchies[i].unified && sub->hierarchies[i].controllers & (1u << CGROUP_CPUSET))
                        check(&f, cgroup_cpuset_inherit(&sub->hierarchies[i], NULL, &f.err));
        check(&f, cgroup_enter(sub, f.child, &f.err));
        check(&f, cgroup_open_group_of(f.cgroup, f.child, &group, &f.err));
        assert_string_equal(group->hierarchies[0].path + strlen(f.path), f.cgroup->unified ? "/inner" : "");
        cgroup_free(group);
        cgroup_free(sub);
        end(&f);
}

/* Deeper than there are descriptors, and with a path longer than any call takes. */
static void deep_groups_are_listed_and_removed(void **state)
{
        enum { DEPTH = 1200 };
        struct fixture f = {.child = 0};
        char path[CGROUP_FILE_PATH_MAX];
        pid_t *pids;
        size_t n;

        (void)state;
        make(&f, NULL);
        for (size_t i = 0; i < f.cgroup->n; i++) {
                struct cgroup_hierarchy *h = &f.cgroup->hierarchies[i];
                if (!f.cgroup->unified && !(h->controllers & (1u << CGROUP_FREEZER)))
                        continue;
                assert_int_equal(cgroup_file_path(h, "", path), 0);
                int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
                for (int depth = 0; depth < DEPTH; depth++) {
                        assert_int_equal(mkdirat(fd, "deep", 0755), 0);
                        int next = openat(fd, "deep", O_PATH | O_DIRECTORY | O_CLOEXEC);
                        close(fd);
                        fd = next;
                }
                f.child = fork();
                if (f.child == 0)
                        for (;;)
                                pause();
                f.go = f.said = -1;
                int procs = openat(fd, "cgroup.procs", O_WRONLY | O_CLOEXEC);
                assert_true(dprintf(procs, "%d", f.child) > 0);
                close(procs);
                close(fd);
                break;
        }
        check(&f, cgroup_pids(f.cgroup, &pids, &n, &f.err));
        assert_int_equal(n, 1);
        assert_int_equal(pids[0], f.child);
        free(pids);
        end(&f);
}

/* Paused, with subgroups of the container's own making, through the state file. */
static void whatever_is_left_is_destroyed(void **state)
{
        struct fixture f = {.child = 0};
        struct cgroup *again;
        char path[CGROUP_FILE_PATH_MAX];
        json_t *json;

        (void)state;
        make(&f, NULL);
        start(&f);
        for (size_t i = 0; i < f.cgroup->n; i++) {
                for (const char *const *sub = (const char *const[]){"a", "a/b", "a/b/c", "a/d", "e", NULL};
                     *sub; sub++) {
                        assert_int_equal(cgroup_file_path(&f.cgroup->hierarchies[i], *sub, path), 0);
                        assert_int_equal(mkdir(path, 0755), 0);
                }
        }
        check(&f, cgroup_freeze(f.cgroup, &f.err));
        json = cgroup_to_json(f.cgroup);
        assert_non_null(json);
        check(&f, cgroup_from_json(json, NULL, &again, &f.err));
        json_decref(json);
        assert_int_equal(again->n, f.cgroup->n);
        check(&f, cgroup_destroy(again, &f.err));
        cgroup_free(again);
        end(&f);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(process_enters_by_itself),
                cmocka_unit_test(process_is_put_in),
                cmocka_unit_test(limits_are_set),
                cmocka_unit_test(group_with_processes_is_refused),
                cmocka_unit_test(group_that_cannot_be_made_leaves_none_above_it),
                cmocka_unit_test(root_of_all_groups_is_no_containers),
                cmocka_unit_test(frozen_group_is_refused_and_stays),
                cmocka_unit_test(all_are_frozen_thawed_and_killed),
                cmocka_unit_test(figures_are_told),
                cmocka_unit_test(oom_kill_is_told),
                cmocka_unit_test(devices_are_denied_but_those_of_every_container),
                cmocka_unit_test(further_process_goes_where_the_first_is),
                cmocka_unit_test(deep_groups_are_listed_and_removed),
                cmocka_unit_test(whatever_is_left_is_destroyed),
        };

        if (geteuid() != 0) {
                fprintf(stderr, "control groups can't be made without being root: skipped\n");
                return 77;
        }
        return cmocka_run_group_tests(tests, NULL, NULL);
}
