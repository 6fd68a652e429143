/* SPDX-License-Identifier: Apache-2.0 */
/* config.json to values: each section, and files as engines write them. argv[1]: the folder of those. */
#include "lib/base/cleanup.h"
#include "lib/base/file.h"
#include "lib/container/spec-parse.h"
#include "lib/container/spec-template.h"
#include "lib/container/spec-validate.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/ioprio.h>
#include <linux/mempolicy.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

static const char *corpus;

#define START "{'ociVersion': '1.0.2', 'root': {'path': 'rootfs'}"

/* A parsed text with its arena and what was warned of. */
struct parsed {
        struct arena arena;
        struct spec *spec;
        struct error err;
        int r;
        struct log log;
        char warnings[2048];
};

static void remember(void *user, enum log_level level, const char *text)
{
        struct parsed *p = user;
        size_t used = strlen(p->warnings);

        (void)level;
        (void)snprintf(p->warnings + used, sizeof(p->warnings) - used, "%s\n", text);
}

static void parsed_done(struct parsed *p)
{
        arena_done(&p->arena);
}

#define cleanup_parsed CLEANUP(parsed_done)

static void parse_view(struct view text, struct parsed *p)
{
        *p = (struct parsed){.arena = ARENA_NONE};
        p->log = (struct log){.level = LOG_LEVEL_WARNING, .emit = remember, .user = p};
        assert_int_equal(arena_new_private(&p->arena, NULL), 0);
        p->r = spec_parse(text, "/bundle", &p->arena, &p->log, &p->spec, &p->err);
}

/* Parses a text that must be right: START, the members, and the closing bracket, with ' for ". */
static void parse(const char *members, struct parsed *p)
{
        cleanup_free char *text = NULL;

        assert_true(asprintf(&text, START "%s}", members) > 0);
        for (char *c = text; *c; c++)
                if (*c == '\'')
                        *c = '"';
        parse_view(view_of_string(text), p);
        if (p->r < 0)
                fail_msg("%s", error_text(&p->err));
}

static void test_default_spec(void **state)
{
        cleanup_buf struct buf text = buf_with_max(SPEC_TEXT_MAX);
        cleanup_parsed struct parsed p = {.arena = ARENA_NONE};
        cleanup_free char *path = NULL;

        (void)state;
        assert_true(asprintf(&path, "%s/runc-1.1.json", corpus) > 0);
        assert_int_equal(file_read(AT_FDCWD, path, SPEC_TEXT_MAX, &text, NULL), 0);
        parse_view(buf_view(&text), &p);
        assert_int_equal(p.r, 0);

        const struct spec *spec = p.spec;
        assert_string_equal(spec->version, "1.0.2-dev");
        assert_string_equal(spec->rootfs, "/bundle/rootfs");
        assert_true(spec->rootfs_readonly);
        assert_string_equal(spec->hostname, "runc");
        assert_true(spec->process->terminal);
        assert_int_equal(spec->process->args.n, 1);
        assert_string_equal(spec->process->args.items[0], "sh");
        assert_null(spec->process->args.items[1]);
        assert_int_equal(spec->process->env.n, 2);
        assert_true(spec->process->no_new_privileges);
        assert_int_equal(spec->process->capabilities.bounding,
                         1 << CAP_AUDIT_WRITE | 1 << CAP_KILL | 1 << CAP_NET_BIND_SERVICE);
        assert_int_equal(spec->process->rlimits[0].resource, RLIMIT_NOFILE);
        assert_int_equal(spec->process->rlimits[0].soft, 1024);
        assert_int_equal(spec->n_mounts, 7);
        assert_string_equal(spec->mounts[1].destination, "/dev");
        assert_string_equal(spec->mounts[1].type, "tmpfs");
        assert_int_equal(spec->mounts[1].flags, MS_NOSUID | MS_STRICTATIME);
        assert_string_equal(spec->mounts[1].data, "mode=755,size=65536k");
        assert_int_equal(spec->mounts[6].flags, MS_NOSUID | MS_NOEXEC | MS_NODEV | MS_RELATIME | MS_RDONLY);
        assert_int_equal(spec->linux.resources.n_devices, 1);
        assert_int_equal(spec->linux.resources.devices[0].type, 'a');
        assert_int_equal(spec->linux.resources.devices[0].access, 7);
        assert_false(spec->linux.resources.devices[0].major.set);
        assert_true(spec->linux.namespaces[SPEC_NAMESPACE_PID].given);
        assert_false(spec->linux.namespaces[SPEC_NAMESPACE_USER].given);
        assert_int_equal(spec->linux.masked_paths.n, 10);
        assert_int_equal(spec->linux.readonly_paths.n, 5);
}

