/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container-init's steps, each in a child process of its own: what they set can't be taken back.  The child
 * says by its exit status what it saw.
 */
#include "lib/base/cleanup.h"
#include "lib/base/fd.h"
#include "lib/container/init/attributes.h"
#include "lib/container/init/descriptors.h"
#include "lib/container/init/namespaces.h"
#include "lib/container/init/payload.h"
#include "lib/container/sync.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

/* What a step is tried with: a plan without descriptors, but /proc and a socket whose other end is `peer`. */
struct scene {
        struct plan plan;
        struct spec spec;
        struct spec_process process;
        int peer;
        struct error err;
};

/* In the child: says what is wrong, and where. */
#define CHECK(condition)                                                                                     \
        do {                                                                                                 \
                if (!(condition)) {                                                                          \
                        (void)fprintf(stderr, "%s:%d: %s (%s)\n", __FILE__, __LINE__, #condition,            \
                                      error_text(&s->err));                                                  \
                        _exit(1);                                                                            \
                }                                                                                            \
        } while (0)

static void set_scene(struct scene *s)
{
        int pair[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
        *s = (struct scene){.peer = pair[1]};
        s->process.cwd = "/";
        s->plan = (struct plan){
                .version = PLAN_VERSION,
                .spec = &s->spec,
                .process = &s->process,
                .id = "test-init",
                .sync_fd = pair[0],
                .exec_fifo_fd = -1,
                .console_socket_fd = -1,
                .rootfs_fd = -1,
                .target_pidfd = -1,
                .host_proc_fd = open("/proc", O_PATH | O_CLOEXEC),
        };
        for (size_t i = 0; i < SPEC_NAMESPACE_TYPES; i++)
                s->plan.namespace_fds[i] = -1;
}

/* Runs `act` in a child and expects it to return. */
static void in_child(void (*act)(struct scene *s))
{
        int status;
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid == 0) {
                struct scene s;
                set_scene(&s);
                act(&s);
                _exit(0);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
}

/* ---- attributes ------------------------------------------------------------------------------------- */

static void act_rlimits(struct scene *s)
{
        struct spec_rlimit limits[] = {{RLIMIT_NOFILE, 100, 200}, {RLIMIT_CORE, 0, 0}};
        struct rlimit now;

        s->process.rlimits = limits;
        s->process.n_rlimits = 2;
        CHECK(attributes_rlimits(&s->process, &s->err) == 0);
        CHECK(getrlimit(RLIMIT_NOFILE, &now) == 0 && now.rlim_cur == 100 && now.rlim_max == 200);
        /* Up again, the hard limit alone, where we may (CAP_SYS_RESOURCE). */
        limits[0] = (struct spec_rlimit){RLIMIT_NOFILE, 50, 300};
        int r = attributes_raise_rlimits(&s->process, &s->err);
        CHECK(r == 0 || r == -EPERM);
        CHECK(getrlimit(RLIMIT_NOFILE, &now) == 0 && now.rlim_cur == 100 &&
              now.rlim_max == (r == 0 ? 300 : 200));
        limits[0].hard = 200;
        CHECK(attributes_raise_rlimits(&s->process, &s->err) == 0);
        limits[0].soft = 400;
        CHECK(attributes_rlimits(&s->process, &s->err) == -EINVAL);
        CHECK(strcmp(error_text(&s->err),
                     "set rlimit RLIMIT_NOFILE to 400 (hard limit 200): Invalid argument") == 0);
}

static void rlimits_are_set_and_named(void **state)
{
        (void)state;
        in_child(act_rlimits);
}

static void act_scheduling(struct scene *s)
{
        struct spec_scheduler scheduler = {.policy = SCHED_BATCH, .nice = 5};

        s->process.scheduler = &scheduler;
        s->process.has_io_priority = true;
        s->process.io_priority = 2 << 13 | 6;
        CHECK(attributes_scheduling(&s->process, &s->err) == 0);
        CHECK(sched_getscheduler(0) == SCHED_BATCH && getpriority(PRIO_PROCESS, 0) == 5);
        CHECK(syscall(SYS_ioprio_get, 1, 0) == (2 << 13 | 6));
        scheduler = (struct spec_scheduler){.policy = SCHED_FIFO, .priority = 1000};
        CHECK(attributes_scheduling(&s->process, &s->err) == -EINVAL);
        CHECK(strcmp(error_text(&s->err), "set scheduler SCHED_FIFO: Invalid argument") == 0);
}

static void scheduling_is_set_and_named(void **state)
{
        (void)state;
        in_child(act_scheduling);
}

static void act_affinity(struct scene *s)
{
        cpu_set_t set;

        CHECK(attributes_affinity("0", &s->err) == 0);
        CHECK(sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_COUNT(&set) == 1 && CPU_ISSET(0, &set));
        CHECK(attributes_affinity("0-1,0", &s->err) == 0);
        CHECK(sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_COUNT(&set) == 2);
        CHECK(attributes_affinity(NULL, &s->err) == 0);
        cpu_set_t before = set;
        CHECK(attributes_affinity("0", &s->err) == 0);
        attributes_all_cpus();
        CHECK(sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_COUNT(&set) >= CPU_COUNT(&before));
        static const char *const bad[] = {
                "", "1-0", "a", "0,", "-1", "0-", "99999", "0 1", "18446744073709551616"};
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
                CHECK(attributes_affinity(bad[i], &s->err) == -EINVAL);
}

static void affinity_is_a_list_of_cpus(void **state)
{
        (void)state;
        in_child(act_affinity);
}

static bool file_says(const char *path, const char *text)
{
        char content[4096] = "";
        cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);

        return fd >= 0 && read(fd, content, sizeof(content) - 1) > 0 && strstr(content, text);
}

