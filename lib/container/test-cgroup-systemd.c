/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What systemd is told, and, with the argument "live", what it then does: that needs a real systemd
 * (tests/vm/with-systemd).
 */
#include "lib/container/cgroup-internal.h"
#include "lib/container/systemd-resources.h"

#include "lib/base/clock.h"
#include "lib/base/file.h"
#include "lib/base/text.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define SET(v)                                                                                               \
        {                                                                                                    \
                .set = true, .value = (v)                                                                    \
        }

/* ---- properties ---------------------------------------------------------------------------------------- */

static const struct systemd_property *find(const struct systemd_properties *properties, const char *name)
{
        for (size_t i = properties->n; i-- > 0;)
                if (strcmp(properties->items[i].name, name) == 0)
                        return &properties->items[i];
        return NULL;
}

static void assert_number(const struct systemd_properties *properties, const char *name, uint64_t number)
{
        const struct systemd_property *property = find(properties, name);

        if (!property || property->type != SYSTEMD_U64 || property->number != number)
                fail_msg("%s: %lu", name, property ? (unsigned long)property->number : 0);
}

static void limits_in_the_words_of_v2(void **state)
{
        const struct spec_resources resources = {
                .memory = {.limit = SET(64 << 20), .swap = SET(-1), .reservation = SET(32 << 20)},
                .cpu = {.shares = SET(1024), .quota = SET(12345), .cpus = "0-2,9", .mems = "0"},
                .pids_limit = SET(-1),
                .block_io = {.weight = SET(500)},
        };
        cleanup_systemd_properties struct systemd_properties p = {0};

        (void)state;
        assert_int_equal(systemd_property_add_resources(&p, &resources, true, NULL), 0);
        assert_number(&p, "MemoryMax", 64 << 20);
        assert_number(&p, "MemoryLow", 32 << 20);
        assert_number(&p, "MemorySwapMax", UINT64_MAX);
        assert_number(&p, "CPUWeight", cgroup_weight_of_shares(1024));
        /* 12.345 % is a part of a percent more than systemd knows. */
        assert_number(&p, "CPUQuotaPerSecUSec", 130000);
        assert_null(find(&p, "CPUQuotaPeriodUSec"));
        assert_number(&p, "TasksMax", UINT64_MAX);
        assert_number(&p, "IOWeight", cgroup_io_weight_of(500));
        assert_int_equal(find(&p, "AllowedCPUs")->size, 2);
        assert_memory_equal(find(&p, "AllowedCPUs")->text, "\x07\x02", 2);
        assert_memory_equal(find(&p, "AllowedMemoryNodes")->text, "\x01", 1);
}

static void limits_in_the_words_of_v1(void **state)
{
        const struct spec_resources resources = {
                .memory = {.limit = SET(64 << 20)},
                .cpu = {.shares = SET(1000), .quota = SET(-1), .period = SET(50000)},
                .pids_limit = SET(7),
                .block_io = {.weight = SET(500)},
        };
        cleanup_systemd_properties struct systemd_properties p = {0};

        (void)state;
        assert_int_equal(systemd_property_add_resources(&p, &resources, false, NULL), 0);
        assert_number(&p, "MemoryLimit", 64 << 20);
        assert_number(&p, "CPUShares", 1000);
        assert_number(&p, "CPUQuotaPeriodUSec", 50000);
        assert_number(&p, "CPUQuotaPerSecUSec", UINT64_MAX);
        assert_number(&p, "TasksMax", 7);
        assert_number(&p, "BlockIOWeight", 500);
        assert_null(find(&p, "MemoryMax"));
}

static void lists_that_are_none_are_refused(void **state)
{
        static const char *const bad[] = {"a",   "1-", "-1", "3-2", "1,2x", "65536", "99999999999999999999",
                                          "0--1"};

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                const struct spec_resources resources = {.cpu = {.cpus = bad[i]}};
                cleanup_systemd_properties struct systemd_properties p = {0};
                if (systemd_property_add_resources(&p, &resources, true, NULL) != -EINVAL)
                        fail_msg("%s", bad[i]);
        }
}

