/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation.  Nothing here may wait for container-init that init could be made to wait for in
 * turn.  Each of its questions has one answer, given by the handler in the table below; what rune has to do
 * anyway (limits, the state file) is done while init works, before its first question is read.  The state
 * file is written before init gets the GO without which it never says CREATED: up to then it dies with us,
 * from then on `delete --force` finds it.
 */
#include "lib/container/cgroup-control.h"
#include "lib/container/starting.h"

#include "lib/base/clock.h"
#include "lib/base/fd.h"
#include "lib/base/path.h"
#include "lib/base/text.h"
#include "lib/container/enclave-call.h"
#include "lib/container/id-map.h"
#include "lib/container/init-image.h"
#include "lib/container/launch.h"
#include "lib/container/mount-trees.h"
#include "lib/container/host-proc.h"
#include "lib/container/process.h"
#include "lib/container/relay.h"
#include "lib/container/seccomp.h"
#include "lib/container/sync.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

int starting_init(const struct engine *engine, enum plan_job job, struct starting *ret_starting,
                  struct error *err)
{
        struct starting s = {
                .engine = engine, .arena = ARENA_NONE, .folder = -1, .socket = -1, .console = -1};
        int r = arena_new_shared(&s.arena, err);

        if (r < 0)
                return r;
        s.plan = arena_alloc(&s.arena, 1, sizeof(*s.plan));
        *s.plan = (struct plan){
                .version = PLAN_VERSION,
                .job = job,
                .sync_fd = -1,
                .exec_fifo_fd = -1,
                .console_socket_fd = -1,
                .rootfs_fd = -1,
                .host_proc_fd = -1,
                .target_pidfd = -1,
                .rootless = engine->rootless,
        };
        for (size_t i = 0; i < SPEC_NAMESPACE_TYPES; i++)
                s.plan->namespace_fds[i] = -1;
        r = procfs_open(&s.plan->host_proc_fd, err);
        if (r < 0) {
                arena_done(&s.arena);
                return r;
        }
        *ret_starting = s;
        return 0;
}

int starting_check_terminal(const struct spec_process *process, const char *console_socket, bool detached,
                            struct error *err)
{
        if (detached && process->terminal && !console_socket)
                return error_set(err, -EINVAL,
                                 "cannot allocate tty if rune will detach without setting console socket");
        if ((!detached || !process->terminal) && console_socket)
                return error_set(err, -EINVAL,
                                 "cannot use console socket if rune will not detach or allocate tty");
        return 0;
}

int starting_compile_filter(struct starting *s, struct error *err)
{
        const struct spec_seccomp *seccomp = s->spec->linux.seccomp;

        if (!seccomp)
                return 0;
        cleanup_free char *cache = path_join(s->engine->root, ".seccomp");
        if (!cache)
                return error_oom(err);
        int r = seccomp_compile(seccomp, cache, &s->arena, s->engine->log, &s->plan->seccomp, err);
        if (r < 0)
                error_wrap(err, "linux.seccomp");
        return r;
}

int starting_open_tasks(struct starting *s, struct error *err)
{
        cleanup_free int *tasks = NULL;
        size_t n;
        int r = cgroup_open_tasks(s->cgroup, &tasks, &n, err);

        if (r < 0)
                return r;
        int *copy = arena_alloc(&s->arena, n, sizeof(*copy));
        for (size_t i = 0; i < n && !copy; i++)
                fd_close_p(&tasks[i]);
        if (!copy)
                return error_oom(err);
        if (n > 0)
                memcpy(copy, tasks, n * sizeof(*copy));
        s->plan->tasks_fds = copy;
        s->plan->n_tasks_fds = n;
        return 0;
}

/* ---- launch -------------------------------------------------------------------------------------------- */

