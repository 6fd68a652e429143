/* SPDX-License-Identifier: Apache-2.0 */
/*
 * supervisor.c - the life of an enclave.
 *
 * Theory of operation.  Everything is an event on one loop: what the guest says, what the machine does, what
 * clients want, what the starter does, time.  There are three questions, each answered once:
 *
 *     does the workload run?      STARTED of the guest, or a heartbeat alone where init isn't ours;
 *                                 the starter then gets its answer and is no longer of interest
 *     how did the workload end?   EXITED, SIGNALED or FAILED of the guest; else the machine: settle().
 *                                 Where init isn't ours nobody knows, and its status stays unknown
 *     is the machine gone?        the back end says so, and only that leads out: finish()
 *
 * So whatever happens, the way out is the same: settle how it ended, see to it that the machine ends (by
 * itself, or by force after a time), and when it has, remove the entry, tell everybody, and end.  Where the
 * enclave ended by itself after it had run, a record stays behind.
 */
#include "supervisor/supervisor.h"

#include "supervisor/clients.h"
#include "supervisor/descriptors.h"
#include "supervisor/leash-end.h"
#include "supervisor/share.h"

#include "lib/base/clock.h"
#include "lib/base/fd.h"
#include "lib/enclave/registry.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
        CONSOLE_SIZE = 1024 * 1024,
        CONSOLE_TAIL = 400,       /* bytes of it in an error's text */
        POWER_OFF_MS = 15 * 1000, /* from the workload's end to the machine's */
        KVM_HELLO_MS = 5 * 1000,  /* from a heartbeat of our init to its control channel, before we go on */
        TCG_HELLO_MS = 30 * 1000, /* without */
        KILL_AFTER_QUIT_MS = 2 * 1000,
        LOST_MS = 3 * 1000, /* from init's end to the machine's */
};

struct supervisor {
        struct supervisor_parts parts;
        struct loop *loop;
        struct enclaves *enclaves;
        struct enclave_info info;
        struct pool_share share;
        struct console *console;
        struct clients *clients;
        struct leash_end *leash; /* or NULL */
        struct guest *guest;
        struct vsock_device *device;
        struct machine *machine;
        int console_fd;
        struct loop_source *console_source;
        struct loop_source *status_source;
        struct loop_source *boot_timer;
        struct loop_source *hello_timer;
        struct loop_source *end_timer; /* then the machine is killed: */
        uint64_t end_at;               /* CLOCK_MONOTONIC milliseconds */
        struct loop_source *signals[3];
        bool alive;          /* a heartbeat came */
        bool greeted;        /* HELLO came */
        bool started;        /* the workload runs, or has run */
        bool settled;        /* info says how it ended */
        bool stop_requested; /* by a client or a signal: no record stays */
        bool starter_waits;
        int failure;    /* the code of an answer that says ENCLAVE_FAILED */
        bool killed;    /* we ended the machine by force */
        char lost[256]; /* why the control channel ended before its time */
};

/* ---- telling ---- */

static int publish(struct supervisor *s, struct error *err)
{
        int r = registry_publish(s->parts.entry_dirfd, &s->info, err);

        if (r < 0)
                error_wrap(err, "%s/enclaves/%" PRIu32, s->parts.launch->state_dir, s->info.id);
        return r;
}

static void send_to_starter(struct supervisor *s, struct buf *line)
{
        if (s->starter_waits && line->n > 0)
                (void)!send(s->parts.status_fd, line->p, line->n, MSG_NOSIGNAL);
}

static void tell_progress(struct supervisor *s, const char *text)
{
        cleanup_buf struct buf line = buf_with_max(CONTROL_LINE_MAX);

        (void)control_append_event(CONTROL_PROGRESS, text, &line);
        send_to_starter(s, &line);
}

