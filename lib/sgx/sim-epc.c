/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/sgx/sim-epc.h"

#include "lib/base/fd.h"
#include "lib/sgx/measure.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

_Static_assert(sizeof(struct sim_epcm) == 5, "shared between processes");
_Static_assert(sizeof(struct sim_head) <= SGX_PAGE_SIZE, "the head is one page");

static struct sim_enclave *_Atomic enclaves[SIM_ENCLAVES_MAX];

static int enter_registry(struct sim_enclave *e)
{
        for (size_t i = 0; i < SIM_ENCLAVES_MAX; i++) {
                struct sim_enclave *none = NULL;

                if (atomic_compare_exchange_strong(&enclaves[i], &none, e))
                        return 0;
        }
        return -EMFILE;
}

static void leave_registry(struct sim_enclave *e)
{
        for (size_t i = 0; i < SIM_ENCLAVES_MAX; i++) {
                struct sim_enclave *it = e;

                atomic_compare_exchange_strong(&enclaves[i], &it, NULL);
        }
}

/* One for `fd`, which it owns from then on, and which is closed on failure. */
static struct sim_enclave *adopt(int fd)
{
        struct sim_enclave *e = calloc(1, sizeof(*e));
        struct stat st;

        if (e && fstat(fd, &st) == 0) {
                e->fd = fd;
                e->inode = st.st_ino;
                if (enter_registry(e) == 0)
                        return e;
                errno = EMFILE;
        }
        free(e);
        fd_close_p(&fd);
        return NULL;
}

struct sim_enclave *sim_enclave_new(void)
{
        int fd = memfd_create("sgx-enclave-simulated", MFD_CLOEXEC);

        return fd < 0 ? NULL : adopt(fd);
}

static off_t whole_pages(uint64_t size)
{
        return (off_t)((size + SGX_PAGE_SIZE - 1) / SGX_PAGE_SIZE * SGX_PAGE_SIZE);
}

/* Where the parts of the file lie. */
static void lay_out(struct sim_enclave *e, const struct sgx_secs *secs)
{
        e->base = secs->base;
        e->size = secs->size;
        e->sites_offset =
                (off_t)SGX_PAGE_SIZE + whole_pages(secs->size / SGX_PAGE_SIZE * sizeof(struct sim_epcm));
        e->pages_offset = e->sites_offset + whole_pages(secs->size / 8);
        e->file_size = (size_t)e->pages_offset + secs->size;
}

/* Our mapping must not be where the program will map the enclave, which it may not have reserved.  It is the
 * larger of the two, so that it comes there twice at most, at either end. */
static uint8_t *map_elsewhere(const struct sim_enclave *e)
{
        uint8_t *p = mmap(NULL, e->file_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, e->fd, 0);
        uint64_t at = (uint64_t)(uintptr_t)p;
        uint8_t *other;

        if (p == MAP_FAILED || at >= e->base + e->size || e->base >= at + e->file_size)
                return p;
        other = map_elsewhere(e);
        munmap(p, e->file_size);
        return other;
}

static int map_file(struct sim_enclave *e)
{
        uint8_t *p = map_elsewhere(e);

        if (p == MAP_FAILED)
                return -errno;
        e->mapped = calloc(e->size / SGX_PAGE_SIZE, 1);
        if (!e->mapped) {
                munmap(p, e->file_size);
                return -ENOMEM;
        }
        e->head = (void *)p;
        e->epcm = (void *)(p + SGX_PAGE_SIZE);
        e->sites = p + e->sites_offset;
        e->epc = p + e->pages_offset;
        e->created = true;
        return 0;
}

/* A mapping from before ECREATE becomes one of the enclave, where it has room for it. */
static int map_early(struct sim_enclave *e)
{
        if (!e->early_size || e->early > e->base || e->base - e->early > e->early_size ||
            e->early_size - (e->base - e->early) < e->size)
                return 0;
        if (mmap((void *)(uintptr_t)e->base, e->size, PROT_NONE, MAP_SHARED | MAP_FIXED, e->fd,
                 e->pages_offset) == MAP_FAILED)
                return -errno;
        memset(e->mapped, SIM_MAPPED | e->early_prot, e->size / SGX_PAGE_SIZE);
        return 0;
}

