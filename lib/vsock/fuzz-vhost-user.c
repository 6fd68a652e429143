/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: a front end's messages, with descriptors, and rings in the memory that it gives.  The input is
 * a row of records: u8 which descriptors come along (low half: how many; high half: of what kind), then the
 * message, its header telling its size.  The memory is filled with the input, so that rings hold parts of it.
 */
#include "lib/vsock/vhost-user.h"

#include "lib/base/fd.h"
#include "lib/vsock/vhost-user-message.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MEMORY = 64 * 1024, FDS_MAX = 10, RECORDS_MAX = 100, BUFFERS_MAX = 64 };

struct target {
        struct vhost_user_device device;
        struct vhost_user *session;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Uses a ring as a device would. */
static int on_start(void *user, size_t index, int kick_fd, struct error *err)
{
        struct target *t = user;
        struct virtqueue *q = vhost_user_queue(t->session, index);
        struct virtqueue_chain chain;
        uint8_t bytes[64];

        (void)kick_fd;
        virtqueue_disable_kicks(q);
        for (int i = 0; i < BUFFERS_MAX; i++) {
                int r = virtqueue_pop(q, &chain, err);
                if (r <= 0)
                        return r;
                (void)virtqueue_chain_read(&chain, 0, bytes, sizeof(bytes));
                if (t->device.directions[index] == VIRTQUEUE_DEVICE_WRITES)
                        (void)virtqueue_chain_write(&chain, 1, bytes, sizeof(bytes));
                virtqueue_push(q, chain.head, 44);
        }
        (void)virtqueue_enable_kicks(q);
        vhost_user_signal(t->session, index);
        return 0;
}

static void on_stop(void *user, size_t index)
{
        (void)user, (void)index;
}

static void on_reset(void *user)
{
        (void)user;
}

static int make_memory(const uint8_t *data, size_t size)
{
        int fd = memfd_create("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING);

        if (fd < 0 || ftruncate(fd, MEMORY) < 0 || fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) < 0)
                abort();
        for (size_t at = 0; size > 0 && at < MEMORY; at += size) {
                size_t part = size < MEMORY - at ? size : MEMORY - at;
                if (pwrite(fd, data, part, (off_t)at) != (ssize_t)part)
                        abort();
        }
        return fd;
}

static void send_record(int fd, uint8_t which, struct view message, const int kinds[3])
{
        union {
                char bytes[CMSG_SPACE(FDS_MAX * sizeof(int))];
                struct cmsghdr align;
        } control = {0};
        struct iovec iov = {(void *)(uintptr_t)message.p, message.n};
        struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
        size_t n = which % 16 < FDS_MAX ? which % 16 : FDS_MAX;
        int fds[FDS_MAX];

        for (size_t i = 0; i < n; i++)
                fds[i] = kinds[(which >> 4) % 3];
        if (n > 0) {
                msg.msg_control = control.bytes;
                msg.msg_controllen = CMSG_SPACE(n * sizeof(int));
                struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
                c->cmsg_level = SOL_SOCKET;
                c->cmsg_type = SCM_RIGHTS;
                c->cmsg_len = CMSG_LEN(n * sizeof(int));
                memcpy(CMSG_DATA(c), fds, n * sizeof(int));
        }
        (void)sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void feed(struct target *t, int fd, struct cursor *c, const int kinds[3])
{
        char answers[4096];

        for (int i = 0; i < RECORDS_MAX && !cursor_at_end(c); i++) {
                struct cursor peek = *c;
                uint8_t which = cursor_u8(c);
                (void)cursor_take(&peek, 1 + 8);
                size_t size = cursor_le32(&peek) % (VHOST_USER_PAYLOAD_MAX + 8);
                struct view rest = cursor_rest(c);
                size_t n = VHOST_USER_HEADER_SIZE + size < rest.n ? VHOST_USER_HEADER_SIZE + size : rest.n;
                send_record(fd, which, cursor_take(c, n), kinds);
                if (vhost_user_service(t->session, NULL) < 0)
                        return;
                (void)recv(fd, answers, sizeof(answers), MSG_DONTWAIT);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct cursor c = cursor_of(view_of(data, size));
        struct target t = {
                .device = {.n_queues = 2,
                           .directions = {VIRTQUEUE_DEVICE_WRITES, VIRTQUEUE_DEVICE_READS},
                           .config_size = 8,
                           .start = on_start,
                           .stop = on_stop,
                           .reset = on_reset},
        };
        cleanup_fd int memory = make_memory(data, size);
        cleanup_fd int event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        cleanup_fd int pipe_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
        const int kinds[3] = {memory, event, pipe_fd};
        int fds[2];

        t.device.user = &t;
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0 ||
            vhost_user_new(fds[0], &t.device, NULL, &t.session, NULL) < 0)
                abort();
        feed(&t, fds[1], &c, kinds);
        vhost_user_free(t.session);
        close(fds[0]);
        close(fds[1]);
        return 0;
}