static void device_rules_for_v1(void **state)
{
        const struct spec_device_rule rules[] = {
                {.allow = true, .type = 'c', .major = SET(4), .minor = SET(4), .access = 7},
                {.allow = false, .type = 'a', .access = 7},
                {.allow = true, .type = 'c', .major = SET(1), .minor = SET(3), .access = 7},
                {.allow = true, .type = 'c', .major = SET(136), .access = SPEC_ACCESS_READ},
                {.allow = true, .type = 'b', .access = SPEC_ACCESS_MKNOD},
        };
        static const char pairs[] = "/dev/char/1:3\0rwm\0char-136\0r\0block-*\0m";
        cleanup_systemd_properties struct systemd_properties p = {0};

        (void)state;
        systemd_property_add_devices(&p, rules, ARRAY_SIZE(rules));
        assert_string_equal(find(&p, "DevicePolicy")->text, "strict");
        assert_int_equal(find(&p, "DeviceAllow")->size, sizeof(pairs));
        assert_memory_equal(find(&p, "DeviceAllow")->text, pairs, sizeof(pairs));
}

static int add_annotation(struct systemd_properties *p, const char *name, const char *value)
{
        char key[128];
        struct spec_pair pair = {.key = key, .value = value};
        const struct spec_pairs pairs = {.items = &pair, .n = 1};

        snprintf(key, sizeof(key), "org.systemd.property.%s", name);
        return systemd_property_add_annotations(p, &pairs, NULL);
}

/* Up to a percent, which is all that systemd knows; what is one stays one. */
static void quotas_are_rounded_up(void **state)
{
        static const struct {
                int64_t quota;
                uint64_t period, per_second;
        } cases[] = {
                {50000, 100000, 500000},
                {50001, 100000, 510000},
                {1000, 1000000, 10000},
                {200000, 0, 2000000},
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                cleanup_systemd_properties struct systemd_properties p = {0};
                const struct spec_resources r = {.cpu = {.quota = {true, cases[i].quota},
                                                         .period = {cases[i].period > 0, cases[i].period}}};

                assert_int_equal(systemd_property_add_resources(&p, &r, true, NULL), 0);
                assert_number(&p, "CPUQuotaPerSecUSec", cases[i].per_second);
        }
}

static void properties_from_annotations(void **state)
{
        cleanup_systemd_properties struct systemd_properties p = {0};
        static const char *const bad[][2] = {
                {"X", "1"},           {"Bad.Name", "1"},
                {"Some", "'open"},    {"Some", "uint32 -1"},
                {"Some", "['a',"},    {"Some", "['a' 'b']"},
                {"Some", ""},         {"Some", "int32 2147483648"},
                {"WaitSec", "'abc'"}, {"Some", "uint64 1x"},
                {"WaitSec", "-5"},    {"Some", "'a' b"},
                {"Xy", "1"},          {"Some", "['a'] x"},
                {"WaitSec", "1e13"},
        };

        (void)state;
        assert_int_equal(add_annotation(&p, "CollectMode", "'inactive-or-failed'"), 0);
        assert_string_equal(find(&p, "CollectMode")->text, "inactive-or-failed");
        assert_int_equal(add_annotation(&p, "TimeoutStopUSec", "uint64 123456789"), 0);
        assert_number(&p, "TimeoutStopUSec", 123456789);
        assert_int_equal(add_annotation(&p, "JobTimeoutSec", "1.5"), 0);
        assert_number(&p, "JobTimeoutUSec", 1500000);
        assert_int_equal(add_annotation(&p, "Numb", "-7"), 0);
        assert_int_equal(find(&p, "Numb")->type, SYSTEMD_I32);
        assert_int_equal((int)find(&p, "Numb")->number, -7);
        assert_int_equal(add_annotation(&p, "Truth", "true"), 0);
        assert_int_equal(find(&p, "Truth")->type, SYSTEMD_BOOLEAN);
        assert_int_equal(add_annotation(&p, "After", "['a.service', \"b\\\"\"]"), 0);
        assert_int_equal(find(&p, "After")->size, 13);
        assert_memory_equal(find(&p, "After")->text, "a.service\0b\"", 13);
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
                if (add_annotation(&p, bad[i][0], bad[i][1]) != -EINVAL)
                        fail_msg("%s=%s", bad[i][0], bad[i][1]);
}