/* Every descriptor that the plan names, in an array of the arena. */
static int collect_fds(struct starting *s, const int **ret_fds, size_t *ret_n, struct error *err)
{
        const struct plan *plan = s->plan;
        const int single[] = {plan->sync_fd,   plan->exec_fifo_fd, plan->console_socket_fd,
                              plan->rootfs_fd, plan->host_proc_fd, plan->target_pidfd};
        size_t n = 0;
        int *fds = arena_alloc(&s->arena, ARRAY_SIZE(single) + SPEC_NAMESPACE_TYPES + plan->n_tasks_fds + 1,
                               sizeof(*fds));

        if (!fds)
                return error_oom(err);
        for (size_t i = 0; i < ARRAY_SIZE(single); i++)
                fds[n++] = single[i];
        for (size_t i = 0; i < SPEC_NAMESPACE_TYPES; i++)
                fds[n++] = plan->namespace_fds[i];
        for (size_t i = 0; i < plan->n_tasks_fds; i++)
                fds[n++] = plan->tasks_fds[i];
        if (plan->enclave)
                fds[n++] = plan->enclave->agent_fd;
        *ret_fds = fds;
        *ret_n = n;
        return 0;
}

static void close_fd(int fd)
{
        fd_close_p(&fd);
}

/* Changes nothing in the plan: init may be reading it. */
static void close_plan(const struct plan *plan)
{
        close_fd(plan->exec_fifo_fd);
        close_fd(plan->console_socket_fd);
        close_fd(plan->rootfs_fd);
        close_fd(plan->host_proc_fd);
        close_fd(plan->target_pidfd);
        for (size_t i = 0; i < SPEC_NAMESPACE_TYPES; i++)
                close_fd(plan->namespace_fds[i]);
        for (size_t i = 0; i < plan->n_tasks_fds; i++)
                close_fd(plan->tasks_fds[i]);
        if (plan->enclave)
                close_fd(plan->enclave->agent_fd);
}

/* True where init, once in its PID namespace, goes on as another process. */
static bool will_fork(const struct plan *plan)
{
        return plan->new_namespaces & CLONE_NEWPID || plan->namespace_fds[SPEC_NAMESPACE_PID] >= 0;
}

/* The v1 groups init enters by itself, a v2 group it was cloned into: what is left is a scope of systemd, and
 * groups that can't be cloned into. */
static int enter_cgroup(struct starting *s, struct error *err)
{
        int r = cgroup_enter(s->cgroup, s->pid, err);

        if (r != -EBUSY || s->state.pid <= 0)
                return r;
        /* A container that has cut its v2 group into smaller ones has left it: further processes go where the
         * first is. */
        cleanup_cgroup struct cgroup *group = NULL;
        r = cgroup_open_group_of(s->cgroup, s->state.pid, &group, err);
        return r < 0 ? r : cgroup_enter(group, s->pid, err);
}

/* The process has the pid that it keeps, and waits for GO before it is anything of the container's. */
static int settle(struct starting *s, struct error *err)
{
        int r = s->outside_cgroup ? enter_cgroup(s, err) : 0;

        s->settled = r == 0;
        return r == 0 && s->settle ? s->settle(s, err) : r;
}

