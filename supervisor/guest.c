/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/guest.h"

#include "lib/base/fd.h"
#include "lib/enclave/nitro-heartbeat.h"
#include "lib/vsock/client.h"

#include <sys/socket.h>
#include <unistd.h>

/* Connections to the heartbeat's port that may wait for their byte at a time. */
enum {
        HEARTBEATS_MAX = 4,
        NITRO_PORT_MS = 60 * 1000,
        INPUT_MAX = 4 * (GUEST_HEADER_SIZE + GUEST_PAYLOAD_MAX)
};

struct heartbeat {
        struct guest *guest; /* NULL: free */
        int fd;
        struct loop_source *source;
};

struct listener {
        struct guest *guest;
        uint32_t port;
        int fd;
        struct loop_source *source;
};

struct guest {
        struct loop *loop;
        uint32_t cid;
        struct guest_events events;
        struct vsock_device *device;
        struct listener listeners[2]; /* on the kernel's vsock */
        struct heartbeat heartbeats[HEARTBEATS_MAX];
        struct nitro_heartbeat *nitro_heartbeat;
        struct loop_source *nitro_source;
        bool control_came; /* init's control channel is or was open */
        int control_fd;
        struct loop_source *control_source;
        struct buf input;
};

int guest_new(struct loop *loop, uint32_t cid, const struct guest_events *events, struct guest **ret_guest,
              struct error *err)
{
        struct guest *guest = calloc(1, sizeof(*guest));

        if (!guest)
                return error_oom(err);
        guest->loop = loop;
        guest->cid = cid;
        guest->events = *events;
        guest->control_fd = -1;
        guest->input = buf_with_max(INPUT_MAX);
        for (size_t i = 0; i < ARRAY_SIZE(guest->listeners); i++)
                guest->listeners[i].fd = -1;
        for (size_t i = 0; i < HEARTBEATS_MAX; i++)
                guest->heartbeats[i].fd = -1;
        *ret_guest = guest;
        return 0;
}

static void end_heartbeat(struct heartbeat *heartbeat)
{
        loop_remove(&heartbeat->source);
        fd_close_p(&heartbeat->fd);
        heartbeat->guest = NULL;
}

void guest_free(struct guest *guest)
{
        if (!guest)
                return;
        if (guest->device) {
                vsock_device_unlisten(guest->device, GUEST_HEARTBEAT_PORT);
                vsock_device_unlisten(guest->device, guest_control_port(guest->cid));
        }
        for (size_t i = 0; i < ARRAY_SIZE(guest->listeners); i++) {
                loop_remove(&guest->listeners[i].source);
                fd_close_p(&guest->listeners[i].fd);
        }
        for (size_t i = 0; i < HEARTBEATS_MAX; i++)
                end_heartbeat(&guest->heartbeats[i]);
        loop_remove(&guest->nitro_source);
        nitro_heartbeat_free(guest->nitro_heartbeat);
        guest_hang_up(guest);
        buf_done(&guest->input);
        free(guest);
}

/* ---- heartbeat ---- */

