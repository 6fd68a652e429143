/* SPDX-License-Identifier: Apache-2.0 */
/* What config.json must not say: each error with its JSON path. argv[1]: a folder of bad files. */
#include "lib/base/cleanup.h"
#include "lib/base/file.h"
#include "lib/container/spec-parse.h"
#include "lib/container/spec-validate.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

static const char *bad_folder;

/* Parses a text, and where that goes well, validates it. */
static int check(struct view text, struct error *err)
{
        struct arena arena;
        struct spec *spec;

        *err = (struct error){0};
        assert_int_equal(arena_new_private(&arena, NULL), 0);
        int r = spec_parse(text, "/bundle", &arena, NULL, &spec, err);
        if (r == 0)
                r = spec_validate(spec, NULL, err);
        arena_done(&arena);
        return r;
}

/* Texts are written with ' for ". */
static char *with_quotes(const char *start, const char *members, const char *end)
{
        char *text;

        assert_true(asprintf(&text, "%s%s%s", start, members, end) > 0);
        for (char *c = text; *c; c++)
                if (*c == '\'')
                        *c = '"';
        return text;
}

struct wrong {
        const char *members;
        const char *error; /* behind "config.json: " */
};

static void check_all(const char *start, const struct wrong *cases, size_t n, const char *end)
{
        for (size_t i = 0; i < n; i++) {
                cleanup_free char *text = with_quotes(start, cases[i].members, end);
                struct error err;

                if (check(view_of_string(text), &err) != -EINVAL)
                        fail_msg("%s is accepted", text);
                assert_memory_equal(error_text(&err), "config.json: ", 13);
                if (strcmp(error_text(&err) + 13, cases[i].error) != 0)
                        fail_msg("%s\n  gives %s\n  not   %s", text, error_text(&err) + 13, cases[i].error);
        }
}

static void test_top_level(void **state)
{
        static const struct wrong cases[] = {
                {"[]", "is an array, must be an object"},
                {"{}", ".ociVersion: is missing"},
                {"{'ociVersion': null}", ".ociVersion: is missing"},
                {"{'ociVersion': 1}", ".ociVersion: is a number, must be a string"},
                {"{'ociVersion': ''}", ".ociVersion: \"\" is no version as 1.2.0"},
                {"{'ociVersion': '1.0'}", ".ociVersion: \"1.0\" is no version as 1.2.0"},
                {"{'ociVersion': '1.0.x'}", ".ociVersion: \"1.0.x\" is no version as 1.2.0"},
                {"{'ociVersion': '1.02.0'}", ".ociVersion: \"1.02.0\" is no version as 1.2.0"},
                {"{'ociVersion': '1.0.0-'}", ".ociVersion: \"1.0.0-\" is no version as 1.2.0"},
                {"{'ociVersion': '2.0.0'}",
                 ".ociVersion: unknown version \"2.0.0\"; the versions from 1.0.0 below 2.0.0 are known"},
                {"{'ociVersion': '0.6.0'}",
                 ".ociVersion: unknown version \"0.6.0\"; the versions from 1.0.0 below 2.0.0 are known"},
                {"{'ociVersion': '1.0.0'}", ".root: is missing"},
                {"{'ociVersion': '1.0.0', 'root': 'x'}", ".root: is a string, must be an object"},
                {"{'ociVersion': '1.0.0', 'root': {}}", ".root.path: is missing"},
                {"{'ociVersion': '1.0.0', 'root': {'path': ''}}", ".root.path: can't be empty"},
                {"{'ociVersion': '1.0.0', 'root': {'path': 'x', 'readonly': 'true'}}",
                 ".root.readonly: must be true or false"},
                {"{'ociVersion': '1.0.0', 'ociVersion': '1.0.0'}",
                 "line 1, column 36: duplicate object key near '\"ociVersion\"'"},
                {"{'ociVersion': '1.0.0', 'root': {'path': 'x\\u0000'}}",
                 "line 1, column 50: \\u0000 can't be in a string"},
                {"{'a': 18446744073709551615, 'ociVersion': '1.0.0\\u0000'}", "\\u0000 can't be in a string"},
        };

        (void)state;
        check_all("", cases, ARRAY_SIZE(cases), "");
}

#define START "{'ociVersion': '1.0.2', 'root': {'path': 'rootfs'}, "