/* The starter's answer. It asks no more. */
static void answer_starter(struct supervisor *s, int code, const char *text)
{
        cleanup_buf struct buf line = buf_with_max(CONTROL_LINE_MAX);
        struct control_reply reply = {.code = code, .has_info = code == 0, .info = s->info};

        snprintf(reply.text, sizeof(reply.text), "%s", text);
        (void)control_append_reply(&reply, &line);
        send_to_starter(s, &line);
        s->starter_waits = false;
        loop_remove(&s->status_source);
}

/* ---- console ---- */

/* Reads what has come from the console; nobody but us ever makes the guest wait for its console. -EAGAIN
 * where there is no more, 0 where it has ended. */
static int read_console(struct supervisor *s)
{
        uint8_t piece[16384];
        ssize_t n = recv(s->console_fd, piece, sizeof(piece), MSG_DONTWAIT);

        if (n > 0 && s->console)
                console_write(s->console, view_of(piece, (size_t)n));
        if (n < 0)
                return errno == EINTR ? 1 : -errno;
        return n > 0;
}

static void drain_console(struct supervisor *s)
{
        while (s->console_fd >= 0 && read_console(s) > 0)
                ;
}

static int on_console(struct loop_source *source, int fd, uint32_t events, void *user)
{
        struct supervisor *s = user;

        (void)source;
        (void)fd;
        (void)events;
        int r = read_console(s);
        if (r > 0 && s->console)
                clients_console_grew(s->clients);
        if (r <= 0 && r != -EAGAIN)
                loop_remove(&s->console_source);
        return 0;
}

/* ---- the way out ---- */

static int on_end_timer(struct loop_source *source, void *user)
{
        struct supervisor *s = user;

        (void)source;
        s->killed = true;
        if (s->machine)
                s->parts.backend->kill(s->machine);
        return 0;
}

/* Kills the machine in a while, or sooner where that was to be already: neither a guest nor one more request
 * to stop puts off an end. */
static void end_machine_within(struct supervisor *s, uint64_t ms)
{
        uint64_t at = clock_ms() + ms;

        if (s->end_timer && at >= s->end_at)
                return;
        s->end_at = at;
        if (s->end_timer)
                (void)loop_set_timer(s->end_timer, ms);
        else if (loop_add_timer(s->loop, ms, on_end_timer, s, &s->end_timer, NULL) < 0)
                on_end_timer(NULL, s);
}

/* Says how it ended, if that isn't known yet: false where it is. `text` is for FAILED. */
static bool settle(struct supervisor *s, enum enclave_state state, int exit_status, int signal,
                   const char *text)
{
        if (s->settled)
                return false;
        s->settled = true;
        s->info.state = state;
        s->info.exit_status = exit_status;
        s->info.signal = signal;
        snprintf(s->info.reason, sizeof(s->info.reason), "%s", text);
        loop_remove(&s->boot_timer);
        loop_remove(&s->hello_timer);
        return true;
}

/* As settle(), for what the guest didn't explain itself: its console may. */
static void settle_unexplained(struct supervisor *s, const char *text)
{
        cleanup_buf struct buf reason = buf_with_max(ERROR_TEXT_MAX - 1);
        cleanup_buf struct buf tail = buf_with_max((size_t)2 * CONSOLE_TAIL);

        buf_append_string(&reason, text);
        if (!s->console)
                buf_append_string(&reason, "; --debug-mode shows what it says on its console");
        else if (console_tail(s->console, CONSOLE_TAIL, &tail) == 0 && tail.n > 0)
                buf_printf(&reason, "; its console ends with: %s", buf_string(&tail));
        settle(s, ENCLAVE_FAILED, ENCLAVE_EXIT_UNKNOWN, 0, buf_string(&reason));
}

static void kill_machine(struct supervisor *s)
{
        end_machine_within(s, 0);
}

