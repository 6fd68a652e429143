/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation.  A further process is made by container-init like the first one: it is executed from
 * memory on the host's side, and joins what the container's first process is in.  It takes no lock: many run
 * at once, and a container can be deleted under them.
 */
#include "lib/base/fd.h"
#include "lib/container/bundle.h"
#include "lib/container/container-rdt.h"
#include "lib/container/enclave-plan.h"
#include "lib/container/exec-process.h"
#include "lib/container/exec-cgroup.h"
#include "lib/container/handoff.h"
#include "lib/container/namespace-kinds.h"
#include "lib/container/process.h"
#include "lib/container/relay.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int check_status(const struct starting *s, bool ignore_paused, struct error *err)
{
        enum container_status status;
        int r = state_status(s->folder, &s->state, &status, err);

        if (r < 0)
                return r;
        if (status == CONTAINER_STOPPED)
                return error_set(err, -EINVAL, "cannot exec in a stopped container");
        if (status == CONTAINER_CREATING)
                return error_set(err, -EINVAL, "cannot exec in a container that is being created");
        if (status == CONTAINER_PAUSED && !ignore_paused)
                return error_set(err, -EINVAL,
                                 "cannot exec in a paused container (use --ignore-paused to override)");
        return 0;
}

/* ---- the namespaces of the container ------------------------------------------------------------------- */

/* To join the user namespace that we are in is an error to the kernel. */
static bool is_ours(int proc_fd, pid_t pid, const char *name)
{
        struct stat ours, theirs;
        char path[48];

        (void)snprintf(path, sizeof(path), "self/ns/%s", name);
        if (fstatat(proc_fd, path, &ours, 0) < 0)
                return false;
        (void)snprintf(path, sizeof(path), "%d/ns/%s", pid, name);
        return fstatat(proc_fd, path, &theirs, 0) == 0 && ours.st_dev == theirs.st_dev &&
               ours.st_ino == theirs.st_ino;
}

