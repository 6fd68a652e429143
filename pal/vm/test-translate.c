/* SPDX-License-Identifier: Apache-2.0 */
/* test-translate.c - configurations become what an enclave is asked for, or are refused by name. */
#include "pal/vm/translate.h"

#include "lib/container/spec-parse.h"

#include <linux/seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cmocka.h>

#define PROCESS "\"process\":{\"args\":[\"x\"],\"cwd\":\"/w\",\"user\":{\"uid\":7,\"gid\":8}%s}"

/* Translates {..., process, `rest`}; `process` is put behind its members. */
static int try(const char *process, const char *rest, struct translated *ret, struct error *err)
{
        cleanup_arena struct arena arena = ARENA_NONE;
        char text[4096];
        struct spec *spec = NULL;

        assert_int_equal(arena_new_private(&arena, NULL), 0);
        (void)snprintf(text, sizeof(text),
                       "{\"ociVersion\":\"1.0.2\",\"root\":{\"path\":\"r\"}," PROCESS "%s}", process, rest);
        assert_int_equal(spec_parse(view_of_string(text), "/b", &arena, NULL, &spec, err), 0);
        int r = translate(spec, &arena, NULL, ret, err);
        /* Its texts end with the arena: what is left to see are numbers. */
        return r;
}

static void test_resources_become_the_machines(void **state)
{
        cleanup_translated struct translated t = {0}, u = {0}, v = {0}, w = {0};

        (void)state;
        assert_int_equal(try("",
                             ",\"linux\":{\"resources\":{\"memory\":{\"limit\":268435456},"
                             "\"cpu\":{\"quota\":150000,\"period\":100000}}}",
                             &t, NULL),
                         0);
        assert_int_equal(t.mem_mib, 256);
        assert_int_equal(t.cpus, 2);
        assert_int_equal(
                try("", ",\"linux\":{\"resources\":{\"memory\":{\"limit\":-1},\"cpu\":{\"cpus\":\"0-2,5\"}}}",
                    &u, NULL),
                0);
        assert_int_equal(u.mem_mib, 0);
        assert_int_equal(u.cpus, 4);
        assert_int_equal(try("", ",\"linux\":{\"resources\":{\"memory\":{\"limit\":4096}}}", &v, NULL), 0);
        assert_int_equal(v.mem_mib, 1);
        /* A quota of more CPUs than the list has gives no more of them. */
        assert_int_equal(try("",
                             ",\"linux\":{\"resources\":{\"cpu\":{\"cpus\":\"0-1\",\"quota\":900000,"
                             "\"period\":100000}}}",
                             &w, NULL),
                         0);
        assert_int_equal(w.cpus, 2);
}

static void test_a_quota_is_rounded_up_to_cpus(void **state)
{
        static const struct {
                const char *cpu;
                unsigned cpus;
        } cases[] = {
                {"\"quota\":200000,\"period\":100000", 2},
                {"\"quota\":200001,\"period\":100000", 3},
                {"\"quota\":1,\"period\":100000", 1},
                {"\"quota\":350000", 4}, /* of the kernel's period */
                {"\"quota\":350000,\"period\":0", 4},
                {"\"quota\":2,\"period\":18446744073709551615", 1},
                {"\"quota\":-1,\"period\":100000", 0},
        };

        (void)state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                cleanup_translated struct translated t = {0};
                char rest[256];

                (void)snprintf(rest, sizeof(rest), ",\"linux\":{\"resources\":{\"cpu\":{%s}}}", cases[i].cpu);
                assert_int_equal(try("", rest, &t, NULL), 0);
                assert_int_equal(t.cpus, cases[i].cpus);
        }
}

