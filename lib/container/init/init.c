/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order of steps.  What forces it:
 *
 *  - cgroups once the namespaces are there: what the kernel takes for a network namespace is more than a
 *    small memory limit leaves.  What comes after, mounts and all that is copied into them, is the
 *    container's.
 *  - What only the host's root may (hard limits, OOM score) before a user namespace.
 *  - From the first namespace that others are in on, we are not dumpable, so that nobody in there can look
 *    into us, at our descriptors or our memory (CVE-2016-9962).  Not earlier: newuidmap(1) and rootless rune
 *    must be able to write our id maps.
 *  - The cgroup namespace after rune said that we are in all groups.
 *  - Security labels are written through the host's procfs, before a filter or lost rights can prevent it.
 *  - A seccomp filter comes as late as can be, since everything behind it must be allowed by it.  With
 *    no_new_privs that is right before execve(2), or before the startContainer hooks, which are programs of
 *    the container; else before CAP_SYS_ADMIN is dropped.  One with a listener must be sent before rune
 *    leaves.
 *  - The working folder is entered, and seen to be inside, before a filter that may forbid getcwd(2): nothing
 *    behind it changes the folder.  It is entered once more, by the user, where root couldn't.
 *  - The executable is looked for by the final user in the final folder, before CREATED, so that `create`
 *    fails for a command that isn't there.
 *  - No descriptor of the host's is open at execve(2): the path could lead through it (CVE-2024-21626).
 *
 * PR_SET_PDEATHSIG covers the time until CREATED; a rune that ended even before it was set is noticed at the
 * next message.
 */
#include "lib/container/init/init.h"

#include "lib/base/cleanup.h"
#include "lib/base/fd.h"
#include "lib/container/hook.h"
#include "lib/container/init/attributes.h"
#include "lib/container/init/console.h"
#include "lib/container/init/descriptors.h"
#include "lib/container/init/devices.h"
#include "lib/container/init/namespaces.h"
#include "lib/container/init/payload.h"
#include "lib/container/init/rootfs.h"
#include "lib/container/sync.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

/* What the payload has where config.json is silent. */
enum { DEFAULT_UMASK = 022 };

static int report(const struct plan *plan, enum plan_message message, struct error *err)
{
        int r = sync_send(plan->sync_fd, message, NULL, -1);

        return r < 0 ? error_errno(err, -r, "tell rune about the start") : 0;
}

static int enter_cgroups(const struct plan *plan, struct error *err)
{
        for (size_t i = 0; i < plan->n_tasks_fds; i++)
                if (write(plan->tasks_fds[i], "0", 1) < 0)
                        return error_errno(err, errno, "enter the container's cgroup");
        return 0;
}

/* True where there will be others in one of our namespaces. */
static bool joins(const struct plan *plan)
{
        for (size_t i = 0; i < SPEC_NAMESPACE_TYPES; i++)
                if (plan->namespace_fds[i] >= 0)
                        return true;
        return false;
}

static int enter_user_namespace(const struct plan *plan, struct error *err)
{
        int r = attributes_raise_rlimits(plan->process, err);

        return r < 0 ? r : namespaces_new_user(plan, err);
}

/* All namespaces but that of cgroups.  Existing ones are joined before the rights to them go. */
static int enter_namespaces(const struct plan *plan, struct error *err)
{
        int r = attributes_oom_score(plan, plan->process, err);

        if (r == 0 && plan->namespace_fds[SPEC_NAMESPACE_USER] >= 0)
                r = attributes_raise_rlimits(plan->process, err);
        if (r == 0 && joins(plan)) {
                prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
                r = namespaces_join(plan, err);
        }
        if (r == 0 && plan->new_user_namespace)
                r = enter_user_namespace(plan, err);
        prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
        /* A new mount namespace takes the working folder along: so its rootfs is found without a path.
         * Where we may not enter it, nobody in the container may, and opening it will say so.  To one that
         * was joined the folder would be of another namespace, and can't be mounted from. */
        if (r == 0 && plan->rootfs_fd >= 0 && plan->namespace_fds[SPEC_NAMESPACE_MOUNT] < 0)
                (void)!fchdir(plan->rootfs_fd);
        if (r == 0)
                r = namespaces_new(plan, err);
        if (r == 0)
                r = namespaces_start_loopback(plan, err);
        return r < 0 ? r : namespaces_enter_pid(plan, err);
}