static void test_process(void **state)
{
        static const struct wrong cases[] = {
                {"", ".process.cwd: is missing"},
                {"'cwd': ''", ".process.cwd: Cwd property must not be empty"},
                {"'cwd': 'x'", ".process.cwd: Cwd must be an absolute path, not \"x\""},
                {"'cwd': '/'", ".process.args: is missing"},
                {"'cwd': '/', 'args': []", ".process.args: args must not be empty"},
                {"'cwd': '/', 'args': [1]", ".process.args[0]: is a number, must be a string"},
                {"'cwd': '/', 'args': ['sh', null]", ".process.args[1]: is null, must be a value"},
                {"'cwd': '/', 'args': 'sh'", ".process.args: is a string, must be an array"},
        };
        static const struct wrong others[] = {
                {"'terminal': 1", ".process.terminal: must be true or false"},
                {"'terminal': true, 'consoleSize': {'height': 1}", ".process.consoleSize.width: is missing"},
                {"'terminal': true, 'consoleSize': {'height': 70000, 'width': 1}",
                 ".process.consoleSize.height: 70000 is above 65535"},
                {"'user': {'uid': -1}", ".process.user.uid: -1 is below 0"},
                {"'user': {'uid': 4294967295}", ".process.user.uid: 4294967295 is above 4294967294"},
                {"'user': {'gid': '0'}", ".process.user.gid: is a string, must be a whole number"},
                {"'user': {'gid': 1.0}", ".process.user.gid: is a fraction, must be a whole number"},
                {"'user': {'gid': 18446744073709551615}",
                 ".process.user.gid: 18446744073709551615 is above 4294967294"},
                {"'user': {'umask': 512}", ".process.user.umask: 512 is above 511"},
                {"'user': {'additionalGids': [5, -5]}", ".process.user.additionalGids[1]: -5 is below 0"},
                {"'env': ['A=1', 'B']",
                 ".process.env[1]: \"B\" is an invalid environment variable: missing '='"},
                {"'env': ['=1']", ".process.env[0]: invalid environment variable: name cannot be empty"},
                {"'env': [18446744073709551615]", ".process.env[0]: is a number, must be a string"},
                {"'capabilities': []", ".process.capabilities: must be an object"},
                {"'capabilities': {'ambient': 'CAP_KILL'}",
                 ".process.capabilities.ambient: is a string, must be an array"},
                {"'capabilities': {'ambient': [2]}",
                 ".process.capabilities.ambient[0]: is a number, must be a string"},
                {"'rlimits': [{'type': 'RLIMIT_X', 'soft': 1, 'hard': 1}]",
                 ".process.rlimits[0].type: invalid resource limit \"RLIMIT_X\"; one of RLIMIT_AS "
                 "RLIMIT_CORE "
                 "RLIMIT_CPU RLIMIT_DATA RLIMIT_FSIZE RLIMIT_LOCKS RLIMIT_MEMLOCK RLIMIT_MSGQUEUE "
                 "RLIMIT_NICE RLIMIT_NOFILE RLIMIT_NPROC RLIMIT_RSS RLIMIT_RTPRIO RLIMIT_RTTIME "
                 "RLIMIT_SIGPENDING RLIMIT_STACK"},
                {"'rlimits': [{'type': 'RLIMIT_CPU', 'soft': 1}]", ".process.rlimits[0].hard: is missing"},
                {"'rlimits': [{'type': 'RLIMIT_CPU', 'soft': 2, 'hard': 1}]",
                 ".process.rlimits[0]: soft must not be above hard"},
                {"'rlimits': [{'type': 'RLIMIT_CPU', 'soft': -1, 'hard': 1}]",
                 ".process.rlimits[0].soft: -1 is below 0"},
                {"'rlimits': [{'type': 'RLIMIT_CPU', 'soft': 18446744073709551616, 'hard': 1}]",
                 "line 1, column 155: too big integer near '18446744073709551616'"},
                {"'rlimits': [{'type': 'RLIMIT_CPU', 'soft': 1, 'hard': 1}, "
                 "{'type': 'RLIMIT_CPU', 'soft': 1, 'hard': 1}]",
                 ".process.rlimits[1]: a limit of this type comes twice"},
                {"'oomScoreAdj': 1001", ".process.oomScoreAdj: 1001 is not from -1000 to 1000"},
                {"'oomScoreAdj': 18446744073709551615",
                 ".process.oomScoreAdj: 18446744073709551615 is above 1000"},
                {"'scheduler': {}", ".process.scheduler.policy: is missing"},
                {"'scheduler': {'policy': 'SCHED_X'}",
                 ".process.scheduler.policy: invalid scheduling policy \"SCHED_X\"; one of SCHED_BATCH "
                 "SCHED_DEADLINE SCHED_FIFO SCHED_IDLE SCHED_ISO SCHED_OTHER SCHED_RR"},
                {"'scheduler': {'policy': 'SCHED_OTHER', 'nice': 20}",
                 ".process.scheduler.nice: invalid scheduler.nice: 20"},
                {"'scheduler': {'policy': 'SCHED_OTHER', 'priority': 1}",
                 ".process.scheduler.priority: scheduler.priority can only be specified for SCHED_FIFO or "
                 "SCHED_RR policy"},
                {"'scheduler': {'policy': 'SCHED_FIFO', 'runtime': 1}",
                 ".process.scheduler: scheduler runtime/deadline/period can only be specified for "
                 "SCHED_DEADLINE policy"},
                {"'scheduler': {'policy': 'SCHED_FIFO', 'flags': ['SCHED_FLAG_X']}",
                 ".process.scheduler.flags[0]: invalid scheduling flag \"SCHED_FLAG_X\"; one of "
                 "SCHED_FLAG_DL_OVERRUN SCHED_FLAG_KEEP_PARAMS SCHED_FLAG_KEEP_POLICY SCHED_FLAG_RECLAIM "
                 "SCHED_FLAG_RESET_ON_FORK SCHED_FLAG_UTIL_CLAMP_MAX SCHED_FLAG_UTIL_CLAMP_MIN"},
                {"'ioPriority': {'priority': 1}", ".process.ioPriority.class: is missing"},
                {"'ioPriority': {'class': 'BE'}",
                 ".process.ioPriority.class: invalid I/O class \"BE\"; one of IOPRIO_CLASS_BE "
                 "IOPRIO_CLASS_IDLE IOPRIO_CLASS_RT"},
                {"'ioPriority': {'class': 'IOPRIO_CLASS_BE', 'priority': 8}",
                 ".process.ioPriority.priority: 8 is not from 0 to 7"},
                {"'execCPUAffinity': {'initial': '3-1'}",
                 ".process.execCPUAffinity.initial: invalid list of CPUs \"3-1\"; it takes a list of "
                 "numbers below 8192 as 0-3,7"},
                {"'execCPUAffinity': {'final': '1,'}",
                 ".process.execCPUAffinity.final: invalid list of CPUs \"1,\"; it takes a list of "
                 "numbers below 8192 as 0-3,7"},
                {"'execCPUAffinity': {'final': '8192'}",
                 ".process.execCPUAffinity.final: invalid list of CPUs \"8192\"; it takes a list of "
                 "numbers below 8192 as 0-3,7"},
        };

        (void)state;
        check_all(START "'process': {", cases, ARRAY_SIZE(cases), "}}");
        check_all(START "'process': {'cwd': '/', 'args': ['sh'], ", others, ARRAY_SIZE(others), "}}");
}