int starting_launch(struct starting *s, unsigned long namespaces, struct error *err)
{
        struct launch launch = {.arena_fd = s->arena.fd, .namespaces = namespaces, .folder = s->folder};
        bool prepares = s->plan->enclave && s->plan->job == PLAN_JOB_CREATE;
        char *environment[LAUNCH_PAL_ENVIRONMENT_MAX];
        int pair[2], in_cgroup = 0;

        launch_pal_environment(environment);
        launch.env = prepares ? environment : NULL;
        launch.image = s->plan->enclave ? runelet_image() : init_image();
        /* What a PAL makes of the host's is not the container's: such a process enters its groups later. */
        launch.cgroup_fd = s->cgroup && !prepares ? cgroup_clone_fd(s->cgroup) : -1;
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
                return error_errno(err, errno, "can't make a socket pair");
        s->socket = pair[0];
        s->plan->sync_fd = pair[1];
        cleanup_fd int theirs = pair[1];
        launch.failure = arena_alloc(&s->arena, 1, sizeof(int));
        if (!launch.failure)
                return error_oom(err);
        int r = collect_fds(s, &launch.fds, &launch.n_fds, err);
        if (r == 0)
                r = launch_init(&launch, &s->pid, &in_cgroup, err);
        if (r < 0)
                return r;
        log_debug(s->engine->log, "container-init runs as process %d", (int)s->pid);
        fd_close_p(&theirs); /* else its end would be ours as well, and never seen */
        s->outside_cgroup = s->cgroup && !in_cgroup && (s->plan->n_tasks_fds == 0 || launch.cgroup_fd >= 0);
        return will_fork(s->plan) || prepares ? 0 : settle(s, err);
}

/* ---- answers ------------------------------------------------------------------------------------------- */

static int go(struct starting *s, struct error *err)
{
        int r = sync_send(s->socket, PLAN_GO, NULL, -1);

        /* Where init is gone, why it went is still to be read. */
        return r == 0 || r == -EPIPE ? 0 : error_errno(err, -r, "can't tell container-init to go on");
}

