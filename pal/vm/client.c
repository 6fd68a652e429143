/* SPDX-License-Identifier: Apache-2.0 */
#include "pal/vm/client-internal.h"

#include "lib/base/clock.h"
#include "lib/base/fd.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

enum {
        READ_SIZE = 64 * 1024,
        OUT_CONGESTED = 1024 * 1024,
        OUT_MAX = OUT_CONGESTED + 4 * SERVICE_FROM_PARENT_MAX,
};

/* ---- the connection ------------------------------------------------------------------------------------ */

void client_wake(const struct client_process *process)
{
        (void)!eventfd_write(process->wake_fd, 1);
}

static void lose(struct client *client, const char *why)
{
        if (client->lost)
                return;
        client->lost = true;
        (void)snprintf(client->why, sizeof(client->why), "%s", why);
        (void)shutdown(client->fd, SHUT_RDWR);
        for (struct client_process *process = client->processes; process; process = process->next)
                client_wake(process);
        pthread_cond_broadcast(&client->changed);
}

static void flush(struct client *client)
{
        bool was_congested = client_is_congested(client);

        while (!client->lost && client->out.n > 0) {
                ssize_t n = send(client->fd, client->out.p, client->out.n, MSG_NOSIGNAL | MSG_DONTWAIT);
                if (n < 0 && (errno == EAGAIN || errno == EINTR))
                        break;
                if (n < 0)
                        lose(client, "the enclave has ended");
                else
                        buf_consume(&client->out, (size_t)n);
        }
        for (struct client_process *p = client->processes; was_congested && p; p = p->next)
                client_wake(p);
}

void client_send(struct client *client, const struct service_frame *frame)
{
        if (client->lost)
                return;
        if (service_frame_encode(frame, &client->out) < 0) {
                lose(client, "out of memory for what is to be sent to the enclave");
                return;
        }
        flush(client);
        /* The thread has to wait for room now. */
        if (client->out.n > 0)
                (void)!eventfd_write(client->wake_fd, 1);
}

bool client_is_congested(const struct client *client)
{
        return client->out.n >= OUT_CONGESTED;
}

