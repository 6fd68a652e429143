/* SPDX-License-Identifier: Apache-2.0 */
/*
 * service.c - the connection to the parent, and the life of processes.
 *
 * Theory of operation.  One thread, one loop.  Whatever happens ends in service_settle(): processes that
 * have exited and left nothing unsent are told of and forgotten, streams are watched for what they can do
 * now, and so is the connection.  The parent isn't read while replies pile up, nor processes while the
 * connection is congested; as the parent always reads, both pass.
 *
 * The parent's frames come in order, and so do their effects.  Where it breaks a rule, or has gone, the
 * service is over: what runs in the enclave is of no use without it.
 */
#include "guest/service-internal.h"

#include "lib/base/fd.h"

#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

enum {
        OUT_CONGESTED = 256 * 1024,   /* from here on no process is read */
        OUT_FULL = 2 * OUT_CONGESTED, /* ... nor the parent */
        OUT_MAX = 4 * OUT_CONGESTED,  /* what the rest may add: ends of 512 processes, grants */
        READ_SIZE = 64 * 1024,
};

bool service_is_congested(const struct service *service)
{
        return service->out.n >= OUT_CONGESTED;
}

/* ---- the end ---- */

static void end(struct service *service, const char *why)
{
        if (service->is_over)
                return;
        service->is_over = true;
        loop_remove(&service->source);
        service->hooks.over(service->first_status, why, service->hooks.user);
}

void service_send(struct service *service, const struct service_frame *frame)
{
        if (!service->is_over && service_frame_encode(frame, &service->out) < 0)
                end(service, "out of memory for what is to be sent");
}

static void send_simple(struct service *service, enum service_type type, uint32_t process)
{
        const struct service_frame frame = {.type = type, .process = process};

        service_send(service, &frame);
}

static void send_failed(struct service *service, uint32_t process, const struct failure *f)
{
        const struct service_frame frame =
                service_frame_failed(process, (uint32_t)f->errnum, f->stage, f->path);

        service_send(service, &frame);
}

/* ---- processes ---- */

static struct service_process_entry *find(struct service *service, uint32_t id)
{
        struct service_process_entry *process = service->processes;

        while (process && process->id != id)
                process = process->next;
        return process;
}

static void forget(struct service_process_entry *process)
{
        struct service *service = process->service;
        struct service_process_entry **at = &service->processes;

        while (*at != process)
                at = &(*at)->next;
        *at = process->next;
        service->n_processes--;
        service_streams_close(process);
        service_process_done(&process->spec);
        buf_done(&process->encoded);
        free(process);
}

static void tell_end(struct service_process_entry *process)
{
        struct service_frame frame = {.type = SERVICE_EXITED, .process = process->id};

        if (WIFSIGNALED(process->status)) {
                frame.type = SERVICE_SIGNALED;
                frame.signaled.signal = (uint32_t)WTERMSIG(process->status);
                frame.signaled.core = WCOREDUMP(process->status);
        } else {
                frame.status = (uint32_t)WEXITSTATUS(process->status);
        }
        service_send(process->service, &frame);
}

static void settle_processes(struct service *service)
{
        struct service_process_entry *next;

        for (struct service_process_entry *process = service->processes; process; process = next) {
                next = process->next;
                if (process->exited && service_streams_drained(process)) {
                        tell_end(process);
                        forget(process);
                } else {
                        service_streams_watch(process);
                }
        }
}

/* ---- what the parent asks ---- */

static bool take_setup(struct service *service, const struct service_frame *frame)
{
        cleanup_service_container struct service_container container = {0};
        struct failure f = {0};
        struct error err = {0};

        if (service->setup_came)
                return false;
        service->setup_came = true;
        int r = service_container_decode(frame->bytes, &container, &err);
        if (r < 0)
                failure_set(&f, 0, NULL, "understand the container's configuration: %.180s",
                            error_text(&err));
        else
                r = service->hooks.set_up(&container, service->hooks.user, &f);
        service->is_set_up = r == 0;
        if (r < 0)
                send_failed(service, 0, &f);
        else
                send_simple(service, SERVICE_READY, 0);
        return true;
}

static int keep_spec(struct service_process_entry *process, struct view bytes, struct failure *f)
{
        struct error err = {0};

        if (process->service->n_processes > SERVICE_PROCESSES_MAX)
                return failure_set(f, EAGAIN, NULL, "run more than %d processes at a time",
                                   SERVICE_PROCESSES_MAX);
        if (process->service->first_status >= 0)
                return failure_set(f, ESRCH, NULL, "run another process: the container's own has ended");
        process->encoded = buf_with_max(SERVICE_SPEC_MAX);
        int r = buf_append_view(&process->encoded, bytes);
        if (r < 0)
                return failure_set(f, -r, NULL, "keep the process's configuration");
        r = service_process_decode(bytes, &process->spec, &err);
        if (r < 0)
                return failure_set(f, 0, NULL, "understand the process's configuration: %.180s",
                                   error_text(&err));
        process->terminal = process->spec.terminal;
        return 0;
}

