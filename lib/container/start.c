/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation.  A created container's process waits in open(2) of the exec fifo.  It goes on as we
 * open it, too, and has it close-on-exec: the end of the fifo says that the payload executes, a message why
 * it doesn't.  Should the process end before, its pidfd says so.  An enclave's process executes nothing: it
 * says what it calls and, before the end of the fifo, that it runs.
 */
#include "lib/base/clock.h"
#include "lib/base/fd.h"
#include "lib/base/text.h"
#include "lib/container/bundle.h"
#include "lib/container/delete.h"
#include "lib/container/enclave-call.h"
#include "lib/container/enclave-plan.h"
#include "lib/container/hook.h"
#include "lib/container/notify.h"
#include "lib/container/process.h"
#include "lib/container/sync.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

/* For kernels without pidfds: how often to look whether the process is still there, milliseconds. */
enum { LOOK_INTERVAL = 100 };

/* Of a process's, as of waitpid(2). */
enum { STATUS_MAX = 0xffff };

static int check_created(int folder, const struct container_state *state, struct error *err)
{
        enum container_status status;
        int r = state_status(folder, state, &status, err);

        if (r < 0)
                return r;
        switch (status) {
        case CONTAINER_CREATED:
                return 0;
        case CONTAINER_STOPPED:
                return error_set(err, -EINVAL, "cannot start a container that has stopped");
        case CONTAINER_RUNNING:
                return error_set(err, -EINVAL, "cannot start an already running container");
        case CONTAINER_CREATING:
        case CONTAINER_PAUSED:
                break;
        }
        return error_set(err, -EINVAL, "cannot start a container in the %s state",
                         container_status_name(status));
}

/* What `start` waits with: the fifo, and the process that should write to it. */
struct starter {
        const struct container_state *state;
        int fifo;
        int pidfd;         /* -1: this kernel has none */
        uint64_t deadline; /* clock_ms() by which an enclave's PAL must have answered; 0: any time */
        uint32_t timeout;  /* the same in seconds from its call */
        char call[ERROR_TEXT_MAX / 2];
        bool running;         /* an enclave's process was made */
        bool said_status;     /* it has told how it ends: */
        uint64_t last_status; /* as of waitpid(2) */
};

/* How long poll(2) may wait, milliseconds; -1: for ever. */
static int wait_at_most(const struct starter *s)
{
        uint64_t now = clock_ms();
        int left = !s->deadline ? -1 : s->deadline > now ? (int)(s->deadline - now) : 0;

        return s->pidfd < 0 && (left < 0 || left > LOOK_INTERVAL) ? LOOK_INTERVAL : left;
}

/* Until the fifo has something, or ended, or nobody is left to write to it. */
static int wait_for_fifo(const struct starter *s, struct error *err)
{
        const struct container_state *state = s->state;

        for (;;) {
                struct pollfd fds[] = {{.fd = s->fifo, .events = POLLIN}, {.fd = s->pidfd, .events = POLLIN}};
                int n = poll(fds, 2, wait_at_most(s));
                if (n < 0 && errno != EINTR)
                        return error_errno(err, errno, "exec fifo");
                if (n > 0 && fds[0].revents)
                        return 0;
                if ((n > 0 && fds[1].revents) || (s->pidfd < 0 && !process_is(state->pid, state->start_time)))
                        return error_set(err, -ESRCH,
                                         "the container's process ended before it could be started");
                if (s->deadline && clock_ms() >= s->deadline)
                        return enclave_call_hangs(s->call, s->timeout, err);
        }
}

/* An enclave's process that was never said to run has failed, whatever it says. */
static int explain_end(const struct starter *s, struct error *err)
{
        const char *call = *s->call ? s->call : "the enclave's process";
        int status;

        /* An engine waits for it, too, and may have been faster. */
        if (process_end(s->state->pid, s->state->start_time, &status) < 0) {
                if (!s->said_status)
                        return error_set(err, -ECHILD, "%s: it ended the process", call);
                status = (int)s->last_status;
        }
        return enclave_call_ended(call, status, err);
}