/* ---- names and connections ----------------------------------------------------------------------------- */

static void paths_that_name_no_unit_are_refused(void **state)
{
        static const char *const bad[] = {"/docker/x", "a:b", "a:b:c:d", "a::", "a.slice:b:c.slice"};
        struct cgroup *cgroup;

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                const struct cgroup_request request = {.id = "x", .path = bad[i], .systemd = true};
                struct error err = {0};
                if (cgroup_create(&request, NULL, &cgroup, &err) != -EINVAL)
                        fail_msg("%s: %s", bad[i], error_text(&err));
        }
        const struct cgroup_request request = {.id = "x.slice", .systemd = true};
        struct error err = {0};
        assert_int_equal(cgroup_create(&request, NULL, &cgroup, &err), -EINVAL);
        assert_non_null(strstr(error_text(&err), "\"x.slice\" names a slice"));
}

static void says_that_nobody_answers(void **state)
{
        const struct cgroup_request request = {.id = "x", .systemd = true, .rootless = true};
        struct cgroup *cgroup;
        struct error err = {0};

        (void)state;
        assert_int_equal(setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere/bus", 1), 0);
        assert_int_equal(setenv("XDG_RUNTIME_DIR", "/nowhere", 1), 0);
        assert_int_equal(cgroup_create(&request, NULL, &cgroup, &err), -ENOTCONN);
        assert_non_null(strstr(error_text(&err), "connect to systemd of the user: No such file"));
        assert_non_null(strstr(error_text(&err), "DBUS_SESSION_BUS_ADDRESS"));
}

/* ---- a real systemd ------------------------------------------------------------------------------------ */

static const char unit[] = "coffertest-a.scope";

/* What `systemctl show` says of the unit, as "Name=value" lines, each behind a newline. */
static void show(struct buf *ret_text)
{
        int status;
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid == 0) {
                int fd = open("/tmp/coffer-test-show", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
                if (fd < 0 || dup2(fd, 1) < 0)
                        _exit(1);
                execlp("systemctl", "systemctl", "show", unit, (char *)NULL);
                _exit(1);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
        cleanup_buf struct buf text = buf_with_max(0);
        assert_int_equal(file_read(AT_FDCWD, "/tmp/coffer-test-show", 1 << 20, &text, NULL), 0);
        *ret_text = buf_with_max(1 << 20);
        assert_int_equal(buf_printf(ret_text, "\n%s", buf_string(&text)), 0);
}

static void assert_shows(const char *line)
{
        cleanup_buf struct buf text = {0};
        char wanted[256];

        show(&text);
        snprintf(wanted, sizeof(wanted), "\n%s\n", line);
        if (strstr(buf_string(&text), wanted))
                return;
        snprintf(wanted, sizeof(wanted), "\n%.*s=", (int)strcspn(line, "="), line);
        const char *have = strstr(buf_string(&text), wanted);
        have = have ? have + 1 : "no such property\n";
        fail_msg("not %s, but %.*s", line, (int)strcspn(have, "\n"), have);
}

/* Until systemd says so, for it hears of the end of processes in its own time. */
static void await_shows(const char *line)
{
        char wanted[256];
        uint64_t deadline = clock_ms() + 20000;

        snprintf(wanted, sizeof(wanted), "\n%s\n", line);
        for (bool there = false; !there;) {
                cleanup_buf struct buf text = {0};
                show(&text);
                there = strstr(buf_string(&text), wanted);
                if (!there && clock_ms() > deadline)
                        fail_msg("systemd never says %s: %s", line, buf_string(&text));
                if (!there)
                        usleep(20000);
        }
}

static void assert_group_file(const struct cgroup *cgroup, enum cgroup_controller controller,
                              const char *file, const char *text)
{
        char have[256];
        struct cgroup_hierarchy *h = cgroup_with((struct cgroup *)(uintptr_t)cgroup, controller);

        assert_non_null(h);
        assert_true(cgroup_file_read(h, file, have, sizeof(have)) >= 0);
        have[strcspn(have, "\n")] = 0;
        assert_string_equal(have, text);
}

/* A process that waits for its end. */
static pid_t sleeper(void)
{
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid == 0) {
                pause();
                _exit(0);
        }
        return pid;
}

static struct cgroup *made(const struct spec_resources *resources, const struct spec_pairs *annotations)
{
        const struct cgroup_request request = {.id = "a",
                                               .path = "coffer-test.slice:coffertest:a",
                                               .systemd = true,
                                               .resources = resources,
                                               .annotations = annotations};
        struct cgroup *cgroup = NULL;
        struct error err = {0};

        if (cgroup_create(&request, NULL, &cgroup, &err) < 0)
                fail_msg("create: %s", error_text(&err));
        return cgroup;
}

static void enter(struct cgroup *cgroup, pid_t pid, const struct spec_resources *resources)
{
        struct error err = {0};
        int *tasks;
        size_t n;

        assert_int_equal(cgroup_open_tasks(cgroup, &tasks, &n, &err), 0);
        assert_int_equal(n, 0);
        free(tasks);
        if (cgroup_enter(cgroup, pid, &err) < 0 || cgroup_apply(cgroup, resources, &err) < 0)
                fail_msg("enter: %s", error_text(&err));
}

static void end(struct cgroup *cgroup, pid_t pid)
{
        struct error err = {0};

        if (cgroup_destroy(cgroup, &err) < 0)
                fail_msg("destroy: %s", error_text(&err));
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        cgroup_free(cgroup);
        assert_shows("LoadState=not-found");
}

static const struct spec_device_rule deny_all = {.type = 'a', .access = 7};

static void a_scope_lives_as_long_as_the_container(void **state)
{
        struct spec_pair pairs[] = {{"org.systemd.property.TimeoutStopSec", "77"},
                                    {"org.systemd.property.CollectMode", "'inactive-or-failed'"},
                                    {"other", "annotation"}};
        const struct spec_pairs annotations = {.items = pairs, .n = ARRAY_SIZE(pairs)};
        struct spec_resources resources = {.devices = (struct spec_device_rule *)(uintptr_t)&deny_all,
                                           .n_devices = 1,
                                           .memory = {.limit = SET(64 << 20)},
                                           .cpu = {.quota = SET(12345), .period = SET(100000), .cpus = "0"},
                                           .pids_limit = SET(33)};
        struct cgroup *cgroup = made(&resources, &annotations);
        pid_t pid = sleeper();

        (void)state;
        enter(cgroup, pid, &resources);
        for (size_t i = 0; i < cgroup->n; i++)
                assert_string_equal(cgroup->hierarchies[i].path,
                                    "/coffer.slice/coffer-test.slice/coffertest-a.scope");
        assert_shows("Slice=coffer-test.slice");
        assert_shows("Delegate=yes");
        assert_shows("DefaultDependencies=no");
        assert_shows("Description=rune container a");
        assert_shows("TimeoutStopUSec=1min 17s");
        assert_shows("CollectMode=inactive-or-failed");
        assert_shows("TasksMax=33");
        assert_group_file(cgroup, CGROUP_PIDS, "pids.max", "33");
        if (cgroup->unified) {
                assert_shows("MemoryMax=67108864");
                assert_group_file(cgroup, CGROUP_MEMORY, "memory.max", "67108864");
                assert_group_file(cgroup, CGROUP_CPU, "cpu.max", "12345 100000");
                assert_group_file(cgroup, CGROUP_CPUSET, "cpuset.cpus", "0");
                assert_true(cgroup_clone_fd(cgroup) >= 0);
        } else {
                assert_group_file(cgroup, CGROUP_MEMORY, "memory.limit_in_bytes", "67108864");
                assert_group_file(cgroup, CGROUP_CPU, "cpu.cfs_quota_us", "12345");
        }
        end(cgroup, pid);
}

static void limits_of_a_running_scope_change_in_both_places(void **state)
{
        struct spec_resources resources = {.memory = {.limit = SET(64 << 20)}};
        struct cgroup *first = made(&resources, NULL), *cgroup = NULL;
        struct error err = {0};
        pid_t pid = sleeper();

        (void)state;
        enter(first, pid, &resources);
        json_t *json = cgroup_to_json(first);
        cgroup_free(first);
        assert_int_equal(cgroup_from_json(json, NULL, &cgroup, &err), 0);
        json_decref(json);
        resources = (struct spec_resources){
                .memory = {.limit = SET(96 << 20), .check_before_update = SET(true)}, .pids_limit = SET(5)};
        if (cgroup_apply(cgroup, &resources, &err) < 0)
                fail_msg("apply: %s", error_text(&err));
        assert_shows("TasksMax=5");
        assert_shows(cgroup->unified ? "MemoryMax=100663296" : "MemoryLimit=100663296");
        assert_group_file(cgroup, CGROUP_PIDS, "pids.max", "5");
        assert_group_file(cgroup, CGROUP_MEMORY, cgroup->unified ? "memory.max" : "memory.limit_in_bytes",
                          "100663296");
        /* A process that comes later goes the ordinary way. */
        pid_t second = sleeper();
        assert_int_equal(cgroup_enter(cgroup, second, &err), 0);
        end(cgroup, pid);
        assert_int_equal(waitpid(second, NULL, 0), second);
}

static void use_up_memory(void)
{
        size_t n = 256 << 20;

        pause();
        char *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p != MAP_FAILED)
                memset(p, 1, n);
        _exit(0);
}