static void test_real_files(void **state)
{
        cleanup_dir DIR *dir = opendir(corpus);
        size_t n = 0;

        (void)state;
        assert_non_null(dir);
        for (struct dirent *entry; (entry = readdir(dir));) {
                cleanup_buf struct buf text = buf_with_max(SPEC_TEXT_MAX);
                cleanup_parsed struct parsed p = {.arena = ARENA_NONE};

                if (entry->d_name[0] == '.')
                        continue;
                assert_int_equal(file_read(dirfd(dir), entry->d_name, SPEC_TEXT_MAX, &text, NULL), 0);
                parse_view(buf_view(&text), &p);
                if (p.r < 0 || spec_validate(p.spec, NULL, &p.err) < 0)
                        fail_msg("%s: %s", entry->d_name, error_text(&p.err));
                n++;
        }
        assert_true(n >= 10);
}

static void test_versions(void **state)
{
        static const char *const versions[] = {"1.0.0",       "1.0.2-dev",     "1.1.0-rc.1",
                                               "1.3.0+build", "1.2.1-a.b+c-d", "1.99.123"};

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(versions); i++) {
                cleanup_parsed struct parsed p = {.arena = ARENA_NONE};
                cleanup_free char *text = NULL;

                assert_true(asprintf(&text, "{\"ociVersion\": \"%s\", \"root\": {\"path\": \"/r\"}}",
                                     versions[i]) > 0);
                parse_view(view_of_string(text), &p);
                assert_int_equal(p.r, 0);
                assert_string_equal(p.spec->version, versions[i]);
                assert_string_equal(p.spec->rootfs, "/r");
                assert_null(p.spec->process);
        }
}

static void test_unknown_and_null_members_are_ignored(void **state)
{
        cleanup_parsed struct parsed p = {.arena = ARENA_NONE};

        (void)state;
        parse(", 'windows': {'x': [1.5, null, 18446744073709551615]}, 'hostname': null, 'mounts': null,"
              "'vm': {'kernel': {'path': '/x'}}, 'linux': {'namespaces': null, 'cgroupsPath': '',"
              "'seccomp': {}, 'x': {}}, 'process': null",
              &p);
        assert_null(p.spec->hostname);
        assert_null(p.spec->process);
        assert_null(p.spec->linux.cgroups_path);
        assert_null(p.spec->linux.seccomp);
        assert_string_equal(p.warnings, "");
}

static void test_process(void **state)
{
        cleanup_parsed struct parsed p = {.arena = ARENA_NONE};

        (void)state;
        parse(", 'process': {'cwd': '/w', 'args': ['a', 'b c', ''], 'env': ['A=', 'B=c=d'],"
              "'terminal': true, 'consoleSize': {'height': 24, 'width': 80},"
              "'user': {'uid': 1000, 'gid': 5, 'umask': 18, 'additionalGids': [5, 6]},"
              "'rlimits': [{'type': 'RLIMIT_CORE', 'soft': 0, 'hard': 18446744073709551615},"
              "            {'type': 'RLIMIT_RTTIME', 'soft': 9223372036854775807,"
              "             'hard': 9223372036854775808}],"
              "'apparmorProfile': 'ap', 'selinuxLabel': 'se', 'oomScoreAdj': -7,"
              "'scheduler': {'policy': 'SCHED_DEADLINE', 'nice': -3, 'priority': 4,"
              "  'flags': ['SCHED_FLAG_RESET_ON_FORK', 'SCHED_FLAG_RECLAIM'], 'runtime': 1, 'deadline': 2,"
              "  'period': 3},"
              "'ioPriority': {'class': 'IOPRIO_CLASS_IDLE', 'priority': 4},"
              "'execCPUAffinity': {'initial': '0-3, 7', 'final': '1'}}",
              &p);

        const struct spec_process *process = p.spec->process;
        assert_string_equal(process->cwd, "/w");
        assert_int_equal(process->args.n, 3);
        assert_string_equal(process->args.items[1], "b c");
        assert_string_equal(process->args.items[2], "");
        assert_null(process->args.items[3]);
        assert_string_equal(process->env.items[0], "A=");
        assert_true(process->has_console_size);
        assert_int_equal(process->console_height, 24);
        assert_int_equal(process->console_width, 80);
        assert_int_equal(process->uid, 1000);
        assert_int_equal(process->gid, 5);
        assert_true(process->has_umask);
        assert_int_equal(process->umask, 022);
        assert_int_equal(process->n_additional_gids, 2);
        assert_int_equal(process->additional_gids[1], 6);
        assert_false(process->has_capabilities);
        assert_int_equal(process->n_rlimits, 2);
        assert_true(process->rlimits[0].hard == UINT64_MAX);
        assert_true(process->rlimits[1].soft == INT64_MAX);
        assert_true(process->rlimits[1].hard == (uint64_t)INT64_MAX + 1);
        assert_string_equal(process->apparmor_profile, "ap");
        assert_string_equal(process->selinux_label, "se");
        assert_true(process->oom_score_adj.set);
        assert_int_equal(process->oom_score_adj.value, -7);
        assert_int_equal(process->scheduler->policy, SCHED_DEADLINE);
        assert_int_equal(process->scheduler->nice, -3);
        assert_int_equal(process->scheduler->priority, 4);
        assert_int_equal(process->scheduler->flags, SCHED_FLAG_RESET_ON_FORK | SCHED_FLAG_RECLAIM);
        assert_int_equal(process->scheduler->runtime, 1);
        assert_int_equal(process->scheduler->deadline, 2);
        assert_int_equal(process->scheduler->period, 3);
        assert_true(process->has_io_priority);
        assert_int_equal(process->io_priority, IOPRIO_CLASS_IDLE << IOPRIO_CLASS_SHIFT | 4);
        assert_string_equal(process->exec_cpu_affinity_initial, "0-3, 7");
        assert_string_equal(process->exec_cpu_affinity_final, "1");
}

