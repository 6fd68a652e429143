/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation.  The device has two rings: the guest transmits on QUEUE_TX, we on QUEUE_RX, into
 * buffers that the guest put there.  (The third ring, for events, is handled by QEMU.)  Whatever happens, a
 * kick, a readable descriptor, a deadline, ends in device_service(): take all that the guest transmitted,
 * then send what connections have to say while there are buffers, then interrupt the guest where it wants
 * that.
 *
 * Threads.  Nothing here is shared with anybody, so loop and device can have a thread of their own.  The
 * supervisor does not need one: every callback is bounded (rings.c has its budgets), none blocks, the
 * supervisor's other descriptors see little traffic, and the guest's own vCPUs, in QEMU, are what limits
 * throughput; while hooks that run in the supervisor's thread spare it all locking.
 *
 * What a guest can bring about at will is logged at debug level only: it must not fill the parent's disk.
 *
 * When something ends the device (QEMU hangs up, the guest breaks its rings) it lets go of everything but its
 * memory, tells on_ended, and stays dead until freed.  Broken rings are not forgiven: a driver that writes
 * nonsense into its rings is either taken over or about to crash.
 */
#include "lib/vsock/device-internal.h"

#include "lib/base/clock.h"
#include "lib/base/fd.h"

#include <endian.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

static const uint64_t TIMER_IDLE_MS = UINT64_C(24) * 3600 * 1000;

/* --- who has something to send
 * ---------------------------------------------------------------------------------- */

void device_mark_ready(struct connection *c)
{
        if (c->is_ready)
                return;
        TAILQ_INSERT_TAIL(&c->device->ready, c, ready);
        c->is_ready = true;
        device_wake(c->device);
}

void device_unmark_ready(struct connection *c)
{
        if (!c->is_ready)
                return;
        TAILQ_REMOVE(&c->device->ready, c, ready);
        c->is_ready = false;
}

void device_wake(struct vsock_device *device)
{
        uint64_t one = 1;

        if (device->in_service || device->woken)
                return;
        device->woken = write(device->wake_fd, &one, sizeof(one)) == sizeof(one);
}

/* --- the loop
 * --------------------------------------------------------------------------------------------------- */

/* Lets go of everything but memory. */
static void let_go(struct vsock_device *device)
{
        struct connection *c;

        device->ended = true;
        for (size_t i = 0; i < QUEUES; i++)
                loop_remove(&device->kicks[i]);
        loop_remove(&device->source);
        loop_remove(&device->wake);
        loop_remove(&device->timer);
        bridge_close(device);
        while ((c = LIST_FIRST(&device->table.all)))
                connection_abandon(c, -ECANCELED);
        fd_close_p(&device->fd);
}

static void device_end(struct vsock_device *device, const struct error *why)
{
        log_debug(device->log, "vsock: the device ends: %s", error_text(why));
        let_go(device);
        if (device->on_ended)
                device->on_ended(device, why, device->user);
}

void device_enter(struct vsock_device *device)
{
        device->in_service = true;
}

int device_service(struct vsock_device *device)
{
        struct error err = {0};

        if (device->ended)
                return 0;
        device_enter(device);
        device->more = false;
        int r = rings_receive(device, &err);
        if (r < 0)
                error_wrap(&err, "guest's transmit ring is broken");
        if (r == 0) {
                r = rings_send(device, &err);
                if (r < 0)
                        error_wrap(&err, "guest's receive ring is broken");
        }
        device->in_service = false;
        if (r < 0) {
                device_end(device, &err);
                return 0;
        }
        for (size_t i = 0; i < QUEUES; i++)
                vhost_user_signal(device->session, i);
        if (device->more)
                device_wake(device);
        return 0;
}

/* The descriptor is edge-triggered and each write to an eventfd is an edge, so its count needs no reading. */
static int on_kick(struct loop_source *source, int fd, uint32_t events, void *user)
{
        (void)source, (void)fd, (void)events;
        return device_service(user);
}

static int on_wake(struct loop_source *source, int fd, uint32_t events, void *user)
{
        ((struct vsock_device *)user)->woken = false;
        return on_kick(source, fd, events, user);
}

static int on_vhost_user(struct loop_source *source, int fd, uint32_t events, void *user)
{
        struct vsock_device *device = user;
        struct error err = {0};

        (void)source, (void)fd, (void)events;
        if (vhost_user_service(device->session, &err) < 0)
                device_end(device, &err);
        return 0;
}

void device_set_timer(struct vsock_device *device, uint64_t when)
{
        uint64_t now = clock_ms();

        if (device->ended || when == 0 || (device->timer_at != 0 && device->timer_at <= when))
                return;
        if (loop_set_timer(device->timer, when > now ? when - now : 0) == 0)
                device->timer_at = when;
}

static int on_timer(struct loop_source *source, void *user)
{
        struct vsock_device *device = user;
        uint64_t now = clock_ms(), next = 0;

        (void)source;
        device_enter(device);
        device->timer_at = 0;
        for (struct connection *c = LIST_FIRST(&device->table.all), *after; c; c = after) {
                after = LIST_NEXT(c, all);
                if (c->deadline == 0)
                        continue;
                if (c->deadline <= now)
                        connection_expired(c);
                else if (next == 0 || c->deadline < next)
                        next = c->deadline;
        }
        device_set_timer(device, next);
        device_set_timer(device, bridge_deadlines(device, now));
        return device_service(device);
}