static void on_signal(int number)
{
        (void)number;
}

/* The end of a process that is there to end by itself. */
static int await_end(pid_t pid, int wake)
{
        int status;

        while (waitpid(pid, &status, WNOHANG) == 0) {
                kill(pid, wake);
                usleep(10000);
        }
        return status;
}

static void a_new_scope_by_the_old_name(void)
{
        const struct spec_resources resources = {0};
        struct cgroup *cgroup = made(&resources, NULL);
        pid_t pid = sleeper();

        enter(cgroup, pid, &resources);
        assert_shows("ActiveState=active");
        end(cgroup, pid);
}

/* The OOM killer leaves a failed scope behind (systemd from version 253 on), in whose way the next container
 * of this name would be. */
static void the_oom_killer_leaves_no_scope_in_the_way(void **state)
{
        struct spec_resources resources = {.memory = {.limit = SET(32 << 20), .swap = SET(32 << 20)}};
        struct cgroup *cgroup = made(&resources, NULL);
        const struct sigaction action = {.sa_handler = on_signal};

        (void)state;
        assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0)
                use_up_memory();
        enter(cgroup, pid, &resources);
        int status = await_end(pid, SIGUSR1);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        cgroup_free(cgroup); /* nobody destroys it */
        a_new_scope_by_the_old_name();
}