static void on_machine_ended(const struct machine_end *end, void *user)
{
        struct supervisor *s = user;
        char text[ERROR_TEXT_MAX];

        if (s->stop_requested)
                settle(s, ENCLAVE_EXITED, 128 + SIGKILL, SIGKILL, "");
        /* The init of others ends the machine behind its workload, and says nothing. */
        if (s->started && s->parts.launch->init_of_others && end->by_guest)
                settle(s, ENCLAVE_EXITED, ENCLAVE_EXIT_UNKNOWN, 0, "");
        snprintf(text, sizeof(text), "%s%.900s", s->started ? "" : "the workload did not start: ",
                 s->lost[0] && s->killed ? s->lost : end->text);
        drain_console(s);
        /* What ended on this side is explained by itself; a guest may have said more on its console. */
        if (end->by_guest || s->console || s->lost[0])
                settle_unexplained(s, text);
        else
                settle(s, ENCLAVE_FAILED, ENCLAVE_EXIT_UNKNOWN, 0, text);
        loop_quit(s->loop, 0);
}

/* ---- stop ---- */

static void request_stop(uint32_t grace_ms, void *user)
{
        struct supervisor *s = user;

        s->stop_requested = true;
        if (s->settled) {
                end_machine_within(s, grace_ms);
                return;
        }
        if (s->started && grace_ms > 0 && guest_shut_down(s->guest) == 0) {
                end_machine_within(s, grace_ms);
        } else {
                if (s->machine)
                        s->parts.backend->quit(s->machine);
                end_machine_within(s, grace_ms > 0 ? KILL_AFTER_QUIT_MS : 0);
        }
        s->info.state = ENCLAVE_STOPPING;
        /* On a full disk clients see the state of before. */
        (void)publish(s, NULL);
}

static void pass_signal(uint32_t signal, void *user)
{
        struct supervisor *s = user;

        (void)guest_signal(s->guest, signal);
}

static int on_signal(struct loop_source *source, int signal, void *user)
{
        (void)source;
        (void)signal;
        request_stop(ENCLAVE_GRACE_MS, user);
        return 0;
}

/* The starter has nothing to say; that it does, or has gone, undoes the start. */
static int on_starter(struct loop_source *source, int fd, uint32_t events, void *user)
{
        struct supervisor *s = user;

        (void)source;
        (void)fd;
        (void)events;
        loop_remove(&s->status_source);
        settle(s, ENCLAVE_FAILED, ENCLAVE_EXIT_UNKNOWN, 0, "the start was interrupted");
        kill_machine(s);
        return 0;
}

/* ---- what the guest says ---- */

/* An enclave that nobody could see is none: where its state can't be written, its start has failed. */
static void workload_runs(struct supervisor *s)
{
        struct error err = {0};

        if (s->started || s->settled)
                return;
        if (s->info.state == ENCLAVE_STARTING)
                s->info.state = ENCLAVE_RUNNING;
        if (publish(s, &err) < 0) {
                settle(s, ENCLAVE_FAILED, ENCLAVE_EXIT_UNKNOWN, 0, error_text(&err));
                kill_machine(s);
                return;
        }
        s->started = true;
        loop_remove(&s->boot_timer);
        loop_remove(&s->hello_timer);
        answer_starter(s, 0, "");
}

static int on_hello_timer(struct loop_source *source, void *user)
{
        (void)source;
        workload_runs(user);
        return 0;
}

static void on_heartbeat(void *user)
{
        struct supervisor *s = user;
        uint64_t ms = s->info.isolation == ENCLAVE_ISOLATION_KVM ? KVM_HELLO_MS : TCG_HELLO_MS;

        /* Once: a starter that was suspended does not read, and nothing may make us wait for it. */
        if (!s->alive)
                tell_progress(s, "the enclave's init is alive");
        s->alive = true;
        if (s->started || s->settled || guest_is_connected(s->guest) || s->hello_timer)
                return;
        if (s->parts.launch->init_of_others)
                workload_runs(s);
        else
                (void)loop_add_timer(s->loop, ms, on_hello_timer, s, &s->hello_timer, NULL);
}

/* The workload has ended, which counts once: init waits for us to hang up, and then powers off.  More time
 * than this the guest cannot get, whatever it says. */