static int set_names(const struct spec *spec, struct error *err)
{
        if (spec->hostname && sethostname(spec->hostname, strlen(spec->hostname)) < 0)
                return error_errno(err, errno, "set hostname \"%s\"", spec->hostname);
        if (spec->domainname && setdomainname(spec->domainname, strlen(spec->domainname)) < 0)
                return error_errno(err, errno, "set domainname \"%s\"", spec->domainname);
        return 0;
}

static int set_sysctls(const struct plan *plan, struct error *err)
{
        const struct spec_pairs *sysctl = &plan->spec->linux.sysctl;
        int r = 0;

        for (size_t i = 0; i < sysctl->n && r == 0; i++)
                r = rootfs_sysctl(plan, sysctl->items[i].key, sysctl->items[i].value, err);
        return r;
}

static const char *hook_state(const struct plan *plan, size_t hook)
{
        return plan->hook_states[hook] ? plan->hook_states[hook] : "";
}

/* A container in the host's mount namespace has a root, and no mounts of its own: whatever is mounted, or
 * made in /dev, would be the host's.  Its terminal is of the host's devpts. */
static int change_root(const struct plan *plan, struct error *err)
{
        int r = console_set_up(plan, NULL, err);

        if (r == 0 && (fchdir(plan->rootfs_fd) < 0 || chroot(".") < 0))
                return error_errno(err, errno, "change root to %s", plan->spec->rootfs);
        return r;
}

/* A hook is the host's: the modes of what it makes are what rune's caller wants. */
static int run_create_container_hooks(const struct plan *plan, const struct rootfs *rootfs, mode_t mask,
                                      struct error *err)
{
        const struct spec_hook_list *hooks = &plan->spec->hooks.create_container;

        if (hooks->n == 0)
                return 0;
        if (fchdir(rootfs->fd) < 0)
                return error_errno(err, errno, "go to %s for the createContainer hooks", plan->spec->rootfs);
        umask(mask);
        int r = hooks_run(hooks, "createContainer", hook_state(plan, 0), NULL, err);
        umask(0);
        return r;
}

static int build_root(const struct plan *plan, mode_t mask, struct error *err)
{
        CLEANUP(rootfs_done) struct rootfs rootfs = {.fd = -1};

        int r = rootfs_open(plan, &rootfs, err);
        if (r == 0)
                r = rootfs_mount(&rootfs, err);
        if (r == 0)
                r = run_create_container_hooks(plan, &rootfs, mask, err);
        if (r == 0)
                r = rootfs_enter(&rootfs, err);
        if (r == 0)
                r = console_set_up(plan, &rootfs, err);
        if (r == 0)
                r = set_sysctls(plan, err);
        return r < 0 ? r : rootfs_seal(&rootfs, err);
}

static int build_container(const struct plan *plan, struct error *err)
{
        const struct spec_linux *settings = &plan->spec->linux;
        int r = set_names(plan->spec, err);

        if (r < 0)
                return r;
        mode_t mask = umask(0);
        if (settings->namespaces[SPEC_NAMESPACE_MOUNT].given)
                return build_root(plan, mask, err);
        r = change_root(plan, err);
        return r < 0 ? r : set_sysctls(plan, err);
}

static int load_filter(const struct plan *plan, struct error *err)
{
        cleanup_fd int listener = -1;
        int r = attributes_seccomp(&plan->seccomp, &listener, err);

        if (r < 0 || listener < 0)
                return r;
        r = sync_send(plan->sync_fd, PLAN_SECCOMP_LISTENER, NULL, listener);
        return r < 0 ? error_errno(err, -r, "send the seccomp listener") : 0;
}

/* What needs rights that the payload hasn't, or touches nothing of the container. */
static int set_privileged_attributes(const struct plan *plan, struct error *err)
{
        const struct spec_linux *settings = &plan->spec->linux;
        const struct spec_process *process = plan->process;

        int r = attributes_labels(plan, process, err);
        if (r == 0)
                r = attributes_scheduling(process, err);
        if (r == 0)
                r = attributes_memory_policy(settings->memory_policy, err);
        if (r == 0 && settings->has_personality)
                r = attributes_personality(settings->personality, err);
        if (r == 0)
                r = attributes_rlimits(process, err);
        if (r == 0)
                r = attributes_no_new_privileges(process, err);
        if (r == 0 && !process->no_new_privileges)
                r = load_filter(plan, err);
        return r;
}

