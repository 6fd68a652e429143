/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtqueue.h - the device's side of a split virtqueue (virtio 1.2, section 2.7), in little-endian order
 * (VIRTIO_F_VERSION_1), with indirect descriptors (2.7.5.3) and, where negotiated, event indexes (2.7.7.1).
 *
 * A queue goes one way: its buffers are all for the device to read (a transmit queue) or all for it to write
 * (a receive queue).  A descriptor of the other direction is a broken ring, as is one that leaves the guest's
 * memory, a chain longer than its table, or an index out of range; after such an error the queue must not be
 * used again.
 */
#pragma once

#include "lib/vsock/guest-memory.h"

#include <stdbool.h>
#include <sys/uio.h>

enum {
        VIRTQUEUE_SIZE_MAX = 1024,    /* descriptors in a ring; QEMU's vsock has 128 */
        VIRTQUEUE_SEGMENTS_MAX = 128, /* memory runs in one chain */
};

enum virtqueue_direction {
        VIRTQUEUE_DEVICE_READS,
        VIRTQUEUE_DEVICE_WRITES,
};

/* Where a ring lies and where to go on in it, as vhost-user tells. */
struct virtqueue_layout {
        uint16_t size; /* descriptors, a power of two */
        uint64_t desc; /* addresses in QEMU's address space */
        uint64_t avail;
        uint64_t used;
        uint16_t next_avail;
        bool event_idx;
        enum virtqueue_direction direction;
};

struct virtqueue {
        const struct guest_memory *memory;
        struct virtqueue_layout layout;
        uint8_t *desc;
        uint8_t *avail;
        uint8_t *used;
        uint16_t next_avail; /* free-running, as is the rest */
        uint16_t next_used;
        uint16_t signalled; /* next_used when the guest was last considered for a signal */
};

/* One buffer of the guest: its bytes are those of the segments in a row. */
struct virtqueue_chain {
        uint16_t head; /* names the buffer in virtqueue_push() */
        size_t size;   /* bytes */
        size_t n;      /* segments */
        struct iovec segments[VIRTQUEUE_SEGMENTS_MAX];
};

/* Finds the ring in guest memory, which must outlive the queue.  -EINVAL for a size that is no power of two
 * up to the limit, an unaligned part, or one that leaves the memory. */
int virtqueue_init(struct virtqueue *q, const struct virtqueue_layout *layout,
                   const struct guest_memory *memory, struct error *err);

/* Takes the next buffer: 1 and *ret_chain, 0 where there is none, or -EBADMSG for a broken ring. */
int virtqueue_pop(struct virtqueue *q, struct virtqueue_chain *ret_chain, struct error *err);

/* Gives back the last n popped buffers as though they had never been taken; none of them was pushed. */
void virtqueue_unpop(struct virtqueue *q, uint16_t n);

/* Returns a buffer to the guest, of which the device wrote the first `written` bytes. */
void virtqueue_push(struct virtqueue *q, uint16_t head, uint32_t written);

/* True where the guest wants to be told of what was pushed since the last call of this. */
bool virtqueue_should_signal(struct virtqueue *q);

/* Asks the guest not to tell us of new buffers. It may do so all the same. */
void virtqueue_disable_kicks(struct virtqueue *q);

/* Asks the guest to tell us of the next new buffer.  True where one is there already, in which case it may
 * not. */
bool virtqueue_enable_kicks(struct virtqueue *q);

/* Copies n bytes out of, or into, a chain, from byte `at` on.  False where it is shorter than that. */
bool virtqueue_chain_read(const struct virtqueue_chain *chain, size_t at, void *p, size_t n);
bool virtqueue_chain_write(const struct virtqueue_chain *chain, size_t at, const void *p, size_t n);

/* The segments of a chain's bytes from `at` on, at most n bytes, into `ret_segments` (room for
 * VIRTQUEUE_SEGMENTS_MAX); returns how many there are. */
size_t virtqueue_chain_slice(const struct virtqueue_chain *chain, size_t at, size_t n,
                             struct iovec *ret_segments);