static void test_console_size_counts_with_a_terminal_only(void **state)
{
        cleanup_parsed struct parsed p = {.arena = ARENA_NONE};

        (void)state;
        parse(", 'process': {'cwd': '/', 'args': ['a'], 'consoleSize': {'height': -1}}", &p);
        assert_false(p.spec->process->has_console_size);
}

static void test_capabilities_that_cant_be_granted_are_warned_of(void **state)
{
        cleanup_parsed struct parsed p = {.arena = ARENA_NONE};

        (void)state;
        parse(", 'process': {'cwd': '/', 'args': ['a'], 'capabilities': {"
              "'bounding': ['CAP_KILL', 'CAP_FLY', 'CAP_CHOWN'], 'permitted': ['CAP_KILL', 'CAP_FLY'],"
              "'inheritable': ['CAP_KILL'], 'ambient': ['CAP_KILL', 'CAP_CHOWN', 'CAP_SWIM']}}",
              &p);

        const struct spec_capabilities *sets = &p.spec->process->capabilities;
        assert_true(p.spec->process->has_capabilities);
        assert_int_equal(sets->bounding, 1 << CAP_KILL | 1 << CAP_CHOWN);
        assert_int_equal(sets->permitted, 1 << CAP_KILL);
        assert_int_equal(sets->effective, 0);
        assert_int_equal(sets->ambient, 1 << CAP_KILL);
        assert_string_equal(p.warnings,
                            "config.json: .process.capabilities: ignoring unknown or unavailable "
                            "capabilities: [CAP_FLY CAP_SWIM]\n"
                            "can't raise ambient capability CAP_CHOWN: it isn't both permitted and "
                            "inheritable\n");
}

/* In a user namespace of its own a process has what its creator lacks. */
static void test_capabilities_in_a_user_namespace(void **state)
{
        static const char text[] =
                ", 'process': {'cwd': '/', 'args': ['a'], 'capabilities': {'permitted': ['CAP_SYS_BOOT'],"
                "'bounding': ['CAP_SYS_BOOT']}}, 'linux': {'namespaces': [{'type': '%s'}],"
                "'uidMappings': [{'containerID': 0, 'hostID': 0, 'size': 1}]}";
        cleanup_parsed struct parsed own = {.arena = ARENA_NONE}, shared = {.arena = ARENA_NONE};
        cleanup_free char *in_user = NULL, *in_ipc = NULL;
        struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
        struct __user_cap_data_struct before[2], less[2];

        (void)state;
        assert_true(asprintf(&in_user, text, "user") > 0);
        assert_true(asprintf(&in_ipc, text, "ipc") > 0);
        assert_int_equal(syscall(SYS_capget, &header, before), 0);
        memcpy(less, before, sizeof(less));
        less[0].permitted &= ~(1U << CAP_SYS_BOOT);
        less[0].effective &= ~(1U << CAP_SYS_BOOT);
        assert_int_equal(syscall(SYS_capset, &header, less), 0);
        parse(in_user, &own);
        parse(in_ipc, &shared);
        assert_int_equal(own.spec->process->capabilities.permitted, 1 << CAP_SYS_BOOT);
        assert_string_equal(own.warnings, "");
        assert_int_equal(shared.spec->process->capabilities.permitted, 0);
        assert_string_equal(shared.warnings,
                            "ignoring unknown or unavailable capabilities: [CAP_SYS_BOOT]\n");
}

