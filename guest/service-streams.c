/* SPDX-License-Identifier: Apache-2.0 */
/*
 * service-streams.c - the streams of a process: pipes, or one terminal.
 *
 * Output is read only while the parent has granted bytes and the connection isn't congested, so it never has
 * to be kept.  Input that the process doesn't take is kept, a window's worth at most, and granted anew as it
 * goes.  A descriptor that nothing is wanted of isn't watched at all: epoll tells hang-ups even to those who
 * don't ask, again and again.
 */
#include "guest/service-internal.h"

#include "lib/base/fd.h"

#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

/* More than the kernel keeps of a terminal's output. */
enum { TERMINAL_MAX = 64 * 1024 };

static void close_pipe(struct service_pipe *pipe)
{
        loop_remove(&pipe->source);
        pipe->events = 0;
        fd_close_p(&pipe->fd);
        buf_done(&pipe->pending);
}

void service_streams_close(struct service_process_entry *process)
{
        for (int i = 0; i < SERVICE_STREAMS; i++)
                close_pipe(&process->pipes[i]);
}

static void send_about(const struct service_pipe *pipe, enum service_type type)
{
        const struct service_frame frame = {
                .type = type, .process = pipe->process->id, .stream = pipe->stream};

        service_send(pipe->process->service, &frame);
}

/* ---- making ---- */

static int set_nonblocking(int fd, struct failure *f)
{
        int r = fd_set_nonblocking(fd);

        return r < 0 ? failure_set(f, -r, NULL, "make a stream") : 0;
}

