/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation.  Messages are read exactly to their end, first the header, then the payload, so
 * descriptors that come with the next one are never met early.  A ring runs while it has a size, addresses
 * and a kick descriptor, and is enabled.  It starts with what front ends say last, its descriptor, that it is
 * enabled, or new memory; its size, addresses and base are not taken while it runs.  GET_VRING_BASE stops it
 * too and tells where we were; a front end that resumes says that number again in SET_VRING_BASE, one whose
 * guest was reset says 0, which is how we learn that the guest has forgotten its connections.
 *
 * New guest memory replaces the old one in one step: all rings stop, and those that ran are found again in
 * the new one.
 *
 * Descriptors from the front end are only polled, read and written without blocking.  Kick and call must be
 * anonymous inodes (eventfds are): a write to somebody's pipe, file or terminal would be done in our name.
 */
#include "lib/vsock/vhost-user.h"

#include "lib/base/fd.h"
#include "lib/vsock/vhost-user-message.h"

#include <inttypes.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* Then others in the loop get their turn. */
enum { MESSAGES_PER_TURN = 64 };

#define BIT(n) (UINT64_C(1) << (n))

enum { RING_KNOWS_SIZE = 1, RING_KNOWS_ADDRESSES = 2, RING_KNOWS_ALL = 3 };

struct ring {
        struct virtqueue queue; /* valid while running */
        struct virtqueue_layout layout;
        unsigned known;
        bool enabled;
        bool running;
        int kick_fd;
        int call_fd;
};

struct vhost_user {
        int fd;
        const struct vhost_user_device *device;
        const struct log *log;
        uint64_t features; /* acknowledged */
        uint64_t protocol_features;
        struct guest_memory memory;
        struct ring rings[VHOST_USER_QUEUES_MAX];

        /* The message that is being received. */
        uint8_t in[VHOST_USER_HEADER_SIZE + VHOST_USER_PAYLOAD_MAX];
        size_t in_size;
        struct vhost_user_header header; /* valid once in_size >= VHOST_USER_HEADER_SIZE */
        int fds[VHOST_USER_FDS_MAX];
        size_t n_fds;
};

/* VIRTIO_F_ANY_LAYOUT, which VIRTIO_F_VERSION_1 implies, QEMU offers to a legacy driver whatever we say, and
 * passes on what the driver makes of it. */
static uint64_t offered_features(const struct vhost_user *s)
{
        return s->device->features | BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_F_ANY_LAYOUT) |
               BIT(VIRTIO_RING_F_INDIRECT_DESC) | BIT(VIRTIO_RING_F_EVENT_IDX) |
               BIT(VHOST_USER_F_PROTOCOL_FEATURES);
}

static uint64_t offered_protocol_features(void)
{
        return BIT(VHOST_USER_PROTOCOL_F_MQ) | BIT(VHOST_USER_PROTOCOL_F_REPLY_ACK) |
               BIT(VHOST_USER_PROTOCOL_F_CONFIG);
}

int vhost_user_new(int fd, const struct vhost_user_device *device, const struct log *log,
                   struct vhost_user **ret_session, struct error *err)
{
        struct vhost_user *s = calloc(1, sizeof(*s));

        if (!s)
                return error_oom(err);
        s->fd = fd;
        s->device = device;
        s->log = log;
        for (size_t i = 0; i < VHOST_USER_QUEUES_MAX; i++) {
                s->rings[i].kick_fd = -1;
                s->rings[i].call_fd = -1;
        }
        *ret_session = s;
        return 0;
}

static void drop_message(struct vhost_user *s)
{
        for (size_t i = 0; i < s->n_fds; i++)
                fd_close_p(&s->fds[i]);
        s->n_fds = 0;
        s->in_size = 0;
}

void vhost_user_free(struct vhost_user *s)
{
        if (!s)
                return;
        drop_message(s);
        for (size_t i = 0; i < VHOST_USER_QUEUES_MAX; i++) {
                fd_close_p(&s->rings[i].kick_fd);
                fd_close_p(&s->rings[i].call_fd);
        }
        guest_memory_done(&s->memory);
        free(s);
}

/* --- rings
 * ------------------------------------------------------------------------------------------------------ */