static void workload_ended(struct supervisor *s)
{
        guest_hang_up(s->guest);
        end_machine_within(s, POWER_OFF_MS);
}

static void take_hello(struct supervisor *s, const struct guest_message *message)
{
        char text[ERROR_TEXT_MAX];

        loop_remove(&s->hello_timer);
        if (message->version == GUEST_PROTOCOL_VERSION && !s->greeted) {
                s->greeted = true;
                return;
        }
        if (message->version == GUEST_PROTOCOL_VERSION)
                snprintf(text, sizeof(text), "the enclave's init said HELLO twice");
        else
                snprintf(text, sizeof(text),
                         "the image's init speaks version %" PRIu32
                         " of the protocol, and this host version %d; make the "
                         "image again",
                         message->version, GUEST_PROTOCOL_VERSION);
        settle(s, ENCLAVE_FAILED, ENCLAVE_EXIT_UNKNOWN, 0, text);
        kill_machine(s);
}

static void take_started(struct supervisor *s, const struct guest_message *message)
{
        (void)message;
        workload_runs(s);
}

static void take_exited(struct supervisor *s, const struct guest_message *message)
{
        if (!settle(s, ENCLAVE_EXITED, (int)(message->status & 255), 0, ""))
                return;
        s->started = true;
        workload_ended(s);
}

static void take_signaled(struct supervisor *s, const struct guest_message *message)
{
        int signal = (int)(message->signaled.signal & 127);

        if (!settle(s, ENCLAVE_EXITED, 128 + signal, signal, ""))
                return;
        s->started = true;
        workload_ended(s);
}

static void take_failed(struct supervisor *s, const struct guest_message *message)
{
        char text[ERROR_TEXT_MAX];
        const char *path = message->failed.path;
        int errnum = (int)(message->failed.errnum & 4095);

        snprintf(text, sizeof(text), "%s%.250s%s%.600s%s%s",
                 s->started ? "the enclave's init failed: cannot " : "the workload did not start: cannot ",
                 message->failed.stage, path[0] ? ": " : "", path, errnum ? ": " : "",
                 errnum ? strerror(errnum) : "");
        if (settle(s, ENCLAVE_FAILED, ENCLAVE_EXIT_UNKNOWN, 0, text))
                workload_ended(s);
}

static void on_guest_message(const struct guest_message *message, void *user)
{
        static const struct {
                enum guest_message_type type;
                void (*take)(struct supervisor *s, const struct guest_message *message);
        } table[] = {
                {GUEST_HELLO, take_hello},       {GUEST_STARTED, take_started}, {GUEST_EXITED, take_exited},
                {GUEST_SIGNALED, take_signaled}, {GUEST_FAILED, take_failed},
        };
        struct supervisor *s = user;

        for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
                if (table[i].type == message->type && (s->greeted || message->type == GUEST_HELLO))
                        table[i].take(s, message);
        }
}

/* Without a control channel nobody will tell how the workload ends, so there is no point in going on.  Often
 * it is the first that we see of a machine that has ended or is about to: how that ends says more, so it gets
 * a moment. */
static void on_guest_lost(const char *why, void *user)
{
        struct supervisor *s = user;

        if (s->settled)
                return;
        snprintf(s->lost, sizeof(s->lost), "the enclave's init vanished: %.200s", why);
        end_machine_within(s, LOST_MS);
}

static int on_boot_timer(struct loop_source *source, void *user)
{
        struct supervisor *s = user;
        char text[128];

        (void)source;
        snprintf(text, sizeof(text), "the workload did not start within %u seconds",
                 s->parts.launch->timeout_ms / 1000);
        settle_unexplained(s, text);
        s->failure = -ETIMEDOUT;
        kill_machine(s);
        return 0;
}

/* ---- vsock ---- */

