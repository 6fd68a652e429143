/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz-sync.c - what a container-init that has fallen to its container may send: one message on the socket,
 * with as many descriptors as the first byte says; and the same bytes through the exec fifo.
 */
#include "lib/base/fd.h"
#include "lib/base/view.h"
#include "lib/container/sync.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { DESCRIPTORS_SENT_MAX = 3 };

/* The text ends, is printable, and the code of an error is one. */
static void check(const struct sync_message *message)
{
        for (const char *p = message->text; *p; p++)
                if ((unsigned char)*p < ' ' || *p == 0x7f)
                        abort();
        if (strlen(message->text) > PLAN_MESSAGE_MAX || (message->type == PLAN_ERROR && message->code >= 0))
                abort();
}

static void send_message(int socket, struct view bytes, size_t n_fds)
{
        union {
                uint8_t *out;
                const uint8_t *in;
        } text = {.in = bytes.p}; /* sendmsg(2) only reads it */
        struct iovec part = {.iov_base = text.out, .iov_len = bytes.n};
        union {
                struct cmsghdr align;
                char bytes[CMSG_SPACE(DESCRIPTORS_SENT_MAX * sizeof(int))];
        } control = {0};
        const int fds[DESCRIPTORS_SENT_MAX] = {socket, socket, socket};
        struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

        if (n_fds > 0) {
                message.msg_control = control.bytes;
                message.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
                struct cmsghdr *c = CMSG_FIRSTHDR(&message);
                c->cmsg_level = SOL_SOCKET;
                c->cmsg_type = SCM_RIGHTS;
                c->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
                memcpy(CMSG_DATA(c), fds, n_fds * sizeof(int));
        }
        (void)sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void receive(struct view bytes, size_t n_fds)
{
        struct sync_message message;
        struct error err;
        int pair[2];

        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
                abort();
        cleanup_fd int ours = pair[0], theirs = pair[1];
        int lowest = dup(ours);
        close(lowest);
        send_message(theirs, bytes, n_fds);
        fd_close_p(&theirs);
        if (sync_receive(ours, &message, &err) == 0) {
                check(&message);
                if ((message.fd >= 0) != (n_fds == 1))
                        abort();
                fd_close_p(&message.fd);
        }
        /* None of what came is still open. */
        int next = dup(ours);
        close(next);
        if (next > lowest)
                abort();
}

static void read_fifo(struct view bytes)
{
        struct sync_message message;
        struct error err;
        int fds[2];

        if (pipe(fds) < 0)
                abort();
        cleanup_fd int ours = fds[0], theirs = fds[1];
        /* A pipe holds more than this. */
        if (fd_write_full(theirs, bytes.p, bytes.n < 8192 ? bytes.n : 8192) < 0)
                abort();
        fd_close_p(&theirs);
        if (sync_read_fifo(ours, &message, &err) == 0)
                check(&message);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        if (size == 0)
                return 0;
        receive(view_of(data + 1, size - 1), data[0] % (DESCRIPTORS_SENT_MAX + 1));
        read_fifo(view_of(data + 1, size - 1));
        return 0;
}