static void stop_ring(struct vhost_user *s, size_t index)
{
        struct ring *ring = &s->rings[index];

        if (!ring->running)
                return;
        ring->running = false;
        ring->layout.next_avail = ring->queue.next_avail;
        s->device->stop(s->device->user, index);
        log_debug(s->log, "vsock: ring %zu stopped at %u", index, ring->layout.next_avail);
}

/* Starts a ring that has all that it needs. */
static int start_ring(struct vhost_user *s, size_t index, struct error *err)
{
        struct ring *ring = &s->rings[index];

        if (ring->running || !ring->enabled || ring->known != RING_KNOWS_ALL || ring->kick_fd < 0)
                return 0;
        ring->layout.event_idx = (s->features & BIT(VIRTIO_RING_F_EVENT_IDX)) != 0;
        ring->layout.direction = s->device->directions[index];
        int r = virtqueue_init(&ring->queue, &ring->layout, &s->memory, err);
        if (r < 0) {
                error_wrap(err, "ring %zu", index);
                return r;
        }
        ring->running = true;
        log_debug(s->log, "vsock: ring %zu runs from %u", index, ring->layout.next_avail);
        return s->device->start(s->device->user, index, ring->kick_fd, err);
}

struct virtqueue *vhost_user_queue(struct vhost_user *s, size_t index)
{
        return s->rings[index].running ? &s->rings[index].queue : NULL;
}

static void interrupt(const struct vhost_user *s, size_t index)
{
        uint64_t one = 1;

        /* EAGAIN means that the counter is full, so that the guest is told already. */
        if (s->rings[index].call_fd >= 0 && write(s->rings[index].call_fd, &one, sizeof(one)) < 0 &&
            errno != EAGAIN)
                log_debug(s->log, "vsock: ring %zu: interrupt: %m", index);
}

void vhost_user_signal(struct vhost_user *s, size_t index)
{
        struct ring *ring = &s->rings[index];

        if (ring->running && virtqueue_should_signal(&ring->queue))
                interrupt(s, index);
}

/* Takes the message's only descriptor for kicks or calls. */
static int take_event_fd(struct vhost_user *s, int *ret_fd, struct error *err)
{
        struct stat st;

        if (fstat(s->fds[0], &st) < 0)
                return error_errno(err, errno, "ring descriptor");
        if ((st.st_mode & S_IFMT) != 0)
                return error_set(err, -EINVAL, "ring descriptor is not an eventfd");
        int r = fd_set_nonblocking(s->fds[0]);
        if (r < 0)
                return error_errno(err, -r, "ring descriptor");
        *ret_fd = take_fd(&s->fds[0]);
        return 0;
}

/* --- requests
 * --------------------------------------------------------------------------------------------------- */

static int reply(struct vhost_user *s, const void *payload, size_t n, struct error *err)
{
        uint8_t out[VHOST_USER_HEADER_SIZE + VHOST_USER_PAYLOAD_MAX];
        const uint32_t version_and_reply = 1 | 1 << 2;
        const uint32_t head[3] = {s->header.request, version_and_reply, (uint32_t)n};

        memcpy(out, head, sizeof(head));
        memcpy(out + sizeof(head), payload, n);
        /* The front end waits for this reply, so there is room; if not, it does not follow the protocol. */
        ssize_t sent = send(s->fd, out, sizeof(head) + n, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0)
                return error_errno(err, errno, "reply to %s", vhost_user_request_name(s->header.request));
        if ((size_t)sent != sizeof(head) + n)
                return error_set(err, -EPROTO, "reply to %s: front end does not read",
                                 vhost_user_request_name(s->header.request));
        return 0;
}

static int reply_u64(struct vhost_user *s, uint64_t value, struct error *err)
{
        return reply(s, &value, sizeof(value), err);
}

/* The ring, or NULL and *err (-EBADMSG) where the device has none of that index. */
static struct ring *find_ring(struct vhost_user *s, uint32_t index, struct error *err)
{
        if (index < s->device->n_queues)
                return &s->rings[index];
        error_set(err, -EBADMSG, "ring %" PRIu32 " of a device with %zu", index, s->device->n_queues);
        return NULL;
}

/* As find_ring, for what must not change under a running ring. */
static struct ring *find_stopped_ring(struct vhost_user *s, uint32_t index, struct error *err)
{
        struct ring *ring = find_ring(s, index, err);

        if (!ring || !ring->running)
                return ring;
        error_set(err, -EBADMSG, "ring %" PRIu32 " is running", index);
        return NULL;
}