static void test_mounts(void **state)
{
        cleanup_parsed struct parsed p = {.arena = ARENA_NONE};

        (void)state;
        parse(", 'mounts': ["
              "{'destination': 'a', 'source': 'vol', 'options': ['rbind', 'rro', 'rslave']},"
              "{'destination': '/b', 'source': '/vol', 'type': 'bind'},"
              "{'destination': '/c', 'source': '/d', 'options': ['bind', 'ridmap'],"
              " 'uidMappings': [{'containerID': 1, 'hostID': 2, 'size': 3}],"
              " 'gidMappings': [{'containerID': 4, 'hostID': 5, 'size': 6}]},"
              "{'destination': '/e', 'source': '/f', 'options': ['bind'],"
              " 'uidMappings': [{'containerID': 0, 'hostID': 0, 'size': 4294967295}]},"
              "{'destination': '/g', 'type': 'tmpfs', 'options': null},"
              "{'destination': '/h', 'options': ['remount', 'bind', 'ro']}]",
              &p);

        const struct spec_mount *mounts = p.spec->mounts;
        assert_int_equal(p.spec->n_mounts, 6);
        assert_string_equal(mounts[0].destination, "a");
        assert_string_equal(mounts[0].source, "/bundle/vol");
        assert_string_equal(mounts[0].type, "bind");
        assert_int_equal(mounts[0].features, SPEC_MOUNT_BIND | SPEC_MOUNT_RECURSIVE);
        assert_int_equal(mounts[0].propagation, MS_SLAVE | MS_REC);
        assert_int_equal(mounts[0].rec_attr_set, MOUNT_ATTR_RDONLY);
        assert_string_equal(mounts[1].source, "/vol");
        assert_int_equal(mounts[1].features, SPEC_MOUNT_BIND);
        assert_int_equal(mounts[2].features, SPEC_MOUNT_BIND | SPEC_MOUNT_RIDMAP);
        assert_int_equal(mounts[2].uid_mappings.items[0].host_id, 2);
        assert_int_equal(mounts[2].gid_mappings.items[0].size, 6);
        assert_int_equal(mounts[3].features, SPEC_MOUNT_BIND | SPEC_MOUNT_IDMAP);
        assert_string_equal(mounts[4].type, "tmpfs");
        assert_null(mounts[4].source);
        assert_null(mounts[4].data);
        assert_null(mounts[5].source);
        assert_int_equal(mounts[5].flags, MS_RDONLY);
}

static void test_hooks_and_annotations(void **state)
{
        cleanup_parsed struct parsed p = {.arena = ARENA_NONE};

        (void)state;
        parse(", 'hooks': {'prestart': [{'path': '/a'}], 'createRuntime': [{'path': '/b'}, {'path': '/c'}],"
              "'createContainer': [{'path': '/d', 'args': ['d', 'e'], 'env': ['X=1'], 'timeout': 9}],"
              "'startContainer': [{'path': '/f'}], 'poststart': [{'path': '/g'}],"
              "'poststop': [{'path': '/h'}]}, 'annotations': {'a.b/c': 'd', 'e': ''}",
              &p);

        const struct spec_hooks *hooks = &p.spec->hooks;
        assert_string_equal(hooks->prestart.items[0].path, "/a");
        assert_int_equal(hooks->create_runtime.n, 2);
        assert_string_equal(hooks->create_runtime.items[1].path, "/c");
        assert_false(hooks->create_runtime.items[1].has_timeout);
        assert_int_equal(hooks->create_runtime.items[1].args.n, 0);
        assert_string_equal(hooks->create_container.items[0].args.items[1], "e");
        assert_string_equal(hooks->create_container.items[0].env.items[0], "X=1");
        assert_int_equal(hooks->create_container.items[0].timeout, 9);
        assert_string_equal(hooks->start_container.items[0].path, "/f");
        assert_string_equal(hooks->poststart.items[0].path, "/g");
        assert_string_equal(hooks->poststop.items[0].path, "/h");
        assert_string_equal(spec_annotation(p.spec, "a.b/c"), "d");
        assert_string_equal(spec_annotation(p.spec, "e"), "");
        assert_null(spec_annotation(p.spec, "f"));
}

