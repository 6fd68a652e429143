/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation.  The guest owns every byte of the ring and may change it at any moment, from another
 * CPU.  So a descriptor is copied once, field by field, checked, and only the copy is used; an index is read
 * once per decision.  Nothing here ever indexes by a number that was not reduced modulo the ring's size
 * (which is ours, not the guest's) or compared with its limit.
 */
#include "lib/vsock/virtqueue.h"

#include "lib/base/checked.h"

#include <endian.h>
#include <inttypes.h>
#include <linux/virtio_ring.h>
#include <string.h>

enum {
        DESC_SIZE = 16,
        AVAIL_IDX = 2, /* offsets in the available and in the used ring */
        AVAIL_RING = 4,
        USED_IDX = 2,
        USED_RING = 4,
        USED_ELEMENT = 8,
};

struct descriptor {
        uint64_t addr;
        uint32_t len;
        uint16_t flags;
        uint16_t next;
};

/* The tables that a chain's descriptors come from: the ring's own, or an indirect one. */
struct table {
        const uint8_t *p;
        uint32_t n;
};

static uint16_t load16(const uint8_t *p)
{
        return le16toh(__atomic_load_n((const uint16_t *)(const void *)p, __ATOMIC_ACQUIRE));
}

static void store16(uint8_t *p, uint16_t value)
{
        __atomic_store_n((uint16_t *)(void *)p, htole16(value), __ATOMIC_RELEASE);
}

/* The guest publishes an index and then looks at what the other side wants, as we do: both need a full
 * barrier. */
static void full_barrier(void)
{
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static size_t avail_size(uint16_t size)
{
        return AVAIL_RING + 2 * (size_t)size + 2;
}

static size_t used_size(uint16_t size)
{
        return USED_RING + USED_ELEMENT * (size_t)size + 2;
}

/* Where event indexes are negotiated, each ring ends with the other side's wish. */
static uint8_t *used_event(const struct virtqueue *q)
{
        return q->avail + AVAIL_RING + 2 * (size_t)q->layout.size;
}

static uint8_t *avail_event(const struct virtqueue *q)
{
        return q->used + USED_RING + USED_ELEMENT * (size_t)q->layout.size;
}

static int find_part(const struct guest_memory *memory, const char *part, uint64_t addr, size_t size,
                     size_t align, uint8_t **ret_p, struct error *err)
{
        uint8_t *p = guest_memory_at_user(memory, addr, size);

        if (!p)
                return error_set(err, -EINVAL, "%s ring at 0x%" PRIx64 " lies outside of the guest's memory",
                                 part, addr);
        if ((uintptr_t)p % align != 0)
                return error_set(err, -EINVAL, "%s ring at 0x%" PRIx64 " is not aligned to %zu bytes", part,
                                 addr, align);
        *ret_p = p;
        return 0;
}

int virtqueue_init(struct virtqueue *q, const struct virtqueue_layout *layout,
                   const struct guest_memory *memory, struct error *err)
{
        uint8_t *desc = NULL, *avail = NULL, *used = NULL;
        uint16_t size = layout->size;

        if (size == 0 || size > VIRTQUEUE_SIZE_MAX || (size & (size - 1)) != 0)
                return error_set(err, -EINVAL,
                                 "a ring of %u descriptors is not supported (a power of two up to %d)", size,
                                 VIRTQUEUE_SIZE_MAX);
        int r = find_part(memory, "descriptor", layout->desc, DESC_SIZE * (size_t)size, VRING_DESC_ALIGN_SIZE,
                          &desc, err);
        if (r == 0)
                r = find_part(memory, "available", layout->avail, avail_size(size), VRING_AVAIL_ALIGN_SIZE,
                              &avail, err);
        if (r == 0)
                r = find_part(memory, "used", layout->used, used_size(size), VRING_USED_ALIGN_SIZE, &used,
                              err);
        if (r < 0)
                return r;
        *q = (struct virtqueue){
                .memory = memory,
                .layout = *layout,
                .desc = desc,
                .avail = avail,
                .used = used,
                .next_avail = layout->next_avail,
                .next_used = load16(used + USED_IDX),
        };
        q->signalled = q->next_used;
        return 0;
}

/* Copies a descriptor out; index < table->n. */
static struct descriptor read_descriptor(const struct table *table, uint32_t index)
{
        uint8_t raw[DESC_SIZE];
        struct descriptor d;

        memcpy(raw, table->p + (size_t)index * DESC_SIZE, sizeof(raw));
        memcpy(&d.addr, raw, 8);
        memcpy(&d.len, raw + 8, 4);
        memcpy(&d.flags, raw + 12, 2);
        memcpy(&d.next, raw + 14, 2);
        d.addr = le64toh(d.addr);
        d.len = le32toh(d.len);
        d.flags = le16toh(d.flags);
        d.next = le16toh(d.next);
        return d;
}

/* Appends a descriptor's memory to the chain, in as many pieces as there are regions under it. */
static int append_segments(const struct virtqueue *q, const struct descriptor *d,
                           struct virtqueue_chain *chain, struct error *err)
{
        uint64_t addr = d->addr;
        size_t left = d->len;

        while (left > 0) {
                size_t run;
                void *p = guest_memory_run(q->memory, addr, left, &run);
                if (!p)
                        return error_set(err, -EBADMSG,
                                         "descriptor of %" PRIu32 " bytes at 0x%" PRIx64
                                         " leaves the guest's memory",
                                         d->len, d->addr);
                if (chain->n == VIRTQUEUE_SEGMENTS_MAX)
                        return error_set(err, -EBADMSG, "buffer in more than %d pieces",
                                         VIRTQUEUE_SEGMENTS_MAX);
                chain->segments[chain->n++] = (struct iovec){.iov_base = p, .iov_len = run};
                chain->size += run;
                addr += run;
                left -= run;
        }
        return 0;
}

static int open_indirect(const struct virtqueue *q, const struct descriptor *d, struct table *ret_table,
                         struct error *err)
{
        if (d->flags & VRING_DESC_F_NEXT)
                return error_set(err, -EBADMSG, "indirect descriptor with a successor");
        if (d->len == 0 || d->len % DESC_SIZE != 0 || d->len / DESC_SIZE > VIRTQUEUE_SIZE_MAX)
                return error_set(err, -EBADMSG, "indirect table of %" PRIu32 " bytes", d->len);
        const uint8_t *p = guest_memory_at(q->memory, d->addr, d->len);
        if (!p)
                return error_set(err, -EBADMSG, "indirect table at 0x%" PRIx64 " leaves the guest's memory",
                                 d->addr);
        *ret_table = (struct table){.p = p, .n = d->len / DESC_SIZE};
        return 0;
}

/* Walks the chain from `index` of `table` on.  A table of n descriptors has no chain of more than n, so a
 * walk that takes longer goes in circles.  An indirect table is met at most once: it has to come first and
 * alone. */
static int walk(const struct virtqueue *q, struct table table, uint32_t index, struct virtqueue_chain *chain,
                struct error *err)
{
        const uint16_t wanted = q->layout.direction == VIRTQUEUE_DEVICE_WRITES ? VRING_DESC_F_WRITE : 0;
        bool indirect = false;
        uint32_t steps = 0;

        for (;;) {
                if (index >= table.n)
                        return error_set(err, -EBADMSG, "descriptor %" PRIu32 " in a table of %" PRIu32,
                                         index, table.n);
                if (steps++ == table.n)
                        return error_set(err, -EBADMSG, "descriptors go in circles");
                struct descriptor d = read_descriptor(&table, index);
                if (d.flags & VRING_DESC_F_INDIRECT) {
                        if (indirect || steps > 1)
                                return error_set(err, -EBADMSG, "indirect descriptor inside of a chain");
                        int r = open_indirect(q, &d, &table, err);
                        if (r < 0)
                                return r;
                        indirect = true;
                        index = 0;
                        steps = 0;
                        continue;
                }
                if ((d.flags & VRING_DESC_F_WRITE) != wanted)
                        return error_set(err, -EBADMSG,
                                         "descriptor for the device to %s in a queue that it %s",
                                         wanted ? "read" : "write", wanted ? "writes" : "reads");
                int r = append_segments(q, &d, chain, err);
                if (r < 0)
                        return r;
                if (!(d.flags & VRING_DESC_F_NEXT))
                        return 0;
                index = d.next;
        }
}

int virtqueue_pop(struct virtqueue *q, struct virtqueue_chain *ret_chain, struct error *err)
{
        uint16_t size = q->layout.size;
        uint16_t waiting = (uint16_t)(load16(q->avail + AVAIL_IDX) - q->next_avail);

        if (waiting == 0)
                return 0;
        if (waiting > size)
                return error_set(err, -EBADMSG, "%u buffers in a ring of %u", waiting, size);
        uint16_t head = load16(q->avail + AVAIL_RING + 2 * (size_t)(q->next_avail % size));
        if (head >= size)
                return error_set(err, -EBADMSG, "descriptor %u in a ring of %u", head, size);
        ret_chain->head = head;
        ret_chain->size = 0;
        ret_chain->n = 0;
        int r = walk(q, (struct table){.p = q->desc, .n = size}, head, ret_chain, err);
        if (r < 0)
                return r;
        q->next_avail++;
        return 1;
}

void virtqueue_unpop(struct virtqueue *q, uint16_t n)
{
        q->next_avail = (uint16_t)(q->next_avail - n);
}

void virtqueue_push(struct virtqueue *q, uint16_t head, uint32_t written)
{
        uint8_t *element = q->used + USED_RING + USED_ELEMENT * (size_t)(q->next_used % q->layout.size);
        uint32_t fields[2] = {htole32(head), htole32(written)};

        memcpy(element, fields, sizeof(fields));
        q->next_used++;
        store16(q->used + USED_IDX, q->next_used);
}

bool virtqueue_should_signal(struct virtqueue *q)
{
        uint16_t old = q->signalled, new = q->next_used;

        if (old == new)
                return false;
        q->signalled = new;
        full_barrier();
        if (!q->layout.event_idx)
                return !(load16(q->avail) & VRING_AVAIL_F_NO_INTERRUPT);
        return vring_need_event(load16(used_event(q)), new, old);
}

void virtqueue_disable_kicks(struct virtqueue *q)
{
        /* With event indexes the last wish, being in the past, is as good as none. */
        if (!q->layout.event_idx)
                store16(q->used, VRING_USED_F_NO_NOTIFY);
}

bool virtqueue_enable_kicks(struct virtqueue *q)
{
        if (q->layout.event_idx)
                store16(avail_event(q), q->next_avail);
        else
                store16(q->used, 0);
        full_barrier();
        return load16(q->avail + AVAIL_IDX) != q->next_avail;
}

size_t virtqueue_chain_slice(const struct virtqueue_chain *chain, size_t at, size_t n,
                             struct iovec *ret_segments)
{
        size_t count = 0;

        for (size_t i = 0; i < chain->n && n > 0; i++) {
                const struct iovec *s = &chain->segments[i];
                if (at >= s->iov_len) {
                        at -= s->iov_len;
                        continue;
                }
                size_t part = s->iov_len - at < n ? s->iov_len - at : n;
                ret_segments[count++] =
                        (struct iovec){.iov_base = (uint8_t *)s->iov_base + at, .iov_len = part};
                at = 0;
                n -= part;
        }
        return count;
}

bool virtqueue_chain_read(const struct virtqueue_chain *chain, size_t at, void *p, size_t n)
{
        struct iovec segments[VIRTQUEUE_SEGMENTS_MAX];
        uint8_t *to = p;

        if (at > chain->size || n > chain->size - at)
                return false;
        size_t count = virtqueue_chain_slice(chain, at, n, segments);
        for (size_t i = 0; i < count; i++) {
                memcpy(to, segments[i].iov_base, segments[i].iov_len);
                to += segments[i].iov_len;
        }
        return true;
}

bool virtqueue_chain_write(const struct virtqueue_chain *chain, size_t at, const void *p, size_t n)
{
        struct iovec segments[VIRTQUEUE_SEGMENTS_MAX];
        const uint8_t *from = p;

        if (at > chain->size || n > chain->size - at)
                return false;
        size_t count = virtqueue_chain_slice(chain, at, n, segments);
        for (size_t i = 0; i < count; i++) {
                memcpy(segments[i].iov_base, from, segments[i].iov_len);
                from += segments[i].iov_len;
        }
        return true;
}