static void act_oom_score(struct scene *s)
{
        s->process.oom_score_adj = (struct optional_i64){true, 321};
        CHECK(attributes_oom_score(&s->plan, &s->process, &s->err) == 0);
        CHECK(file_says("/proc/self/oom_score_adj", "321\n"));
        s->process.oom_score_adj.value = 5000;
        CHECK(attributes_oom_score(&s->plan, &s->process, &s->err) == -EINVAL);
        CHECK(strstr(error_text(&s->err), "OOM score adjustment to 5000"));
}

static void oom_score_is_set_and_named(void **state)
{
        (void)state;
        in_child(act_oom_score);
}

static void act_personality(struct scene *s)
{
        CHECK(attributes_personality(8 /* PER_LINUX32 */, &s->err) == 0);
        CHECK(syscall(SYS_personality, 0xffffffff) == 8);
}

static void personality_is_set(void **state)
{
        (void)state;
        in_child(act_personality);
}

/* ---- who it is and what it may ---------------------------------------------------------------------- */

static void read_capabilities(struct __user_cap_data_struct sets[2])
{
        struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};

        (void)syscall(SYS_capget, &header, sets);
}

static void act_identity(struct scene *s)
{
        static const uint64_t kill_only = UINT64_C(1) << CAP_KILL;
        uint32_t groups[] = {10, 20};
        uid_t r, e, saved;
        struct __user_cap_data_struct sets[2];

        s->process.uid = 1234;
        s->process.gid = 4321;
        s->process.additional_gids = groups;
        s->process.n_additional_gids = 2;
        s->process.has_capabilities = true;
        s->process.capabilities = (struct spec_capabilities){.bounding = kill_only | UINT64_C(1) << CAP_CHOWN,
                                                             .permitted = kill_only,
                                                             .effective = kill_only};
        CHECK(attributes_bounding_set(&s->process, &s->err) == 0);
        CHECK(attributes_identity(&s->plan, &s->process, &s->err) == 0);
        CHECK(attributes_capabilities(&s->plan, &s->process, &s->err) == 0);
        CHECK(getresuid(&r, &e, &saved) == 0 && r == 1234 && e == 1234 && saved == 1234);
        CHECK(getresgid(&r, &e, &saved) == 0 && r == 4321 && e == 4321 && saved == 4321);
        CHECK(getgroups(0, NULL) == 2);
        read_capabilities(sets);
        CHECK(sets[0].permitted == kill_only && sets[0].effective == kill_only && sets[1].permitted == 0);
        /* CVE-2022-29162: nothing is inheritable that nobody asked for. */
        CHECK(sets[0].inheritable == 0 && sets[1].inheritable == 0);
        CHECK(prctl(PR_CAPBSET_READ, CAP_CHOWN) == 1 && prctl(PR_CAPBSET_READ, CAP_SYS_ADMIN) == 0);
        CHECK(prctl(PR_CAPBSET_READ, CAP_CHECKPOINT_RESTORE) == 0);
        CHECK(prctl(PR_GET_KEEPCAPS) == 0);
}

static void identity_and_capabilities_are_all_that_was_asked_for(void **state)
{
        (void)state;
        in_child(act_identity);
}