static void test_linux(void **state)
{
        cleanup_parsed struct parsed p = {.arena = ARENA_NONE};

        (void)state;
        parse(", 'hostname': 'h', 'domainname': 'd', 'linux': {'namespaces': [{'type': 'user'},"
              "{'type': 'pid', 'path': '/p'}, {'type': 'network', 'path': ''}, {'type': 'mount'},"
              "{'type': 'ipc'}, {'type': 'uts'}, {'type': 'cgroup'}, {'type': 'time'}],"
              "'uidMappings': [{'containerID': 0, 'hostID': 1, 'size': 2}],"
              "'gidMappings': [{'containerID': 3, 'hostID': 4, 'size': 5}],"
              "'timeOffsets': {'monotonic': {'secs': -1, 'nanosecs': 2}, 'boottime': {}},"
              "'sysctl': {'net.ipv4.ip_forward': '1', 'kernel.shmmax': '2', 'user.max_user_namespaces': '3',"
              "           'kernel.domainname': 'x', 'net/ipv4/conf/eno2.100/rp_filter': '1'},"
              "'cgroupsPath': '/cg', 'rootfsPropagation': 'rshared', 'mountLabel': 'ml',"
              "'devices': [{'path': '/dev/x', 'type': 'u', 'major': 4095, 'minor': 1048575,"
              "             'fileMode': 8630, 'uid': 1, 'gid': 2}, {'path': '/dev/p', 'type': 'p'},"
              "            {'path': '/dev/b', 'type': 'b', 'major': 1, 'minor': 2}],"
              "'netDevices': {'eth0': {'name': 'x0'}, 'eth1': {}},"
              "'maskedPaths': ['/m'], 'readonlyPaths': ['/r', '/s'],"
              "'intelRdt': {'closID': 'c', 'schemata': ['L3:0=f'], 'l3CacheSchema': 'l3',"
              "             'memBwSchema': 'mb', 'enableMonitoring': true},"
              "'memoryPolicy': {'mode': 'MPOL_BIND', 'nodes': '0-2,65', 'flags': ['MPOL_F_STATIC_NODES']},"
              "'personality': {'domain': 'LINUX32', 'flags': ['X']}}",
              &p);

        const struct spec_linux *linux = &p.spec->linux;
        assert_int_equal(spec_validate(p.spec, &p.log, &p.err), 0);
        for (int i = 0; i < SPEC_NAMESPACE_TYPES; i++)
                assert_true(linux->namespaces[i].given);
        assert_string_equal(linux->namespaces[SPEC_NAMESPACE_PID].path, "/p");
        assert_null(linux->namespaces[SPEC_NAMESPACE_NETWORK].path);
        assert_int_equal(linux->uid_mappings.items[0].host_id, 1);
        assert_int_equal(linux->gid_mappings.items[0].container_id, 3);
        assert_int_equal(linux->monotonic.secs, -1);
        assert_int_equal(linux->monotonic.nanosecs, 2);
        assert_true(linux->boottime.set);
        assert_string_equal(linux->sysctl.items[0].key, "net.ipv4.ip_forward");
        assert_string_equal(linux->sysctl.items[1].value, "2");
        assert_string_equal(linux->cgroups_path, "/cg");
        assert_int_equal(linux->rootfs_propagation, MS_SHARED | MS_REC);
        assert_string_equal(linux->mount_label, "ml");
        assert_int_equal(linux->n_devices, 3);
        assert_int_equal(linux->devices[0].type, S_IFCHR);
        assert_int_equal(linux->devices[0].mode, 0666);
        assert_int_equal(linux->devices[0].minor, 1048575);
        assert_int_equal(linux->devices[0].gid, 2);
        assert_int_equal(linux->devices[1].type, S_IFIFO);
        assert_int_equal(linux->devices[2].type, S_IFBLK);
        assert_int_equal(linux->devices[2].mode, 0666);
        assert_string_equal(linux->net_devices[0].host_name, "eth0");
        assert_string_equal(linux->net_devices[0].name, "x0");
        assert_string_equal(linux->net_devices[1].name, "eth1");
        assert_int_equal(linux->masked_paths.n, 1);
        assert_string_equal(linux->readonly_paths.items[1], "/s");
        assert_string_equal(linux->intel_rdt->clos_id, "c");
        assert_string_equal(linux->intel_rdt->schemata.items[0], "L3:0=f");
        assert_string_equal(linux->intel_rdt->mem_bw_schema, "mb");
        assert_true(linux->intel_rdt->enable_monitoring);
        assert_int_equal(linux->memory_policy->mode, MPOL_BIND | MPOL_F_STATIC_NODES);
        assert_int_equal(linux->memory_policy->nodes[0], 7);
        assert_int_equal(linux->memory_policy->nodes[1], 2);
        assert_true(linux->has_personality);
        assert_int_equal(linux->personality, PER_LINUX32);
        assert_string_equal(p.warnings, "config.json: .linux.personality.flags: ignoring personality flags: "
                                        "none are defined\n");
}