static void test_the_process_is_the_configurations(void **state)
{
        cleanup_translated struct translated t = {0};

        (void)state;
        assert_int_equal(try(",\"terminal\":true,\"noNewPrivileges\":true,\"oomScoreAdj\":-5,"
                             "\"rlimits\":[{\"type\":\"RLIMIT_NOFILE\",\"soft\":1,\"hard\":2}]",
                             "", &t, NULL),
                         0);
        assert_int_equal(t.process.uid, 7);
        assert_int_equal(t.process.gid, 8);
        assert_int_equal(t.process.umask, 022);
        assert_int_equal(t.process.oom_score, -5);
        assert_true(t.terminal && t.process.no_new_privileges);
        assert_int_equal(t.process.n_limits, 1);
        assert_int_equal(t.process.capabilities[0], 0);
}

static void test_what_engines_bind_is_copied_and_shm_is_the_enclaves(void **state)
{
        cleanup_translated struct translated t = {0};
        char path[] = "/tmp/test-translate-XXXXXX";
        char rest[512];
        int fd = mkstemp(path);

        (void)state;
        assert_int_equal(write(fd, "a\0b", 3), 3);
        (void)snprintf(rest, sizeof(rest),
                       ",\"mounts\":[{\"destination\":\"/etc/hosts\",\"type\":\"bind\",\"source\":\"%s\"},"
                       "{\"destination\":\"/dev/shm\",\"type\":\"bind\",\"source\":\"/dev/shm\"},"
                       "{\"destination\":\"/sys\",\"type\":\"bind\",\"source\":\"/sys\","
                       "\"options\":[\"rbind\",\"ro\"]},"
                       "{\"destination\":\"/proc\",\"type\":\"proc\",\"options\":[\"ro\",\"nosuid\"]}]",
                       path);
        assert_int_equal(try("", rest, &t, NULL), 0);
        assert_int_equal(t.container.n_files, 1);
        assert_int_equal(t.container.files[0].content.n, 3);
        assert_int_equal(t.container.files[0].mode, 0600);
        assert_int_equal(t.container.n_mounts, 3);
        assert_true(t.container.mounts[1].flags & MS_RDONLY);
        assert_true(t.container.mounts[2].flags == (MS_RDONLY | MS_NOSUID));
        assert_int_equal(t.n_copies, 0);
        close(fd);
        unlink(path);
}

static void test_what_engines_bind_read_only_stays_so(void **state)
{
        static const char rest[] =
                ",\"mounts\":[{\"destination\":\"/etc/hosts\",\"type\":\"bind\",\"source\":\"/etc/passwd\","
                "\"options\":[\"ro\"]},{\"destination\":\"/dev/shm\",\"type\":\"bind\",\"source\":\"/tmp\","
                "\"options\":[\"ro\"]}],\"linux\":{\"readonlyPaths\":[\"/proc/sys\"]}";
        cleanup_translated struct translated t = {0};

        (void)state;
        assert_int_equal(try("", rest, &t, NULL), 0);
        assert_int_equal(t.container.n_readonly_paths, 2);
        assert_int_equal(t.container.n_mounts, 1);
        assert_true(t.container.mounts[0].flags & MS_RDONLY);
}