static int take_message(struct starter *s, struct error *err)
{
        struct sync_message message;
        int r = sync_read_fifo(s->fifo, &message, err);

        if (r < 0)
                return r;
        if (message.type == PLAN_CALL) {
                (void)snprintf(s->call, sizeof(s->call), "%.*s", (int)sizeof(s->call) - 1, message.text);
                s->deadline = s->timeout ? clock_ms() + (uint64_t)s->timeout * 1000 : 0;
                return 0;
        }
        if (message.type == PLAN_RUNNING) {
                s->running = true;
                s->deadline = 0;
                return 0;
        }
        if (message.type == PLAN_LAST) {
                s->said_status = parse_u64(message.text, STATUS_MAX, &s->last_status);
                return s->said_status ? 0
                                      : error_set(err, -EBADMSG, "the enclave's process ended with nonsense");
        }
        return error_set(err, message.type == PLAN_ERROR ? message.code : -EBADMSG, "%s", message.text);
}

/* All that comes through the fifo, up to its end. */
static int hear(struct starter *s, struct error *err)
{
        int r;

        do {
                r = wait_for_fifo(s, err);
                if (r == 0)
                        r = take_message(s, err);
        } while (r == 0);
        if (r != -ENODATA)
                return r;
        return enclave_is(s->state) && !s->running ? explain_end(s, err) : 0;
}

static int let_go(int folder, struct starter *s, struct error *err)
{
        cleanup_fd int fifo = openat(folder, STATE_FIFO, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
        cleanup_fd int pidfd = -1;

        if (fifo < 0)
                return error_errno(err, errno, "exec fifo");
        s->fifo = fifo;
        s->pidfd = process_open(s->state->pid, s->state->start_time, &pidfd) == 0 ? pidfd : -1;
        int r = wait_for_fifo(s, err);
        (void)unlinkat(folder, STATE_FIFO, 0);
        if (r < 0)
                return r;
        /* The rest of a message is there as soon as its beginning is, or is waited for. */
        int flags = fcntl(fifo, F_GETFL);
        if (flags < 0 || fcntl(fifo, F_SETFL, flags & ~O_NONBLOCK) < 0)
                return error_errno(err, errno, "exec fifo");
        return hear(s, err);
}

/* Readiness that doesn't get through is no reason to end what runs. */
static void wait_ready(const struct engine *engine, int folder, const struct container_state *state,
                       int notify)
{
        struct error err = {0};

        if (notify < 0)
                return;
        (void)flock(folder, LOCK_UN);
        if (notify_relay(notify, state->pid, state->start_time, &err) < 0)
                log_warning(engine->log, "%s", error_text(&err));
}

static int run_poststart(int folder, const struct container_state *state, struct error *err)
{
        cleanup_arena struct arena arena = ARENA_NONE;
        struct spec *spec = NULL;
        int r = arena_new_private(&arena, err);

        if (r == 0)
                r = bundle_reload(folder, state, &arena, &spec, err);
        if (r < 0)
                return r;
        cleanup_free char *text = state_to_text(state, CONTAINER_RUNNING);
        return text ? hooks_run(&spec->hooks.poststart, "poststart", text, NULL, err) : error_oom(err);
}

/* An enclave whose start has failed or hangs is of no use to anybody. */
static int start_within(int folder, const struct container_state *state, struct error *err)
{
        struct starter starter = {.state = state, .timeout = enclave_timeout(state)};
        int r = let_go(folder, &starter, err);

        if (r < 0 && enclave_is(state))
                (void)delete_kill(state, NULL, NULL);
        return r;
}

int container_start(const struct engine *engine, const char *id, struct error *err)
{
        cleanup_container_state struct container_state state = {0};
        cleanup_fd int folder = -1, notify = -1;
        int r = state_open(engine->root, id, &folder, err);

        if (r == 0)
                r = state_lock(folder, err);
        if (r == 0)
                r = state_read(folder, &state, err);
        if (r == 0)
                r = check_created(folder, &state, err);
        if (r == 0)
                r = notify_listen(folder, &notify, err);
        if (r == 0)
                r = start_within(folder, &state, err);
        if (r < 0)
                return r;
        if (state.poststart)
                r = run_poststart(folder, &state, err);
        if (r < 0) {
                (void)delete_kill(&state, NULL, NULL);
                return r;
        }
        wait_ready(engine, folder, &state, notify);
        return 0;
}