/* From root of the container to the payload's user, as far as one can go before CREATED. */
static int become_payload(const struct plan *plan, const struct init_program *program,
                          struct payload *payload, struct error *err)
{
        const struct spec_process *process = plan->process;

        int r = payload_enter_folder(plan, payload, err);
        if (r == 0)
                r = payload_environment(process, payload, err);
        if (r == 0)
                r = set_privileged_attributes(plan, err);
        if (r == 0)
                r = attributes_bounding_set(process, err);
        if (r == 0)
                r = attributes_identity(plan, process, err);
        if (r == 0)
                r = payload_enter_folder_as_user(plan, payload, err);
        if (r == 0)
                r = attributes_capabilities(plan, process, err);
        if (r < 0)
                return r;
        /* A change of ids has set both back. */
        prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
        prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0);
        umask(process->has_umask ? process->umask : DEFAULT_UMASK);
        r = program->make_ready(program->user, plan, payload, err);
        if (r == 0 && process->no_new_privileges && plan->seccomp.has_notify)
                r = load_filter(plan, err);
        return r;
}

/* The last stretch, behind the start. */
static int execute(const struct plan *plan, const struct init_program *program, int report_fd,
                   const struct payload *payload, struct error *err)
{
        const struct spec_process *process = plan->process;
        const bool late = process->no_new_privileges && !plan->seccomp.has_notify;
        const bool has_hooks = plan->job == PLAN_JOB_CREATE && plan->spec->hooks.start_container.n > 0;
        int r = 0;

        if (late && has_hooks)
                r = load_filter(plan, err);
        if (r == 0 && has_hooks)
                r = hooks_run(&plan->spec->hooks.start_container, "startContainer", hook_state(plan, 1),
                              payload->env, err);
        if (r == 0)
                r = attributes_affinity(plan->cpu_affinity_final, err);
        if (r == 0)
                r = program->drop(program->user, plan, &report_fd, 1, err);
        if (r == 0 && late && !has_hooks)
                r = load_filter(plan, err);
        return r < 0 ? r : program->execute(program->user, plan, payload, report_fd, err);
}

static void end_by(int signal)
{
        _exit(128 + signal);
}

/*
 * A created container can be asked to end.  As the first process of a PID namespace we would not hear of a
 * signal that we have no handler for; what our starter ignores stays ignored.
 */
static void heed(void (*handler)(int))
{
        static const int asking[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM};

        for (size_t i = 0; i < ARRAY_SIZE(asking); i++) {
                struct sigaction action;
                if (sigaction(asking[i], NULL, &action) == 0 && action.sa_handler != SIG_IGN)
                        (void)sigaction(asking[i], &(struct sigaction){.sa_handler = handler}, NULL);
        }
}

/* A created container may wait for long: it holds nothing open meanwhile but what it needs for its start. */
static int drop_descriptors(const struct plan *plan, const struct init_program *program, struct error *err)
{
        const int needed[] = {plan->sync_fd, plan->exec_fifo_fd, plan->host_proc_fd};

        return plan->exec_fifo_fd < 0 ? 0
                                      : program->drop(program->user, plan, needed, ARRAY_SIZE(needed), err);
}

/* Waits for `start`. What goes wrong from there on is `start`'s error, and nobody else's. */
static int wait_and_execute(const struct plan *plan, const struct init_program *program,
                            const struct payload *payload, struct error *err)
{
        char name[32];

        if (plan->exec_fifo_fd < 0) {
                int r = sync_wait_go(plan->sync_fd, err);
                return r < 0 ? r : execute(plan, program, plan->sync_fd, payload, err);
        }
        /* The host's procfs: the container's may lie. */
        (void)snprintf(name, sizeof(name), "self/fd/%d", plan->exec_fifo_fd);
        cleanup_fd int fifo = openat(plan->host_proc_fd, name, O_WRONLY | O_CLOEXEC);
        heed(SIG_DFL);
        if (fifo < 0)
                return error_errno(err, errno, "wait for the start");
        int r = execute(plan, program, fifo, payload, err);
        (void)sync_write_fifo_error(fifo, err);
        return r;
}

