/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/enclave/nitro.h"

#include "lib/base/array.h"
#include "lib/base/fd.h"

#include <fcntl.h>
#include <inttypes.h>
#include <linux/mman.h>
#include <linux/nitro_enclaves.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const uint64_t MIB = UINT64_C(1024) * 1024;

/* What the driver says, and what its user can do. */
static const struct {
        int errnum;
        const char *text;
} driver_errors[] = {
        {NE_ERR_VCPU_ALREADY_USED, "the CPU is in use already"},
        {NE_ERR_VCPU_NOT_IN_CPU_POOL,
         "the CPU isn't in the pool (/sys/module/nitro_enclaves/parameters/ne_cpus)"},
        {NE_ERR_VCPU_INVALID_CPU_CORE, "the CPU's core is none of this machine"},
        {NE_ERR_INVALID_MEM_REGION_SIZE, "the memory's size is no multiple of 2 MiB"},
        {NE_ERR_INVALID_MEM_REGION_ADDR, "the memory's address is none of a program"},
        {NE_ERR_UNALIGNED_MEM_REGION_ADDR, "the memory's address is no multiple of 2 MiB"},
        {NE_ERR_MEM_REGION_ALREADY_USED, "the memory is an enclave's already"},
        {NE_ERR_MEM_NOT_HUGE_PAGE, "the memory isn't made of huge pages"},
        {NE_ERR_MEM_DIFFERENT_NUMA_NODE, "the memory is of another NUMA node than the CPU pool; reserve huge "
                                         "pages on the pool's node"},
        {NE_ERR_MEM_MAX_REGIONS,
         "the memory is in more pieces than an enclave can have; reserve larger huge pages"},
        {NE_ERR_NO_MEM_REGIONS_ADDED, "the enclave has no memory"},
        {NE_ERR_NO_VCPUS_ADDED, "the enclave has no CPUs"},
        {NE_ERR_ENCLAVE_MEM_MIN_SIZE, "the enclave has less than 64 MiB of memory"},
        {NE_ERR_FULL_CORES_NOT_USED,
         "an enclave has whole cores, so its number of CPUs is even where cores have two"},
        {NE_ERR_NOT_IN_INIT_STATE, "the enclave has been started already"},
        {NE_ERR_INVALID_VCPU, "there is no such CPU"},
        {NE_ERR_NO_CPUS_AVAIL_IN_POOL,
         "no CPU is left in the pool (/sys/module/nitro_enclaves/parameters/ne_cpus)"},
        {NE_ERR_INVALID_PAGE_SIZE, "the memory's pages are smaller than 2 MiB"},
        {NE_ERR_INVALID_FLAG_VALUE, "the driver doesn't know a flag"},
        {NE_ERR_INVALID_ENCLAVE_CID, "an enclave cannot have this CID"},
};

const char *nitro_strerror(int errnum)
{
        for (size_t i = 0; i < ARRAY_SIZE(driver_errors); i++) {
                if (driver_errors[i].errnum == errnum)
                        return driver_errors[i].text;
        }
        return errnum == EIO ? "the driver refuses (EIO): the enclave was created by another process, or the "
                               "hypervisor failed"
                             : strerror(errnum);
}

/* A failed ioctl in words. An errno of the driver's is no errno to others: they get EINVAL. */
static int driver_error(struct error *err, int errnum, const char *what)
{
        return error_set(err, errnum < NE_ERR_VCPU_ALREADY_USED ? -errnum : -EINVAL, "%s: %s", what,
                         nitro_strerror(errnum));
}

struct piece {
        uint8_t *address;
        uint64_t size;
};

struct nitro {
        int fd;
        struct piece *pieces; /* its memory, in order */
        size_t n;
};

/* ---- life ---- */

bool nitro_is_here(void)
{
        return access(NITRO_DEVICE, F_OK) == 0;
}

bool nitro_is_emulated(void)
{
        struct stat st;

        return stat(NITRO_DEVICE, &st) == 0 && st.st_dev == NITRO_EMULATED_ST_DEV;
}

