/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation.  A create takes things in this order, and gives them back in the opposite one where it
 * fails: the id (a locked folder with config.json in it), the cgroup, the process.  Whoever kills us between
 * two of them leaves what `delete --force` finds: the folder names the cgroup by its config.json, and the
 * process dies with us until state.json names it.
 */
#include "lib/container/container.h"

#include "lib/base/fd.h"
#include "lib/container/bundle.h"
#include "lib/container/cgroup-control.h"
#include "lib/container/container-rdt.h"
#include "lib/container/delete.h"
#include "lib/container/enclave-plan.h"
#include "lib/container/handoff.h"
#include "lib/container/hook.h"
#include "lib/container/mount-trees.h"
#include "lib/container/net-devices.h"
#include "lib/container/notify.h"
#include "lib/container/process.h"
#include "lib/container/relay.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

/* A create, with what has to be undone where it fails. */
struct making {
        struct starting start; /* first: handlers get it */
        const struct create_request *request;
        unsigned long namespaces; /* that the process begins in */
        bool reserved;            /* the folder is ours */
        bool hooks_begun;         /* so poststop hooks are due */
};

static struct making *making_of(struct starting *s)
{
        return (struct making *)s;
}

/* ---- before anything exists ---------------------------------------------------------------------------- */

static int add_listen_fds(struct starting *s, size_t n, struct error *err)
{
        char variable[32];

        if (n == 0)
                return 0;
        (void)snprintf(variable, sizeof(variable), "LISTEN_FDS=%zu", n);
        return bundle_add_env(s, s->spec->process, variable, err);
}

static int fill_plan(struct making *m, bool detached, struct error *err)
{
        const struct create_request *request = m->request;
        struct starting *s = &m->start;
        struct plan *plan = s->plan;
        size_t listen_fds = 0;

        if (!s->spec->process)
                return error_set(err, -EINVAL, "process property must not be empty");
        int r = starting_check_terminal(s->spec->process, request->console_socket, detached, err);
        if (r == 0)
                r = handoff_inherited(request->preserve_fds, &listen_fds, &plan->preserve_fds, err);
        if (r == 0)
                r = add_listen_fds(s, listen_fds, err);
        if (r == 0 && request->console_socket)
                r = handoff_connect(request->console_socket, &plan->console_socket_fd, err);
        if (r == 0)
                r = bundle_open(s, &m->namespaces, err);
        if (r == 0)
                r = starting_compile_filter(s, err);
        if (r < 0)
                return r;
        plan->id = arena_string(&s->arena, request->id);
        plan->no_pivot = request->no_pivot;
        plan->no_new_keyring = request->no_new_keyring;
        s->state.id = strdup(request->id);
        return plan->id && s->state.id ? 0 : error_oom(err);
}

/* ---- taking -------------------------------------------------------------------------------------------- */

