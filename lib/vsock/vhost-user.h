/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vhost-user.h - the back end's side of a vhost-user session (QEMU, docs/interop/vhost-user.rst): features,
 * configuration space, guest memory, and rings that start and stop.
 *
 * The front end is QEMU, which a guest may have taken over: everything that it sends is checked, and whatever
 * is not as the protocol has it ends the session.  Sessions know no event loop: call vhost_user_service()
 * when `fd` is readable.
 */
#pragma once

#include "lib/base/cleanup.h"
#include "lib/base/log.h"
#include "lib/vsock/virtqueue.h"

enum { VHOST_USER_QUEUES_MAX = 2 };

struct vhost_user;

/* What a device is, to the session. */
struct vhost_user_device {
        uint64_t features; /* offered beside VIRTIO_F_VERSION_1 and the ring features, which always are */
        size_t n_queues;
        enum virtqueue_direction directions[VHOST_USER_QUEUES_MAX];
        uint8_t config[16]; /* configuration space, read-only */
        size_t config_size;

        /* Ring `index` runs from now on; `kick_fd` (non-blocking, the session's) becomes readable when the
         * guest kicks it.  The callee must look at the ring at once, too.  A negative errno ends the
         * session. */
        int (*start)(void *user, size_t index, int kick_fd, struct error *err);
        /* Ring `index` runs no more; forget `kick_fd` before returning. */
        void (*stop)(void *user, size_t index);
        /* The guest's driver began anew: it has forgotten all that was before.  The ring that this was seen
         * by doesn't run; others may. */
        void (*reset)(void *user);
        void *user;
};

/* A session on a connected Unix stream socket, which stays the caller's and must outlive it, as must
 * `device`. */
int vhost_user_new(int fd, const struct vhost_user_device *device, const struct log *log,
                   struct vhost_user **ret_session, struct error *err);

/* Frees, without calling stop().  NULL-safe. */
void vhost_user_free(struct vhost_user *session);
DEFINE_CLEANUP(cleanup_vhost_user_p, struct vhost_user *, vhost_user_free)
#define cleanup_vhost_user CLEANUP(cleanup_vhost_user_p)

/* Receives and answers what is there, without blocking.  0, or the session is over: -EPIPE where the front
 * end hung up, another error where it broke the protocol. */
int vhost_user_service(struct vhost_user *session, struct error *err);

/* The ring, or NULL while it does not run. Valid until its stop(). */
struct virtqueue *vhost_user_queue(struct vhost_user *session, size_t index);

/* Interrupts the guest where it wants that after what was pushed to the ring. */
void vhost_user_signal(struct vhost_user *session, size_t index);