static void act_no_capabilities(struct scene *s)
{
        struct __user_cap_data_struct sets[2];

        CHECK(attributes_bounding_set(&s->process, &s->err) == 0);
        CHECK(attributes_identity(&s->plan, &s->process, &s->err) == 0);
        CHECK(attributes_capabilities(&s->plan, &s->process, &s->err) == 0);
        read_capabilities(sets);
        CHECK(sets[0].permitted == 0 && sets[0].effective == 0 && sets[1].permitted == 0);
        CHECK(prctl(PR_CAPBSET_READ, 0) == 0 && prctl(PR_CAPBSET_READ, CAP_SYS_ADMIN) == 0);
}

static void without_capabilities_root_has_none(void **state)
{
        (void)state;
        in_child(act_no_capabilities);
}

static void act_ambient(struct scene *s)
{
        static const uint64_t bind = UINT64_C(1) << CAP_NET_BIND_SERVICE, kill_bit = UINT64_C(1) << CAP_KILL;
        struct sync_message message;

        s->process.uid = 77;
        s->process.has_capabilities = true;
        s->process.capabilities = (struct spec_capabilities){.bounding = bind | kill_bit,
                                                             .permitted = bind | kill_bit,
                                                             .effective = bind,
                                                             .inheritable = bind,
                                                             .ambient = bind | kill_bit};
        CHECK(attributes_identity(&s->plan, &s->process, &s->err) == 0);
        CHECK(attributes_capabilities(&s->plan, &s->process, &s->err) == 0);
        CHECK(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_NET_BIND_SERVICE, 0, 0) == 1);
        CHECK(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_KILL, 0, 0) == 0);
        CHECK(sync_receive(s->peer, &message, &s->err) == 0 && message.type == PLAN_WARNING);
        CHECK(strstr(message.text, "ambient capabilities 0x20 are left out"));
}

static void ambient_capabilities_need_two_other_sets(void **state)
{
        (void)state;
        in_child(act_ambient);
}

static void act_ungrantable(struct scene *s)
{
        static const uint64_t admin = UINT64_C(1) << CAP_SYS_ADMIN, kill_bit = UINT64_C(1) << CAP_KILL;
        struct spec_process before = {.has_capabilities = true,
                                      .capabilities = {.permitted = kill_bit, .effective = kill_bit}};
        struct __user_cap_data_struct sets[2];
        struct sync_message message;

        CHECK(attributes_capabilities(&s->plan, &before, &s->err) == 0);
        s->process.has_capabilities = true;
        s->process.capabilities =
                (struct spec_capabilities){.permitted = admin | kill_bit, .effective = admin | kill_bit};
        CHECK(attributes_capabilities(&s->plan, &s->process, &s->err) == 0);
        read_capabilities(sets);
        CHECK(sets[0].permitted == kill_bit && sets[0].effective == kill_bit);
        CHECK(sync_receive(s->peer, &message, &s->err) == 0 && message.type == PLAN_WARNING);
        CHECK(strstr(message.text, "0x200000 are left out"));
}

static void capabilities_that_rune_lacks_are_a_warning(void **state)
{
        (void)state;
        in_child(act_ungrantable);
}

static void act_kept_groups(struct scene *s)
{
        struct spec_pair keep = {"run.oci.keep_original_groups", "1"};
        gid_t mine[] = {5, 6, 7};

        CHECK(syscall(SYS_setgroups, 3, mine) == 0);
        s->spec.annotations = (struct spec_pairs){&keep, 1};
        CHECK(attributes_identity(&s->plan, &s->process, &s->err) == 0 && getgroups(0, NULL) == 3);
        s->spec.annotations.n = 0;
        CHECK(attributes_identity(&s->plan, &s->process, &s->err) == 0 && getgroups(0, NULL) == 0);
}

static void groups_of_the_caller_go_unless_kept(void **state)
{
        (void)state;
        in_child(act_kept_groups);
}

static void act_seccomp(struct scene *s)
{
        /* getppid(2) fails with 42. */
        struct sock_filter filter[] = {
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 42),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        };
        struct plan_seccomp seccomp = {.filter = filter, .n = 4, .flags = 1U << 30};
        int listener;

        s->process.no_new_privileges = true;
        CHECK(attributes_no_new_privileges(&s->process, &s->err) == 0 &&
              prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
        CHECK(attributes_seccomp(&seccomp, &listener, &s->err) == -EINVAL);
        CHECK(strstr(error_text(&s->err), "this kernel lacks one of the flags 0x40000000"));
        seccomp.flags = 0;
        seccomp.n = 70000;
        CHECK(attributes_seccomp(&seccomp, &listener, &s->err) == -E2BIG);
        seccomp.n = 4;
        CHECK(attributes_seccomp(&seccomp, &listener, &s->err) == 0 && listener == -1);
        CHECK(syscall(SYS_getppid) == -1 && errno == 42);
        /* One with a listener, over it. */
        filter[2] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF);
        filter[1].k = SYS_getpgrp;
        seccomp.has_notify = true;
        seccomp.flags = SECCOMP_FILTER_FLAG_TSYNC;
        CHECK(attributes_seccomp(&seccomp, &listener, &s->err) == 0 && listener >= 0);
}