static void test_mounts_and_hooks(void **state)
{
        static const struct wrong cases[] = {
                {"'mounts': {}", ".mounts: is an object, must be an array"},
                {"'mounts': ['/x']", ".mounts[0]: is a string, must be an object"},
                {"'mounts': [{}]", ".mounts[0].destination: is missing"},
                {"'mounts': [{'destination': ''}]", ".mounts[0]: destination can't be empty"},
                {"'mounts': [{'destination': '/a', 'options': 'ro'}]",
                 ".mounts[0].options: is a string, must be an array"},
                {"'mounts': [{'destination': '/a', 'options': ['ro', '']}]",
                 ".mounts[0].options[1]: a mount option can't be empty"},
                {"'mounts': [{'destination': '/a', 'options': ['bind']}]",
                 ".mounts[0]: a bind mount needs a source"},
                {"'mounts': [{'destination': '/a', 'source': '/b', 'options': ['bind', 'size=1']}]",
                 ".mounts[0].options: bind mounts cannot have any filesystem-specific options applied: "
                 "size=1"},
                {"'mounts': [{'destination': '/a', 'type': 'tmpfs', 'options': ['idmap']}]",
                 ".mounts[0]: id-mapped mounts are only supported for bind-mounts"},
                {"'mounts': [{'destination': '/a', 'source': '/b', 'options': ['bind', 'idmap']}]",
                 ".mounts[0]: id-mapped mounts must have both uid and gid mappings specified"},
                {"'mounts': [{'destination': '/a', 'source': '/b', 'options': ['bind'], "
                 "'uidMappings': [{'containerID': 0, 'hostID': 1, 'size': 1}]}]",
                 ".mounts[0]: id-mapped mounts must have both uid and gid mappings specified"},
                {"'mounts': [{'destination': '/a', 'uidMappings': [{'hostID': 1, 'size': 1}]}]",
                 ".mounts[0].uidMappings[0].containerID: is missing"},
                {"'hooks': []", ".hooks: is an array, must be an object"},
                {"'hooks': {'poststop': [{}]}", ".hooks.poststop[0].path: is missing"},
                {"'hooks': {'prestart': [{'path': 'x'}]}",
                 ".hooks.prestart[0].path: \"x\" must be an absolute path"},
                {"'hooks': {'prestart': [{'path': ''}]}", ".hooks.prestart[0]: path can't be empty"},
                {"'hooks': {'createRuntime': [{'path': '/x', 'timeout': 0}]}",
                 ".hooks.createRuntime[0].timeout: 0 is not from 1 to 4294967295"},
                {"'annotations': {'': 'x'}", ".annotations[\"\"]: a name can't be empty"},
                {"'annotations': {'a.b': 1}", ".annotations[\"a.b\"]: is a number, must be a string"},
                {"'annotations': {'\\u001b[2J\\u009b': 1}",
                 ".annotations[\"\\x1b[2J\\xc2\\x9b\"]: is a number, must be a string"},
                {"'hostname': 'x'", ".hostname: unable to set hostname without a private UTS namespace"},
                {"'domainname': 'x'",
                 ".domainname: unable to set domainname without a private UTS namespace"},
        };

        (void)state;
        check_all(START, cases, ARRAY_SIZE(cases), "}");
}