static int open_pipes(struct service_process_entry *process, int ret_stdio[3], struct failure *f)
{
        for (int i = 0; i < SERVICE_STREAMS; i++) {
                int ends[2];
                if (pipe2(ends, O_CLOEXEC) < 0)
                        return failure_set(f, errno, NULL, "make a pipe");
                int ours = i == SERVICE_STDIN;
                process->pipes[i].fd = ends[ours];
                ret_stdio[i] = ends[!ours];
                int r = set_nonblocking(ends[ours], f);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int open_terminal(struct service_process_entry *process, int ret_stdio[3], struct failure *f)
{
        const struct service_hooks *hooks = &process->service->hooks;
        const struct winsize size = {.ws_row = process->spec.rows, .ws_col = process->spec.columns};
        cleanup_fd int master = -1;
        int r = hooks->open_terminal(&master, &ret_stdio[0], hooks->user, f);

        if (r < 0)
                return r;
        ioctl(master, TIOCSWINSZ, &size);
        ret_stdio[1] = ret_stdio[2] = ret_stdio[0];
        r = set_nonblocking(master, f);
        if (r < 0)
                return r;
        /* Two descriptors, as epoll watches one only once. */
        process->pipes[SERVICE_STDIN].fd = fcntl(master, F_DUPFD_CLOEXEC, 0);
        if (process->pipes[SERVICE_STDIN].fd < 0)
                return failure_set(f, errno, NULL, "make a stream");
        process->pipes[SERVICE_STDOUT].fd = take_fd(&master);
        process->pipes[SERVICE_STDERR].ended = true;
        return 0;
}

int service_streams_open(struct service_process_entry *process, int ret_stdio[3], struct failure *f)
{
        for (int i = 0; i < SERVICE_STREAMS; i++) {
                process->pipes[i] = (struct service_pipe){
                        .process = process,
                        .stream = (enum service_stream)i,
                        .fd = -1,
                        .window = SERVICE_WINDOW,
                        .pending = buf_with_max(SERVICE_WINDOW),
                };
                ret_stdio[i] = -1;
        }
        return process->terminal ? open_terminal(process, ret_stdio, f) : open_pipes(process, ret_stdio, f);
}

/* ---- output ---- */

static void end_output(struct service_pipe *pipe)
{
        close_pipe(pipe);
        if (!pipe->ended)
                send_about(pipe, SERVICE_END);
        pipe->ended = true;
}

/* Reads once. 1: there may be more; 0: nothing now; -1: the end. */
static int read_output(struct service_pipe *pipe)
{
        bool limited = pipe->process->exited;
        uint8_t bytes[SERVICE_DATA_MAX];
        size_t room = pipe->window < sizeof(bytes) ? pipe->window : sizeof(bytes);

        if (limited && pipe->left < room)
                room = pipe->left;
        ssize_t n = read(pipe->fd, bytes, room);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return 0;
        if (n <= 0) /* a terminal that nobody has open any more says EIO */
                return -1;
        struct service_frame frame = {
                .type = SERVICE_DATA, .process = pipe->process->id, .stream = pipe->stream};
        frame.bytes = view_of(bytes, (size_t)n);
        pipe->window -= (uint32_t)n;
        if (limited)
                pipe->left -= (size_t)n;
        service_send(pipe->process->service, &frame);
        return 1;
}

static bool is_used_up(const struct service_pipe *pipe)
{
        return pipe->process->exited && pipe->left == 0;
}

static bool may_read(const struct service_pipe *pipe)
{
        return pipe->fd >= 0 && !pipe->ended && pipe->window > 0 && !is_used_up(pipe) &&
               !service_is_congested(pipe->process->service);
}

static int on_output(struct loop_source *source, int fd, uint32_t events, void *user)
{
        struct service_pipe *pipe = user;

        (void)source;
        (void)fd;
        (void)events;
        if (may_read(pipe) && read_output(pipe) < 0)
                end_output(pipe);
        service_settle(pipe->process->service);
        return 0;
}

void service_streams_exited(struct service_process_entry *process)
{
        for (int i = SERVICE_STDOUT; i < SERVICE_STREAMS; i++) {
                struct service_pipe *pipe = &process->pipes[i];
                int room = pipe->fd < 0 ? 0 : fcntl(pipe->fd, F_GETPIPE_SZ);
                pipe->left = room < 0 ? TERMINAL_MAX : (size_t)room;
        }
}

bool service_streams_drained(struct service_process_entry *process)
{
        bool drained = true;

        for (int i = SERVICE_STDOUT; i < SERVICE_STREAMS; i++) {
                struct service_pipe *pipe = &process->pipes[i];
                int r = 1;
                while (may_read(pipe) && (r = read_output(pipe)) > 0)
                        ;
                /* What others write behind the process's end is nobody's. */
                if (pipe->fd >= 0 && (r <= 0 || is_used_up(pipe)))
                        end_output(pipe);
                drained = drained && pipe->ended;
        }
        return drained;
}

/* ---- input ---- */

/* The process takes no more. */
static void break_input(struct service_pipe *pipe)
{
        close_pipe(pipe);
        if (!pipe->ended)
                send_about(pipe, SERVICE_CLOSE);
        pipe->ended = true;
}

static void grant(struct service_pipe *pipe, size_t n)
{
        struct service_frame frame = {
                .type = SERVICE_GRANT, .process = pipe->process->id, .stream = pipe->stream};

        frame.taken = (uint32_t)n;
        pipe->window += (uint32_t)n;
        service_send(pipe->process->service, &frame);
}

static void write_input(struct service_pipe *pipe)
{
        size_t before = pipe->pending.n;

        while (pipe->pending.n > 0) {
                ssize_t n = write(pipe->fd, pipe->pending.p, pipe->pending.n);
                if (n < 0 && (errno == EAGAIN || errno == EINTR))
                        break;
                if (n < 0) {
                        break_input(pipe);
                        return;
                }
                buf_consume(&pipe->pending, (size_t)n);
        }
        if (pipe->pending.n < before && !pipe->ended)
                grant(pipe, before - pipe->pending.n);
        /* A terminal stays: its other user is the output. */
        if (pipe->ended && pipe->pending.n == 0 && !pipe->process->terminal)
                close_pipe(pipe);
}

static int on_input(struct loop_source *source, int fd, uint32_t events, void *user)
{
        struct service_pipe *pipe = user;

        (void)source;
        (void)fd;
        if (events & EPOLLERR && !(events & EPOLLOUT))
                break_input(pipe);
        else
                write_input(pipe);
        service_settle(pipe->process->service);
        return 0;
}

/* ---- what the parent says ---- */

static bool take_data(struct service_pipe *pipe, struct view bytes)
{
        if (pipe->stream != SERVICE_STDIN || pipe->ended || bytes.n > pipe->window) {
                /* What was on its way when the process closed its end is dropped. */
                return pipe->stream == SERVICE_STDIN && pipe->fd < 0 && bytes.n <= pipe->window;
        }
        pipe->window -= (uint32_t)bytes.n;
        if (buf_append_view(&pipe->pending, bytes) < 0)
                return false;
        write_input(pipe);
        return true;
}

static bool take_window(struct service_pipe *pipe, uint32_t n)
{
        if (pipe->stream == SERVICE_STDIN || n > SERVICE_WINDOW - pipe->window)
                return false;
        pipe->window += n;
        return true;
}

static bool take_end(struct service_pipe *pipe)
{
        if (pipe->stream != SERVICE_STDIN)
                return false;
        if (pipe->ended)
                return pipe->fd < 0;
        pipe->ended = true;
        write_input(pipe);
        return true;
}

static bool take_close(struct service_pipe *pipe)
{
        if (pipe->stream == SERVICE_STDIN)
                return false;
        end_output(pipe);
        return true;
}

bool service_streams_take(struct service_process_entry *process, const struct service_frame *frame)
{
        struct service_pipe *pipe = &process->pipes[frame->stream];

        if (!process->started)
                return false;
        if (frame->type == SERVICE_DATA)
                return take_data(pipe, frame->bytes);
        if (frame->type == SERVICE_GRANT)
                return take_window(pipe, frame->taken);
        return frame->type == SERVICE_END ? take_end(pipe) : take_close(pipe);
}

/* ---- watching ---- */

static void watch(struct service_pipe *pipe, uint32_t events, loop_fd_fn fn)
{
        if (events == pipe->events)
                return;
        if (!events) {
                loop_remove(&pipe->source);
        } else if (pipe->source) {
                loop_set_events(pipe->source, events);
        } else if (loop_add_fd(pipe->process->service->loop, pipe->fd, events, fn, pipe, &pipe->source,
                               NULL) < 0) {
                /* Without memory to watch it there is no telling when it goes on. */
                end_output(pipe);
                return;
        }
        pipe->events = events;
}

void service_streams_watch(struct service_process_entry *process)
{
        if (!process->started)
                return;
        for (int i = 0; i < SERVICE_STREAMS; i++) {
                struct service_pipe *pipe = &process->pipes[i];
                if (pipe->fd < 0)
                        continue;
                if (pipe->stream == SERVICE_STDIN)
                        watch(pipe, pipe->pending.n > 0 ? EPOLLOUT : 0, on_input);
                else
                        watch(pipe, may_read(pipe) ? EPOLLIN : 0, on_output);
        }
}