static void seccomp_filters_and_listeners_are_loaded(void **state)
{
        (void)state;
        in_child(act_seccomp);
}

static void act_labels(struct scene *s)
{
        /* This kernel has neither: the error says so, and nothing is quietly left out. */
        s->process.apparmor_profile = "no-such-profile";
        int r = attributes_labels(&s->plan, &s->process, &s->err);
        CHECK(r < 0 && strstr(error_text(&s->err), "apply AppArmor profile \"no-such-profile\""));
        s->process.apparmor_profile = NULL;
        s->process.selinux_label = "no_such:label";
        r = attributes_labels(&s->plan, &s->process, &s->err);
        CHECK(r < 0 && strstr(error_text(&s->err), "set SELinux label \"no_such:label\""));
        /* CVE-2019-16884: a /proc that is none takes no label. */
        CHECK(unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
        CHECK(mount("tmpfs", "/proc", "tmpfs", 0, NULL) == 0);
        CHECK(mkdir("/proc/thread-self", 0755) == 0 && mkdir("/proc/thread-self/attr", 0755) == 0);
        close(open("/proc/thread-self/attr/exec", O_CREAT | O_WRONLY | O_CLOEXEC, 0666));
        CHECK(attributes_labels(&s->plan, &s->process, &s->err) < 0);
}

static void labels_are_never_quietly_left_out(void **state)
{
        (void)state;
        in_child(act_labels);
}

/* ---- namespaces ------------------------------------------------------------------------------------- */

static ino_t namespace_of(const char *name)
{
        char path[64];
        struct stat st = {0};

        (void)snprintf(path, sizeof(path), "/proc/self/ns/%s", name);
        (void)stat(path, &st);
        return st.st_ino;
}

static void act_new_namespaces(struct scene *s)
{
        ino_t uts = namespace_of("uts"), ipc = namespace_of("ipc"), cgroup = namespace_of("cgroup"),
              time = namespace_of("time");
        struct timespec before, after;

        s->plan.new_namespaces = CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWCGROUP | CLONE_NEWTIME;
        s->spec.linux.boottime = (struct spec_time_offset){true, 86400, 0};
        CHECK(clock_gettime(CLOCK_BOOTTIME, &before) == 0);
        CHECK(namespaces_new(&s->plan, &s->err) == 0);
        CHECK(namespace_of("uts") != uts && namespace_of("ipc") != ipc && namespace_of("cgroup") == cgroup);
        CHECK(namespace_of("time") != time);
        CHECK(syscall(SYS_clock_gettime, CLOCK_BOOTTIME, &after) == 0 &&
              after.tv_sec >= before.tv_sec + 86400);
        CHECK(namespaces_new_cgroup(&s->plan, &s->err) == 0 && namespace_of("cgroup") != cgroup);
}

static void new_namespaces_are_made_and_time_is_entered(void **state)
{
        (void)state;
        in_child(act_new_namespaces);
}

/* rune's part of a user namespace: writes 0 -> 100000 for the child's maps. */
static void write_maps(struct scene *s, pid_t pid)
{
        struct sync_message message;
        static const char *const maps[] = {"uid_map", "gid_map"};
        char path[64];

        CHECK(sync_receive(s->peer, &message, &s->err) == 0 && message.type == PLAN_WANT_ID_MAPS);
        for (size_t i = 0; i < 2; i++) {
                (void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, maps[i]);
                cleanup_fd int fd = open(path, O_WRONLY | O_CLOEXEC);
                CHECK(fd >= 0 && fd_write_full(fd, "0 100000 1000", 13) == 0);
        }
        CHECK(sync_send(s->peer, PLAN_GO, NULL, -1) == 0);
}

static void act_user_namespace(struct scene *s)
{
        struct __user_cap_data_struct sets[2];
        int status;

        s->plan.new_user_namespace = true;
        s->plan.new_namespaces = CLONE_NEWUSER | CLONE_NEWUTS | CLONE_NEWTIME | CLONE_NEWPID;
        s->spec.linux.monotonic = (struct spec_time_offset){true, 1000, 0};
        pid_t pid = fork();
        if (pid == 0) {
                close(s->peer);
                CHECK(namespaces_new_user(&s->plan, &s->err) == 0);
                CHECK(getuid() == 0 && getgid() == 0);
                read_capabilities(sets);
                CHECK(sets[0].effective == UINT32_MAX);
                prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
                CHECK(namespaces_new(&s->plan, &s->err) == 0);
                CHECK(namespaces_enter_pid(&s->plan, &s->err) == 0);
                CHECK(getpid() == 1 && sethostname("test", 4) == 0);
                _exit(7);
        }
        write_maps(s, pid);
        struct sync_message message;
        CHECK(sync_receive(s->peer, &message, &s->err) == 0 && message.type == PLAN_PID);
        CHECK(waitpid(pid, &status, 0) == pid && status == 0);
        /* The successor is our child as well, by the number that it told. */
        pid_t successor = (pid_t)strtol(message.text, NULL, 10);
        CHECK(waitpid(successor, &status, 0) == successor && WEXITSTATUS(status) == 7);
}

static void user_namespace_gets_its_maps_and_a_successor(void **state)
{
        (void)state;
        in_child(act_user_namespace);
}

/* A process in namespaces of its own, in the middle of a pause. */
static pid_t start_neighbour(struct scene *s, int flags)
{
        int ready[2];
        char byte;

        CHECK(pipe(ready) == 0);
        pid_t pid = fork();
        if (pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                CHECK(unshare(flags) == 0 && write(ready[1], "x", 1) == 1);
                pause();
        }
        CHECK(read(ready[0], &byte, 1) == 1);
        return pid;
}

static ino_t namespace_of_process(pid_t pid, const char *name)
{
        char path[64];
        struct stat st = {0};

        (void)snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)pid, name);
        (void)stat(path, &st);
        return st.st_ino;
}

