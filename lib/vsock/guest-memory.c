/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/vsock/guest-memory.h"

#include "lib/base/checked.h"

#include <fcntl.h>
#include <inttypes.h>
#include <sys/mman.h>
#include <sys/stat.h>

static bool ranges_overlap(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size)
{
        return a < b + b_size && b < a + a_size;
}

/* The file must hold the whole region, up to its byte `end`, now and for ever. */
static int check_file(const struct guest_memory_place *place, int fd, uint64_t end, struct error *err)
{
        struct stat st;

        if (fstat(fd, &st) < 0)
                return error_errno(err, errno, "guest memory");
        /* Only files in memory (tmpfs, huge pages) have seals: what is anything else ends here, too. */
        int seals = fcntl(fd, F_GET_SEALS);
        if (seals < 0 || !(seals & F_SEAL_SHRINK)) {
                error_set(err, -EINVAL, "guest memory could shrink under us (no F_SEAL_SHRINK)");
                error_hint(err, "give QEMU a memory-backend-memfd with seal=on");
                return -EINVAL;
        }
        if (st.st_size < 0 || (uint64_t)st.st_size < end)
                return error_set(err, -EINVAL,
                                 "guest memory at 0x%" PRIx64 " needs %" PRIu64
                                 " bytes of a file of %jd bytes",
                                 place->guest_addr, end, (intmax_t)st.st_size);
        return 0;
}

static int check_place(const struct guest_memory *m, const struct guest_memory_place *place,
                       struct error *err)
{
        uint64_t end;

        if (m->n == GUEST_MEMORY_REGIONS_MAX)
                return error_set(err, -ENOSPC, "more than %d memory regions", GUEST_MEMORY_REGIONS_MAX);
        if (place->size == 0 || !checked_add64(place->guest_addr, place->size, &end) ||
            !checked_add64(place->user_addr, place->size, &end))
                return error_set(err, -EINVAL,
                                 "memory region at 0x%" PRIx64 " has an impossible size 0x%" PRIx64,
                                 place->guest_addr, place->size);
        for (size_t i = 0; i < m->n; i++) {
                const struct guest_memory_place *other = &m->regions[i].place;
                if (ranges_overlap(place->guest_addr, place->size, other->guest_addr, other->size) ||
                    ranges_overlap(place->user_addr, place->size, other->user_addr, other->size))
                        return error_set(err, -EINVAL,
                                         "memory regions at 0x%" PRIx64 " and 0x%" PRIx64 " overlap",
                                         other->guest_addr, place->guest_addr);
        }
        return 0;
}

int guest_memory_add(struct guest_memory *m, const struct guest_memory_place *place, int fd,
                     struct error *err)
{
        uint64_t end;

        int r = check_place(m, place, err);
        if (r < 0)
                return r;
        if (!checked_add64(place->offset, place->size, &end))
                return error_set(err, -EINVAL,
                                 "memory region at 0x%" PRIx64 " has an impossible offset 0x%" PRIx64,
                                 place->guest_addr, place->offset);
        r = check_file(place, fd, end, err);
        if (r < 0)
                return r;
        /* Mapped from the start of the file, so that no page size, huge pages' included, matters. */
        size_t mapping_size = (size_t)end;
        void *mapping = mmap(NULL, mapping_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
        if (mapping == MAP_FAILED)
                return error_errno(err, errno, "map %zu bytes of guest memory", mapping_size);
        /* An enclave's memory has no place in our core dump. */
        (void)madvise(mapping, mapping_size, MADV_DONTDUMP);
        m->regions[m->n++] = (struct guest_memory_region){
                .place = *place,
                .p = (uint8_t *)mapping + place->offset,
                .mapping = mapping,
                .mapping_size = mapping_size,
        };
        return 0;
}

void guest_memory_done(struct guest_memory *m)
{
        for (size_t i = 0; i < m->n; i++)
                munmap(m->regions[i].mapping, m->regions[i].mapping_size);
        m->n = 0;
}

void *guest_memory_run(const struct guest_memory *m, uint64_t guest_addr, size_t n, size_t *ret_n)
{
        for (size_t i = 0; i < m->n; i++) {
                const struct guest_memory_region *region = &m->regions[i];
                if (guest_addr < region->place.guest_addr)
                        continue;
                uint64_t at = guest_addr - region->place.guest_addr;
                if (at >= region->place.size)
                        continue;
                uint64_t left = region->place.size - at;
                *ret_n = left < n ? (size_t)left : n;
                return region->p + at;
        }
        return NULL;
}

void *guest_memory_at(const struct guest_memory *m, uint64_t guest_addr, size_t n)
{
        size_t run;
        void *p = guest_memory_run(m, guest_addr, n, &run);

        return p && run == n ? p : NULL;
}

void *guest_memory_at_user(const struct guest_memory *m, uint64_t user_addr, size_t n)
{
        for (size_t i = 0; i < m->n; i++) {
                const struct guest_memory_region *region = &m->regions[i];
                if (user_addr < region->place.user_addr)
                        continue;
                uint64_t at = user_addr - region->place.user_addr;
                if (at < region->place.size && n <= region->place.size - at)
                        return region->p + at;
        }
        return NULL;
}
