/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/sgx/sim-device.h"

#include "lib/sgx/driver-abi.h"
#include "lib/sgx/sim-epc.h"
#include "lib/sgx/sim-ioctl.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* The program's protection bits, as `mapped` keeps them. */
enum { PROT_ALL = PROT_READ | PROT_WRITE | PROT_EXEC };

static int sim_open(void *user, const char *path, int flags)
{
        static const char *const paths[] = {"/dev/sgx_enclave", "/dev/sgx/enclave", "/dev/isgx"};
        struct sim_enclave *e;
        (void)user;

        for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
                if (strcmp(path, paths[i]) != 0)
                        continue;
                e = sim_enclave_new();
                if (e && !(flags & O_CLOEXEC))
                        fcntl(e->fd, F_SETFD, 0);
                return e ? e->fd : -1;
        }
        errno = ENOENT;
        return -1;
}

static int sim_ioctl(void *user, int fd, unsigned long request, void *argument)
{
        struct sim_enclave *e = sim_enclave_by_fd(fd);
        int r;
        (void)user;

        r = e ? sim_ioctl_do(e, request, argument) : -ENOTTY;
        if (r < 0) {
                errno = -r;
                return -1;
        }
        return r;
}

/* As the kernel's sgx_encl_may_map(): no page gets rights that it was not added with. */
static int may_map(const struct sim_enclave *e, size_t from, size_t to, int prot)
{
        for (size_t page = from; page < to; page++) {
                const struct sim_epcm *entry = &e->epcm[page];
                int most = entry->type == SGX_TYPE_TCS ? PROT_READ | PROT_WRITE : entry->state & PROT_ALL;

                if (entry->valid && prot & PROT_ALL & ~most)
                        return -EACCES;
        }
        return 0;
}

static void *fail(int error)
{
        errno = error;
        return MAP_FAILED;
}

/* Before ECREATE there is nothing to map, but programs reserve their range so. */
static void *reserve(struct sim_enclave *e, void *address, size_t size, int prot, int flags)
{
        void *p = mmap(address, size, PROT_NONE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | (flags & MAP_FIXED), -1, 0);

        if (p != MAP_FAILED) {
                e->early = (uint64_t)(uintptr_t)p;
                e->early_size = size;
                e->early_prot = prot & PROT_ALL;
        }
        return p;
}

static void *sim_mmap(void *user, void *address, size_t size, int prot, int flags, int fd, off_t offset)
{
        struct sim_enclave *e = sim_enclave_by_fd(fd);
        uint64_t at = (uint64_t)(uintptr_t)address;
        size_t from, to;
        void *p;
        int r;
        (void)user, (void)offset; /* the driver, too, goes by the address */

        if (!e)
                return mmap(address, size, prot, flags, fd, offset);
        if ((flags & MAP_TYPE) != MAP_SHARED && (flags & MAP_TYPE) != MAP_SHARED_VALIDATE)
                return fail(EINVAL);
        if (!e->created)
                return reserve(e, address, size, prot, flags);
        at -= e->base;
        if (at >= e->size || at % SGX_PAGE_SIZE || size == 0 || size > e->size - at)
                return fail(EINVAL);
        from = at / SGX_PAGE_SIZE;
        to = from + (size + SGX_PAGE_SIZE - 1) / SGX_PAGE_SIZE;
        r = may_map(e, from, to, prot);
        if (r < 0)
                return fail(-r);
        p = mmap(address, size, PROT_NONE, MAP_SHARED | MAP_FIXED, e->fd, e->pages_offset + (off_t)at);
        if (p == MAP_FAILED)
                return p;
        memset(e->mapped + from, SIM_MAPPED | (prot & PROT_ALL), to - from);
        r = sim_enclave_protect(e, from, to);
        return r < 0 ? fail(-r) : p;
}

static bool any_mapped(const struct sim_enclave *e)
{
        size_t n = e->created ? e->size / SGX_PAGE_SIZE : 0;

        for (size_t i = 0; i < n; i++)
                if (e->mapped[i])
                        return true;
        return false;
}

static void forget_if_gone(struct sim_enclave *e)
{
        if (e->closed && !any_mapped(e))
                sim_enclave_free(e);
}

static int sim_munmap(void *user, void *address, size_t size)
{
        uint64_t first = (uint64_t)(uintptr_t)address, begin, end;
        struct sim_enclave *e = sim_enclave_at(first);
        int r = munmap(address, size);
        (void)user;

        if (!e && size)
                e = sim_enclave_at(first + size - 1);
        if (r < 0 || !e)
                return r;
        begin = first > e->base ? first - e->base : 0;
        end = first + size < e->base + e->size ? first + size - e->base : e->size;
        end = (end + SGX_PAGE_SIZE - 1) / SGX_PAGE_SIZE * SGX_PAGE_SIZE;
        memset(e->mapped + begin / SGX_PAGE_SIZE, 0, (end - begin) / SGX_PAGE_SIZE);
        forget_if_gone(e);
        return 0;
}

static int sim_close(void *user, int fd)
{
        struct sim_enclave *e = sim_enclave_by_fd(fd);
        (void)user;

        if (!e || e->fd != fd)
                return close(fd);
        /* The enclave lives on in its mappings, as with the driver, but the number is the program's to
         * reuse. */
        e->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        e->closed = true;
        forget_if_gone(e);
        return close(fd);
}

const struct sgx_os sgx_os_simulated = {
        .open = sim_open,
        .ioctl = sim_ioctl,
        .mmap = sim_mmap,
        .munmap = sim_munmap,
        .close = sim_close,
};

int sgx_sim_attach(int fd, uint64_t *ret_base, uint64_t *ret_size, struct error *err)
{
        struct sim_enclave *e = sim_enclave_attach(fd);

        if (!e || !e->created || !e->head->initialised)
                return error_set(err, -EINVAL, "descriptor %d is no simulated enclave that was initialised",
                                 fd);
        for (size_t page = 0; page < e->size / SGX_PAGE_SIZE; page++) {
                const struct sim_epcm *entry = &e->epcm[page];
                void *address = (void *)(uintptr_t)(e->base + page * SGX_PAGE_SIZE);

                if (entry->valid && sim_mmap(NULL, address, SGX_PAGE_SIZE, entry->state & PROT_ALL,
                                             MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED)
                        return error_errno(err, errno, "cannot map the enclave of descriptor %d", fd);
        }
        *ret_base = e->base;
        *ret_size = e->size;
        return 0;
}

int sgx_sim_mprotect(void *address, size_t size, int prot)
{
        uint64_t at = (uint64_t)(uintptr_t)address;
        struct sim_enclave *e = sim_enclave_at(at);
        size_t from, to;
        int r;

        if (!e)
                return -ENOENT;
        at -= e->base;
        if (at % SGX_PAGE_SIZE || size > e->size - at)
                return -EINVAL;
        from = at / SGX_PAGE_SIZE;
        to = from + (size + SGX_PAGE_SIZE - 1) / SGX_PAGE_SIZE;
        r = may_map(e, from, to, prot);
        for (size_t page = from; r == 0 && page < to; page++)
                if (e->mapped[page] & SIM_MAPPED)
                        e->mapped[page] = (uint8_t)(SIM_MAPPED | (prot & PROT_ALL));
        return r < 0 ? r : sim_enclave_protect(e, from, to);
}

bool sgx_sim_is_enclave(int fd)
{
        return sim_enclave_by_fd(fd) != NULL;
}