static void act_join_target(struct scene *s)
{
        pid_t pid = start_neighbour(s, CLONE_NEWUTS | CLONE_NEWNET | CLONE_NEWNS);

        s->plan.target_pid = pid;
        s->plan.target_pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
        s->plan.target_namespaces = CLONE_NEWUTS | CLONE_NEWNET | CLONE_NEWNS;
        CHECK(namespaces_join(&s->plan, &s->err) == 0);
        CHECK(namespace_of("uts") == namespace_of_process(pid, "uts"));
        CHECK(namespace_of("net") == namespace_of_process(pid, "net"));
        CHECK(namespace_of("mnt") == namespace_of_process(pid, "mnt"));
        kill(pid, SIGKILL);
}

static void act_join_target_on_an_old_kernel(struct scene *s)
{
        /* setns(2) of more than one kind at once fails as before 5.8. */
        struct sock_filter filter[] = {
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_setns, 0, 3),
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1])),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, CLONE_NEWUTS | CLONE_NEWNET | CLONE_NEWNS, 0, 1),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        };
        struct plan_seccomp seccomp = {.filter = filter, .n = ARRAY_SIZE(filter)};
        int listener;

        CHECK(attributes_seccomp(&seccomp, &listener, &s->err) == 0);
        act_join_target(s);
}

static void namespaces_of_a_process_are_joined_at_once(void **state)
{
        (void)state;
        in_child(act_join_target);
}

static void namespaces_of_a_process_are_joined_one_by_one_on_old_kernels(void **state)
{
        (void)state;
        in_child(act_join_target_on_an_old_kernel);
}

static void act_join_paths(struct scene *s)
{
        pid_t pid = start_neighbour(s, CLONE_NEWUTS | CLONE_NEWNET);
        char path[64];

        (void)snprintf(path, sizeof(path), "/proc/%d/ns/uts", (int)pid);
        s->plan.namespace_fds[SPEC_NAMESPACE_UTS] = open(path, O_RDONLY | O_CLOEXEC);
        (void)snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)pid);
        s->plan.namespace_fds[SPEC_NAMESPACE_NETWORK] = open(path, O_RDONLY | O_CLOEXEC);
        CHECK(namespaces_join(&s->plan, &s->err) == 0);
        CHECK(namespace_of("uts") == namespace_of_process(pid, "uts"));
        CHECK(namespace_of("net") == namespace_of_process(pid, "net"));
        s->plan.namespace_fds[SPEC_NAMESPACE_IPC] = s->plan.host_proc_fd;
        CHECK(namespaces_join(&s->plan, &s->err) < 0 &&
              strstr(error_text(&s->err), "join the IPC namespace"));
        kill(pid, SIGKILL);
}

static void namespaces_with_a_path_are_joined(void **state)
{
        (void)state;
        in_child(act_join_paths);
}

/* ---- the payload ------------------------------------------------------------------------------------ */