static void test_linux(void **state)
{
        static const struct wrong cases[] = {
                {"'namespaces': [{'type': 'pid'}, {'type': 'nett'}]",
                 ".linux.namespaces[1].type: invalid namespace \"nett\"; one of cgroup ipc mount network pid "
                 "time user uts"},
                {"'namespaces': [{'type': 'pid'}, {'type': 'pid', 'path': '/x'}]",
                 ".linux.namespaces[1]: duplicated ns: a namespace of this type comes twice"},
                {"'namespaces': [{'type': 'pid', 'path': 'x'}]",
                 ".linux.namespaces[0].path: \"x\" must be an absolute path"},
                {"'namespaces': [{'path': '/x'}]", ".linux.namespaces[0].type: is missing"},
                {"'uidMappings': [{'containerID': 0, 'hostID': 0, 'size': 0}]",
                 ".linux.uidMappings[0]: size must be above 0"},
                {"'gidMappings': [{'containerID': 1, 'hostID': 0, 'size': 4294967295}]",
                 ".linux.gidMappings[0]: goes past the last id, 4294967294"},
                {"'uidMappings': [{'containerID': 0, 'hostID': 4294967290, 'size': 6}]",
                 ".linux.uidMappings[0]: goes past the last id, 4294967294"},
                {"'uidMappings': [{'containerID': 0, 'hostID': 0, 'size': 1}]",
                 ".linux.uidMappings: user namespace mappings specified, but user namespace isn't enabled in "
                 "the config"},
                {"'namespaces': [{'type': 'user'}]",
                 ".linux.uidMappings: user namespaces enabled, but no namespace path to join nor mappings to "
                 "apply specified"},
                {"'timeOffsets': {'boottime': {'nanosecs': 1000000000}}",
                 ".linux.timeOffsets.boottime.nanosecs: 1000000000 is above 999999999"},
                {"'timeOffsets': {'boottime': {'secs': 1}}",
                 ".linux.timeOffsets: time namespace offsets specified, but time namespace isn't enabled in "
                 "the config"},
                {"'timeOffsets': {'monotonic': {}}, 'namespaces': [{'type': 'time', 'path': '/x'}]",
                 ".linux.timeOffsets: time namespace enabled, but both namespace path and time offsets "
                 "specified; you may only provide one"},
                {"'devices': [{'type': 'c'}]", ".linux.devices[0].path: is missing"},
                {"'devices': [{'type': 'x', 'path': '/x'}]",
                 ".linux.devices[0].type: \"x\" is no type of device; one of b c p u"},
                {"'devices': [{'type': 'c', 'path': 'x'}]",
                 ".linux.devices[0].path: \"x\" must be an absolute path"},
                {"'devices': [{'type': 'c', 'path': ''}]", ".linux.devices[0]: path can't be empty"},
                {"'devices': [{'type': 'c', 'path': '/x', 'major': 4096}]",
                 ".linux.devices[0].major: 4096 is above 4095"},
                {"'devices': [{'type': 'c', 'path': '/x', 'minor': 1048576}]",
                 ".linux.devices[0].minor: 1048576 is above 1048575"},
                {"'netDevices': {'eth0': {}}",
                 ".linux.netDevices: unable to move network devices without a NET namespace"},
                {"'netDevices': {'eth0': []}", ".linux.netDevices.eth0: is an array, must be an object"},
                {"'namespaces': [{'type': 'network'}], 'netDevices': {'a/b': {}}",
                 ".linux.netDevices[\"a/b\"]: invalid network device name \"a/b\""},
                {"'namespaces': [{'type': 'network'}], 'netDevices': {'eth0': {'name': '..'}}",
                 ".linux.netDevices[\"eth0\"].name: invalid network device name \"..\""},
                {"'namespaces': [{'type': 'network'}], 'netDevices': {'eth0': {'name': '0123456789abcdef'}}",
                 ".linux.netDevices[\"eth0\"].name: invalid network device name \"0123456789abcdef\""},
                {"'rootfsPropagation': 'x'",
                 ".linux.rootfsPropagation: invalid mount propagation \"x\"; one of private rprivate rshared "
                 "rslave runbindable shared slave unbindable"},
                {"'maskedPaths': ['x']", ".linux.maskedPaths[0]: \"x\" must be an absolute path"},
                {"'maskedPaths': ['/x']",
                 ".linux.maskedPaths: unable to restrict sys entries without a private MNT namespace"},
                {"'readonlyPaths': ['/x']",
                 ".linux.readonlyPaths: unable to restrict sys entries without a private MNT namespace"},
                {"'intelRdt': {'closID': '..'}", ".linux.intelRdt.closID: invalid intelRdt.ClosID \"..\""},
                {"'intelRdt': {'closID': 'a/b'}", ".linux.intelRdt.closID: invalid intelRdt.ClosID \"a/b\""},
                {"'memoryPolicy': {'nodes': '0'}",
                 ".linux.memoryPolicy: invalid memory policy mode: \"mode\" is missing"},
                {"'memoryPolicy': {'mode': 'MPOL_X'}",
                 ".linux.memoryPolicy.mode: invalid memory policy mode \"MPOL_X\"; one of MPOL_BIND "
                 "MPOL_DEFAULT MPOL_INTERLEAVE MPOL_LOCAL MPOL_PREFERRED MPOL_PREFERRED_MANY "
                 "MPOL_WEIGHTED_INTERLEAVE"},
                {"'memoryPolicy': {'mode': 'MPOL_BIND', 'nodes': '1024'}",
                 ".linux.memoryPolicy.nodes: invalid memory policy nodes \"1024\"; it takes a list of "
                 "numbers below 1024 as 0-3,7"},
                {"'memoryPolicy': {'mode': 'MPOL_BIND'}",
                 ".linux.memoryPolicy.nodes: memory policy mode requires at least one node but got 0"},
                {"'memoryPolicy': {'mode': 'MPOL_LOCAL', 'nodes': '0'}",
                 ".linux.memoryPolicy.nodes: memory policy mode requires 0 nodes but got 1"},
                {"'memoryPolicy': {'mode': 'MPOL_BIND', 'nodes': '0', 'flags': ['x']}",
                 ".linux.memoryPolicy.flags[0]: invalid memory policy flag \"x\"; one of "
                 "MPOL_F_NUMA_BALANCING "
                 "MPOL_F_RELATIVE_NODES MPOL_F_STATIC_NODES"},
                {"'personality': {}", ".linux.personality.domain: is missing"},
                {"'personality': {'domain': 'BSD'}",
                 ".linux.personality.domain: invalid personality domain \"BSD\"; one of LINUX LINUX32"},
        };

        (void)state;
        check_all(START "'linux': {", cases, ARRAY_SIZE(cases), "}}");
}

