/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/container/runelet/agent.h"

#include "lib/base/fd.h"

#include <string.h>
#include <sys/socket.h>

enum { ERRNO_MAX = 4095 };

/* Room for the streams of an EXEC and one more, which is seen (and refused). */
union control {
        struct cmsghdr align;
        char bytes[CMSG_SPACE((AGENT_STREAMS + 1) * sizeof(int))];
};

void agent_message_done(struct agent_message *message)
{
        buf_done(&message->body);
        for (size_t i = 0; i < AGENT_STREAMS; i++)
                fd_close_p(&message->fds[i]);
}

/* ---- out ----------------------------------------------------------------------------------------------- */

static int send_header(int socket, const uint8_t header[AGENT_HEADER_SIZE], const int *fds)
{
        union {
                const void *in;
                void *out;
        } base = {.in = header}; /* sendmsg(2) only reads it */
        struct iovec part = {.iov_base = base.out, .iov_len = AGENT_HEADER_SIZE};
        union control control = {0};
        struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
        ssize_t n;

        if (fds) {
                message.msg_control = control.bytes;
                message.msg_controllen = CMSG_SPACE(AGENT_STREAMS * sizeof(int));
                struct cmsghdr *c = CMSG_FIRSTHDR(&message);
                c->cmsg_level = SOL_SOCKET;
                c->cmsg_type = SCM_RIGHTS;
                c->cmsg_len = CMSG_LEN(AGENT_STREAMS * sizeof(int));
                memcpy(CMSG_DATA(c), fds, AGENT_STREAMS * sizeof(int));
        }
        do
                n = sendmsg(socket, &message, MSG_NOSIGNAL);
        while (n < 0 && errno == EINTR);
        return n < 0 ? -errno : n == AGENT_HEADER_SIZE ? 0 : -EIO;
}

static int send_body(int socket, struct view body)
{
        while (body.n > 0) {
                ssize_t n = send(socket, body.p, body.n, MSG_NOSIGNAL);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                body = view_of(body.p + n, body.n - (size_t)n);
        }
        return 0;
}

int agent_send(int socket, enum agent_type type, struct view body, const int *fds)
{
        if (body.n > AGENT_BODY_MAX)
                return -E2BIG;
        uint8_t header[AGENT_HEADER_SIZE] = {(uint8_t)type, (uint8_t)(body.n >> 24), (uint8_t)(body.n >> 16),
                                             (uint8_t)(body.n >> 8), (uint8_t)body.n};
        int r = send_header(socket, header, fds);
        return r < 0 ? r : send_body(socket, body);
}

int agent_send_number(int socket, enum agent_type type, uint32_t number)
{
        uint8_t bytes[] = {(uint8_t)(number >> 24), (uint8_t)(number >> 16), (uint8_t)(number >> 8),
                           (uint8_t)number};

        return agent_send(socket, type, view_of(bytes, sizeof(bytes)), NULL);
}

int agent_send_failure(int socket, const struct error *err)
{
        cleanup_buf struct buf body = buf_with_max(sizeof(*err));
        int r = buf_append_be32(&body, err->code < 0 ? (uint32_t)-err->code : EIO);

        if (r == 0)
                r = buf_append_string(&body, error_text(err));
        return r < 0 ? r : agent_send(socket, AGENT_FAILED, buf_view(&body), NULL);
}

int agent_pack_exec(const struct agent_exec *exec, struct buf *b)
{
        char *const *lists[] = {exec->argv, exec->env};
        int r = 0;

        for (size_t i = 0; i < ARRAY_SIZE(lists) && r == 0; i++) {
                uint32_t n = 0;
                while (lists[i] && lists[i][n])
                        n++;
                r = buf_append_be32(b, n);
        }
        if (r == 0)
                r = buf_append(b, exec->path, strlen(exec->path) + 1);
        if (r == 0)
                r = buf_append(b, exec->object, strlen(exec->object) + 1);
        for (size_t i = 0; i < ARRAY_SIZE(lists) && r == 0; i++)
                for (char *const *item = lists[i]; item && *item && r == 0; item++)
                        r = buf_append(b, *item, strlen(*item) + 1);
        return r;
}

/* ---- in ------------------------------------------------------------------------------------------------ */

/* Descriptors come with the first byte, all three or none. */
static int take_descriptors(struct msghdr *message, int fds[AGENT_STREAMS])
{
        size_t n = 0;
        bool wrong = message->msg_flags & MSG_CTRUNC;

        for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
                if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
                        continue;
                for (size_t at = CMSG_LEN(0); at + sizeof(int) <= c->cmsg_len; at += sizeof(int)) {
                        int fd;
                        memcpy(&fd, (const char *)c + at, sizeof(fd));
                        if (n < AGENT_STREAMS)
                                fds[n++] = fd;
                        else
                                fd_close_p(&fd), wrong = true;
                }
        }
        return wrong || (n != 0 && n != AGENT_STREAMS) ? -EBADMSG : 0;
}