static void test_resources(void **state)
{
        cleanup_parsed struct parsed p = {.arena = ARENA_NONE};

        (void)state;
        parse(", 'linux': {'resources': {'devices': [{'allow': true, 'type': 'c', 'major': 10, 'minor': -1,"
              "'access': 'rm'}, {'allow': false, 'type': '', 'access': ''}],"
              "'memory': {'limit': 1, 'reservation': 2, 'swap': -1, 'kernel': 3, 'kernelTCP': 4,"
              "  'swappiness': 100, 'disableOOMKiller': true, 'useHierarchy': false,"
              "  'checkBeforeUpdate': true},"
              "'cpu': {'shares': 1, 'quota': -1, 'burst': 2, 'period': 3, 'realtimeRuntime': 4,"
              "  'realtimePeriod': 5, 'cpus': '0', 'mems': '0-1', 'idle': 1}, 'pids': {'limit': -1},"
              "'blockIO': {'weight': 10, 'leafWeight': 11, 'weightDevice': [{'major': 8, 'minor': 1,"
              "  'weight': 12}], 'throttleReadBpsDevice': [{'major': 8, 'minor': 2, 'rate': 13}],"
              "  'throttleWriteBpsDevice': [{'major': 8, 'minor': 3, 'rate': 14}],"
              "  'throttleReadIOPSDevice': [{'major': 8, 'minor': 4, 'rate': 15}],"
              "  'throttleWriteIOPSDevice': [{'major': 8, 'minor': 5, 'rate': 16}]},"
              "'hugepageLimits': [{'pageSize': '2MB', 'limit': 18446744073709551615}],"
              "'network': {'classID': 4294967295, 'priorities': [{'name': 'lo', 'priority': 3}]},"
              "'rdma': {'mlx5_1': {'hcaHandles': 3}}, 'unified': {'memory.high': '1'}}}",
              &p);

        const struct spec_resources *r = &p.spec->linux.resources;
        assert_int_equal(r->n_devices, 2);
        assert_int_equal(r->devices[0].type, 'c');
        assert_int_equal(r->devices[0].major.value, 10);
        assert_false(r->devices[0].minor.set);
        assert_int_equal(r->devices[0].access, SPEC_ACCESS_READ | SPEC_ACCESS_MKNOD);
        assert_int_equal(r->devices[1].type, 'a');
        assert_int_equal(r->devices[1].access, 7);
        assert_int_equal(r->memory.limit.value, 1);
        assert_int_equal(r->memory.swap.value, -1);
        assert_int_equal(r->memory.kernel_tcp.value, 4);
        assert_true(r->memory.disable_oom_killer.value);
        assert_true(r->memory.use_hierarchy.set);
        assert_false(r->memory.use_hierarchy.value);
        assert_true(r->memory.check_before_update.value);
        assert_int_equal(r->cpu.quota.value, -1);
        assert_int_equal(r->cpu.burst.value, 2);
        assert_int_equal(r->cpu.realtime_period.value, 5);
        assert_string_equal(r->cpu.mems, "0-1");
        assert_int_equal(r->cpu.idle.value, 1);
        assert_true(r->pids_limit.set);
        assert_int_equal(r->pids_limit.value, -1);
        assert_int_equal(r->block_io.leaf_weight.value, 11);
        assert_int_equal(r->block_io.weight_devices[0].weight.value, 12);
        assert_false(r->block_io.weight_devices[0].leaf_weight.set);
        assert_int_equal(r->block_io.read_bps.items[0].rate, 13);
        assert_int_equal(r->block_io.write_bps.items[0].minor, 3);
        assert_int_equal(r->block_io.read_iops.items[0].rate, 15);
        assert_int_equal(r->block_io.write_iops.items[0].rate, 16);
        assert_string_equal(r->hugepage_limits[0].page_size, "2MB");
        assert_true(r->hugepage_limits[0].limit == UINT64_MAX);
        assert_true(r->network_class_id.value == UINT32_MAX);
        assert_string_equal(r->network_priorities[0].name, "lo");
        assert_string_equal(r->rdma[0].device, "mlx5_1");
        assert_int_equal(r->rdma[0].hca_handles.value, 3);
        assert_false(r->rdma[0].hca_objects.set);
        assert_string_equal(r->unified.items[0].key, "memory.high");
}

/* At the ends of what is kept as it is. */
static void test_long_signed_numbers(void **state)
{
        cleanup_parsed struct parsed p = {.arena = ARENA_NONE};

        (void)state;
        parse(", 'linux': {'resources': {'memory': {'limit': 9223372036854771712,"
              "'swap': 9223372036854775807, 'kernel': -9223372036854775808}}}",
              &p);
        assert_true(p.spec->linux.resources.memory.limit.value == 9223372036854771712);
        assert_true(p.spec->linux.resources.memory.swap.value == INT64_MAX);
        assert_true(p.spec->linux.resources.memory.kernel.value == INT64_MIN);
}