static void test_resources(void **state)
{
        static const struct wrong cases[] = {
                {"'devices': [{}]", ".linux.resources.devices[0].allow: is missing"},
                {"'devices': [{'allow': true, 'type': 'x'}]",
                 ".linux.resources.devices[0].type: \"x\" is no type of device; one of a b c"},
                {"'devices': [{'allow': true, 'major': -2}]",
                 ".linux.resources.devices[0].major: -2 is not from -1 to 4294967295"},
                {"'devices': [{'allow': true, 'access': 'rx'}]",
                 ".linux.resources.devices[0].access: access can be made of r, w and m alone"},
                {"'memory': {'limit': '1G'}",
                 ".linux.resources.memory.limit: is a string, must be a whole number"},
                {"'memory': {'limit': 9223372036854775808}",
                 ".linux.resources.memory.limit: 9223372036854775808 is above 9223372036854775807"},
                {"'memory': {'swappiness': 101}", ".linux.resources.memory.swappiness: 101 is above 100"},
                {"'memory': {'disableOOMKiller': 'no'}",
                 ".linux.resources.memory.disableOOMKiller: must be true or false"},
                {"'cpu': {'shares': -1}", ".linux.resources.cpu.shares: -1 is below 0"},
                {"'cpu': {'cpus': 1}", ".linux.resources.cpu.cpus: is a number, must be a string"},
                {"'cpu': {'idle': 2}", ".linux.resources.cpu.idle: invalid cpu idle value 2; it is 0 or 1"},
                {"'cpu': {'idle': -1}", ".linux.resources.cpu.idle: invalid cpu idle value -1; it is 0 or 1"},
                {"'pids': {'limit': 1.5}",
                 ".linux.resources.pids.limit: is a fraction, must be a whole number"},
                {"'blockIO': {'weight': 65536}", ".linux.resources.blockIO.weight: 65536 is above 65535"},
                {"'blockIO': {'weightDevice': [{'major': 8}]}",
                 ".linux.resources.blockIO.weightDevice[0].minor: is missing"},
                {"'blockIO': {'throttleReadBpsDevice': [{'major': 8, 'minor': 0}]}",
                 ".linux.resources.blockIO.throttleReadBpsDevice[0].rate: is missing"},
                {"'hugepageLimits': [{'pageSize': '2M', 'limit': 1}]",
                 ".linux.resources.hugepageLimits[0].pageSize: \"2M\" is no page size as 64KB, 2MB, 1GB"},
                {"'hugepageLimits': [{'pageSize': '../2MB', 'limit': 1}]",
                 ".linux.resources.hugepageLimits[0].pageSize: \"../2MB\" is no page size as 64KB, 2MB, "
                 "1GB"},
                {"'network': {'classID': 4294967296}",
                 ".linux.resources.network.classID: 4294967296 is above 4294967295"},
                {"'network': {'priorities': [{'name': '', 'priority': 1}]}",
                 ".linux.resources.network.priorities[0]: name can't be empty"},
                {"'rdma': {'mlx5_1': {'hcaHandles': 4294967296}}",
                 ".linux.resources.rdma.mlx5_1.hcaHandles: 4294967296 is above 4294967295"},
                {"'unified': {'../x': '1'}",
                 ".linux.resources.unified[\"../x\"]: must be a file name (no slashes)"},
                {"'unified': {'memory.high': 1}",
                 ".linux.resources.unified[\"memory.high\"]: is a number, must be a string"},
        };

        (void)state;
        check_all(START "'linux': {'resources': {", cases, ARRAY_SIZE(cases), "}}}");
}