int nitro_open_device(int *ret_fd, struct error *err)
{
        int fd = open(NITRO_DEVICE, O_RDWR | O_CLOEXEC);

        if (fd < 0) {
                int r = error_errno(err, errno, NITRO_DEVICE);
                if (r == -ENOENT)
                        error_hint(err, "this is no EC2 instance with enclaves enabled, or the driver isn't "
                                        "loaded; `ne-emulator` runs them anywhere");
                else if (r == -EACCES)
                        error_hint(err, "members of the group `ne` may open it");
                return r;
        }
        *ret_fd = fd;
        return 0;
}

int nitro_create(int device_fd, struct nitro **ret_nitro, struct error *err)
{
        struct nitro *nitro = calloc(1, sizeof(*nitro));
        uint64_t slot;

        if (!nitro)
                return error_oom(err);
        nitro->fd = ioctl(device_fd, NE_CREATE_VM, &slot);
        if (nitro->fd < 0) {
                int r = driver_error(err, errno, "cannot create an enclave");
                free(nitro);
                return r;
        }
        *ret_nitro = nitro;
        return 0;
}

void nitro_free(struct nitro *nitro)
{
        if (!nitro)
                return;
        /* The enclave first: it has the memory. */
        fd_close_p(&nitro->fd);
        for (size_t i = 0; i < nitro->n; i++)
                munmap(nitro->pieces[i].address, nitro->pieces[i].size);
        free(nitro->pieces);
        free(nitro);
}

int nitro_fd(const struct nitro *nitro)
{
        return nitro->fd;
}

/* ---- memory ---- */

static void *map_huge(uint64_t size, unsigned page_shift)
{
        return mmap(NULL, size, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | (int)(page_shift << MAP_HUGE_SHIFT), -1, 0);
}

/* Maps up to `left` bytes of pages of one size: few pieces, for an enclave can have only so many. */
static int map_pages(struct nitro *nitro, unsigned page_shift, uint64_t *left)
{
        uint64_t page = UINT64_C(1) << page_shift;

        for (uint64_t pages = *left / page; pages > 0;) {
                void *address = map_huge(pages * page, page_shift);
                if (address == MAP_FAILED) {
                        pages /= 2;
                        continue;
                }
                if (array_grow(&nitro->pieces, nitro->n, sizeof(*nitro->pieces)) < 0) {
                        munmap(address, pages * page);
                        return -ENOMEM;
                }
                nitro->pieces[nitro->n++] = (struct piece){address, pages * page};
                *left -= pages * page;
                pages = pages < *left / page ? pages : *left / page;
        }
        return 0;
}

static int map_memory(struct nitro *nitro, unsigned mib, struct error *err)
{
        /* What x86_64 and aarch64 have, as powers of two, from 16 GiB down. */
        static const unsigned shifts[] = {34, 31, 30, 29, 25, 24, 23, 22, 21};
        uint64_t left = mib * MIB;

        for (size_t i = 0; i < ARRAY_SIZE(shifts) && left > 0; i++) {
                if (map_pages(nitro, shifts[i], &left) < 0)
                        return error_oom(err);
        }
        if (left == 0)
                return 0;
        error_set(err, -ENOMEM,
                  "%u MiB of memory are wanted, and of free huge pages there are only %" PRIu64 " MiB", mib,
                  mib - left / MIB);
        error_hint(err, "vm.nr_hugepages reserves some, of 2 MiB each");
        return -ENOMEM;
}

/* Reads n bytes of the image to memory that may turn out not to be there: that is an error, and no SIGBUS. */
static int read_image(int fd, uint64_t offset, uint8_t *to, uint64_t n, struct error *err)
{
        while (n > 0) {
                ssize_t got = pread(fd, to, n, (off_t)offset);
                if (got < 0 && errno == EINTR)
                        continue;
                if (got < 0)
                        return errno == EFAULT
                                       ? error_set(err, -ENOMEM,
                                                   "the huge pages that were free a moment ago have gone")
                                       : error_errno(err, errno, "cannot read the image");
                if (got == 0)
                        return error_set(err, -ENODATA, "the image was cut while it was read");
                offset += (uint64_t)got;
                to += got;
                n -= (uint64_t)got;
        }
        return 0;
}