static void on_device_ended(struct vsock_device *device, const struct error *why, void *user)
{
        struct supervisor *s = user;
        char text[ERROR_TEXT_MAX];

        (void)device;
        /* When QEMU ends, it hangs up here first; how it ended says more. */
        if (s->settled || why->code == -EPIPE)
                return;
        snprintf(text, sizeof(text), "the vsock device failed: %.600s", error_text(why));
        settle_unexplained(s, text);
        kill_machine(s);
}

/* The machine's end of its vsock: a connected socket, or the kernel's device. */
static int make_vsock(struct supervisor *s, int *ret_fd, struct error *err)
{
        const struct vsock_device_options options = {
                .guest_cid = s->info.cid,
                .dirfd = s->parts.entry_dirfd,
                .name = REGISTRY_VSOCK_SOCKET,
                .max_connections = descriptors_for_vsock(),
                .on_ended = on_device_ended,
                .user = s,
        };
        int pair[2];
        int r;

        if (s->parts.launch->nitro)
                return guest_listen_on_nitro(s->guest, err);
        if (s->parts.launch->kernel_vsock) {
                *ret_fd = fcntl(s->parts.vsock_fd, F_DUPFD_CLOEXEC, 0);
                return *ret_fd < 0 ? error_errno(err, errno, "vsock") : guest_listen_on_kernel(s->guest, err);
        }
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
                return error_errno(err, errno, "vsock");
        cleanup_fd int ours = pair[0];
        cleanup_fd int theirs = pair[1];
        if ((r = vsock_device_new(s->loop, &options, ours, &s->device, err)) < 0)
                return r;
        (void)take_fd(&ours);
        if ((r = guest_listen_on_device(s->guest, s->device, err)) < 0)
                return r;
        *ret_fd = take_fd(&theirs);
        return 0;
}

/* ---- making it ---- */

static int start_machine(struct supervisor *s, struct error *err)
{
        const struct launch *launch = s->parts.launch;
        cleanup_fd int vsock = -1;
        int pair[2];
        int r;

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
                return error_errno(err, errno, "console");
        s->console_fd = pair[0];
        cleanup_fd int theirs = pair[1];
        if ((r = make_vsock(s, &vsock, err)) < 0)
                return r;
        const struct machine_spec spec = {
                .id = s->info.id,
                .cid = s->info.cid,
                .cpus = s->info.cpus,
                .mem_mib = s->info.mem_mib,
                .isolation = s->info.isolation,
                .debug_mode = s->info.debug_mode,
                .cmdline = launch->cmdline,
                .kernel_fd = s->parts.kernel_fd,
                .initrd_fd = launch->has_initrd ? s->parts.initrd_fd : -1,
                .console_fd = theirs,
                .vsock_fd = vsock,
                .kernel_vsock = launch->kernel_vsock,
        };
        if ((r = loop_add_fd(s->loop, s->console_fd, EPOLLIN, on_console, s, &s->console_source, err)) < 0)
                return r;
        return s->parts.backend->start(&spec, s->loop, on_machine_ended, s, &s->machine, err);
}

static int make_loop(struct supervisor *s, struct error *err)
{
        static const int stop_signals[] = {SIGTERM, SIGINT, SIGHUP};
        int r = loop_new(&s->loop, err);

        for (size_t i = 0; r == 0 && i < ARRAY_SIZE(stop_signals); i++)
                r = loop_add_signal(s->loop, stop_signals[i], on_signal, s, &s->signals[i], err);
        if (r == 0)
                r = loop_add_timer(s->loop, s->parts.launch->timeout_ms, on_boot_timer, s, &s->boot_timer,
                                   err);
        if (r == 0)
                r = loop_add_fd(s->loop, s->parts.status_fd, EPOLLIN, on_starter, s, &s->status_source, err);
        return r;
}