static void test_sysctl(void **state)
{
        static const struct wrong cases[] = {
                {"'kernel.shmmax': '1'", ".linux.sysctl[\"kernel.shmmax\"]: sysctl \"kernel.shmmax\" is not "
                                         "allowed in the hosts ipc namespace"},
                {"'fs/mqueue/msg_max': '1'",
                 ".linux.sysctl[\"fs/mqueue/msg_max\"]: sysctl \"fs/mqueue/msg_max\" is not allowed in the "
                 "hosts ipc namespace"},
                {"'net.core.somaxconn': '1'",
                 ".linux.sysctl[\"net.core.somaxconn\"]: sysctl \"net.core.somaxconn\" not allowed in host "
                 "network namespace"},
                {"'kernel.hostname': 'x'",
                 ".linux.sysctl[\"kernel.hostname\"]: sysctl \"kernel.hostname\" is not allowed as it "
                 "conflicts with the OCI \"hostname\" field"},
                {"'user.max_user_namespaces': '1'",
                 ".linux.sysctl[\"user.max_user_namespaces\"]: setting ucounts without a user namespace not "
                 "allowed"},
                {"'vm.swappiness': '1'", ".linux.sysctl[\"vm.swappiness\"]: sysctl \"vm.swappiness\" is not "
                                         "in a separate kernel namespace"},
                {"'kernel.core_pattern': '1'", ".linux.sysctl[\"kernel.core_pattern\"]: sysctl "
                                               "\"kernel.core_pattern\" is not in a separate "
                                               "kernel namespace"},
                {"'net.x': 1", ".linux.sysctl[\"net.x\"]: is a number, must be a string"},
        };
        static const struct wrong joined[] = {
                {"'net.core.somaxconn': '1'",
                 ".linux.sysctl[\"net.core.somaxconn\"]: sysctl \"net.core.somaxconn\" not allowed in host "
                 "network namespace"},
        };

        (void)state;
        check_all(START "'linux': {'namespaces': [{'type': 'uts'}], 'sysctl': {", cases, ARRAY_SIZE(cases),
                  "}}}");
        check_all(START "'linux': {'namespaces': [{'type': 'network', 'path': '/proc/self/ns/net'}], "
                        "'sysctl': {",
                  joined, ARRAY_SIZE(joined), "}}}");
}

