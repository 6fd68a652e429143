/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/leash-end.h"

#include "lib/enclave/control.h"

#include <sys/socket.h>

struct leash_end {
        int fd;
        struct leash_events events;
        struct loop_source *source;
        struct buf input;
};

static void let_go(struct leash_end *end)
{
        loop_remove(&end->source);
        end->events.stop(0, end->events.user);
}

static bool take_line(struct leash_end *end, struct view line)
{
        struct control_request request;

        if (control_decode_request(line, &request, NULL) < 0)
                return false;
        if (request.op == CONTROL_STOP)
                end->events.stop(request.grace_ms, end->events.user);
        else if (request.op == CONTROL_SIGNAL)
                end->events.signal(request.signal, end->events.user);
        else
                return false;
        return true;
}

static int on_leash(struct loop_source *source, int fd, uint32_t events, void *user)
{
        struct leash_end *end = user;
        uint8_t piece[CONTROL_REQUEST_MAX];
        struct view line;
        size_t used;
        ssize_t n = recv(fd, piece, sizeof(piece), MSG_DONTWAIT);

        (void)source;
        (void)events;
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return 0;
        /* Who sends nonsense has lost its mind, or its memory to somebody else. */
        bool good = n > 0 && buf_append(&end->input, piece, (size_t)n) == 0;
        while (good && control_line(buf_view(&end->input), &line, &used)) {
                good = take_line(end, line);
                buf_consume(&end->input, used);
        }
        if (!good)
                let_go(end);
        return 0;
}

int leash_end_new(struct loop *loop, int fd, const struct leash_events *events, struct leash_end **ret_end,
                  struct error *err)
{
        cleanup_leash_end struct leash_end *end = calloc(1, sizeof(*end));

        if (!end)
                return error_oom(err);
        *end = (struct leash_end){
                .fd = fd, .events = *events, .input = buf_with_max((size_t)2 * CONTROL_REQUEST_MAX)};
        int r = loop_add_fd(loop, fd, EPOLLIN, on_leash, end, &end->source, err);
        if (r < 0)
                return r;
        *ret_end = take_pointer(&end);
        return 0;
}

void leash_end_finish(struct leash_end *end, const struct enclave_info *info)
{
        const struct control_reply reply = {.has_info = true, .info = *info};
        cleanup_buf struct buf line = buf_with_max(CONTROL_LINE_MAX);

        if (end && control_append_reply(&reply, &line) == 0)
                (void)!send(end->fd, line.p, line.n, MSG_DONTWAIT | MSG_NOSIGNAL);
}

void leash_end_free(struct leash_end *end)
{
        if (!end)
                return;
        loop_remove(&end->source);
        buf_done(&end->input);
        free(end);
}