static int load_image(struct nitro *nitro, uint64_t offset, int fd, uint64_t size, struct error *err)
{
        uint64_t done = 0;

        for (size_t i = 0; i < nitro->n && done < size; i++) {
                const struct piece *piece = &nitro->pieces[i];
                if (offset >= piece->size) {
                        offset -= piece->size;
                        continue;
                }
                uint64_t room = piece->size - offset;
                uint64_t n = size - done < room ? size - done : room;
                int r = read_image(fd, done, piece->address + offset, n, err);
                if (r < 0)
                        return r;
                done += n;
                offset = 0;
        }
        return 0;
}

static int add_memory(struct nitro *nitro, struct error *err)
{
        for (size_t i = 0; i < nitro->n; i++) {
                struct ne_user_memory_region region = {
                        .flags = NE_DEFAULT_MEMORY_REGION,
                        .memory_size = nitro->pieces[i].size,
                        .userspace_addr = (uint64_t)(uintptr_t)nitro->pieces[i].address,
                };
                if (ioctl(nitro->fd, NE_SET_USER_MEMORY_REGION, &region) < 0)
                        return driver_error(err, errno, "cannot give memory to the enclave");
        }
        return 0;
}

int nitro_load(struct nitro *nitro, unsigned mib, int image_fd, uint64_t size, struct error *err)
{
        struct ne_image_load_info info = {.flags = NE_EIF_IMAGE};
        int r;

        if (mib < NITRO_MEM_MIN_MIB || mib % NITRO_MEM_STEP_MIB != 0)
                return error_set(err, -EINVAL,
                                 "%u MiB of memory: an enclave has an even number of at least %d", mib,
                                 NITRO_MEM_MIN_MIB);
        if (ioctl(nitro->fd, NE_GET_IMAGE_LOAD_INFO, &info) < 0)
                return driver_error(err, errno, "cannot load an image");
        const uint64_t offset = info.memory_offset;
        if (offset > mib * MIB || size > mib * MIB - offset)
                return error_set(err, -EFBIG,
                                 "the image has %" PRIu64 " MiB, and %u MiB of memory have room for %" PRIu64,
                                 (size + MIB - 1) / MIB, mib, offset > mib * MIB ? 0 : mib - offset / MIB);
        if ((r = map_memory(nitro, mib, err)) < 0 || (r = load_image(nitro, offset, image_fd, size, err)) < 0)
                return r;
        return add_memory(nitro, err);
}

/* ---- CPUs, and the start ---- */

int nitro_add_cpus(struct nitro *nitro, unsigned n, struct error *err)
{
        for (unsigned i = 0; i < n; i++) {
                uint32_t cpu = 0;
                if (ioctl(nitro->fd, NE_ADD_VCPU, &cpu) == 0)
                        continue;
                int r = driver_error(err, errno, "cannot give a CPU to the enclave");
                error_hint(err, "it has %u of the %u that are wanted", i, n);
                return r;
        }
        return 0;
}

int nitro_start(struct nitro *nitro, bool debug, uint32_t cid, uint32_t *ret_cid, struct error *err)
{
        struct ne_enclave_start_info info = {
                .flags = debug ? NE_ENCLAVE_DEBUG_MODE : NE_ENCLAVE_PRODUCTION_MODE,
                .enclave_cid = cid,
        };

        if (ioctl(nitro->fd, NE_START_ENCLAVE, &info) < 0) {
                int errnum = errno;
                if (errnum == EADDRINUSE)
                        return error_set(err, -errnum, "CID %" PRIu32 " is in use by another enclave", cid);
                return driver_error(err, errnum, "the enclave does not start");
        }
        *ret_cid = (uint32_t)info.enclave_cid;
        return 0;
}