static void test_seccomp(void **state)
{
        static const struct wrong cases[] = {
                {"'syscalls': [{'names': ['read'], 'action': 'SCMP_ACT_ALLOW'}]",
                 ".linux.seccomp: defaultAction is missing"},
                {"'defaultAction': 'ALLOW'",
                 ".linux.seccomp.defaultAction: invalid seccomp action \"ALLOW\"; one of SCMP_ACT_ALLOW "
                 "SCMP_ACT_ERRNO SCMP_ACT_KILL SCMP_ACT_KILL_PROCESS SCMP_ACT_KILL_THREAD SCMP_ACT_LOG "
                 "SCMP_ACT_NOTIFY SCMP_ACT_TRACE SCMP_ACT_TRAP"},
                {"'defaultAction': 'SCMP_ACT_ALLOW', 'defaultErrnoRet': 1",
                 ".linux.seccomp: an errno goes with SCMP_ACT_ERRNO and SCMP_ACT_TRACE alone"},
                {"'defaultAction': 'SCMP_ACT_ERRNO', 'defaultErrnoRet': 65536",
                 ".linux.seccomp.defaultErrnoRet: 65536 is above 65535"},
                {"'defaultAction': 'SCMP_ACT_NOTIFY'",
                 ".linux.seccomp.defaultAction: SCMP_ACT_NOTIFY cannot be used as default action"},
                {"'defaultAction': 'SCMP_ACT_LOG', 'flags': ['X']",
                 ".linux.seccomp.flags[0]: invalid seccomp flag \"X\"; one of SECCOMP_FILTER_FLAG_LOG "
                 "SECCOMP_FILTER_FLAG_SPEC_ALLOW SECCOMP_FILTER_FLAG_TSYNC "
                 "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"},
                {"'defaultAction': 'SCMP_ACT_LOG', 'syscalls': [{'names': [], 'action': 'SCMP_ACT_LOG'}]",
                 ".linux.seccomp.syscalls[0]: names can't be empty"},
                {"'defaultAction': 'SCMP_ACT_LOG', 'syscalls': [{'names': ['read']}]",
                 ".linux.seccomp.syscalls[0].action: is missing"},
                {"'defaultAction': 'SCMP_ACT_LOG', 'syscalls': [{'names': ['read'], "
                 "'action': 'SCMP_ACT_ALLOW', 'errnoRet': 1}]",
                 ".linux.seccomp.syscalls[0]: an errno goes with SCMP_ACT_ERRNO and SCMP_ACT_TRACE alone"},
                {"'defaultAction': 'SCMP_ACT_LOG', 'syscalls': [{'names': ['read'], "
                 "'action': 'SCMP_ACT_ALLOW', 'args': [{'index': 6, 'value': 1, 'op': 'SCMP_CMP_EQ'}]}]",
                 ".linux.seccomp.syscalls[0].args[0].index: 6 is above 5"},
                {"'defaultAction': 'SCMP_ACT_LOG', 'syscalls': [{'names': ['read'], "
                 "'action': 'SCMP_ACT_ALLOW', 'args': [{'index': 1, 'value': 1, 'op': '=='}]}]",
                 ".linux.seccomp.syscalls[0].args[0].op: invalid seccomp operator \"==\"; one of SCMP_CMP_EQ "
                 "SCMP_CMP_GE SCMP_CMP_GT SCMP_CMP_LE SCMP_CMP_LT SCMP_CMP_MASKED_EQ SCMP_CMP_NE"},
                {"'defaultAction': 'SCMP_ACT_LOG', 'listenerPath': '/x', "
                 "'syscalls': [{'names': ['read', 'write'], 'action': 'SCMP_ACT_NOTIFY'}]",
                 ".linux.seccomp.syscalls[0].names[1]: SCMP_ACT_NOTIFY cannot be used for the write syscall"},
                {"'defaultAction': 'SCMP_ACT_LOG', "
                 "'syscalls': [{'names': ['read'], 'action': 'SCMP_ACT_NOTIFY'}]",
                 ".linux.seccomp.listenerPath: seccomp listenerPath is not set"},
        };
        static const char unknown_arch[] = START "'linux': {'seccomp': {'defaultAction': 'SCMP_ACT_LOG', "
                                                 "'architectures': ['x86']}}}";
        cleanup_free char *text = with_quotes(unknown_arch, "", "");
        struct error err;

        (void)state;
        check_all(START "'linux': {'seccomp': {", cases, ARRAY_SIZE(cases), "}}}");
        assert_int_equal(check(view_of_string(text), &err), -EINVAL);
        assert_non_null(strstr(error_text(&err), ".linux.seccomp.architectures[0]: invalid seccomp "
                                                 "architecture \"x86\"; one of SCMP_ARCH_AARCH64 "));
        assert_non_null(strstr(error_text(&err), " SCMP_ARCH_X86_64"));
}