int sim_enclave_create(struct sim_enclave *e, const struct sgx_secs *secs)
{
        int r;

        lay_out(e, secs);
        if (ftruncate(e->fd, (off_t)e->file_size) < 0)
                return -errno;
        r = map_file(e);
        if (r < 0)
                return r;
        e->head->secs = *secs;
        r = map_early(e);
        if (r < 0)
                return r;
        return sgx_measure_create(&e->measurement, secs->ssa_frame_pages, secs->size);
}

struct sim_enclave *sim_enclave_attach(int fd)
{
        struct sim_head head;
        struct sim_enclave *e = sim_enclave_by_fd(fd);
        struct stat st;

        if (e)
                return e;
        if (fd_pread_full(fd, &head, sizeof(head), 0) < 0)
                head = (struct sim_head){0};
        head.secs.attributes.flags &=
                ~SGX_ATTRIBUTE_INIT; /* nobody asks for it, and a running enclave has it */
        if (!head.initialised || sgx_secs_check(&head.secs, NULL) < 0) {
                errno = EINVAL;
                return NULL;
        }
        fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        e = fd < 0 ? NULL : adopt(fd);
        if (!e)
                return NULL;
        lay_out(e, &head.secs);
        if (fstat(e->fd, &st) < 0 || (size_t)st.st_size != e->file_size || map_file(e) < 0) {
                sim_enclave_free(e);
                errno = EINVAL;
                return NULL;
        }
        return e;
}

void sim_enclave_free(struct sim_enclave *e)
{
        leave_registry(e);
        if (e->created)
                munmap(e->head, e->file_size);
        hash_done(&e->measurement);
        free(e->mapped);
        fd_close_p(&e->fd);
        free(e);
}

struct sim_enclave *sim_enclave_by_fd(int fd)
{
        struct stat st;

        if (fd < 0 || fstat(fd, &st) < 0)
                return NULL;
        for (size_t i = 0; i < SIM_ENCLAVES_MAX; i++) {
                struct sim_enclave *e = atomic_load(&enclaves[i]);

                if (e && e->inode == st.st_ino)
                        return e;
        }
        return NULL;
}

struct sim_enclave *sim_enclave_at(uint64_t address)
{
        for (size_t i = 0; i < SIM_ENCLAVES_MAX; i++) {
                struct sim_enclave *e = atomic_load_explicit(&enclaves[i], memory_order_acquire);

                if (e && e->created && address - e->base < e->size)
                        return e;
        }
        return NULL;
}

void *sim_enclave_bytes(struct sim_enclave *e, uint64_t address, size_t n, uint8_t rights)
{
        uint64_t at = address - e->base;

        if (at >= e->size || n > e->size - at)
                return NULL;
        for (uint64_t page = at / SGX_PAGE_SIZE; page * SGX_PAGE_SIZE < at + n; page++) {
                const struct sim_epcm *entry = &e->epcm[page];

                if (!entry->valid || entry->type != SGX_TYPE_REG || (entry->state & rights) != rights ||
                    (entry->state & (SGX_PAGE_PENDING | SGX_PAGE_MODIFIED)))
                        return NULL;
        }
        return e->epc + at;
}

/* The protection of a page in the program's mapping; -1 where it has none. */
static int protection(const struct sim_enclave *e, size_t page)
{
        const struct sim_epcm *entry = &e->epcm[page];

        if (!(e->mapped[page] & SIM_MAPPED))
                return -1;
        if (!entry->valid || entry->type != SGX_TYPE_REG ||
            (entry->state & (SGX_PAGE_PENDING | SGX_PAGE_MODIFIED)))
                return PROT_NONE;
        _Static_assert(PROT_READ == SGX_PAGE_R && PROT_WRITE == SGX_PAGE_W && PROT_EXEC == SGX_PAGE_X,
                       "the same bits");
        return e->mapped[page] & entry->state & (PROT_READ | PROT_WRITE | PROT_EXEC);
}

int sim_enclave_protect(struct sim_enclave *e, size_t from, size_t to)
{
        for (size_t begin = from, end; begin < to; begin = end) {
                int prot = protection(e, begin);

                for (end = begin + 1; end < to && protection(e, end) == prot;)
                        end++;
                if (prot >= 0 && mprotect((void *)(uintptr_t)(e->base + begin * SGX_PAGE_SIZE),
                                          (end - begin) * SGX_PAGE_SIZE, prot) < 0)
                        return -errno;
        }
        return 0;
}