/* Asks systemd to stop the unit, and doesn't wait. */
static void begin_stop(void)
{
        int status;
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid == 0) {
                execlp("systemctl", "systemctl", "stop", "--no-block", unit, (char *)NULL);
                _exit(1);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
}

/* One that systemd had to kill, since it didn't end when it was asked to, has failed in every version. */
static void a_failed_scope_is_not_in_the_way(void **state)
{
        struct spec_pair pair = {"org.systemd.property.TimeoutStopSec", "0.2"};
        const struct spec_pairs annotations = {.items = &pair, .n = 1};
        const struct spec_resources resources = {0};
        struct sigaction before;

        (void)state;
        /* The process has it from its beginning. */
        assert_int_equal(sigaction(SIGTERM, &(struct sigaction){.sa_handler = SIG_IGN}, &before), 0);
        struct cgroup *cgroup = made(&resources, &annotations);
        pid_t pid = sleeper();
        assert_int_equal(sigaction(SIGTERM, &before, NULL), 0);
        enter(cgroup, pid, &resources);
        begin_stop();
        assert_true(WIFSIGNALED(await_end(pid, 0)));
        await_shows("ActiveState=failed");
        cgroup_free(cgroup);
        a_new_scope_by_the_old_name();
}

static void a_unit_with_processes_is_another_containers(void **state)
{
        const struct spec_resources resources = {0};
        const struct cgroup_request request = {.id = "a",
                                               .path = "coffer-test.slice:coffertest:a",
                                               .systemd = true,
                                               .resources = &resources};
        struct cgroup *cgroup = made(&resources, NULL), *late = made(&resources, NULL), *other;
        struct error err = {0};
        pid_t pid = sleeper(), second = sleeper();

        (void)state;
        enter(cgroup, pid, &resources);
        assert_int_equal(cgroup_create(&request, NULL, &other, &err), -EEXIST);
        assert_non_null(strstr(error_text(&err), "container's cgroup is not empty"));
        /* Who lost the race for the name leaves it alone. */
        assert_int_equal(cgroup_enter(late, second, &err), -EEXIST);
        assert_non_null(strstr(error_text(&err), "coffertest-a.scope"));
        assert_int_equal(cgroup_destroy(late, &err), 0);
        cgroup_free(late);
        assert_int_equal(kill(pid, 0), 0);
        assert_shows("ActiveState=active");
        kill(second, SIGKILL);
        assert_int_equal(waitpid(second, NULL, 0), second);
        end(cgroup, pid);
}