static int check_rootless(const char *members, struct error *err)
{
        cleanup_free char *text = with_quotes(START, members, "}");
        struct arena arena;
        struct spec *spec;

        assert_int_equal(arena_new_private(&arena, NULL), 0);
        assert_int_equal(spec_parse(view_of_string(text), "/bundle", &arena, NULL, &spec, err), 0);
        int r = spec_validate_rootless(spec, NULL, err);
        arena_done(&arena);
        return r;
}

#define USER_NAMESPACE                                                                                       \
        "'linux': {'namespaces': [{'type': 'user'}, {'type': 'network'}], "                                  \
        "'uidMappings': [{'containerID': 0, 'hostID': 1000, 'size': 1}], "                                   \
        "'gidMappings': [{'containerID': 5, 'hostID': 1000, 'size': 1}]"

static void test_rootless(void **state)
{
        static const struct wrong cases[] = {
                {"'hostname': ''", ".linux.namespaces: rootless container requires user namespaces"},
                {"'linux': {'namespaces': [{'type': 'user'}], "
                 "'uidMappings': [{'containerID': 0, 'hostID': 1000, 'size': 1}]}",
                 ".linux.gidMappings: rootless containers requires at least one GID mapping"},
                {USER_NAMESPACE ", 'netDevices': {'eth0': {}}}",
                 ".linux.netDevices: network devices are not supported for rootless containers"},
                {"'mounts': [{'destination': '/a', 'source': '/b', 'options': ['bind', "
                 "'idmap']}], " USER_NAMESPACE "}",
                 ".mounts[0]: id-mapped mounts are not supported for rootless containers"},
                {"'mounts': [{'destination': '/a', 'type': 'devpts', 'options': ['mode=1', "
                 "'gid=6']}], " USER_NAMESPACE "}",
                 ".mounts[0].options: cannot specify gid=6 mount option for rootless container: it has no "
                 "such id"},
        };
        struct error err;

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                assert_int_equal(check_rootless(cases[i].members, &err), -EINVAL);
                assert_string_equal(error_text(&err) + 13, cases[i].error);
        }
        assert_int_equal(check_rootless("'mounts': [{'destination': '/a', 'type': 'devpts', "
                                        "'options': ['mode=1', 'uid=0', 'gid=5']}], " USER_NAMESPACE "}",
                                        &err),
                         0);
}

static void test_too_much(void **state)
{
        const size_t n = (size_t)4 << 20;
        cleanup_buf struct buf text = buf_with_max(SPEC_TEXT_MAX + 16);
        struct error err;

        (void)state;
        buf_append_string(&text, "{\"ociVersion\": \"1.0.0\", \"root\": {\"path\": \"x\"}, \"mounts\": [");
        for (size_t i = 0; i < n; i++)
                buf_append_string(&text, i ? ",{}" : "{}");
        buf_append_string(&text, "]}");
        assert_int_equal(check(buf_view(&text), &err), -ENOMEM);
        assert_string_equal(error_text(&err), "config.json: .mounts: too large: a configuration takes more "
                                              "than 64 MiB of memory");
        while (text.n <= SPEC_TEXT_MAX)
                buf_append_byte(&text, ' ');
        assert_int_equal(check(buf_view(&text), &err), -E2BIG);
}

/* Each bad file is refused, with a text that begins with the file's name. */
static void test_bad_files(void **state)
{
        cleanup_dir DIR *dir = opendir(bad_folder);
        size_t n = 0;

        (void)state;
        assert_non_null(dir);
        for (struct dirent *entry; (entry = readdir(dir));) {
                cleanup_buf struct buf text = buf_with_max(SPEC_TEXT_MAX);
                struct error err;

                if (entry->d_name[0] == '.')
                        continue;
                assert_int_equal(file_read(dirfd(dir), entry->d_name, SPEC_TEXT_MAX, &text, NULL), 0);
                if (check(buf_view(&text), &err) != -EINVAL)
                        fail_msg("%s is accepted", entry->d_name);
                assert_memory_equal(error_text(&err), "config.json: ", 13);
                n++;
        }
        assert_true(n >= 15);
}

int main(int argc, char **argv)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_top_level),        cmocka_unit_test(test_process),
                cmocka_unit_test(test_mounts_and_hooks), cmocka_unit_test(test_linux),
                cmocka_unit_test(test_resources),        cmocka_unit_test(test_sysctl),
                cmocka_unit_test(test_seccomp),          cmocka_unit_test(test_rootless),
                cmocka_unit_test(test_too_much),         cmocka_unit_test(test_bad_files),
        };
        if (argc < 2)
                return 2;
        bad_folder = argv[1];
        return cmocka_run_group_tests(tests, NULL, NULL);
}