static int make(struct supervisor *s, struct error *err)
{
        const struct guest_events events = {
                .heartbeat = on_heartbeat, .message = on_guest_message, .lost = on_guest_lost, .user = s};
        int r;

        if ((r = enclaves_open(s->parts.launch->state_dir, &s->enclaves, err)) < 0 ||
            (r = share_take(s->parts.pool_folder, &s->info, &s->share, err)) < 0 ||
            (r = make_loop(s, err)) < 0)
                return r;
        /* Outside debug mode nobody may see the console, so nothing is kept of it. */
        s->console = s->info.debug_mode ? console_new(CONSOLE_SIZE) : NULL;
        if (s->info.debug_mode && !s->console)
                return error_oom(err);
        const struct leash_events leash = {.stop = request_stop, .signal = pass_signal, .user = s};
        if (s->parts.launch->leashed &&
            (r = leash_end_new(s->loop, s->parts.leash_fd, &leash, &s->leash, err)) < 0)
                return r;
        const struct clients_options clients = {
                .entry_dirfd = s->parts.entry_dirfd,
                .console = s->console,
                .stop = request_stop,
                .user = s,
        };
        if ((r = clients_new(s->loop, &clients, &s->clients, err)) < 0 ||
            (r = guest_new(s->loop, s->info.cid, &events, &s->guest, err)) < 0 ||
            (r = start_machine(s, err)) < 0)
                return r;
        s->info.pid = getpid();
        if ((r = publish(s, err)) < 0)
                return r;
        tell_progress(s, "the machine boots");
        return 0;
}

int supervisor_new(const struct supervisor_parts *parts, struct supervisor **ret_supervisor)
{
        struct error err = {0};
        struct supervisor *s = calloc(1, sizeof(*s));

        if (!s)
                return -ENOMEM;
        s->parts = *parts;
        s->info = parts->launch->info;
        s->console_fd = -1;
        s->share = POOL_SHARE_NONE;
        s->starter_waits = true;
        s->failure = -EIO;
        int r = make(s, &err);
        if (r < 0) {
                if (s->enclaves)
                        registry_retire(s->enclaves, s->info.id, NULL, view_of(NULL, 0), NULL);
                answer_starter(s, r, error_text(&err));
                supervisor_free(s);
                return r;
        }
        *ret_supervisor = s;
        return 0;
}

/* ---- the end ---- */

/* Removes the entry; what ended by itself after it had run is remembered. */
static void retire(struct supervisor *s)
{
        cleanup_buf struct buf console = buf_with_max((size_t)2 * CONSOLE_SIZE);
        bool remember = s->started && !s->stop_requested && !s->leash;

        if (remember && s->console)
                (void)console_copy(s->console, &console);
        (void)registry_retire(s->enclaves, s->info.id, remember ? &s->info : NULL, buf_view(&console), NULL);
}

static void finish(struct supervisor *s)
{
        drain_console(s);
        retire(s);
        if (s->info.state == ENCLAVE_EXITED && s->started)
                answer_starter(s, 0, "");
        else if (s->info.state == ENCLAVE_EXITED)
                answer_starter(s, -ECANCELED, "the enclave was stopped before its workload started");
        else
                answer_starter(s, s->failure, s->info.reason);
        leash_end_finish(s->leash, &s->info);
        clients_finish(s->clients, &s->info);
}

int supervisor_run(struct supervisor *s)
{
        int r = loop_run(s->loop);

        if (r < 0) {
                settle(s, ENCLAVE_FAILED, ENCLAVE_EXIT_UNKNOWN, 0, "the supervisor failed");
                s->parts.backend->free(take_pointer(&s->machine));
        }
        finish(s);
        return r;
}

void supervisor_free(struct supervisor *s)
{
        if (!s)
                return;
        s->parts.backend->free(s->machine);
        guest_free(s->guest);
        vsock_device_free(s->device);
        clients_free(s->clients);
        leash_end_free(s->leash);
        loop_free(s->loop);
        fd_close_p(&s->console_fd);
        console_free(s->console);
        enclaves_free(s->enclaves);
        fd_close_p(&s->share.fd);
        free(s);
}

struct guest *supervisor_guest(struct supervisor *s)
{
        return s->guest;
}