/* A root of our own, empty but for /proc, in a new mount namespace. */
static void enter_empty_root(struct scene *s)
{
        CHECK(unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
        CHECK(mount("tmpfs", "/mnt", "tmpfs", 0, NULL) == 0 && mkdir("/mnt/proc", 0755) == 0);
        CHECK(mount("/proc", "/mnt/proc", NULL, MS_BIND, NULL) == 0);
        CHECK(chdir("/mnt") == 0 && syscall(SYS_pivot_root, ".", ".") == 0);
}

static void act_folder(struct scene *s)
{
        struct payload payload = {0};
        char cwd[256];

        enter_empty_root(s);
        CHECK(umount2(".", MNT_DETACH) == 0);
        s->process.cwd = "/made/for/../the/payload";
        s->plan.job = PLAN_JOB_EXEC;
        CHECK(payload_enter_folder(&s->plan, &payload, &s->err) == -ENOENT);
        CHECK(strcmp(error_text(&s->err),
                     "chdir to cwd (\"/made/for/../the/payload\") set in config.json failed: "
                     "no such file or directory") == 0);
        s->plan.job = PLAN_JOB_CREATE;
        CHECK(payload_enter_folder(&s->plan, &payload, &s->err) == 0);
        CHECK(payload.in_folder);
        CHECK(getcwd(cwd, sizeof(cwd)) && strcmp(cwd, "/made/the/payload") == 0);
}

static void working_folder_is_made_for_a_create_only(void **state)
{
        (void)state;
        in_child(act_folder);
}

/* CVE-2024-21626: a descriptor of the host is no way out. */
static void act_leaked_folder(struct scene *s)
{
        struct payload payload = {0};
        char cwd[64];
        int host = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        enter_empty_root(s);
        CHECK(umount2(".", MNT_DETACH) == 0);
        (void)snprintf(cwd, sizeof(cwd), "/proc/self/fd/%d", host);
        s->process.cwd = cwd;
        CHECK(payload_enter_folder(&s->plan, &payload, &s->err) == -ELOOP);
        (void)snprintf(cwd, sizeof(cwd), "/proc/self/fd/%d/planted", host);
        CHECK(payload_enter_folder(&s->plan, &payload, &s->err) == -ELOOP);
        CHECK(faccessat(host, "planted", F_OK, 0) < 0);
        /* And had it been entered nevertheless: */
        s->process.cwd = ".";
        CHECK(fchdir(host) == 0);
        CHECK(payload_enter_folder(&s->plan, &payload, &s->err) == -EXDEV);
        CHECK(strstr(error_text(&s->err), "outside of container mount namespace root"));
        payload.in_folder = false;
        s->err = (struct error){0};
        CHECK(payload_enter_folder_as_user(&s->plan, &payload, &s->err) == -EXDEV);
        CHECK(strstr(error_text(&s->err), "outside of container mount namespace root"));
}

static void working_folder_outside_of_the_container_is_refused(void **state)
{
        (void)state;
        in_child(act_leaked_folder);
}

static void act_folder_of_the_user(struct scene *s)
{
        struct payload payload = {0};

        enter_empty_root(s);
        CHECK(umount2(".", MNT_DETACH) == 0 && mkdir("/mine", 0700) == 0 && mkdir("/roots", 0700) == 0);
        CHECK(chown("/mine", 1000, 1000) == 0);
        s->process.uid = s->process.gid = 1000;
        s->process.cwd = "/roots";
        /* Root is let in where the user isn't: that is kept. */
        CHECK(payload_enter_folder(&s->plan, &payload, &s->err) == 0 && payload.in_folder);
        CHECK(attributes_identity(&s->plan, &s->process, &s->err) == 0);
        CHECK(payload_enter_folder_as_user(&s->plan, &payload, &s->err) == 0);
        /* And the user where root isn't. */
        s->process.cwd = "/mine";
        payload.in_folder = false;
        CHECK(payload_enter_folder_as_user(&s->plan, &payload, &s->err) == 0);
        s->process.cwd = "/roots";
        CHECK(payload_enter_folder_as_user(&s->plan, &payload, &s->err) == -EACCES);
        CHECK(strstr(error_text(&s->err), "failed: permission denied"));
}

static void working_folder_is_root_s_or_the_user_s(void **state)
{
        (void)state;
        in_child(act_folder_of_the_user);
}

static const char *value_of(char *const *env, const char *name)
{
        const char *value = NULL;
        size_t n = strlen(name);

        for (; *env; env++)
                if (strncmp(*env, name, n) == 0 && (*env)[n] == '=') {
                        if (value)
                                return "(twice)";
                        value = *env + n + 1;
                }
        return value;
}

static void set_env(struct scene *s, char **items, size_t n)
{
        s->process.env = (struct spec_strings){items, n};
}

static void act_environment(struct scene *s)
{
        char *env[] = {strdup("A=1"),  strdup("HOME="),        strdup("B=x"), strdup("A=2"),
                       strdup("AB=3"), strdup("LISTEN_FDS=2"), NULL};
        char expected[32];
        static const char passwd[] = "root:x:0:0:root:/root:/bin/sh\n"
                                     "broken\n:\n"
                                     "big:x:18446744073709551616:0::/big:\n"
                                     "user:x:1000:1000::/home/user:/bin/sh\n"
                                     "last:x:1001:1001::/home/last:";
        struct payload payload = {0};

        enter_empty_root(s);
        CHECK(umount2(".", MNT_DETACH) == 0);
        set_env(s, env, 6);
        CHECK(payload_environment(&s->process, &payload, &s->err) == 0);
        CHECK(strcmp(payload.env[0], "B=x") == 0 && strcmp(value_of(payload.env, "A"), "2") == 0);
        CHECK(strcmp(value_of(payload.env, "AB"), "3") == 0);
        CHECK(strcmp(value_of(payload.env, "HOME"), "/") == 0);
        (void)snprintf(expected, sizeof(expected), "%d", (int)getpid());
        CHECK(strcmp(value_of(payload.env, "LISTEN_PID"), expected) == 0);
        payload_done(&payload);

        CHECK(mkdir("/etc", 0755) == 0);
        cleanup_fd int fd = open("/etc/passwd", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
        CHECK(fd_write_full(fd, passwd, sizeof(passwd) - 1) == 0);
        static const struct {
                uint32_t uid;
                const char *home;
        } users[] = {{0, "/root"}, {1000, "/home/user"}, {1001, "/home/last"}, {1002, "/"}};
        for (size_t i = 0; i < ARRAY_SIZE(users); i++) {
                s->process.uid = users[i].uid;
                CHECK(payload_environment(&s->process, &payload, &s->err) == 0);
                CHECK(strcmp(value_of(payload.env, "HOME"), users[i].home) == 0);
                payload_done(&payload);
        }
        env[1] = strdup("HOME=/given");
        CHECK(payload_environment(&s->process, &payload, &s->err) == 0);
        CHECK(strcmp(value_of(payload.env, "HOME"), "/given") == 0);
        payload_done(&payload);
        /* A passwd that nobody could read to its end. */
        CHECK(unlink("/etc/passwd") == 0 && mkfifo("/etc/passwd", 0644) == 0);
        set_env(s, NULL, 0);
        CHECK(payload_environment(&s->process, &payload, &s->err) == 0);
        CHECK(strcmp(value_of(payload.env, "HOME"), "/") == 0);
        payload_done(&payload);
}

static void environment_has_a_home_and_each_name_once(void **state)
{
        (void)state;
        in_child(act_environment);
}

static void make_file(struct scene *s, const char *path, mode_t mode)
{
        cleanup_fd int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        CHECK(fd >= 0 && fchmod(fd, mode) == 0);
}

static int find(struct scene *s, const char *name, const char *path, struct payload *payload)
{
        char *args[] = {strdup(name), NULL}, *env[] = {strdup(path), NULL};

        free(payload->path);
        *payload = (struct payload){.env = env};
        s->process.args = (struct spec_strings){args, 1};
        return payload_find(&s->process, payload, &s->err);
}

static void act_find(struct scene *s)
{
        struct payload payload = {0};

        enter_empty_root(s);
        CHECK(umount2(".", MNT_DETACH) == 0 && mkdir("/a", 0755) == 0 && mkdir("/b", 0755) == 0);
        make_file(s, "/a/prog", 0644);
        make_file(s, "/b/prog", 0755);
        CHECK(mkdir("/a/folder", 0755) == 0);
        s->process.uid = s->process.gid = 1000;
        CHECK(attributes_identity(&s->plan, &s->process, &s->err) == 0);

        CHECK(find(s, "prog", "PATH=/none:/a:/b", &payload) == 0 && strcmp(payload.path, "/b/prog") == 0);
        CHECK(find(s, "/b/prog", "PATH=", &payload) == 0 && strcmp(payload.path, "/b/prog") == 0);
        static const struct {
                const char *name;
                const char *text;
        } failures[] = {
                {"none", "exec: \"none\": executable file not found in $PATH"},
                {"folder", "exec: \"folder\": executable file not found in $PATH"},
                {"", "exec: \"\": executable file not found in $PATH"},
                {"/none", "exec: \"/none\": stat /none: no such file or directory"},
                {"/b/prog/x", "exec: \"/b/prog/x\": stat /b/prog/x: not a directory"},
                {"/a/prog", "exec: \"/a/prog\": permission denied"},
                {"/a/folder", "exec: \"/a/folder\": is a directory: permission denied"},
        };
        for (size_t i = 0; i < ARRAY_SIZE(failures); i++) {
                CHECK(find(s, failures[i].name, "PATH=/a:/b", &payload) < 0);
                if (strcmp(error_text(&s->err), failures[i].text) != 0)
                        (void)fprintf(stderr, "%s\n", failures[i].text);
                CHECK(strcmp(error_text(&s->err), failures[i].text) == 0);
        }
}

static void executables_are_found_with_the_texts_engines_look_for(void **state)
{
        (void)state;
        in_child(act_find);
}

static void act_descriptors(struct scene *s)
{
        s->plan.preserve_fds = 2;
        s->plan.host_proc_fd = fcntl(s->plan.host_proc_fd, F_DUPFD, 50);
        for (int fd = 3; fd < 40; fd++)
                CHECK(dup2(2, fd) == fd);
        CHECK(descriptors_set_cloexec(&s->plan, &s->err) == 0);
        CHECK(fcntl(4, F_GETFD) == 0 && fcntl(5, F_GETFD) == FD_CLOEXEC && fcntl(39, F_GETFD) == FD_CLOEXEC);
        CHECK(descriptors_close(&s->plan, (const int[]){31, -1, s->plan.host_proc_fd, 20}, 4, &s->err) == 0);
        CHECK(fcntl(5, F_GETFD) < 0 && fcntl(19, F_GETFD) < 0 && fcntl(20, F_GETFD) == FD_CLOEXEC &&
              fcntl(21, F_GETFD) < 0 && fcntl(31, F_GETFD) == FD_CLOEXEC &&
              fcntl(s->plan.host_proc_fd, F_GETFD) >= 0);
        CHECK(descriptors_close(&s->plan, (const int[]){20}, 1, &s->err) == 0);
        CHECK(fcntl(2, F_GETFD) == 0 && fcntl(4, F_GETFD) == 0 && fcntl(20, F_GETFD) == FD_CLOEXEC);
        CHECK(fcntl(5, F_GETFD) < 0 && fcntl(19, F_GETFD) < 0 && fcntl(21, F_GETFD) < 0 &&
              fcntl(39, F_GETFD) < 0);
        CHECK(fcntl(s->plan.host_proc_fd, F_GETFD) < 0);
}

static void act_descriptors_on_an_old_kernel(struct scene *s)
{
        struct sock_filter filter[] = {
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_close_range, 0, 1),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        };
        struct plan_seccomp seccomp = {.filter = filter, .n = ARRAY_SIZE(filter)};
        int listener;

        CHECK(attributes_seccomp(&seccomp, &listener, &s->err) == 0);
        act_descriptors(s);
}

static void descriptors_but_the_payload_s_are_closed(void **state)
{
        (void)state;
        in_child(act_descriptors);
        in_child(act_descriptors_on_an_old_kernel);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(rlimits_are_set_and_named),
                cmocka_unit_test(scheduling_is_set_and_named),
                cmocka_unit_test(affinity_is_a_list_of_cpus),
                cmocka_unit_test(oom_score_is_set_and_named),
                cmocka_unit_test(personality_is_set),
                cmocka_unit_test(identity_and_capabilities_are_all_that_was_asked_for),
                cmocka_unit_test(without_capabilities_root_has_none),
                cmocka_unit_test(ambient_capabilities_need_two_other_sets),
                cmocka_unit_test(capabilities_that_rune_lacks_are_a_warning),
                cmocka_unit_test(groups_of_the_caller_go_unless_kept),
                cmocka_unit_test(seccomp_filters_and_listeners_are_loaded),
                cmocka_unit_test(labels_are_never_quietly_left_out),
                cmocka_unit_test(new_namespaces_are_made_and_time_is_entered),
                cmocka_unit_test(user_namespace_gets_its_maps_and_a_successor),
                cmocka_unit_test(namespaces_of_a_process_are_joined_at_once),
                cmocka_unit_test(namespaces_of_a_process_are_joined_one_by_one_on_old_kernels),
                cmocka_unit_test(namespaces_with_a_path_are_joined),
                cmocka_unit_test(working_folder_is_made_for_a_create_only),
                cmocka_unit_test(working_folder_outside_of_the_container_is_refused),
                cmocka_unit_test(working_folder_is_root_s_or_the_user_s),
                cmocka_unit_test(environment_has_a_home_and_each_name_once),
                cmocka_unit_test(executables_are_found_with_the_texts_engines_look_for),
                cmocka_unit_test(descriptors_but_the_payload_s_are_closed),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