static void test_seccomp(void **state)
{
        cleanup_parsed struct parsed p = {.arena = ARENA_NONE};

        (void)state;
        parse(", 'linux': {'seccomp': {'defaultAction': 'SCMP_ACT_ERRNO', 'defaultErrnoRet': 38,"
              "'architectures': ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X32'], 'flags': ['SECCOMP_FILTER_FLAG_LOG',"
              "'SECCOMP_FILTER_FLAG_TSYNC'], 'listenerPath': '/l', 'listenerMetadata': 'm', 'syscalls': ["
              "{'names': ['read', 'no_such_call'], 'action': 'SCMP_ACT_ALLOW'},"
              "{'names': ['clone'], 'action': 'SCMP_ACT_TRACE', 'args': [{'index': 5,"
              "  'value': 18446744073709551614, 'valueTwo': 2, 'op': 'SCMP_CMP_MASKED_EQ'}]},"
              "{'names': ['kill'], 'action': 'SCMP_ACT_KILL'},"
              "{'names': ['open'], 'action': 'SCMP_ACT_ERRNO', 'errnoRet': 7}]}}",
              &p);

        const struct spec_seccomp *s = p.spec->linux.seccomp;
        assert_int_equal(s->default_action, SCMP_ACT_ERRNO(38));
        assert_int_equal(s->n_architectures, 2);
        assert_true(s->architectures[0] == SCMP_ARCH_X86_64);
        assert_int_equal(s->flags, SECCOMP_FILTER_FLAG_LOG);
        assert_true(s->flags_given);
        assert_string_equal(s->listener_path, "/l");
        assert_string_equal(s->listener_metadata, "m");
        assert_int_equal(s->n_rules, 4);
        assert_int_equal(s->rules[0].names.n, 2);
        assert_string_equal(s->rules[0].names.items[1], "no_such_call");
        assert_int_equal(s->rules[0].action, SCMP_ACT_ALLOW);
        assert_int_equal(s->rules[1].action, SCMP_ACT_TRACE(EPERM));
        assert_int_equal(s->rules[1].n_args, 1);
        assert_int_equal(s->rules[1].args[0].index, 5);
        assert_true(s->rules[1].args[0].value == UINT64_MAX - 1);
        assert_int_equal(s->rules[1].args[0].value_two, 2);
        assert_int_equal(s->rules[1].args[0].op, SCMP_CMP_MASKED_EQ);
        assert_int_equal(s->rules[2].action, SCMP_ACT_KILL_THREAD);
        assert_int_equal(s->rules[3].action, SCMP_ACT_ERRNO(7));
}

static void test_parts_alone(void **state)
{
        struct arena arena;
        struct spec_process *process;
        struct spec_resources *resources;
        struct error err;

        (void)state;
        assert_int_equal(arena_new_private(&arena, NULL), 0);
        assert_int_equal(spec_parse_process(view_of_string("{\"cwd\": \"/\", \"args\": [\"ls\"]}"), &arena,
                                            NULL, &process, &err),
                         0);
        assert_string_equal(process->args.items[0], "ls");
        assert_int_equal(spec_parse_process(view_of_string("{\"cwd\": \"x\"}"), &arena, NULL, &process, &err),
                         -EINVAL);
        assert_string_equal(error_text(&err), "process: .cwd: Cwd must be an absolute path, not \"x\"");
        assert_int_equal(spec_parse_resources(view_of_string("{\"pids\": {\"limit\": 3}}"), &arena, NULL,
                                              &resources, &err),
                         0);
        assert_int_equal(resources->pids_limit.value, 3);
        assert_int_equal(
                spec_parse_resources(view_of_string("{\"pids\": 3}"), &arena, NULL, &resources, &err),
                -EINVAL);
        assert_string_equal(error_text(&err), "resources: .pids: is a number, must be an object");
        arena_done(&arena);
}

/* ---- the template -------------------------------------------------------------------------------------- */

static void read_corpus(const char *name, struct buf *ret_text)
{
        cleanup_free char *path = NULL;

        assert_true(asprintf(&path, "%s/%s", corpus, name) > 0);
        assert_int_equal(file_read(AT_FDCWD, path, SPEC_TEXT_MAX, ret_text, NULL), 0);
}

/* The lines of `ours` that `theirs` lacks, in order, when both are walked as diff(1) would without moves;
 * and the other way round: "+line" and "-line". */