static bool take_create(struct service *service, const struct service_frame *frame)
{
        struct failure f = {0};

        if (!service->is_set_up || find(service, frame->process))
                return false;
        struct service_process_entry *process = calloc(1, sizeof(*process));
        if (!process) {
                failure_set(&f, ENOMEM, NULL, "make a process");
                send_failed(service, frame->process, &f);
                return true;
        }
        process->service = service;
        process->id = frame->process;
        process->first = !service->first_came;
        process->next = service->processes;
        for (int i = 0; i < SERVICE_STREAMS; i++)
                process->pipes[i].fd = -1;
        service->processes = process;
        service->n_processes++;
        if (keep_spec(process, frame->bytes, &f) < 0) {
                send_failed(service, process->id, &f);
                forget(process);
                return true;
        }
        service->first_came = true;
        send_simple(service, SERVICE_CREATED, process->id);
        return true;
}

static void close_stdio(const int stdio[3])
{
        for (int i = 0; i < 3; i++) {
                if (stdio[i] >= 0 && (i == 0 || stdio[i] != stdio[0]))
                        close(stdio[i]);
        }
}

static int start(struct service_process_entry *process, struct failure *f)
{
        const struct service_hooks *hooks = &process->service->hooks;
        int stdio[3] = {-1, -1, -1};
        int r = service_streams_open(process, stdio, f);

        if (r == 0)
                r = hooks->start(process->first, &process->spec, buf_view(&process->encoded), stdio,
                                 &process->pid, hooks->user, f);
        close_stdio(stdio);
        service_process_done(&process->spec);
        buf_done(&process->encoded);
        return r;
}

static bool take_start(struct service *service, const struct service_frame *frame)
{
        struct service_process_entry *process = find(service, frame->process);
        struct failure f = {0};

        if (!process || process->started)
                return false;
        struct service_frame started = {.type = SERVICE_STARTED, .process = process->id};
        if (start(process, &f) < 0) {
                send_failed(service, process->id, &f);
                forget(process);
                return true;
        }
        process->started = true;
        started.pid = (uint32_t)process->pid;
        service_send(service, &started);
        return true;
}

/* What comes for a process that has ended meanwhile is no mistake of the parent's. */
static bool take_signal(struct service *service, const struct service_frame *frame)
{
        struct service_process_entry *process = find(service, frame->process);

        if (frame->process == 0)
                service->hooks.signal_all((int)frame->signal, service->hooks.user);
        else if (process && process->pid > 0)
                kill(process->pid, (int)frame->signal);
        return true;
}

static bool take_resize(struct service *service, const struct service_frame *frame)
{
        const struct winsize size = {.ws_row = frame->size.rows, .ws_col = frame->size.columns};
        struct service_process_entry *process = find(service, frame->process);

        if (process && process->terminal && process->pipes[SERVICE_STDOUT].fd >= 0)
                ioctl(process->pipes[SERVICE_STDOUT].fd, TIOCSWINSZ, &size);
        return true;
}

static bool take_shutdown(struct service *service, const struct service_frame *frame)
{
        (void)frame;
        end(service, NULL);
        return true;
}

static bool take_stream(struct service *service, const struct service_frame *frame)
{
        struct service_process_entry *process = find(service, frame->process);

        return !process || service_streams_take(process, frame);
}

static bool take(struct service *service, const struct service_frame *frame)
{
        static const struct {
                enum service_type type;
                bool (*take)(struct service *service, const struct service_frame *frame);
        } table[] = {
                {SERVICE_DATA, take_stream},   {SERVICE_END, take_stream},
                {SERVICE_CLOSE, take_stream},  {SERVICE_GRANT, take_stream},
                {SERVICE_SETUP, take_setup},   {SERVICE_CREATE, take_create},
                {SERVICE_START, take_start},   {SERVICE_SIGNAL, take_signal},
                {SERVICE_RESIZE, take_resize}, {SERVICE_SHUTDOWN, take_shutdown},
        };

        for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
                if (table[i].type == frame->type)
                        return table[i].take(service, frame);
        }
        return false;
}

/* ---- the connection ---- */