static void a_property_that_systemd_refuses_is_named(void **state)
{
        struct spec_pair pair = {"org.systemd.property.NoSuchThing", "5"};
        const struct spec_pairs annotations = {.items = &pair, .n = 1};
        const struct spec_resources resources = {0};
        struct cgroup *cgroup = made(&resources, &annotations);
        struct error err = {0};
        pid_t pid = sleeper();

        (void)state;
        assert_true(cgroup_enter(cgroup, pid, &err) < 0);
        assert_non_null(strstr(error_text(&err), "start unit coffertest-a.scope"));
        assert_non_null(strstr(error_text(&err), "NoSuchThing"));
        kill(pid, SIGKILL);
        end(cgroup, pid);
}

int main(int argc, char **argv)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(limits_in_the_words_of_v2),
                cmocka_unit_test(limits_in_the_words_of_v1),
                cmocka_unit_test(lists_that_are_none_are_refused),
                cmocka_unit_test(device_rules_for_v1),
                cmocka_unit_test(quotas_are_rounded_up),
                cmocka_unit_test(properties_from_annotations),
                cmocka_unit_test(paths_that_name_no_unit_are_refused),
                cmocka_unit_test(says_that_nobody_answers),
        };
        const struct CMUnitTest live[] = {
                cmocka_unit_test(a_scope_lives_as_long_as_the_container),
                cmocka_unit_test(limits_of_a_running_scope_change_in_both_places),
                cmocka_unit_test(the_oom_killer_leaves_no_scope_in_the_way),
                cmocka_unit_test(a_failed_scope_is_not_in_the_way),
                cmocka_unit_test(a_unit_with_processes_is_another_containers),
                cmocka_unit_test(a_property_that_systemd_refuses_is_named),
        };

        if (argc > 1 && strcmp(argv[1], "live") == 0)
                return cmocka_run_group_tests(live, NULL, NULL);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