static void compare_lines(char *ours, char *theirs, struct buf *difference)
{
        char *a_rest = NULL, *b_rest = NULL;
        char *a = strtok_r(ours, "\n", &a_rest), *b = strtok_r(theirs, "\n", &b_rest);

        while (a || b) {
                if (a && b && strcmp(a, b) == 0) {
                        a = strtok_r(NULL, "\n", &a_rest);
                        b = strtok_r(NULL, "\n", &b_rest);
                } else if (b && (!a || !a_rest || !strstr(a_rest, b))) {
                        buf_printf(difference, "-%s\n", b + strspn(b, "\t"));
                        b = strtok_r(NULL, "\n", &b_rest);
                } else {
                        buf_printf(difference, "+%s\n", a + strspn(a, "\t"));
                        a = strtok_r(NULL, "\n", &a_rest);
                }
        }
}

/* Where the template has a namespace of control groups, as runc's. */
static bool host_has_only_cgroup_v2(void)
{
        return access("/sys/fs/cgroup/cgroup.controllers", F_OK) == 0;
}

static void test_template_is_that_of_runc(void **state)
{
        cleanup_buf struct buf ours = buf_with_max(SPEC_TEXT_MAX), theirs = buf_with_max(SPEC_TEXT_MAX);
        cleanup_buf struct buf difference = buf_with_max(SPEC_TEXT_MAX);
        cleanup_parsed struct parsed p = {.arena = ARENA_NONE};
        cleanup_free char *a = NULL, *b = NULL;

        (void)state;
        assert_int_equal(spec_write_template(&ours), 0);
        parse_view(buf_view(&ours), &p);
        assert_int_equal(p.r, 0);
        assert_int_equal(spec_validate(p.spec, NULL, NULL), 0);
        assert_string_equal(p.warnings, "");
        assert_string_equal(p.spec->hostname, "rune");
        read_corpus("runc-1.4.json", &theirs);
        a = buf_take_string(&ours);
        b = buf_take_string(&theirs);
        compare_lines(a, b, &difference);
        assert_string_equal(buf_string(&difference), host_has_only_cgroup_v2()
                                                             ? "-\"hostname\": \"runc\",\n"
                                                               "+\"hostname\": \"rune\",\n"
                                                             : "-\"hostname\": \"runc\",\n"
                                                               "+\"hostname\": \"rune\",\n"
                                                               "-},\n-{\n-\"type\": \"cgroup\"\n");
}

static void test_rootless_template(void **state)
{
        cleanup_buf struct buf text = buf_with_max(SPEC_TEXT_MAX);
        cleanup_parsed struct parsed p = {.arena = ARENA_NONE};

        (void)state;
        assert_int_equal(spec_write_rootless_template(1000, 4294967294, &text), 0);
        parse_view(buf_view(&text), &p);
        assert_int_equal(p.r, 0);
        assert_int_equal(spec_validate_rootless(p.spec, NULL, &p.err), 0);
        assert_int_equal(p.spec->linux.uid_mappings.items[0].host_id, 1000);
        assert_true(p.spec->linux.gid_mappings.items[0].host_id == 4294967294);
        assert_false(p.spec->linux.namespaces[SPEC_NAMESPACE_NETWORK].given);
        assert_int_equal(p.spec->linux.namespaces[SPEC_NAMESPACE_CGROUP].given, host_has_only_cgroup_v2());
        assert_int_equal(p.spec->linux.resources.n_devices, 0);
        assert_string_equal(p.spec->mounts[2].data, "newinstance,ptmxmode=0666,mode=0620");
        assert_string_equal(p.spec->mounts[5].source, "/sys");
        assert_int_equal(p.spec->mounts[5].features, SPEC_MOUNT_BIND | SPEC_MOUNT_RECURSIVE);
}

int main(int argc, char **argv)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_default_spec),
                cmocka_unit_test(test_real_files),
                cmocka_unit_test(test_versions),
                cmocka_unit_test(test_unknown_and_null_members_are_ignored),
                cmocka_unit_test(test_process),
                cmocka_unit_test(test_console_size_counts_with_a_terminal_only),
                cmocka_unit_test(test_capabilities_that_cant_be_granted_are_warned_of),
                cmocka_unit_test(test_capabilities_in_a_user_namespace),
                cmocka_unit_test(test_mounts),
                cmocka_unit_test(test_hooks_and_annotations),
                cmocka_unit_test(test_linux),
                cmocka_unit_test(test_resources),
                cmocka_unit_test(test_long_signed_numbers),
                cmocka_unit_test(test_seccomp),
                cmocka_unit_test(test_parts_alone),
                cmocka_unit_test(test_template_is_that_of_runc),
                cmocka_unit_test(test_rootless_template),
        };
        if (argc < 2)
                return 2;
        corpus = argv[1];
        return cmocka_run_group_tests(tests, NULL, NULL);
}