/* A container that shares the host's mounts is where its root is, and no mount namespace leads there. */
static int open_root(struct starting *s, struct error *err)
{
        char path[48];

        if (s->spec->linux.namespaces[SPEC_NAMESPACE_MOUNT].given)
                return 0;
        (void)snprintf(path, sizeof(path), "%d/root", s->state.pid);
        s->plan->rootfs_fd = openat(s->plan->host_proc_fd, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (s->plan->rootfs_fd < 0)
                return error_errno(err, errno, "can't open the root of process %d", s->state.pid);
        return process_is(s->state.pid, s->state.start_time)
                       ? 0
                       : error_set(err, -ESRCH, "cannot exec in a stopped container");
}

static int open_namespaces(struct starting *s, struct error *err)
{
        struct plan *plan = s->plan;
        char path[48];

        int r = process_open(s->state.pid, s->state.start_time, &plan->target_pidfd);
        if (r < 0)
                return error_errno(err, -r, "can't open process %d of the container", s->state.pid);
        plan->target_pid = s->state.pid;
        for (size_t type = 0; type < SPEC_NAMESPACE_TYPES; type++)
                if (s->spec->linux.namespaces[type].given)
                        plan->target_namespaces |= namespace_kinds[type].flag;
        if (plan->target_namespaces & CLONE_NEWUSER && is_ours(plan->host_proc_fd, s->state.pid, "user"))
                plan->target_namespaces &= ~(unsigned long)CLONE_NEWUSER;
        if (!(plan->target_namespaces & CLONE_NEWPID))
                return 0;
        (void)snprintf(path, sizeof(path), "%d/ns/pid", s->state.pid);
        int fd = openat(plan->host_proc_fd, path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return error_errno(err, errno, "can't open the PID namespace of process %d", s->state.pid);
        plan->namespace_fds[SPEC_NAMESPACE_PID] = fd;
        /* The number was looked up again: it must still be the same process. */
        if (!process_is(s->state.pid, s->state.start_time))
                return error_set(err, -ESRCH, "cannot exec in a stopped container");
        return 0;
}

/* ---- the process --------------------------------------------------------------------------------------- */

static int load(struct starting *s, const struct exec_request *request, struct error *err)
{
        int r = state_open(s->engine->root, request->id, &s->folder, err);

        if (r == 0)
                r = state_read(s->folder, &s->state, err);
        if (r == -ENOENT)
                return error_set(err, r, "container \"%s\" does not exist", request->id);
        if (r == 0)
                r = check_status(s, request->ignore_paused, err);
        if (r == 0)
                r = bundle_reload(s->folder, &s->state, &s->arena, &s->spec, err);
        return r;
}

static int fill_plan(struct starting *s, const struct exec_request *request, struct error *err)
{
        struct plan *plan = s->plan;
        struct spec_process *process = NULL;
        size_t listen_fds = 0;

        int r = enclave_plan_exec(s, err);
        if (r == 0)
                r = exec_process(s, request, &process, err);
        if (r == 0 && plan->enclave)
                r = enclave_plan_process(s, process, err);
        if (r == 0)
                r = starting_check_terminal(process, request->console_socket, request->detach, err);
        if (r == 0)
                r = handoff_inherited(request->preserve_fds, &listen_fds, &plan->preserve_fds, err);
        if (r == 0 && request->console_socket)
                r = handoff_connect(request->console_socket, &plan->console_socket_fd, err);
        if (r == 0)
                r = starting_compile_filter(s, err);
        if (r == 0)
                r = open_namespaces(s, err);
        if (r == 0)
                r = open_root(s, err);
        if (r < 0)
                return r;
        plan->spec = s->spec;
        plan->process = process;
        plan->id = arena_string(&s->arena, request->id);
        plan->bundle = s->state.bundle ? arena_string(&s->arena, s->state.bundle) : "/";
        plan->cpu_affinity_initial = process->exec_cpu_affinity_initial;
        plan->cpu_affinity_final = process->exec_cpu_affinity_final;
        return plan->id && plan->bundle ? 0 : error_oom(err);
}

/* Up to where the process waits.  That may be long, in a paused container, or where the container's root has
 * stopped it: whoever wants to end us meanwhile ends us, and the process with us. */
static int make(struct starting *s, const struct exec_request *request, struct error *err)
{
        int r = load(s, request, err);

        if (r == 0)
                r = fill_plan(s, request, err);
        if (r == 0)
                r = exec_open_cgroup(s, request->cgroups, err);
        if (r == 0)
                r = starting_launch(s, 0, err);
        if (r == 0)
                r = starting_await_created(s, err);
        if (r == 0)
                r = container_rdt_join(s, err);
        if (r == 0 && request->pidfd_socket)
                r = handoff_pidfd(request->pidfd_socket, s->pid, err);
        if (r == 0 && request->pid_file)
                r = handoff_pid_file(request->pid_file, s->pid, err);
        return r;
}

static int run_detached(struct starting *s, const struct exec_request *request, struct error *err)
{
        int r = make(s, request, err);

        return r < 0 ? r : starting_release(s, err);
}

static int exec_to_end(struct starting *s, const struct exec_request *request, int *ret_status,
                       struct error *err)
{
        struct relay relay;
        int status = 0;
        int r = make(s, request, err);

        if (r < 0)
                return r;
        relay_begin(&relay);
        r = starting_release(s, err);
        if (r == 0)
                r = relay_run(&relay, s->pid, s->console, &status, err);
        if (r == 0) {
                s->pid = 0;
                *ret_status = status;
        }
        relay_end(&relay);
        return r;
}

int container_exec(const struct engine *engine, const struct exec_request *request, int *ret_status,
                   struct error *err)
{
        struct starting s;
        int status = 0;
        int r = starting_init(engine, PLAN_JOB_EXEC, &s, err);

        if (r < 0)
                return r;
        r = request->detach ? run_detached(&s, request, err) : exec_to_end(&s, request, &status, err);
        if (r < 0)
                starting_abort(&s);
        else
                *ret_status = status;
        starting_done(&s);
        return r;
}