/* Reads once. Called by whoever is alone, or by the thread. */
static void receive(struct client *client)
{
        int r = buf_reserve(&client->in, READ_SIZE);

        if (r < 0) {
                lose(client, "out of memory for what the enclave sends");
                return;
        }
        ssize_t n = recv(client->fd, client->in.p + client->in.n, READ_SIZE, MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
                lose(client, "the enclave has ended");
        else if (n > 0)
                client->in.n += (size_t)n;
}

/* ---- what comes ---------------------------------------------------------------------------------------- */

static struct client_process *find(struct client *client, uint32_t id)
{
        struct client_process *process = client->processes;

        while (process && process->id != id)
                process = process->next;
        return process;
}

static bool advance(struct client_process *process, enum client_state from, enum client_state to)
{
        if (process->state != from)
                return false;
        process->state = to;
        return true;
}

static bool take_end(struct client_process *process, int status)
{
        process->status = status;
        return advance(process, CLIENT_STARTED, CLIENT_ENDED);
}

static bool take_failed(struct client_process *process, const struct service_frame *frame)
{
        process->failure = *frame;
        return advance(process, CLIENT_ASKED, CLIENT_FAILED) ||
               advance(process, CLIENT_CREATED, CLIENT_FAILED);
}

static bool take(struct client *client, const struct service_frame *frame)
{
        struct client_process *process = find(client, frame->process);
        bool good;

        if (!process)
                return false;
        if (frame->type == SERVICE_CREATED)
                good = advance(process, CLIENT_ASKED, CLIENT_CREATED);
        else if (frame->type == SERVICE_STARTED)
                good = advance(process, CLIENT_CREATED, CLIENT_STARTED);
        else if (frame->type == SERVICE_EXITED)
                good = take_end(process, (int)frame->status);
        else if (frame->type == SERVICE_SIGNALED)
                good = take_end(process, 128 + (int)frame->signaled.signal);
        else if (frame->type == SERVICE_FAILED)
                good = take_failed(process, frame);
        else
                return client_streams_take(process, frame);
        client_wake(process);
        pthread_cond_broadcast(&client->changed);
        return good;
}

static void take_frames(struct client *client)
{
        struct service_frame frame;
        struct error err = {0};
        size_t used, at = 0;
        int r = 0;

        while (!client->lost) {
                struct view rest = view_of(client->in.p + at, client->in.n - at);
                r = service_frame_decode(rest, SERVICE_GUEST, &frame, &used, &err);
                if (r <= 0)
                        break;
                at += used;
                if (!take(client, &frame))
                        lose(client, "the enclave's init broke the protocol: a frame is out of place");
        }
        buf_consume(&client->in, at);
        if (r < 0)
                lose(client, error_text(&err));
}

/* ---- the thread ---------------------------------------------------------------------------------------- */

static void *run(void *user)
{
        struct client *client = user;
        uint64_t count;

        pthread_mutex_lock(&client->lock);
        while (!client->quit && !client->lost) {
                struct pollfd fds[] = {
                        {.fd = client->fd, .events = (short)(POLLIN | (client->out.n > 0 ? POLLOUT : 0))},
                        {.fd = client->wake_fd, .events = POLLIN}};
                pthread_mutex_unlock(&client->lock);
                int n = poll(fds, ARRAY_SIZE(fds), -1);
                pthread_mutex_lock(&client->lock);
                if (n < 0)
                        continue;
                if (fds[1].revents)
                        (void)!read(client->wake_fd, &count, sizeof(count));
                if (fds[0].revents & POLLOUT)
                        flush(client);
                if (fds[0].revents & (POLLIN | POLLHUP | POLLERR))
                        receive(client);
                take_frames(client);
        }
        pthread_mutex_unlock(&client->lock);
        return NULL;
}

int client_run(struct client *client, struct error *err)
{
        sigset_t all, before;

        /* Signals are for whoever hands them on by pal_kill(), and never for this thread. */
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        int r = pthread_create(&client->thread, NULL, run, client);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        if (r != 0)
                return error_errno(err, r, "start the thread that talks to the enclave");
        client->has_thread = true;
        return 0;
}

/* ---- before there is a thread -------------------------------------------------------------------------- */

/* Waits for a frame about the enclave as a whole; it is valid until more is read. */
static int await_frame(struct client *client, struct service_frame *ret_frame, struct error *err)
{
        uint64_t deadline = clock_ms() + (uint64_t)client->timeout_ms;
        size_t used;
        int r;

        while ((r = service_frame_decode(buf_view(&client->in), SERVICE_GUEST, ret_frame, &used, err)) == 0) {
                uint64_t now = clock_ms();
                struct pollfd p = {.fd = client->fd,
                                   .events = (short)(POLLIN | (client->out.n > 0 ? POLLOUT : 0))};
                if (now >= deadline || poll(&p, 1, (int)(deadline - now)) == 0)
                        return error_set(err, -ETIMEDOUT, "the enclave's init does not answer");
                if (p.revents & POLLOUT)
                        flush(client);
                if (p.revents & (POLLIN | POLLHUP | POLLERR))
                        receive(client);
                if (client->lost)
                        return error_set(err, -EIO, "%s", client->why);
        }
        if (r > 0)
                buf_consume(&client->in, used);
        return r < 0 ? r : 0;
}

static int failure_error(const struct service_frame *frame, struct error *err)
{
        int errnum = (int)(frame->failed.errnum & 4095);
        const char *path = frame->failed.path;

        error_set(err, errnum > 0 ? -errnum : -EIO, "in the enclave: cannot %s%s%.600s%s%s",
                  frame->failed.stage, *path ? ": " : "", path, errnum ? ": " : "",
                  errnum ? strerror(errnum) : "");
        return errnum > 0 ? -errnum : -EIO;
}

int client_new(int taken_fd, int timeout_ms, struct client **ret_client, struct error *err)
{
        cleanup_fd int fd = taken_fd;
        cleanup_client struct client *client = calloc(1, sizeof(*client));
        struct service_frame frame;

        if (!client)
                return error_oom(err);
        *client = (struct client){
                .fd = take_fd(&fd),
                .timeout_ms = timeout_ms,
                .wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
                .in = buf_with_max(SERVICE_FROM_GUEST_MAX + READ_SIZE),
                .out = buf_with_max(OUT_MAX),
        };
        pthread_mutex_init(&client->lock, NULL);
        pthread_cond_init(&client->changed, NULL);
        if (client->wake_fd < 0)
                return error_errno(err, errno, "eventfd");
        int r = await_frame(client, &frame, err);
        if (r < 0)
                return r;
        if (frame.type != SERVICE_HELLO || frame.version != SERVICE_VERSION)
                return error_set(err, -EPROTO, "the enclave's init speaks another protocol");
        *ret_client = take_pointer(&client);
        return 0;
}

int client_set_up(struct client *client, const struct service_container *container, struct error *err)
{
        cleanup_buf struct buf spec = buf_with_max(SERVICE_SPEC_MAX);
        struct service_frame frame = {.type = SERVICE_SETUP};
        int r = service_container_encode(container, &spec, err);

        if (r < 0)
                return r;
        frame.bytes = buf_view(&spec);
        client_send(client, &frame);
        r = await_frame(client, &frame, err);
        if (r < 0)
                return r;
        if (frame.type == SERVICE_FAILED && frame.process == 0)
                return failure_error(&frame, err);
        return frame.type == SERVICE_READY ? 0
                                           : error_set(err, -EPROTO, "the enclave's init broke the protocol");
}

static void process_free(struct client_process *process)
{
        for (int i = 0; i < SERVICE_STREAMS; i++)
                buf_done(&process->outputs[i].pending);
        fd_close_p(&process->wake_fd);
        free(process);
}

void client_free(struct client *client)
{
        if (!client)
                return;
        if (client->has_thread) {
                pthread_mutex_lock(&client->lock);
                client->quit = true;
                (void)!eventfd_write(client->wake_fd, 1);
                pthread_mutex_unlock(&client->lock);
                pthread_join(client->thread, NULL);
        }
        while (client->processes) {
                struct client_process *process = client->processes;
                client->processes = process->next;
                process_free(process);
        }
        pthread_mutex_destroy(&client->lock);
        pthread_cond_destroy(&client->changed);
        fd_close_p(&client->fd);
        fd_close_p(&client->wake_fd);
        buf_done(&client->in);
        buf_done(&client->out);
        free(client);
}

/* ---- processes ----------------------------------------------------------------------------------------- */

static void forget(struct client_process *process)
{
        struct client_process **at = &process->client->processes;

        while (*at != process)
                at = &(*at)->next;
        *at = process->next;
        process_free(process);
}

/* Waits until the process's state is another than `state`. */
static int await_change(struct client_process *process, enum client_state state, struct error *err)
{
        struct client *client = process->client;

        while (process->state == state && !client->lost)
                pthread_cond_wait(&client->changed, &client->lock);
        if (process->state == CLIENT_FAILED)
                return failure_error(&process->failure, err);
        return process->state == state ? error_set(err, -EIO, "%s", client->why) : 0;
}

static struct client_process *add_process(struct client *client, const struct client_stdio *stdio)
{
        struct client_process *process = calloc(1, sizeof(*process));

        if (!process)
                return NULL;
        *process = (struct client_process){.client = client,
                                           .next = client->processes,
                                           .id = ++client->last_id,
                                           .stdio = *stdio,
                                           .wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
                                           .input_window = SERVICE_WINDOW};
        for (int i = 0; i < SERVICE_STREAMS; i++)
                process->outputs[i] = (struct client_output){.pending = buf_with_max(SERVICE_WINDOW),
                                                             .window = SERVICE_WINDOW};
        client->processes = process;
        return process;
}

int client_create(struct client *client, const struct service_process *spec, const struct client_stdio *stdio,
                  int *ret_pid, struct error *err)
{
        cleanup_buf struct buf bytes = buf_with_max(SERVICE_SPEC_MAX);
        struct service_frame frame = {.type = SERVICE_CREATE};
        int r = service_process_encode(spec, &bytes, err);

        if (r < 0)
                return r;
        pthread_mutex_lock(&client->lock);
        struct client_process *process = add_process(client, stdio);
        if (!process || process->wake_fd < 0) {
                r = error_oom(err);
        } else {
                frame.process = process->id;
                frame.bytes = buf_view(&bytes);
                client_send(client, &frame);
                r = await_change(process, CLIENT_ASKED, err);
                *ret_pid = (int)process->id;
        }
        if (r < 0 && process)
                forget(process);
        pthread_mutex_unlock(&client->lock);
        return r;
}

static void send_signal(struct client *client, uint32_t process, int signal)
{
        const struct service_frame frame = {
                .type = SERVICE_SIGNAL, .process = process, .signal = (uint32_t)signal};

        client_send(client, &frame);
}

/* To init a process that it hasn't started is nobody to signal. */
static void hold_signal(struct client_process *process, int signal)
{
        if (signal >= 1 && signal <= SERVICE_SIGNAL_MAX)
                process->held |= UINT64_C(1) << (signal - 1);
}

static void send_start(struct client_process *process)
{
        const struct service_frame start = {.type = SERVICE_START, .process = process->id};

        client_send(process->client, &start);
        process->start_was_sent = true;
        for (int signal = 1; signal <= SERVICE_SIGNAL_MAX; signal++) {
                if (process->held & UINT64_C(1) << (signal - 1))
                        send_signal(process->client, process->id, signal);
        }
}

static int exec(struct client_process *process, int *ret_status, struct error *err)
{
        client_streams_resize(process);
        send_start(process);
        int r = await_change(process, CLIENT_CREATED, err);
        if (r < 0)
                return r;
        client_streams_resize(process);
        client_streams_serve(process);
        if (process->state == CLIENT_ENDED)
                *ret_status = process->status;
        else if (process->id > 1)
                *ret_status = 128 + SIGKILL;
        else
                return error_set(err, -EIO, "%s", process->client->why);
        return 0;
}

int client_exec(struct client *client, int pid, int *ret_status, struct error *err)
{
        int r = -ESRCH;

        pthread_mutex_lock(&client->lock);
        struct client_process *process = find(client, (uint32_t)pid);
        if (process && process->state == CLIENT_CREATED)
                r = exec(process, ret_status, err);
        else
                error_set(err, -ESRCH, "there is no process %d that could be started", pid);
        if (process)
                forget(process);
        pthread_mutex_unlock(&client->lock);
        return r;
}

/* All that there are, and those that are about to be. */
static void kill_all(struct client *client, int signal)
{
        for (struct client_process *process = client->processes; process; process = process->next) {
                if (!process->start_was_sent)
                        hold_signal(process, signal);
        }
        send_signal(client, 0, signal);
}

int client_kill(struct client *client, int pid, int signal, struct error *err)
{
        int r = 0;

        pthread_mutex_lock(&client->lock);
        struct client_process *process = pid > 0 ? find(client, (uint32_t)pid) : NULL;
        if (pid > 0 && !process)
                r = error_set(err, -ESRCH, "there is no process %d", pid);
        else if (!process)
                kill_all(client, signal);
        else if (signal == SIGWINCH && process->stdio.terminal)
                client_streams_resize(process);
        else if (!process->start_was_sent)
                hold_signal(process, signal);
        else
                send_signal(client, process->id, signal);
        pthread_mutex_unlock(&client->lock);
        return r;
}