/* Whom a message names is signalled and recorded: it must be a process that we are the parent of. */
static bool is_child(uint64_t pid)
{
        siginfo_t info;

        return pid > 0 && waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

static int on_pid(struct starting *s, struct sync_message *message, struct error *err)
{
        uint64_t pid;

        if (!will_fork(s->plan) || s->settled || !parse_u64(message->text, INT32_MAX, &pid) || !is_child(pid))
                return error_set(err, -EBADMSG, "container-init told a process id out of turn");
        (void)waitpid(s->pid, NULL, 0);
        s->pid = (pid_t)pid;
        return settle(s, err);
}

static int on_want_id_maps(struct starting *s, struct sync_message *message, struct error *err)
{
        const struct spec_linux *linux = &s->spec->linux;
        int r = id_map_write(s->plan->host_proc_fd, s->pid, &linux->uid_mappings, &linux->gid_mappings,
                             &s->plan->setgroups_denied, err);

        (void)message;
        return r < 0 ? r : go(s, err);
}

static int on_namespaces(struct starting *s, struct sync_message *message, struct error *err)
{
        (void)message;
        if (!s->settled || s->told_to_go)
                return error_set(err, -EBADMSG, "container-init told of namespaces out of turn");
        int r = s->at_namespaces ? s->at_namespaces(s, err) : 0;
        if (r < 0)
                return r;
        s->told_to_go = true;
        return go(s, err);
}

static int on_want_tree(struct starting *s, struct sync_message *message, struct error *err)
{
        cleanup_fd int tree = -1;
        uint64_t i;

        if (!s->told_to_go || !s->plan->mounts || message->fd < 0 ||
            !parse_u64(message->text, s->spec->n_mounts - 1, &i) || !s->plan->mounts[i].by_rune)
                return error_set(err, -EBADMSG, "container-init asked for a mount out of turn");
        int r = mount_trees_open(s, &s->spec->mounts[i], message->fd, &tree, err);
        if (r < 0)
                return r;
        r = sync_send(s->socket, PLAN_GO, NULL, tree);
        return r == 0 || r == -EPIPE ? 0 : error_errno(err, -r, "can't hand over a mount");
}

static int on_listener(struct starting *s, struct sync_message *message, struct error *err)
{
        cleanup_free char *text = state_to_text(&s->state, CONTAINER_CREATING);

        if (!text)
                return error_oom(err);
        if (message->fd < 0 || !s->spec->linux.seccomp)
                return error_set(err, -EBADMSG, "container-init sent no seccomp listener");
        return seccomp_send_listener(s->spec->linux.seccomp, message->fd, s->pid, text, err);
}

static int on_console(struct starting *s, struct sync_message *message, struct error *err)
{
        if (message->fd < 0 || s->console >= 0 || !s->plan->process->terminal || !isatty(message->fd))
                return error_set(err, -EBADMSG, "container-init sent no terminal, or two");
        s->console = take_fd(&message->fd);
        relay_prepare(s->console);
        return 0;
}

/* ---- an enclave's answers ------------------------------------------------------------------------------ */

static int on_call(struct starting *s, struct sync_message *message, struct error *err)
{
        const struct plan_enclave *enclave = s->plan->enclave;

        if (!enclave)
                return error_set(err, -EBADMSG, "container-init told of a PAL though there is none");
        (void)snprintf(s->call, sizeof(s->call), "%.*s", (int)sizeof(s->call) - 1, message->text);
        if (enclave->settings->timeout > 0)
                s->call_deadline = clock_ms() + (uint64_t)enclave->settings->timeout * 1000;
        log_debug(s->engine->log, "%s", s->call);
        return 0;
}

static int on_annotation(struct starting *s, struct sync_message *message, struct error *err)
{
        char *value = strchr(message->text, '=');

        if (!s->plan->enclave || s->told_to_go || !value || value == message->text)
                return error_set(err, -EBADMSG, "the enclave's PAL sent an annotation out of turn");
        *value++ = '\0';
        if (json_object_set_new(s->state.annotations, message->text, json_string(value)) < 0)
                return error_set(err, -EBADMSG, "the enclave's PAL sent an annotation that is no text");
        return 0;
}

static int on_prepared(struct starting *s, struct sync_message *message, struct error *err)
{
        (void)message;
        if (!s->plan->enclave || s->settled || s->told_to_go)
                return error_set(err, -EBADMSG, "the enclave's process was prepared out of turn");
        s->call_deadline = 0;
        int r = will_fork(s->plan) ? 0 : settle(s, err);
        return r < 0 ? r : go(s, err);
}

static int on_running(struct starting *s, struct sync_message *message, struct error *err)
{
        (void)message;
        if (!s->plan->enclave)
                return error_set(err, -EBADMSG, "container-init told of an enclave though there is none");
        s->running = true;
        s->call_deadline = 0;
        return 0;
}

static int on_error(struct starting *s, struct sync_message *message, struct error *err)
{
        error_set(err, message->code, "%s", message->text);
        /* Those who search for what went wrong know runc's words, and the suites look for them.  What a PAL
         * fails at says so by itself. */
        if (s->plan->job == PLAN_JOB_CREATE && !s->plan->enclave)
                error_wrap(err, "unable to start container process: error during container init");
        return message->code;
}

static int on_warning(struct starting *s, struct sync_message *message, struct error *err)
{
        (void)err;
        log_warning(s->engine->log, "%s", message->text);
        return 0;
}

static const struct answer {
        enum plan_message type;
        int (*give)(struct starting *s, struct sync_message *message, struct error *err);
} answers[] = {
        {PLAN_PID, on_pid},
        {PLAN_WANT_ID_MAPS, on_want_id_maps},
        {PLAN_NAMESPACES, on_namespaces},
        {PLAN_WANT_TREE, on_want_tree},
        {PLAN_SECCOMP_LISTENER, on_listener},
        {PLAN_CONSOLE, on_console},
        {PLAN_ERROR, on_error},
        {PLAN_WARNING, on_warning},
        {PLAN_CALL, on_call},
        {PLAN_ANNOTATION, on_annotation},
        {PLAN_PREPARED, on_prepared},
        {PLAN_RUNNING, on_running},
};

static int answer(struct starting *s, struct sync_message *message, struct error *err)
{
        int r = error_set(err, -EBADMSG, "container-init sent '%c' out of turn", message->type);

        for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
                if (answers[i].type == message->type) {
                        r = answers[i].give(s, message, err);
                        break;
                }
        }
        fd_close_p(&message->fd);
        return r;
}