static int on_get_features(struct vhost_user *s, const struct vhost_user_message *m, struct error *err)
{
        (void)m;
        return reply_u64(s, offered_features(s), err);
}

static int on_set_features(struct vhost_user *s, const struct vhost_user_message *m, struct error *err)
{
        if (m->value & ~offered_features(s))
                return error_set(err, -EBADMSG, "feature bits 0x%" PRIx64 " were not offered",
                                 m->value & ~offered_features(s));
        s->features = m->value;
        /* Without the protocol features, no SET_VRING_ENABLE will come: rings are born enabled. */
        if (!(s->features & BIT(VHOST_USER_F_PROTOCOL_FEATURES)))
                for (size_t i = 0; i < s->device->n_queues; i++)
                        s->rings[i].enabled = true;
        return 0;
}

static int on_get_protocol_features(struct vhost_user *s, const struct vhost_user_message *m,
                                    struct error *err)
{
        (void)m;
        return reply_u64(s, offered_protocol_features(), err);
}

static int on_set_protocol_features(struct vhost_user *s, const struct vhost_user_message *m,
                                    struct error *err)
{
        if (m->value & ~offered_protocol_features())
                return error_set(err, -EBADMSG, "protocol feature bits 0x%" PRIx64 " were not offered",
                                 m->value & ~offered_protocol_features());
        s->protocol_features = m->value;
        return 0;
}

static int on_get_queue_num(struct vhost_user *s, const struct vhost_user_message *m, struct error *err)
{
        (void)m;
        return reply_u64(s, s->device->n_queues, err);
}

static int on_nothing(struct vhost_user *s, const struct vhost_user_message *m, struct error *err)
{
        (void)s, (void)m, (void)err;
        return 0;
}

static int on_reset_owner(struct vhost_user *s, const struct vhost_user_message *m, struct error *err)
{
        (void)m, (void)err;
        for (size_t i = 0; i < s->device->n_queues; i++) {
                stop_ring(s, i);
                s->rings[i].enabled = false;
        }
        s->device->reset(s->device->user);
        return 0;
}

