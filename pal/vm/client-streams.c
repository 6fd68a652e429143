/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client-streams.c - between a process's streams and those that the PAL was given.
 *
 * Those may be anything, and they are others' too, so they are never made non-blocking: what poll(2) says is
 * ready takes or gives PIPE_BUF bytes without waiting.  A terminal is put into raw mode meanwhile, as the
 * enclave's own terminal does all that the mode was for.
 */
#include "pal/vm/client-internal.h"

#include "lib/base/fd.h"

#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

/* ---- frames -------------------------------------------------------------------------------------------- */

static void send_about(const struct client_process *process, enum service_type type, int stream)
{
        const struct service_frame frame = {
                .type = type, .process = process->id, .stream = (enum service_stream)stream};

        client_send(process->client, &frame);
}

static bool take_data(struct client_process *process, const struct service_frame *frame)
{
        struct client_output *output = &process->outputs[frame->stream];

        if (frame->stream == SERVICE_STDIN || frame->bytes.n > output->window)
                return false;
        output->window -= (uint32_t)frame->bytes.n;
        if (output->closed)
                return true;
        return buf_append_view(&output->pending, frame->bytes) == 0;
}

static bool take_window(struct client_process *process, const struct service_frame *frame)
{
        if (frame->stream != SERVICE_STDIN || frame->taken > SERVICE_WINDOW - process->input_window)
                return false;
        process->input_window += frame->taken;
        return true;
}

bool client_streams_take(struct client_process *process, const struct service_frame *frame)
{
        bool good = process->state == CLIENT_STARTED;

        if (good && frame->type == SERVICE_DATA)
                good = take_data(process, frame);
        else if (good && frame->type == SERVICE_GRANT)
                good = take_window(process, frame);
        else if (good && frame->type == SERVICE_CLOSE)
                process->input_ended = true; /* the end of an output says no more than the process's own */
        client_wake(process);
        return good;
}

void client_streams_resize(struct client_process *process)
{
        struct service_frame frame = {.type = SERVICE_RESIZE, .process = process->id};
        struct winsize size;

        if (!process->stdio.terminal || ioctl(process->stdio.fds[0], TIOCGWINSZ, &size) < 0)
                return;
        frame.size.rows = size.ws_row;
        frame.size.columns = size.ws_col;
        client_send(process->client, &frame);
}

/* ---- input --------------------------------------------------------------------------------------------- */

static void end_input(struct client_process *process)
{
        process->input_ended = true;
        send_about(process, SERVICE_END, SERVICE_STDIN);
}

static void read_input(struct client_process *process)
{
        struct service_frame frame = {.type = SERVICE_DATA, .process = process->id, .stream = SERVICE_STDIN};
        uint8_t bytes[SERVICE_DATA_MAX];
        size_t room = process->input_window < sizeof(bytes) ? process->input_window : sizeof(bytes);
        struct client *client = process->client;

        pthread_mutex_unlock(&client->lock);
        ssize_t n = read(process->stdio.fds[0], bytes, room);
        int errnum = errno;
        pthread_mutex_lock(&client->lock);
        if (n < 0 && (errnum == EAGAIN || errnum == EINTR))
                return;
        if (process->input_ended)
                return;
        if (n <= 0) {
                end_input(process);
                return;
        }
        frame.bytes = view_of(bytes, (size_t)n);
        process->input_window -= (uint32_t)n;
        client_send(client, &frame);
}

/* ---- output -------------------------------------------------------------------------------------------- */

static void grant(struct client_process *process, int stream, size_t n)
{
        struct service_frame frame = {
                .type = SERVICE_GRANT, .process = process->id, .stream = (enum service_stream)stream};

        process->outputs[stream].window += (uint32_t)n;
        if (process->state != CLIENT_STARTED)
                return; /* it will not write any more */
        frame.taken = (uint32_t)n;
        client_send(process->client, &frame);
}

static void write_output(struct client_process *process, int stream)
{
        struct client_output *output = &process->outputs[stream];
        struct client *client = process->client;
        uint8_t bytes[PIPE_BUF];
        size_t n = output->pending.n < sizeof(bytes) ? output->pending.n : sizeof(bytes);

        /* A copy, since the buffer may move while the lock is given up. */
        memcpy(bytes, output->pending.p, n);
        pthread_mutex_unlock(&client->lock);
        ssize_t written = write(process->stdio.fds[stream], bytes, n);
        int errnum = errno;
        pthread_mutex_lock(&client->lock);
        if (written < 0 && (errnum == EAGAIN || errnum == EINTR))
                return;
        if (written < 0) {
                output->closed = true;
                buf_done(&output->pending);
                if (process->state == CLIENT_STARTED)
                        send_about(process, SERVICE_CLOSE, stream);
                return;
        }
        buf_consume(&output->pending, (size_t)written);
        grant(process, stream, (size_t)written);
}

/* ---- serving ------------------------------------------------------------------------------------------- */

static bool is_done(const struct client_process *process)
{
        if (process->state == CLIENT_STARTED && !process->client->lost)
                return false;
        return process->outputs[SERVICE_STDOUT].pending.n == 0 &&
               process->outputs[SERVICE_STDERR].pending.n == 0;
}

static bool wants_input(const struct client_process *process)
{
        return process->state == CLIENT_STARTED && !process->client->lost && !process->input_ended &&
               process->input_window > 0 && !client_is_congested(process->client);
}

/* Waits for something to do, without the lock. */
static void wait_for_work(struct client_process *process, struct pollfd fds[4])
{
        struct client *client = process->client;
        uint64_t count;

        for (int i = 0; i < SERVICE_STREAMS; i++) {
                bool wanted = i == SERVICE_STDIN ? wants_input(process) : process->outputs[i].pending.n > 0;
                fds[i] = (struct pollfd){.fd = wanted ? process->stdio.fds[i] : -1,
                                         .events = i == SERVICE_STDIN ? POLLIN : POLLOUT};
        }
        fds[3] = (struct pollfd){.fd = process->wake_fd, .events = POLLIN};
        pthread_mutex_unlock(&client->lock);
        while (poll(fds, 4, -1) < 0 && errno == EINTR)
                ;
        if (fds[3].revents)
                (void)!read(process->wake_fd, &count, sizeof(count));
        pthread_mutex_lock(&client->lock);
}

static void serve(struct client_process *process)
{
        struct pollfd fds[4];

        while (!is_done(process)) {
                wait_for_work(process, fds);
                if (fds[SERVICE_STDIN].revents && wants_input(process))
                        read_input(process);
                for (int i = SERVICE_STDOUT; i < SERVICE_STREAMS; i++) {
                        if (fds[i].revents && process->outputs[i].pending.n > 0)
                                write_output(process, i);
                }
        }
}

void client_streams_serve(struct client_process *process)
{
        struct termios before = {0}, raw;
        bool is_raw = process->stdio.terminal && tcgetattr(process->stdio.fds[0], &before) == 0;

        if (is_raw) {
                raw = before;
                cfmakeraw(&raw);
                is_raw = tcsetattr(process->stdio.fds[0], TCSANOW, &raw) == 0;
        }
        serve(process);
        if (is_raw)
                (void)tcsetattr(process->stdio.fds[0], TCSANOW, &before);
}