/* In its namespaces and groups: on to the payload, with what `surround` makes for it before. */
static int become_process(const struct plan *plan, const struct init_program *program,
                          int (*surround)(const struct plan *plan, struct error *err), struct error *err)
{
        cleanup_payload struct payload payload = {0};
        int r = 0;

        (void)setsid();
        if (!plan->no_new_keyring)
                r = attributes_keyring(plan, plan->process, err);
        if (r == 0)
                r = surround(plan, err);
        if (r == 0)
                r = become_payload(plan, program, &payload, err);
        if (r == 0)
                r = drop_descriptors(plan, program, err);
        if (r < 0)
                return r;
        /* Who hears of CREATED may ask at once. */
        if (plan->exec_fifo_fd >= 0)
                heed(end_by);
        r = report(plan, PLAN_CREATED, err);
        return r < 0 ? r : wait_and_execute(plan, program, &payload, err);
}

/* Carries out the plan of a container with a process. */
static int create(const struct plan *plan, const struct init_program *program, struct error *err)
{
        int r = program->prepare ? program->prepare(program->user, plan, err) : 0;

        if (r == 0)
                r = enter_namespaces(plan, err);
        if (r == 0)
                r = enter_cgroups(plan, err);
        if (r < 0)
                return r;
        attributes_all_cpus();
        r = report(plan, PLAN_NAMESPACES, err);
        if (r == 0)
                r = sync_wait_go(plan->sync_fd, err);
        if (r == 0)
                r = namespaces_new_cgroup(plan, err);
        if (r < 0)
                return r;
        return become_process(plan, program, build_container, err);
}

int init_create(const struct plan *plan, const struct init_program *program, struct error *err)
{
        static const struct spec_process no_process = {.cwd = "/"};

        if (plan->process)
                return create(plan, program, err);
        struct plan own = *plan;
        own.process = &no_process;
        return create(&own, program, err);
}

/* As the first process, a further one gets no inode of the host's for /dev/null. */
static int reopen_null(const struct plan *plan, struct error *err)
{
        cleanup_fd int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

        if (root < 0)
                return error_errno(err, errno, "open /");
        return devices_are_bound(plan->spec) ? 0 : devices_reopen_null(root, plan->host_proc_fd, err);
}

/* The container is there; where it isn't a mount namespace that has its root, that is still to be entered. */
static int enter_container(const struct plan *plan, struct error *err)
{
        if (plan->rootfs_fd >= 0)
                return change_root(plan, err);
        int r = reopen_null(plan, err);
        return r < 0 ? r : console_set_up(plan, NULL, err);
}

int init_exec(const struct plan *plan, const struct init_program *program, struct error *err)
{
        int r = attributes_oom_score(plan, plan->process, err);
        if (r == 0 && plan->target_namespaces & CLONE_NEWUSER)
                r = attributes_raise_rlimits(plan->process, err);
        if (r == 0)
                r = attributes_affinity(plan->cpu_affinity_initial, err);
        if (r == 0)
                r = enter_cgroups(plan, err);
        if (r < 0)
                return r;
        if (!plan->cpu_affinity_initial)
                attributes_all_cpus();
        prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
        r = namespaces_join(plan, err);
        if (r == 0)
                r = namespaces_enter_pid(plan, err);
        if (r < 0)
                return r;
        return become_process(plan, program, enter_container, err);
}

static int find_payload(void *user, const struct plan *plan, struct payload *payload, struct error *err)
{
        (void)user;
        return payload_find(plan->process, payload, err);
}

static int execute_payload(void *user, const struct plan *plan, const struct payload *payload, int report_fd,
                           struct error *err)
{
        (void)user;
        (void)report_fd;
        return payload_execute(plan->process, payload, err);
}

static int drop_all(void *user, const struct plan *plan, const int *keep, size_t n, struct error *err)
{
        (void)user;
        return descriptors_close(plan, keep, n, err);
}

const struct init_program init_payload = {
        .make_ready = find_payload,
        .drop = drop_all,
        .execute = execute_payload,
};

int init_run(const struct plan *plan, const struct init_program *program)
{
        struct error err = {0};

        int r = descriptors_set_cloexec(plan, &err);
        if (r == 0)
                r = plan->job == PLAN_JOB_EXEC ? init_exec(plan, program, &err)
                                               : init_create(plan, program, &err);
        (void)sync_send_error(plan->sync_fd, &err);
        return r;
}