static int on_set_mem_table(struct vhost_user *s, const struct vhost_user_message *m, struct error *err)
{
        struct guest_memory memory = {.n = 0};

        for (uint32_t i = 0; i < m->memory.n; i++) {
                int r = guest_memory_add(&memory, &m->memory.places[i], s->fds[i], err);
                if (r < 0) {
                        guest_memory_done(&memory);
                        return r;
                }
        }
        for (size_t i = 0; i < s->device->n_queues; i++)
                stop_ring(s, i);
        guest_memory_done(&s->memory);
        s->memory = memory;
        for (size_t i = 0; i < s->device->n_queues; i++) {
                int r = start_ring(s, i, err);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int on_set_vring_num(struct vhost_user *s, const struct vhost_user_message *m, struct error *err)
{
        struct ring *ring = find_stopped_ring(s, m->vring.index, err);

        if (!ring)
                return -EBADMSG;
        if (m->vring.value > VIRTQUEUE_SIZE_MAX)
                return error_set(err, -EBADMSG, "ring of %" PRIu32 " descriptors", m->vring.value);
        ring->layout.size = (uint16_t)m->vring.value;
        ring->known |= RING_KNOWS_SIZE;
        return 0;
}

static int on_set_vring_addr(struct vhost_user *s, const struct vhost_user_message *m, struct error *err)
{
        struct ring *ring = find_stopped_ring(s, m->vring_addr.index, err);

        if (!ring)
                return -EBADMSG;
        ring->layout.desc = m->vring_addr.desc;
        ring->layout.avail = m->vring_addr.avail;
        ring->layout.used = m->vring_addr.used;
        ring->known |= RING_KNOWS_ADDRESSES;
        return 0;
}

static int on_set_vring_base(struct vhost_user *s, const struct vhost_user_message *m, struct error *err)
{
        struct ring *ring = find_stopped_ring(s, m->vring.index, err);

        if (!ring)
                return -EBADMSG;
        if (m->vring.value > UINT16_MAX)
                return error_set(err, -EBADMSG, "ring base %" PRIu32, m->vring.value);
        if (m->vring.value == 0 && ring->layout.next_avail != 0)
                s->device->reset(s->device->user);
        ring->layout.next_avail = (uint16_t)m->vring.value;
        return 0;
}

static int on_get_vring_base(struct vhost_user *s, const struct vhost_user_message *m, struct error *err)
{
        struct ring *ring = find_ring(s, m->vring.index, err);

        if (!ring)
                return -EBADMSG;
        stop_ring(s, m->vring.index);
        /* It takes a new kick descriptor to start again. */
        fd_close_p(&ring->kick_fd);
        const uint32_t answer[2] = {m->vring.index, ring->layout.next_avail};
        return reply(s, answer, sizeof(answer), err);
}

static int on_set_vring_kick(struct vhost_user *s, const struct vhost_user_message *m, struct error *err)
{
        struct ring *ring = find_ring(s, m->vring_fd.index, err);

        if (!ring)
                return -EBADMSG;
        if (!m->vring_fd.has_fd)
                return error_set(err, -EOPNOTSUPP, "a ring without kicks is not supported");
        int fd = -1;
        int r = take_event_fd(s, &fd, err);
        if (r < 0)
                return r;
        stop_ring(s, m->vring_fd.index);
        fd_close_p(&ring->kick_fd);
        ring->kick_fd = fd;
        return start_ring(s, m->vring_fd.index, err);
}

static int on_set_vring_call(struct vhost_user *s, const struct vhost_user_message *m, struct error *err)
{
        struct ring *ring = find_ring(s, m->vring_fd.index, err);

        if (!ring)
                return -EBADMSG;
        int fd = -1;
        int r = m->vring_fd.has_fd ? take_event_fd(s, &fd, err) : 0;
        if (r < 0)
                return r;
        fd_close_p(&ring->call_fd);
        ring->call_fd = fd;
        /* QEMU lets a ring run before it puts the guest's own descriptor in place.  An interrupt that went to
         * the one before is lost; one too many does no harm. */
        if (ring->running)
                interrupt(s, m->vring_fd.index);
        return 0;
}

static int on_set_vring_enable(struct vhost_user *s, const struct vhost_user_message *m, struct error *err)
{
        struct ring *ring = find_ring(s, m->vring.index, err);

        if (!ring)
                return -EBADMSG;
        ring->enabled = m->vring.value != 0;
        if (ring->enabled)
                return start_ring(s, m->vring.index, err);
        stop_ring(s, m->vring.index);
        return 0;
}

static int on_get_config(struct vhost_user *s, const struct vhost_user_message *m, struct error *err)
{
        uint8_t out[3 * sizeof(uint32_t) + VHOST_USER_CONFIG_MAX] = {0};
        const uint32_t head[3] = {m->config.offset, m->config.size, m->config.flags};

        /* Behind the end of our configuration space there are zeros, for a front end that reads a round
         * number. */
        memcpy(out, head, sizeof(head));
        for (size_t i = 0; i < m->config.size && m->config.offset + i < s->device->config_size; i++)
                out[sizeof(head) + i] = s->device->config[m->config.offset + i];
        return reply(s, out, sizeof(head) + m->config.size, err);
}

static int on_set_config(struct vhost_user *s, const struct vhost_user_message *m, struct error *err)
{
        (void)m, (void)err;
        log_debug(s->log, "vsock: guest wrote to its read-only configuration space");
        return 0;
}

/* Requests and their handlers. Those that answer with more than an acknowledgement do so themselves. */
static const struct handler {
        int (*handle)(struct vhost_user *s, const struct vhost_user_message *m, struct error *err);
        bool answers;
} handlers[VHOST_USER_REQUEST_MAX + 1] = {
        [VHOST_USER_GET_FEATURES] = {on_get_features, true},
        [VHOST_USER_SET_FEATURES] = {on_set_features, false},
        [VHOST_USER_SET_OWNER] = {on_nothing, false},
        [VHOST_USER_RESET_OWNER] = {on_reset_owner, false},
        [VHOST_USER_SET_MEM_TABLE] = {on_set_mem_table, false},
        [VHOST_USER_SET_VRING_NUM] = {on_set_vring_num, false},
        [VHOST_USER_SET_VRING_ADDR] = {on_set_vring_addr, false},
        [VHOST_USER_SET_VRING_BASE] = {on_set_vring_base, false},
        [VHOST_USER_GET_VRING_BASE] = {on_get_vring_base, true},
        [VHOST_USER_SET_VRING_KICK] = {on_set_vring_kick, false},
        [VHOST_USER_SET_VRING_CALL] = {on_set_vring_call, false},
        [VHOST_USER_SET_VRING_ERR] = {on_nothing, false},
        [VHOST_USER_GET_PROTOCOL_FEATURES] = {on_get_protocol_features, true},
        [VHOST_USER_SET_PROTOCOL_FEATURES] = {on_set_protocol_features, false},
        [VHOST_USER_GET_QUEUE_NUM] = {on_get_queue_num, true},
        [VHOST_USER_SET_VRING_ENABLE] = {on_set_vring_enable, false},
        [VHOST_USER_GET_CONFIG] = {on_get_config, true},
        [VHOST_USER_SET_CONFIG] = {on_set_config, false},
};

static int handle_message(struct vhost_user *s, struct error *err)
{
        struct view payload = view_of(s->in + VHOST_USER_HEADER_SIZE, s->header.size);
        struct vhost_user_message m;

        int r = vhost_user_message_parse(&s->header, payload, s->n_fds, &m, err);
        if (r < 0)
                return r;
        const struct handler *handler = &handlers[m.request];
        r = handler->handle(s, &m, err);
        if (r < 0) {
                error_wrap(err, "%s", vhost_user_request_name(m.request));
                return r;
        }
        if (m.need_reply && !handler->answers &&
            (s->protocol_features & BIT(VHOST_USER_PROTOCOL_F_REPLY_ACK)))
                return reply_u64(s, 0, err);
        return 0;
}

/* --- receiving
 * -------------------------------------------------------------------------------------------------- */

/* Takes the descriptors out of what was received. Any but SCM_RIGHTS, and any too many, are an error. */
static int take_fds(struct vhost_user *s, struct msghdr *msg, struct error *err)
{
        bool too_many = (msg->msg_flags & MSG_CTRUNC) != 0;

        for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
                if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
                        continue;
                size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
                for (size_t i = 0; i < n; i++) {
                        cleanup_fd int fd = -1;
                        memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
                        if (s->n_fds < VHOST_USER_FDS_MAX)
                                s->fds[s->n_fds++] = take_fd(&fd);
                        else
                                too_many = true;
                }
        }
        return too_many
                       ? error_set(err, -EBADMSG, "message with more than %d descriptors", VHOST_USER_FDS_MAX)
                       : 0;
}

/* Receives at most up to `until` bytes of the message: 1 where they are complete, 0 where more has to
 * come. */
static int receive(struct vhost_user *s, size_t until, struct error *err)
{
        union {
                char bytes[CMSG_SPACE(VHOST_USER_FDS_MAX * sizeof(int))];
                struct cmsghdr align;
        } control;
        struct iovec iov = {.iov_base = s->in + s->in_size, .iov_len = until - s->in_size};
        struct msghdr msg = {
                .msg_iov = &iov,
                .msg_iovlen = 1,
                .msg_control = control.bytes,
                .msg_controllen = sizeof(control.bytes),
        };

        if (s->in_size == until)
                return 1;
        ssize_t n = recvmsg(s->fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return 0;
        if (n < 0 && errno != ECONNRESET)
                return error_errno(err, errno, "socket");
        if (n <= 0)
                return error_set(err, -EPIPE, "QEMU closed its end of the vsock device");
        int r = take_fds(s, &msg, err);
        if (r < 0)
                return r;
        s->in_size += (size_t)n;
        return s->in_size == until ? 1 : 0;
}

/* Receives one message and handles it: 1 where that is done, 0 where more has to come. */
static int service_one(struct vhost_user *s, struct error *err)
{
        int r;

        if (s->in_size < VHOST_USER_HEADER_SIZE) {
                r = receive(s, VHOST_USER_HEADER_SIZE, err);
                if (r <= 0)
                        return r;
                r = vhost_user_header_parse(view_of(s->in, VHOST_USER_HEADER_SIZE), &s->header, err);
                if (r < 0)
                        return r;
        }
        r = receive(s, VHOST_USER_HEADER_SIZE + (size_t)s->header.size, err);
        if (r <= 0)
                return r;
        r = handle_message(s, err);
        drop_message(s);
        return r < 0 ? r : 1;
}

int vhost_user_service(struct vhost_user *s, struct error *err)
{
        for (int i = 0; i < MESSAGES_PER_TURN; i++) {
                int r = service_one(s, err);
                if (r < 0)
                        error_wrap(err, "vhost-user");
                if (r <= 0)
                        return r;
        }
        return 0;
}