/* --- vhost-user
 * ------------------------------------------------------------------------------------------------- */

static int on_queue_start(void *user, size_t index, int kick_fd, struct error *err)
{
        struct vsock_device *device = user;

        /* What was kicked for before we watched is found all the same. */
        device_wake(device);
        return loop_add_fd(device->loop, kick_fd, EPOLLIN | EPOLLET, on_kick, device, &device->kicks[index],
                           err);
}

static void on_queue_stop(void *user, size_t index)
{
        loop_remove(&((struct vsock_device *)user)->kicks[index]);
}

/* The guest's driver has forgotten all connections. What it was not yet asked, it still can be. */
static void on_guest_reset(void *user)
{
        struct vsock_device *device = user;

        device->replies_n = 0;
        for (struct connection *c = LIST_FIRST(&device->table.all), *after; c; c = after) {
                after = LIST_NEXT(c, all);
                if (!(c->pending & PENDING_REQUEST) && c->state != CONNECTION_LINGERING)
                        connection_drop(c, -ECONNREFUSED);
        }
}

static void describe(struct vsock_device *device)
{
        const uint64_t cid = htole64(device->guest_cid);

        device->description = (struct vhost_user_device){
                .n_queues = QUEUES,
                .directions = {[QUEUE_RX] = VIRTQUEUE_DEVICE_WRITES, [QUEUE_TX] = VIRTQUEUE_DEVICE_READS},
                .config_size = sizeof(cid),
                .start = on_queue_start,
                .stop = on_queue_stop,
                .reset = on_guest_reset,
                .user = device,
        };
        memcpy(device->description.config, &cid, sizeof(cid));
}

/* --- life
 * ------------------------------------------------------------------------------------------------------- */

static int watch_all(struct vsock_device *device, int vhost_user_fd, struct error *err)
{
        device->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        if (device->wake_fd < 0)
                return error_errno(err, errno, "eventfd");
        int r = loop_add_fd(device->loop, device->wake_fd, EPOLLIN | EPOLLET, on_wake, device, &device->wake,
                            err);
        if (r == 0)
                r = loop_add_timer(device->loop, TIMER_IDLE_MS, on_timer, device, &device->timer, err);
        if (r == 0)
                r = loop_add_fd(device->loop, vhost_user_fd, EPOLLIN, on_vhost_user, device, &device->source,
                                err);
        return r;
}

int vsock_device_new(struct loop *loop, const struct vsock_device_options *options, int vhost_user_fd,
                     struct vsock_device **ret_device, struct error *err)
{
        if (options->guest_cid < VSOCK_GUEST_CID_MIN || options->guest_cid > VSOCK_GUEST_CID_MAX)
                return error_set(err, -EINVAL, "CID %" PRIu32 " is not one for a guest (%u to %u)",
                                 options->guest_cid, VSOCK_GUEST_CID_MIN, VSOCK_GUEST_CID_MAX);
        cleanup_vsock_device struct vsock_device *device = calloc(1, sizeof(*device));
        if (!device)
                return error_oom(err);
        device->loop = loop;
        device->log = options->log;
        device->guest_cid = options->guest_cid;
        device->on_ended = options->on_ended;
        device->user = options->user;
        device->fd = device->wake_fd = device->bridge.fd = -1;
        TAILQ_INIT(&device->ready);
        describe(device);
        int r = connection_table_init(
                &device->table, options->max_connections ? options->max_connections : CONNECTIONS_DEFAULT,
                err);
        if (r == 0)
                r = vhost_user_new(vhost_user_fd, &device->description, device->log, &device->session, err);
        if (r == 0)
                r = watch_all(device, vhost_user_fd, err);
        if (r == 0)
                r = bridge_init(device, options, err);
        if (r < 0)
                return r;
        device->fd = vhost_user_fd;
        *ret_device = take_pointer(&device);
        return 0;
}

void vsock_device_free(struct vsock_device *device)
{
        if (!device)
                return;
        let_go(device);
        bridge_done(device);
        vhost_user_free(device->session);
        fd_close_p(&device->wake_fd);
        free(device);
}

int vsock_device_connect_stream(struct vsock_device *device, uint32_t port, uint64_t timeout_ms,
                                vsock_device_stream_fn stream, vsock_device_connected_fn connected,
                                void *user, struct error *err)
{
        struct connection *c;

        if (device->ended)
                return error_set(err, -EPIPE, "the vsock device has ended");
        int r = connection_request(device, port, &c);
        if (r < 0)
                return error_set(err, r, "%zu vsock connections are open", device->table.n);
        c->stream = stream;
        c->connected = connected;
        c->connected_user = user;
        c->deadline = clock_ms() + timeout_ms;
        device_set_timer(device, c->deadline);
        return 0;
}

int vsock_device_connect(struct vsock_device *device, uint32_t port, uint64_t timeout_ms,
                         vsock_device_connected_fn connected, void *user, struct error *err)
{
        return vsock_device_connect_stream(device, port, timeout_ms, NULL, connected, user, err);
}

uint32_t vsock_device_peer_port(const struct vsock_device *device)
{
        return device->peer_port;
}

size_t vsock_device_connections(const struct vsock_device *device)
{
        return device->table.n;
}