static int on_heartbeat(struct loop_source *source, int fd, uint32_t events, void *user)
{
        struct heartbeat *heartbeat = user;
        struct guest *guest = heartbeat->guest;
        uint8_t byte = 0;

        (void)source;
        (void)events;
        ssize_t n = recv(fd, &byte, 1, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return 0;
        bool good = n == 1 && byte == GUEST_HEARTBEAT_BYTE;
        if (good)
                (void)!send(fd, &byte, 1, MSG_DONTWAIT | MSG_NOSIGNAL);
        end_heartbeat(heartbeat);
        if (good)
                guest->events.heartbeat(guest->events.user);
        return 0;
}

static void accept_heartbeat(struct guest *guest, int taken_fd)
{
        cleanup_fd int fd = taken_fd;

        for (size_t i = 0; i < HEARTBEATS_MAX; i++) {
                struct heartbeat *heartbeat = &guest->heartbeats[i];
                if (heartbeat->guest)
                        continue;
                if (loop_add_fd(guest->loop, fd, EPOLLIN, on_heartbeat, heartbeat, &heartbeat->source, NULL) <
                    0)
                        return;
                heartbeat->guest = guest;
                heartbeat->fd = take_fd(&fd);
                return;
        }
}

/* ---- control channel ---- */

void guest_hang_up(struct guest *guest)
{
        loop_remove(&guest->control_source);
        fd_close_p(&guest->control_fd);
}

static void lose(struct guest *guest, const char *why)
{
        guest_hang_up(guest);
        guest->events.lost(why, guest->events.user);
}

/* Hands on the messages that have come; the channel may be gone after each. */
static void take_messages(struct guest *guest)
{
        struct guest_message message;
        struct error err = {0};
        size_t used;
        int r = 0;

        while (guest->control_fd >= 0 &&
               (r = guest_message_decode(buf_view(&guest->input), &message, &used, &err)) > 0) {
                buf_consume(&guest->input, used);
                guest->events.message(&message, guest->events.user);
        }
        if (r < 0 && guest->control_fd >= 0)
                lose(guest, error_text(&err));
}

static int on_control(struct loop_source *source, int fd, uint32_t events, void *user)
{
        struct guest *guest = user;
        uint8_t piece[4096];

        (void)source;
        (void)events;
        ssize_t n = recv(fd, piece, sizeof(piece), MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return 0;
        if (n <= 0)
                lose(guest, "it closed the connection");
        else if (buf_append(&guest->input, piece, (size_t)n) < 0)
                lose(guest, "it sent too much at once");
        else
                take_messages(guest);
        return 0;
}

/* One control channel is all that init opens, before it starts the workload; whoever comes later isn't init,
 * also after that channel has ended. */
static void accept_control(struct guest *guest, int taken_fd)
{
        cleanup_fd int fd = taken_fd;

        if (guest->control_came)
                return;
        if (loop_add_fd(guest->loop, fd, EPOLLIN, on_control, guest, &guest->control_source, NULL) < 0)
                return;
        guest->control_fd = take_fd(&fd);
        guest->control_came = true;
}

void guest_accept(struct guest *guest, uint32_t port, int fd)
{
        if (port == GUEST_HEARTBEAT_PORT)
                accept_heartbeat(guest, fd);
        else if (port == guest_control_port(guest->cid))
                accept_control(guest, fd);
        else
                close(fd);
}

bool guest_is_connected(const struct guest *guest)
{
        return guest->control_fd >= 0;
}

static int send_message(struct guest *guest, const struct guest_message *message)
{
        cleanup_buf struct buf frame = buf_with_max(GUEST_HEADER_SIZE + sizeof(uint32_t));

        if (guest->control_fd < 0)
                return -ENOTCONN;
        int r = guest_message_encode(message, &frame);
        if (r < 0)
                return r;
        ssize_t n = send(guest->control_fd, frame.p, frame.n, MSG_DONTWAIT | MSG_NOSIGNAL);
        return n == (ssize_t)frame.n ? 0 : -ENOTCONN;
}

int guest_shut_down(struct guest *guest)
{
        return send_message(guest, &(struct guest_message){.type = PARENT_SHUTDOWN});
}

int guest_signal(struct guest *guest, uint32_t signal)
{
        return send_message(guest, &(struct guest_message){.type = PARENT_SIGNAL, .signal = signal});
}

/* ---- listening ---- */

static void on_device_accept(struct vsock_device *device, uint32_t port, int fd, void *user)
{
        (void)device;
        guest_accept(user, port, fd);
}

int guest_listen_on_device(struct guest *guest, struct vsock_device *device, struct error *err)
{
        int r = vsock_device_listen(device, GUEST_HEARTBEAT_PORT, on_device_accept, guest, err);

        if (r == 0)
                r = vsock_device_listen(device, guest_control_port(guest->cid), on_device_accept, guest, err);
        guest->device = device;
        return r;
}

static int on_kernel_accept(struct loop_source *source, int fd, uint32_t events, void *user)
{
        struct listener *listener = user;
        uint32_t cid;
        int stream;

        (void)source;
        (void)events;
        if (vsock_accept(fd, 0, &stream, &cid, NULL) < 0)
                return 0;
        if (cid == listener->guest->cid) {
                guest_accept(listener->guest, listener->port, stream);
        } else if (listener->port == GUEST_HEARTBEAT_PORT) {
                /* Another enclave's init, whose supervisor could not have this port: it sends one byte and
                 * wants it back, which needs no knowledge of it. */
                uint8_t byte = GUEST_HEARTBEAT_BYTE;
                (void)!send(stream, &byte, 1, MSG_DONTWAIT | MSG_NOSIGNAL);
                close(stream);
        } else {
                close(stream);
        }
        return 0;
}

static int listen_on_kernel_port(struct guest *guest, size_t index, uint32_t port, struct error *err)
{
        const struct vsock_endpoint any = {.cid = guest->cid};
        struct listener *listener = &guest->listeners[index];
        int r;

        listener->guest = guest;
        listener->port = port;
        if ((r = vsock_listen(&any, port, &listener->fd, err)) < 0)
                return r;
        return loop_add_fd(guest->loop, listener->fd, EPOLLIN, on_kernel_accept, listener, &listener->source,
                           err);
}

int guest_listen_on_kernel(struct guest *guest, struct error *err)
{
        int r = listen_on_kernel_port(guest, 0, GUEST_HEARTBEAT_PORT, err);

        if (r < 0 && r != -EADDRINUSE)
                return r;
        return listen_on_kernel_port(guest, 1, guest_control_port(guest->cid), err);
}

static int on_nitro_heartbeat(struct loop_source *source, int fd, uint32_t events, void *user)
{
        struct guest *guest = user;

        (void)source;
        (void)fd;
        (void)events;
        if (nitro_heartbeat_service(guest->nitro_heartbeat) == 0)
                return 0;
        loop_remove(&guest->nitro_source);
        nitro_heartbeat_free(take_pointer(&guest->nitro_heartbeat));
        guest->events.heartbeat(guest->events.user);
        return 0;
}

int guest_listen_on_nitro(struct guest *guest, struct error *err)
{
        int r;

        if ((r = nitro_heartbeat_new(&guest->nitro_heartbeat, err)) < 0 ||
            (r = nitro_heartbeat_begin(guest->nitro_heartbeat, guest->cid, NITRO_PORT_MS, err)) < 0 ||
            (r = loop_add_fd(guest->loop, nitro_heartbeat_fd(guest->nitro_heartbeat), EPOLLIN,
                             on_nitro_heartbeat, guest, &guest->nitro_source, err)) < 0)
                return r;
        return listen_on_kernel_port(guest, 1, guest_control_port(guest->cid), err);
}