static int receive_header(int socket, uint8_t header[AGENT_HEADER_SIZE], int fds[AGENT_STREAMS])
{
        struct iovec part = {.iov_base = header, .iov_len = AGENT_HEADER_SIZE};
        union control control;
        struct msghdr message = {.msg_iov = &part,
                                 .msg_iovlen = 1,
                                 .msg_control = control.bytes,
                                 .msg_controllen = sizeof(control.bytes)};
        ssize_t n;

        do
                n = recvmsg(socket, &message, MSG_CMSG_CLOEXEC | MSG_WAITALL);
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return -errno;
        int r = take_descriptors(&message, fds);
        if (n == 0)
                return -ECONNRESET;
        return r < 0 || n != AGENT_HEADER_SIZE ? -EBADMSG : 0;
}

static bool is_known(uint8_t type)
{
        switch ((enum agent_type)type) {
        case AGENT_EXEC:
        case AGENT_SIGNAL:
        case AGENT_ATTEST:
        case AGENT_STARTED:
        case AGENT_EXITED:
        case AGENT_REPORT:
        case AGENT_FAILED:
                return true;
        }
        return false;
}

static int receive(int socket, struct agent_message *message)
{
        uint8_t header[AGENT_HEADER_SIZE] = {0};
        int r = receive_header(socket, header, message->fds);

        if (r < 0)
                return r;
        uint32_t n =
                (uint32_t)header[1] << 24 | (uint32_t)header[2] << 16 | (uint32_t)header[3] << 8 | header[4];
        if (!is_known(header[0]) || n > AGENT_BODY_MAX)
                return -EBADMSG;
        message->type = header[0];
        r = buf_reserve(&message->body, n);
        if (r == 0)
                r = fd_read_full(socket, message->body.p, n);
        if (r < 0)
                return r == -ENODATA ? -EBADMSG : r;
        message->body.n = n;
        message->body.p[n] = '\0';
        return 0;
}

int agent_receive(int socket, struct agent_message *ret_message, struct error *err)
{
        struct agent_message message = {.body = buf_with_max(AGENT_BODY_MAX), .fds = {-1, -1, -1}};
        int r = receive(socket, &message);

        if (r == 0) {
                *ret_message = message;
                return 0;
        }
        agent_message_done(&message);
        if (r == -ECONNRESET)
                return error_set(err, r, "the other side of the enclave's agent is gone");
        if (r == -EBADMSG)
                return error_set(err, r, "the other side of the enclave's agent sent nonsense");
        return error_errno(err, -r, "the enclave's agent");
}

int agent_number(const struct agent_message *message, uint32_t *ret_number, struct error *err)
{
        struct cursor c = cursor_of(buf_view(&message->body));

        *ret_number = cursor_be32(&c);
        if (cursor_ok(&c) && cursor_at_end(&c))
                return 0;
        return error_set(err, -EBADMSG, "message '%c' of the enclave's agent is no number", message->type);
}

int agent_failure(const struct agent_message *message, struct error *err)
{
        struct cursor c = cursor_of(buf_view(&message->body));
        uint32_t code = cursor_be32(&c);

        if (!cursor_ok(&c) || code == 0 || code > ERRNO_MAX)
                return error_set(err, -EBADMSG, "the enclave's agent sent a failure that isn't one");
        struct view text = cursor_rest(&c);
        return error_set(err, -(int)code, "%.*s", (int)text.n, (const char *)text.p);
}

/* The next string; its memory is the body's, which is ours to write. */
static char *take_string(struct cursor *c)
{
        union {
                const uint8_t *in;
                char *out;
        } start = {.in = cursor_until(c, '\0').p};

        return start.out;
}

/* `n` strings as an array that ends with NULL. */
static int take_strings(struct cursor *c, uint32_t n, char ***ret_strings)
{
        /* Each takes a byte at least, so that a count can't ask for more memory than came. */
        if (n > cursor_rest(c).n)
                return -EBADMSG;
        char **strings = calloc((size_t)n + 1, sizeof(*strings));
        if (!strings)
                return -ENOMEM;
        for (uint32_t i = 0; i < n; i++)
                strings[i] = take_string(c);
        *ret_strings = strings;
        return cursor_ok(c) ? 0 : -EBADMSG;
}

int agent_unpack_exec(const struct agent_message *message, struct agent_exec *ret_exec, struct error *err)
{
        struct cursor c = cursor_of(buf_view(&message->body));
        uint32_t n_argv = cursor_be32(&c), n_env = cursor_be32(&c);
        struct agent_exec exec = {.path = take_string(&c)};
        exec.object = take_string(&c);
        int r = cursor_ok(&c) && n_argv > 0 ? take_strings(&c, n_argv, &exec.argv) : -EBADMSG;

        if (r == 0)
                r = take_strings(&c, n_env, &exec.env);
        if (r == 0 && !cursor_at_end(&c))
                r = -EBADMSG;
        if (r == 0) {
                *ret_exec = exec;
                return 0;
        }
        free(exec.argv);
        free(exec.env);
        return error_set(err, r, "the enclave's agent got a process that it can't read");
}
