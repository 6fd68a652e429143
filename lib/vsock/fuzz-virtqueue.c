/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: a ring that a hostile driver fills, and the device's side of it.  The input is u8 how large
 * the ring is, u8 options, le16 where it stands, u8 how many steps there are, the steps, and then the guest's
 * memory from its beginning: descriptors, available ring, used ring, and whatever those point to.  The memory
 * is two regions that lie one behind the other for the guest, but not here.
 */
#include "lib/vsock/virtqueue.h"

#include "lib/base/array.h"
#include "lib/base/fd.h"
#include "lib/base/view.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
        REGION = 4096,
        SIZE_LOG_MAX = 6,
        TAKEN_MAX = 8,
        OPTION_EVENT_IDX = 1,
        OPTION_WRITES = 2,
};

#define USER UINT64_C(0x7f0000000000)

struct target {
        struct guest_memory memory;
        struct virtqueue q;
        struct virtqueue_chain taken[TAKEN_MAX];
        uint16_t n;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void add_region(struct guest_memory *memory, uint64_t at, struct view content)
{
        const struct guest_memory_place place = {at, REGION, USER + 2 * at, 0};
        cleanup_fd int fd = memfd_create("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING);

        if (fd < 0 || ftruncate(fd, REGION) < 0 || fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) < 0 ||
            fd_pwrite_full(fd, content.p, content.n, 0) < 0 || guest_memory_add(memory, &place, fd, NULL) < 0)
                abort();
}

static bool in_memory(const struct guest_memory *memory, const struct iovec *segment)
{
        const uint8_t *p = segment->iov_base;

        for (size_t i = 0; i < memory->n; i++) {
                const struct guest_memory_region *r = &memory->regions[i];
                if (p >= r->p && segment->iov_len <= r->place.size &&
                    (size_t)(p - r->p) <= r->place.size - segment->iov_len)
                        return true;
        }
        return false;
}

/* What a caller relies on: a chain's pieces are the guest's memory, and its size is theirs. */
static void check_chain(const struct target *t, const struct virtqueue_chain *chain)
{
        size_t sum = 0;

        if (chain->head >= t->q.layout.size || chain->n > VIRTQUEUE_SEGMENTS_MAX)
                abort();
        for (size_t i = 0; i < chain->n; i++) {
                if (chain->segments[i].iov_len == 0 || !in_memory(&t->memory, &chain->segments[i]))
                        abort();
                sum += chain->segments[i].iov_len;
        }
        if (sum != chain->size)
                abort();
}

/* Copies from byte `at` on work up to the chain's end and not beyond, and touch what a slice says. */
static void use_chain(const struct target *t, const struct virtqueue_chain *chain, size_t at)
{
        struct iovec slice[VIRTQUEUE_SEGMENTS_MAX];
        uint8_t bytes[256];
        size_t left = at < chain->size ? chain->size - at : 0, sum = 0;
        size_t part = left < sizeof(bytes) ? left : sizeof(bytes);

        if (at <= chain->size && !virtqueue_chain_read(chain, at, bytes, part))
                abort();
        if (virtqueue_chain_read(chain, at, bytes, 1) != (left > 0))
                abort();
        if (t->q.layout.direction == VIRTQUEUE_DEVICE_WRITES && at <= chain->size &&
            !virtqueue_chain_write(chain, at, bytes, part))
                abort();
        size_t n = virtqueue_chain_slice(chain, at, left, slice);
        for (size_t i = 0; i < n; i++)
                sum += slice[i].iov_len;
        if (sum != left)
                abort();
}

/* 0, or -1 where the ring is broken. */
static int take(struct target *t, size_t at)
{
        struct virtqueue_chain *chain = &t->taken[t->n];

        if (t->n == TAKEN_MAX)
                return 0;
        int r = virtqueue_pop(&t->q, chain, NULL);
        if (r <= 0)
                return r;
        t->n++;
        check_chain(t, chain);
        use_chain(t, chain, at);
        return 0;
}

static void give_back(struct target *t)
{
        if (t->n == 0)
                return;
        virtqueue_push(&t->q, t->taken[0].head, (uint32_t)t->taken[0].size);
        t->n--;
        memmove(t->taken, t->taken + 1, t->n * sizeof(t->taken[0]));
}

static void untake(struct target *t, uint16_t n)
{
        if (n > t->n)
                n = t->n;
        virtqueue_unpop(&t->q, n);
        t->n = (uint16_t)(t->n - n);
}

/* The driver makes one more buffer available. */
static void offer(struct target *t)
{
        uint16_t index;

        memcpy(&index, t->q.avail + 2, sizeof(index));
        index++;
        memcpy(t->q.avail + 2, &index, sizeof(index));
}

static int step(struct target *t, uint8_t what)
{
        switch (what % 8) {
        case 0:
        case 1:
                return take(t, what >> 3);
        case 2:
                give_back(t);
                return 0;
        case 3:
                untake(t, what >> 3);
                return 0;
        case 4:
                (void)virtqueue_should_signal(&t->q);
                return 0;
        case 5:
                (void)virtqueue_enable_kicks(&t->q);
                return 0;
        case 6:
                virtqueue_disable_kicks(&t->q);
                return 0;
        default:
                offer(t);
                return 0;
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct cursor c = cursor_of(view_of(data, size));
        struct target t = {.n = 0};
        uint8_t size_log = cursor_u8(&c) % (SIZE_LOG_MAX + 1), options = cursor_u8(&c);
        struct virtqueue_layout layout = {
                .size = (uint16_t)(1U << size_log),
                .desc = USER,
                .next_avail = cursor_le16(&c),
                .event_idx = options & OPTION_EVENT_IDX,
                .direction = options & OPTION_WRITES ? VIRTQUEUE_DEVICE_WRITES : VIRTQUEUE_DEVICE_READS,
        };
        struct view steps = cursor_take(&c, cursor_u8(&c));
        if (!cursor_ok(&c))
                return 0;
        struct view first = cursor_rest(&c), second = {NULL, 0};
        if (first.n > REGION) {
                second = view_of(first.p + REGION, first.n - REGION < REGION ? first.n - REGION : REGION);
                first.n = REGION;
        }

        layout.avail = layout.desc + UINT64_C(16) * layout.size;
        layout.used = (layout.avail + 6 + UINT64_C(2) * layout.size + 3) & ~UINT64_C(3);
        add_region(&t.memory, 0, first);
        add_region(&t.memory, REGION, second);
        if (virtqueue_init(&t.q, &layout, &t.memory, NULL) < 0)
                abort();
        for (size_t i = 0; i < steps.n && step(&t, steps.p[i]) == 0; i++)
                ;
        guest_memory_done(&t.memory);
        return 0;
}
