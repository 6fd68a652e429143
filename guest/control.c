/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/control.h"

#include "lib/base/fd.h"

#include "guest/vsock.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
        CONNECT_MS = 5000,
        SEND_MS = 2000,
};

int control_connect(struct control *control, uint32_t parent_cid, uint32_t own_cid)
{
        const struct guest_message hello = {.type = GUEST_HELLO, .version = GUEST_PROTOCOL_VERSION};
        int r = vsock_connect(parent_cid, guest_control_port(own_cid), CONNECT_MS, &control->fd);

        return r < 0 ? r : control_send(control, &hello);
}

/* Waits for `events` on fd. 0, -ETIMEDOUT or -errno. */
static int wait_for(int fd, short events, int milliseconds)
{
        struct pollfd p = {.fd = fd, .events = events};
        int n = poll(&p, 1, milliseconds);

        if (n == 0)
                return -ETIMEDOUT;
        return n < 0 ? -errno : 0;
}

static int send_all(int fd, struct view v, int milliseconds)
{
        size_t sent = 0;

        while (sent < v.n) {
                ssize_t n = send(fd, v.p + sent, v.n - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
                if (n >= 0) {
                        sent += (size_t)n;
                        continue;
                }
                int r = errno == EAGAIN ? wait_for(fd, POLLOUT, milliseconds) : -errno;
                if (r < 0 && r != -EINTR)
                        return r;
        }
        return 0;
}

int control_send(struct control *control, const struct guest_message *message)
{
        cleanup_buf struct buf frame = buf_with_max(GUEST_HEADER_SIZE + GUEST_PAYLOAD_MAX);

        if (control->fd < 0)
                return 0;
        int r = guest_message_encode(message, &frame);
        return r < 0 ? r : send_all(control->fd, buf_view(&frame), SEND_MS);
}

int control_receive(struct control *control, struct guest_message *ret_message)
{
        for (;;) {
                uint8_t bytes[512];
                size_t used;
                int r = guest_message_decode(buf_view(&control->in), ret_message, &used, NULL);

                if (r != 0) {
                        if (r > 0)
                                buf_consume(&control->in, used);
                        return r;
                }
                ssize_t n = recv(control->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
                if (n == 0)
                        return -ENOTCONN;
                if (n < 0)
                        return errno == EAGAIN || errno == EINTR ? 0 : -errno;
                r = buf_append(&control->in, bytes, (size_t)n);
                if (r < 0)
                        return r;
        }
}

void control_close(struct control *control)
{
        fd_close_p(&control->fd);
        buf_done(&control->in);
}

int control_heartbeat(uint32_t cid, int milliseconds)
{
        const uint8_t beat = GUEST_HEARTBEAT_BYTE;
        cleanup_fd int fd = -1;
        uint8_t echo;
        int r = vsock_connect(cid, GUEST_HEARTBEAT_PORT, milliseconds, &fd);

        if (r == 0)
                r = send_all(fd, view_of(&beat, 1), milliseconds);
        if (r == 0)
                r = wait_for(fd, POLLIN, milliseconds);
        if (r < 0)
                return r;
        ssize_t n = recv(fd, &echo, 1, MSG_DONTWAIT);
        if (n < 0)
                return -errno;
        return n == 1 && echo == beat ? 0 : -EPROTO;
}