static bool ran_out_of_memory(const struct starting *s)
{
        uint64_t n = 0;

        return s->cgroup && cgroup_oom_count(s->cgroup, &n, NULL) == 0 && n > 0;
}

/* The next message; a call of a PAL that takes too long is an error. */
static int await_message(struct starting *s, struct sync_message *ret_message, struct error *err)
{
        while (s->call_deadline) {
                uint64_t now = clock_ms();
                struct pollfd fd = {.fd = s->socket, .events = POLLIN};
                int n = now < s->call_deadline ? poll(&fd, 1, (int)(s->call_deadline - now)) : 0;
                if (n > 0)
                        break;
                if (n < 0 && errno != EINTR)
                        return error_errno(err, errno, "can't wait for an enclave");
                if (n == 0)
                        return enclave_call_hangs(s->call, s->plan->enclave->settings->timeout, err);
        }
        return sync_receive(s->socket, ret_message, err);
}

static int explain_kill(const struct starting *s, struct error *err)
{
        if (*s->call)
                return error_set(err, -ECHILD, "%s: the process was killed; a memory limit may be too low",
                                 s->call);
        return error_set(err, -ECHILD,
                         "container-init was killed before it was done; a memory limit may be too low");
}

/* The socket has ended though nothing was said: what became of the process says why. */
static int explain_end(struct starting *s, struct error *err)
{
        const char *who = *s->call ? s->call : "container-init";
        int status;

        if (s->pid <= 0 || waitpid(s->pid, &status, 0) != s->pid)
                return error_set(err, -ECHILD, "%s: the process is gone", who);
        s->pid = 0;
        if (*s->call && !(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL))
                return enclave_call_ended(s->call, status, err);
        if (WIFSIGNALED(status) && !ran_out_of_memory(s))
                s->killed_by = WTERMSIG(status);
        if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
                return explain_kill(s, err);
        if (WIFSIGNALED(status))
                return error_set(err, -ECHILD, "container-init was ended by signal %d", WTERMSIG(status));
        return error_set(err, -ECHILD, "container-init ended with status %d", WEXITSTATUS(status));
}

int starting_await_created(struct starting *s, struct error *err)
{
        for (;;) {
                struct sync_message message;
                int r = await_message(s, &message, err);
                if (r == -ECONNRESET)
                        return explain_end(s, err);
                if (r < 0)
                        return r;
                if (message.type == PLAN_CREATED && s->settled) {
                        fd_close_p(&message.fd);
                        s->call_deadline = 0;
                        return 0;
                }
                r = answer(s, &message, err);
                if (r < 0)
                        return r;
        }
}

int starting_release(struct starting *s, struct error *err)
{
        int r = go(s, err);

        while (r == 0) {
                struct sync_message message;
                r = await_message(s, &message, err);
                /* A payload says nothing where it executes; an enclave that runs has said so. */
                if (r == -ECONNRESET)
                        return s->plan->enclave && !s->running ? explain_end(s, err) : 0;
                if (r == 0)
                        r = answer(s, &message, err);
        }
        return r;
}

static void drop_plan(struct starting *s)
{
        if (s->plan)
                close_plan(s->plan);
        s->plan = NULL;
}

void starting_abort(struct starting *s)
{
        if (s->pid > 0) {
                (void)kill(s->pid, SIGKILL);
                (void)waitpid(s->pid, NULL, 0);
                s->pid = 0;
        }
        drop_plan(s);
}

void starting_done(struct starting *s)
{
        drop_plan(s);
        fd_close_p(&s->socket);
        fd_close_p(&s->console);
        fd_close_p(&s->folder);
        cgroup_free(s->cgroup);
        container_state_done(&s->state);
        arena_done(&s->arena);
        *s = (struct starting){.arena = ARENA_NONE, .folder = -1, .socket = -1, .console = -1};
}
