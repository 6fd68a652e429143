/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/container/sync.h"

#include "lib/base/fd.h"
#include "lib/base/view.h"

#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/* The ceiling of errno values in the kernel's interface. */
enum { ERRNO_MAX = 4095 };

/* Room for descriptors of one message: one is allowed, a second is seen (and refused). */
union control {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(2 * sizeof(int))];
};

/* The part of a message that is `text`, cut to what fits behind `used` bytes. */
static struct iovec text_part(const char *text, size_t used)
{
        size_t n = text ? strlen(text) : 0;
        union {
                const char *in;
                void *out;
        } base = {.in = text}; /* sendmsg(2) only reads it */

        return (struct iovec){.iov_base = base.out,
                              .iov_len = n < PLAN_MESSAGE_MAX - used ? n : PLAN_MESSAGE_MAX - used};
}

int sync_send(int socket, enum plan_message type, const char *text, int fd)
{
        uint8_t byte = (uint8_t)type;
        struct iovec parts[] = {{.iov_base = &byte, .iov_len = 1}, text_part(text, 1)};

        ssize_t n = fd_send(socket, parts, 2, fd);

        return n < 0 ? (int)n : 0;
}

/* The bytes before the text of an error. */
struct error_head {
        uint8_t bytes[5];
};

static struct error_head error_head(const struct error *err)
{
        uint32_t code = err && err->code < 0 ? (uint32_t)-err->code : EIO;

        return (struct error_head){{PLAN_ERROR, (uint8_t)(code >> 24), (uint8_t)(code >> 16),
                                    (uint8_t)(code >> 8), (uint8_t)code}};
}

int sync_send_error(int socket, const struct error *err)
{
        struct error_head head = error_head(err);
        struct iovec parts[] = {{.iov_base = head.bytes, .iov_len = sizeof(head.bytes)},
                                text_part(error_text(err), sizeof(head.bytes))};
        ssize_t n = fd_send(socket, parts, 2, -1);

        return n < 0 ? (int)n : 0;
}

/* A fifo keeps no borders between messages: each has its length in two bytes before it. */
static int write_framed(int fifo, struct iovec head, struct iovec text)
{
        size_t n = head.iov_len + text.iov_len;
        uint8_t length[] = {(uint8_t)(n >> 8), (uint8_t)n};
        struct iovec parts[] = {{.iov_base = length, .iov_len = sizeof(length)}, head, text};

        /* Less than PIPE_BUF: all or nothing. */
        return writev(fifo, parts, 3) < 0 ? -errno : 0;
}

int sync_write_fifo(int fifo, enum plan_message type, const char *text)
{
        uint8_t byte = (uint8_t)type;

        return write_framed(fifo, (struct iovec){.iov_base = &byte, .iov_len = 1}, text_part(text, 1));
}

int sync_write_fifo_error(int fifo, const struct error *err)
{
        struct error_head head = error_head(err);

        return write_framed(fifo, (struct iovec){.iov_base = head.bytes, .iov_len = sizeof(head.bytes)},
                            text_part(error_text(err), sizeof(head.bytes)));
}

/* Takes descriptors out of `message`.  More than one is nonsense: all are closed then. */
static int take_descriptor(struct msghdr *message, int *ret_fd)
{
        int fd = -1, r = message->msg_flags & MSG_CTRUNC ? -EBADMSG : 0;

        for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
                if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
                        continue;
                for (size_t at = CMSG_LEN(0); at + sizeof(int) <= c->cmsg_len; at += sizeof(int)) {
                        int received;
                        memcpy(&received, (const char *)c + at, sizeof(received));
                        if (fd >= 0) {
                                fd_close_p(&received);
                                r = -EBADMSG;
                        } else {
                                fd = received;
                        }
                }
        }
        if (r < 0)
                fd_close_p(&fd);
        *ret_fd = fd;
        return r;
}