static int reserve(struct making *m, struct view config, struct error *err)
{
        int r = state_reserve(m->start.engine->root, m->request->id, &m->start.folder, err);

        if (r < 0)
                return r;
        m->reserved = true;
        cleanup_fd int fd =
                openat(m->start.folder, STATE_CONFIG, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        r = fd < 0 ? -errno : fd_write_full(fd, config.p, config.n);
        return r < 0 ? error_errno(err, -r, "can't keep the container's configuration") : 0;
}

/* The host's id of an id in the container; `id` where it has no user namespace of its own. */
static uint32_t host_id(const struct spec_id_mappings *map, uint32_t id)
{
        for (size_t i = 0; i < map->n; i++) {
                const struct spec_id_mapping *line = &map->items[i];
                if (id >= line->container_id && id - line->container_id < line->size)
                        return line->host_id + (id - line->container_id);
        }
        return id;
}

/* Where the process waits for `start`.  Its reader is root, its writer whoever the container's process is. */
static int make_fifo(struct making *m, struct error *err)
{
        const struct spec_linux *linux = &m->start.spec->linux;
        int folder = m->start.folder;

        if (mkfifoat(folder, STATE_FIFO_UNMADE, 0600) < 0 || fchmodat(folder, STATE_FIFO_UNMADE, 0622, 0) < 0)
                return error_errno(err, errno, "can't make the exec fifo");
        if (m->start.plan->new_user_namespace &&
            fchownat(folder, STATE_FIFO_UNMADE, host_id(&linux->uid_mappings, 0),
                     host_id(&linux->gid_mappings, 0), AT_SYMLINK_NOFOLLOW) < 0 &&
            errno != EPERM)
                return error_errno(err, errno, "can't make the exec fifo the container's");
        m->start.plan->exec_fifo_fd = openat(folder, STATE_FIFO_UNMADE, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        if (m->start.plan->exec_fifo_fd < 0)
                return error_errno(err, errno, "can't open the exec fifo");
        return 0;
}

static bool is_cgroup_mount(const struct spec_mount *mount)
{
        return mount->type && strncmp(mount->type, "cgroup", 6) == 0;
}

static bool mounts_cgroups(const struct spec *spec)
{
        for (size_t i = 0; i < spec->n_mounts; i++)
                if (is_cgroup_mount(&spec->mounts[i]))
                        return true;
        return false;
}

/* True where the container is to make groups below its own: it has a user and a cgroup namespace of its own
 * and sees the hierarchy writable (config-linux.md, "Cgroup ownership"). */
static bool owns_cgroup(const struct spec *spec)
{
        const struct spec_namespace *namespaces = spec->linux.namespaces;
        bool writable = false;

        for (size_t i = 0; i < spec->n_mounts; i++)
                writable = writable ||
                           (is_cgroup_mount(&spec->mounts[i]) && !(spec->mounts[i].flags & MS_RDONLY));
        return writable && namespaces[SPEC_NAMESPACE_USER].given && namespaces[SPEC_NAMESPACE_CGROUP].given &&
               !namespaces[SPEC_NAMESPACE_CGROUP].path;
}

static int make_cgroup(struct making *m, struct error *err)
{
        struct starting *s = &m->start;
        struct cgroup_request request = bundle_cgroup_request(s->engine, m->request->id, s->spec);

        int r = cgroup_create(&request, s->engine->log, &s->cgroup, err);
        if (r == 0)
                r = starting_open_tasks(s, err);
        if (r == 0 && mounts_cgroups(s->spec))
                r = cgroup_describe(s->cgroup, &s->arena, &s->plan->cgroup, err);
        return r;
}

/* ---- with the process ---------------------------------------------------------------------------------- */

/* The state as JSON text in the arena. */
static const char *state_text(struct starting *s, enum container_status status)
{
        cleanup_free char *text = state_to_text(&s->state, status);

        return text ? arena_string(&s->arena, text) : NULL;
}

static bool has_init_hooks(const struct spec_hooks *hooks)
{
        return hooks->create_container.n > 0 || hooks->start_container.n > 0;
}

/* Once it has the pid that it keeps. */
static int settle(struct starting *s, struct error *err)
{
        int r = cgroup_apply(s->cgroup, &s->spec->linux.resources, err);

        if (r == 0 && owns_cgroup(s->spec))
                r = cgroup_delegate(s->cgroup, host_id(&s->spec->linux.uid_mappings, 0), err);
        if (r < 0)
                return r;
        s->state.pid = s->pid;
        r = process_start_time(s->pid, &s->state.start_time);
        if (r == -ESRCH)
                return 0; /* why it ended is still to be read */
        if (r < 0)
                return error_errno(err, -r, "can't tell when process %d started", s->pid);
        s->state.cgroup = cgroup_to_json(s->cgroup);
        if (!s->state.cgroup)
                return error_oom(err);
        r = container_rdt_begin(s, err);
        if (r < 0)
                return r;
        if (has_init_hooks(&s->spec->hooks)) {
                s->plan->hook_states[0] = state_text(s, CONTAINER_CREATING);
                s->plan->hook_states[1] = state_text(s, CONTAINER_CREATED);
                if (!s->plan->hook_states[0] || !s->plan->hook_states[1])
                        return error_oom(err);
        }
        return state_write(s->folder, &s->state, err);
}

static int run_hooks(struct starting *s, const struct spec_hook_list *hooks, const char *kind,
                     enum container_status status, struct error *err)
{
        if (hooks->n == 0)
                return 0;
        const char *text = state_text(s, status);
        return text ? hooks_run(hooks, kind, text, NULL, err) : error_oom(err);
}

static int move_net_devices(struct starting *s, struct error *err)
{
        const struct spec_linux *linux = &s->spec->linux;
        char path[32];

        if (linux->n_net_devices == 0)
                return 0;
        (void)snprintf(path, sizeof(path), "%d/ns/net", (int)s->pid);
        cleanup_fd int netns = openat(s->plan->host_proc_fd, path, O_RDONLY | O_CLOEXEC);
        if (netns < 0)
                return error_errno(err, errno, "can't open the container's network namespace");
        return net_devices_move(linux->net_devices, linux->n_net_devices, netns, err);
}

/* The hooks that must see the namespaces, and come before anything of the container's. */
static int at_namespaces(struct starting *s, struct error *err)
{
        const struct spec_hooks *hooks = &s->spec->hooks;

        int r = move_net_devices(s, err);
        if (r < 0)
                return r;
        making_of(s)->hooks_begun = true;
        r = run_hooks(s, &hooks->prestart, "prestart", CONTAINER_CREATING, err);
        return r < 0 ? r : run_hooks(s, &hooks->create_runtime, "createRuntime", CONTAINER_CREATING, err);
}

/* Up to where the process waits. */
static int make(struct making *m, bool detached, bool with_fifo, struct error *err)
{
        struct starting *s = &m->start;
        cleanup_buf struct buf config = {0};
        int r = starting_init(s->engine, PLAN_JOB_CREATE, s, err);

        if (r < 0)
                return r;
        s->settle = settle;
        s->at_namespaces = at_namespaces;
        r = bundle_load(s, m->request->bundle, &config, err);
        if (r == 0)
                r = enclave_plan_create(s, buf_view(&config), err);
        if (r == 0)
                r = fill_plan(m, detached, err);
        if (r == 0)
                r = reserve(m, buf_view(&config), err);
        if (r == 0)
                r = enclave_plan_listen(s, err);
        if (r == 0)
                r = notify_prepare(s, err);
        if (r == 0)
                r = mount_trees_plan(s, err);
        if (r == 0 && with_fifo)
                r = make_fifo(m, err);
        if (r == 0)
                r = make_cgroup(m, err);
        if (r == 0)
                r = starting_launch(s, m->namespaces, err);
        if (r == 0)
                r = starting_await_created(s, err);
        if (r == 0 && m->request->pidfd_socket)
                r = handoff_pidfd(m->request->pidfd_socket, s->pid, err);
        if (r == 0 && m->request->pid_file)
                r = handoff_pid_file(m->request->pid_file, s->pid, err);
        return r;
}

/* Gives back what a create has taken. */
static void unmake(struct making *m)
{
        struct starting *s = &m->start;

        starting_abort(s);
        if (!m->reserved)
                return;
        delete_remains(s->engine, &s->state, m->hooks_begun ? &s->spec->hooks : NULL, s->cgroup);
}

static struct making making_for(const struct engine *engine, const struct create_request *request)
{
        return (struct making){
                .start = {.engine = engine, .arena = ARENA_NONE, .folder = -1, .socket = -1, .console = -1},
                .request = request,
        };
}

int container_create(const struct engine *engine, const struct create_request *request, struct error *err)
{
        struct making m = making_for(engine, request);
        int r = make(&m, true, true, err);

        if (r == 0 && renameat(m.start.folder, STATE_FIFO_UNMADE, m.start.folder, STATE_FIFO) < 0)
                r = error_errno(err, errno, "can't make the container's state \"created\"");
        if (r < 0)
                unmake(&m);
        starting_done(&m.start);
        return r;
}

/* ---- run ----------------------------------------------------------------------------------------------- */

static int make_and_start(struct making *m, bool detached, int *ret_notify, struct error *err)
{
        int r = make(m, detached, false, err);

        if (r == 0)
                r = notify_listen(m->start.folder, ret_notify, err);
        if (r == 0)
                r = starting_release(&m->start, err);
        if (r == 0)
                r = run_hooks(&m->start, &m->start.spec->hooks.poststart, "poststart", CONTAINER_RUNNING,
                              err);
        return r;
}

/* Readiness that doesn't get through is no reason to end what runs. */
static void wait_ready(struct making *m, int notify)
{
        struct starting *s = &m->start;
        struct error err = {0};

        if (notify < 0)
                return;
        (void)flock(s->folder, LOCK_UN);
        if (notify_relay(notify, s->pid, s->state.start_time, &err) < 0)
                log_warning(s->engine->log, "%s", error_text(&err));
}

int container_run_detached(const struct engine *engine, const struct create_request *request,
                           struct error *err)
{
        struct making m = making_for(engine, request);
        cleanup_fd int notify = -1;
        int r = make_and_start(&m, true, &notify, err);

        if (r < 0)
                unmake(&m);
        else
                wait_ready(&m, notify);
        starting_done(&m.start);
        return r;
}

/* In the foreground, up to the end of the process. */
static int run_to_end(struct making *m, struct relay *relay, int *ret_status, struct error *err)
{
        cleanup_fd int notify = -1;
        int status = 0;

        relay_begin(relay);
        /* What the payload leaves behind, where it shares our PID namespace, is reaped by us. */
        (void)prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
        int r = make_and_start(m, false, &notify, err);
        if (r == 0) {
                relay->notify = notify;
                relay->log = m->start.engine->log;
                (void)flock(m->start.folder, LOCK_UN);
                r = relay_run(relay, m->start.pid, m->start.console, &status, err);
        }
        /* Who has seen the container by its id can kill it, wherever its start is. */
        if (r < 0 && m->start.killed_by) {
                status = 128 + m->start.killed_by;
                r = 0;
        }
        if (r == 0) {
                m->start.pid = 0;
                *ret_status = status;
        }
        return r;
}

int container_run(const struct engine *engine, const struct create_request *request, int *ret_status,
                  struct error *err)
{
        struct making m = making_for(engine, request);
        struct relay relay;
        int r = run_to_end(&m, &relay, ret_status, err);

        /* Somebody may have deleted it by now, or be about to. */
        if (r < 0 || state_lock(m.start.folder, NULL) == 0)
                unmake(&m);
        starting_done(&m.start);
        relay_end(&relay);
        return r;
}

int container_run_and_keep(const struct engine *engine, const struct create_request *request, int *ret_status,
                           struct error *err)
{
        struct making m = making_for(engine, request);
        struct relay relay;
        int r = run_to_end(&m, &relay, ret_status, err);

        if (r < 0)
                unmake(&m);
        starting_done(&m.start);
        relay_end(&relay);
        return r;
}