static void test_what_an_enclave_cannot_have_is_refused_by_name_unless_allowed(void **state)
{
        static const struct {
                const char *process, *rest, *text;
        } cases[] = {
                {"",
                 ",\"linux\":{\"devices\":[{\"path\":\"/dev/x\",\"type\":\"c\",\"major\":1,\"minor\":1}]%s}",
                 "device /dev/x"},
                {"", ",\"linux\":{\"namespaces\":[{\"type\":\"ipc\",\"path\":\"/proc/1/ns/ipc\"}]%s}",
                 "joining the namespace /proc/1/ns/ipc"},
                {"", ",\"linux\":{\"personality\":{\"domain\":\"LINUX32\"}%s}", "linux.personality"},
                {"", ",\"mounts\":[{\"destination\":\"/x\",\"type\":\"nfs\",\"source\":\"h:/\"}]%s",
                 "mount of type nfs on /x"},
                {",\"scheduler\":{\"policy\":\"SCHED_BATCH\"}", "%s", "process.scheduler"},
                {",\"ioPriority\":{\"class\":\"IOPRIO_CLASS_BE\",\"priority\":4}", "%s",
                 "process.ioPriority"},
                {",\"apparmorProfile\":\"strict\"", "%s", "the AppArmor profile strict"},
                {",\"selinuxLabel\":\"a:b:special_t:s0\"", "%s", "the SELinux label a:b:special_t:s0"},
                {",\"selinuxLabel\":\"a:b:container_tt:s0\"", "%s", "the SELinux label a:b:container_tt:s0"},
                {",\"execCPUAffinity\":{\"initial\":\"0\"}", "%s", "process.execCPUAffinity"},
                {"",
                 ",\"linux\":{\"devices\":[{\"path\":\"/dev/"
                 "null\",\"type\":\"c\",\"major\":1,\"minor\":1}]%s}",
                 "device /dev/null"},
                {"",
                 ",\"linux\":{\"devices\":[{\"path\":\"/dev/"
                 "null\",\"type\":\"b\",\"major\":1,\"minor\":3}]%s}",
                 "device /dev/null"},
                {"", ",\"linux\":{\"namespaces\":[{\"type\":\"user\",\"path\":\"/x\"}]%s}",
                 "joining the namespace /x"},
                {"", ",\"linux\":{\"namespaces\":[{\"type\":\"time\",\"path\":\"/x\"}]%s}",
                 "joining the namespace /x"},
                {"", ",\"vm\":{\"kernel\":{\"path\":\"/k\"}}%s", "vm: an enclave can't have this"},
                {"", ",\"linux\":{\"intelRdt\":{\"closID\":\"x\"}%s}", "linux.intelRdt"},
                {"", ",\"linux\":{\"resources\":{\"memory\":{\"disableOOMKiller\":true}}%s}",
                 "resources.memory.disableOOMKiller"},
                {"", ",\"linux\":{\"resources\":{\"cpu\":{\"mems\":\"0\"}}%s}", "resources.cpu.mems"},
                {"", ",\"linux\":{\"resources\":{\"unified\":{\"io.max\":\"8:0 rbps=1\"}}%s}",
                 "resources.unified.io.max"},
                {"", ",\"hooks\":{\"startContainer\":[{\"path\":\"/x\"}]}%s",
                 "a hook startContainer in the enclave"},
                {"", ",\"mounts\":[{\"destination\":\"/x\",\"type\":\"tmpfs\",\"options\":[\"remount\"]}]%s",
                 "mount on /x: remounts"},
        };
        static const char allowed[] = ",\"annotations\":{\"enclave.vm.allow-unenforced\":\"true\"}",
                          denied[] = ",\"annotations\":{\"enclave.vm.allow-unenforced\":\"false\"}";

        (void)state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                struct translated t = {0};
                struct error err = {0};
                char rest[512];
                (void)snprintf(rest, sizeof(rest), "%.*s%s",
                               (int)(strstr(cases[i].rest, "%s") - cases[i].rest), cases[i].rest,
                               strstr(cases[i].rest, "%s") + 2);
                assert_int_equal(try(cases[i].process, rest, &t, &err), -ENOTSUP);
                assert_non_null(strstr(error_text(&err), cases[i].text));
                size_t n = strlen(rest);
                (void)snprintf(rest + n, sizeof(rest) - n, "%s", denied);
                assert_int_equal(try(cases[i].process, rest, &t, &err), -ENOTSUP);
                (void)snprintf(rest + n, sizeof(rest) - n, "%s", allowed);
                assert_int_equal(try(cases[i].process, rest, &t, &err), 0);
                translated_done(&t);
        }
}

static void test_a_filter_stays_in_force_without_its_listener(void **state)
{
        static const char rest[] =
                ",\"linux\":{\"seccomp\":{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"listenerPath\":\"/l\","
                "\"flags\":[\"SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV\"],\"syscalls\":["
                "{\"names\":[\"mount\"],\"action\":\"SCMP_ACT_NOTIFY\"},"
                "{\"names\":[\"bpf\"],\"action\":\"SCMP_ACT_ERRNO\"}]}}%s";
        static const char allowed[] = ",\"annotations\":{\"enclave.vm.allow-unenforced\":\"true\"}";
        cleanup_translated struct translated t = {0};
        struct error err = {0};
        char text[1024];

        (void)state;
        (void)snprintf(text, sizeof(text), rest, "");
        assert_int_equal(try("", text, &t, &err), -ENOTSUP);
        assert_non_null(strstr(error_text(&err), "a seccomp listener"));
        (void)snprintf(text, sizeof(text), rest, allowed);
        assert_int_equal(try("", text, &t, &err), 0);
        assert_true(t.process.has_filter && t.process.n_filter > 1);
        /* Without a listener the kernel takes no such flag. */
        assert_int_equal(t.process.filter_flags & SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, 0);
}