static bool known(uint8_t type)
{
        switch ((enum plan_message)type) {
        case PLAN_PID:
        case PLAN_WANT_ID_MAPS:
        case PLAN_NAMESPACES:
        case PLAN_WANT_TREE:
        case PLAN_CREATED:
        case PLAN_SECCOMP_LISTENER:
        case PLAN_CONSOLE:
        case PLAN_ERROR:
        case PLAN_WARNING:
        case PLAN_CALL:
        case PLAN_ANNOTATION:
        case PLAN_PREPARED:
        case PLAN_RUNNING:
        case PLAN_LAST:
        case PLAN_GO:
                return true;
        }
        return false;
}

/* The text reaches logs and terminals, and its sender may be a stranger by now. */
static void copy_text(struct view text, char *ret_text)
{
        for (size_t i = 0; i < text.n; i++) {
                uint8_t c = text.p[i];
                ret_text[i] = (char)(c < ' ' || c == 0x7f ? ' ' : c);
        }
        ret_text[text.n] = '\0';
}

static int decode(struct view bytes, struct sync_message *message)
{
        struct cursor c = cursor_of(bytes);
        uint8_t type = cursor_u8(&c);

        if (!known(type))
                return -EBADMSG;
        message->type = type;
        message->code = 0;
        if (type == PLAN_ERROR) {
                uint32_t code = cursor_be32(&c);
                if (code == 0 || code > ERRNO_MAX)
                        return -EBADMSG;
                message->code = -(int)code;
        }
        if (!cursor_ok(&c))
                return -EBADMSG;
        copy_text(cursor_rest(&c), message->text);
        return 0;
}

int sync_receive(int socket, struct sync_message *ret_message, struct error *err)
{
        uint8_t bytes[PLAN_MESSAGE_MAX];
        struct iovec part = {.iov_base = bytes, .iov_len = sizeof(bytes)};
        union control control;
        struct msghdr message = {.msg_iov = &part,
                                 .msg_iovlen = 1,
                                 .msg_control = control.bytes,
                                 .msg_controllen = sizeof(control.bytes)};
        cleanup_fd int fd = -1;
        ssize_t n;

        do
                n = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return error_errno(err, errno, "can't receive from the other side of a start");
        int r = take_descriptor(&message, &fd);
        if (n == 0 && r == 0)
                return error_set(err, -ECONNRESET, "the other side of a start is gone");
        if (r < 0 || message.msg_flags & MSG_TRUNC || decode(view_of(bytes, (size_t)n), ret_message) < 0)
                return error_set(err, -EBADMSG, "the other side of a start sent nonsense");
        ret_message->fd = take_fd(&fd);
        return 0;
}

int sync_read_fifo(int fifo, struct sync_message *ret_message, struct error *err)
{
        uint8_t length[2], bytes[PLAN_MESSAGE_MAX];
        int r = fd_read_full(fifo, length, 1);

        if (r == -ENODATA)
                return r; /* between two messages: all has come */
        if (r == 0)
                r = fd_read_full(fifo, length + 1, 1);
        size_t n = (size_t)length[0] << 8 | length[1];
        if (r == 0)
                r = n <= sizeof(bytes) ? fd_read_full(fifo, bytes, n) : -EBADMSG;
        ret_message->fd = -1;
        if (r == 0)
                r = decode(view_of(bytes, n), ret_message);
        if (r == -EBADMSG || r == -ENODATA)
                return error_set(err, -EBADMSG, "the exec fifo brought nonsense");
        return r < 0 ? error_errno(err, -r, "exec fifo") : 0;
}

int sync_wait_go(int socket, struct error *err)
{
        struct sync_message message;
        int r = sync_receive(socket, &message, err);

        if (r < 0)
                return r;
        fd_close_p(&message.fd);
        if (message.type != PLAN_GO)
                return error_set(err, -EBADMSG, "expected to be told to go on, got message '%c'",
                                 message.type);
        return 0;
}