static void take_frames(struct service *service)
{
        struct service_frame frame;
        struct error err = {0};
        size_t used, at = 0;
        int r = 0;

        while (!service->is_over && service->out.n < OUT_FULL) {
                struct view rest = view_of(service->in.p + at, service->in.n - at);
                r = service_frame_decode(rest, SERVICE_PARENT, &frame, &used, &err);
                if (r <= 0)
                        break;
                if (!take(service, &frame)) {
                        error_set(&err, -EBADMSG, "frame of type 0x%02x for process %u is out of place",
                                  (unsigned)frame.type, frame.process);
                        r = -EBADMSG;
                        break;
                }
                at += used;
        }
        service->frames_wait = service->out.n >= OUT_FULL;
        buf_consume(&service->in, at);
        if (r < 0)
                end(service, error_text(&err));
}

static void flush(struct service *service)
{
        while (!service->is_over && service->out.n > 0) {
                ssize_t n = send(service->fd, service->out.p, service->out.n, MSG_NOSIGNAL | MSG_DONTWAIT);
                if (n < 0 && (errno == EAGAIN || errno == EINTR))
                        return;
                if (n < 0)
                        end(service, strerror(errno));
                else
                        buf_consume(&service->out, (size_t)n);
        }
}

void service_settle(struct service *service)
{
        flush(service);
        if (service->is_over)
                return;
        settle_processes(service);
        flush(service);
        if (service->is_over)
                return;
        /* For frames that are here already no event comes but that there is room for replies. */
        bool writes = service->out.n > 0 || service->frames_wait;
        uint32_t events =
                (service->out.n < OUT_FULL ? (uint32_t)EPOLLIN : 0) | (writes ? (uint32_t)EPOLLOUT : 0);
        loop_set_events(service->source, events);
}

static void receive(struct service *service)
{
        int r = buf_reserve(&service->in, READ_SIZE);

        if (r < 0) {
                end(service, strerror(-r));
                return;
        }
        ssize_t n = recv(service->fd, service->in.p + service->in.n, READ_SIZE, MSG_DONTWAIT);
        if (n == 0)
                end(service, "the parent has closed the connection");
        else if (n < 0 && errno != EAGAIN && errno != EINTR)
                end(service, strerror(errno));
        else if (n > 0)
                service->in.n += (size_t)n;
}

static int on_connection(struct loop_source *source, int fd, uint32_t events, void *user)
{
        struct service *service = user;

        (void)source;
        (void)fd;
        if (events & (EPOLLIN | EPOLLERR | EPOLLHUP) && service->out.n < OUT_FULL)
                receive(service);
        take_frames(service);
        service_settle(service);
        return 0;
}

/* ---- for init ---- */

int service_new(struct loop *loop, int fd, const struct service_hooks *hooks, const struct log *log,
                struct service **ret_service, struct error *err)
{
        const struct service_frame hello = {.type = SERVICE_HELLO, .version = SERVICE_VERSION};
        struct service *service = calloc(1, sizeof(*service));

        if (!service) {
                close(fd);
                return error_oom(err);
        }
        *service = (struct service){
                .loop = loop,
                .hooks = *hooks,
                .log = log,
                .fd = fd,
                .in = buf_with_max(SERVICE_FROM_PARENT_MAX + READ_SIZE),
                .out = buf_with_max(OUT_MAX),
                .first_status = -1,
        };
        int r = loop_add_fd(loop, fd, EPOLLIN, on_connection, service, &service->source, err);
        if (r < 0) {
                service_free(service);
                return r;
        }
        service_send(service, &hello);
        service_settle(service);
        *ret_service = service;
        return 0;
}

void service_free(struct service *service)
{
        if (!service)
                return;
        while (service->processes)
                forget(service->processes);
        loop_remove(&service->source);
        fd_close_p(&service->fd);
        buf_done(&service->in);
        buf_done(&service->out);
        free(service);
}

/* The others end with the container's process. */
static void first_ended(struct service *service, int status)
{
        service->first_status = status;
        for (struct service_process_entry *other = service->processes; other; other = other->next) {
                if (other->pid > 0)
                        kill(other->pid, SIGKILL);
        }
}

void service_reaped(struct service *service, pid_t pid, int status)
{
        for (struct service_process_entry *process = service->processes; process; process = process->next) {
                if (process->pid != pid)
                        continue;
                process->pid = 0;
                process->exited = true;
                process->status = status;
                service_streams_exited(process);
                if (process->first)
                        first_ended(service, status);
                service_settle(service);
                return;
        }
}

void service_signal(struct service *service, int signal)
{
        for (struct service_process_entry *process = service->processes; process; process = process->next) {
                if (process->first && process->pid > 0)
                        kill(process->pid, signal);
        }
}