static void test_resources_are_limits_inside(void **state)
{
        cleanup_translated struct translated t = {0};
        const char *rest = ",\"linux\":{\"resources\":{\"pids\":{\"limit\":20},"
                           "\"cpu\":{\"quota\":50000,\"burst\":1000,\"cpus\":\"0\",\"shares\":512},"
                           "\"unified\":{\"memory.high\":\"1000000\"},\"blockIO\":{\"weight\":100}}}";

        (void)state;
        assert_int_equal(try("", rest, &t, NULL), 0);
        assert_int_equal(t.container.n_limits, 4);
        assert_true(t.container.device_filter.n > 0 && t.container.device_filter.n % 8 == 0);
        assert_int_equal(t.cpus, 1);
        assert_non_null(t.host_cpus);
}

static void test_the_profiles_of_engines_guard_the_host(void **state)
{
        static const char *const processes[] = {
                ",\"apparmorProfile\":\"docker-default\"",
                ",\"apparmorProfile\":\"containers-default-0.50.1\"",
                ",\"apparmorProfile\":\"cri-containerd.apparmor.d\"",
                ",\"apparmorProfile\":\"unconfined\"",
                ",\"selinuxLabel\":\"system_u:system_r:container_t:s0:c1,c2\"",
                ",\"selinuxLabel\":\"system_u:system_r:spc_t\"",
        };

        (void)state;
        for (size_t i = 0; i < sizeof(processes) / sizeof(*processes); i++) {
                cleanup_translated struct translated t = {0};
                assert_int_equal(try(processes[i], "", &t, NULL), 0);
        }
}

static void test_volumes_are_refused_or_opened(void **state)
{
        static const char mount_tmp[] =
                ",\"mounts\":[{\"destination\":\"/v\",\"type\":\"bind\",\"source\":\"/tmp\"}]";
        cleanup_translated struct translated t = {0};
        struct error err = {0};
        char rest[512];

        (void)state;
        assert_int_equal(try("", mount_tmp, &t, &err), -ENOTSUP);
        assert_non_null(strstr(error_text(&err), "mount of /tmp on /v: files of the host can't be shared"));
        (void)snprintf(rest, sizeof(rest), "%s,\"annotations\":{\"enclave.vm.allow-host-mounts\":\"false\"}",
                       mount_tmp);
        assert_int_equal(try("", rest, &t, &err), -ENOTSUP);
        (void)snprintf(rest, sizeof(rest), "%s,\"annotations\":{\"enclave.vm.allow-host-mounts\":\"true\"}",
                       mount_tmp);
        assert_int_equal(try("", rest, &t, &err), 0);
        assert_int_equal(t.n_copies, 1);
        assert_true(t.copies[0] >= 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_resources_become_the_machines),
                cmocka_unit_test(test_a_quota_is_rounded_up_to_cpus),
                cmocka_unit_test(test_the_process_is_the_configurations),
                cmocka_unit_test(test_what_engines_bind_is_copied_and_shm_is_the_enclaves),
                cmocka_unit_test(test_what_engines_bind_read_only_stays_so),
                cmocka_unit_test(test_what_an_enclave_cannot_have_is_refused_by_name_unless_allowed),
                cmocka_unit_test(test_a_filter_stays_in_force_without_its_listener),
                cmocka_unit_test(test_resources_are_limits_inside),
                cmocka_unit_test(test_the_profiles_of_engines_guard_the_host),
                cmocka_unit_test(test_volumes_are_refused_or_opened),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
