/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/sgx/sim-ioctl.h"

#include "lib/base/fd.h"
#include "lib/sgx/driver-abi.h"
#include "lib/sgx/measure.h"
#include "lib/sgx/sim-modify.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

enum { MEASURE_ALL = 0xffff };

/* The driver would fault on memory that isn't there and say so; we would die of it.  A pipe's calls
 * fault in the kernel, and no seccomp profile forbids them, as those of containers do
 * process_vm_readv(2).  Less than PIPE_BUF at a time, so that neither end waits. */
static int copy_by_pipe(uint64_t to, uint64_t from, size_t n)
{
        int ends[2];

        if (pipe2(ends, O_CLOEXEC) < 0)
                return -errno;
        cleanup_fd int reader = ends[0], writer = ends[1];
        while (n > 0) {
                size_t part = n < PIPE_BUF ? n : PIPE_BUF;
                if (write(writer, (const void *)(uintptr_t)from, part) != (ssize_t)part ||
                    read(reader, (void *)(uintptr_t)to, part) != (ssize_t)part)
                        return -EFAULT;
                from += part;
                to += part;
                n -= part;
        }
        return 0;
}

int sim_copy_in(void *to, uint64_t from, size_t n)
{
        return copy_by_pipe((uintptr_t)to, from, n);
}

int sim_copy_out(uint64_t to, const void *from, size_t n)
{
        return copy_by_pipe(to, (uintptr_t)from, n);
}

static int do_create(struct sim_enclave *e, const struct sgx_enclave_create *arg)
{
        uint8_t page[SGX_PAGE_SIZE];
        struct sgx_secs secs;
        int r = sim_copy_in(page, arg->src, sizeof(page));

        if (r < 0)
                return r;
        if (e->created)
                return -EINVAL;
        r = sgx_secs_decode(page, &secs, NULL);
        if (r == 0) {
                secs.attributes.flags |= SGX_ATTRIBUTE_DEBUG;
                r = sgx_secs_check(&secs, NULL);
        }
        return r < 0 ? r : sim_enclave_create(e, &secs);
}

/* The rights and type of a page, as the kernel's sgx_validate_secinfo(). */
static int check_secinfo(uint64_t flags)
{
        enum sgx_page_type type = (enum sgx_page_type)(flags >> 8);
        uint64_t rights = flags & SGX_PAGE_RWX;

        if (type != SGX_TYPE_TCS && type != SGX_TYPE_REG)
                return -EINVAL;
        if (flags & (SGX_PAGE_PENDING | SGX_PAGE_MODIFIED | SGX_PAGE_PR))
                return -EINVAL;
        if (type == SGX_TYPE_TCS)
                return rights ? -EINVAL : 0;
        return rights & SGX_PAGE_W && !(rights & SGX_PAGE_R) ? -EINVAL : 0;
}

int sim_add_page(struct sim_enclave *e, uint64_t offset, const uint8_t page[static SGX_PAGE_SIZE],
                 const uint8_t secinfo[static SGX_SECINFO_SIZE], bool measured)
{
        struct sim_epcm *entry = &e->epcm[offset / SGX_PAGE_SIZE];
        uint64_t flags;
        int r = sgx_secinfo_decode(secinfo, &flags);

        if (r == 0)
                r = check_secinfo(flags);
        if (r < 0)
                return r;
        if (entry->valid)
                return -EBUSY;
        if (flags >> 8 == SGX_TYPE_TCS && sgx_tcs_check(page, NULL) < 0)
                return -EIO;
        memcpy(e->epc + offset, page, SGX_PAGE_SIZE);
        entry->type = (uint8_t)(flags >> 8);
        entry->state = (uint8_t)(flags & SGX_PAGE_RWX);
        entry->valid = 1;
        if (measured)
                sgx_measure_page(&e->measurement, offset, flags, page);
        else
                sgx_measure_add(&e->measurement, offset, flags);
        return sim_enclave_protect(e, offset / SGX_PAGE_SIZE, offset / SGX_PAGE_SIZE + 1);
}

static bool range_ok(const struct sim_enclave *e, uint64_t offset, uint64_t length)
{
        return offset % SGX_PAGE_SIZE == 0 && length % SGX_PAGE_SIZE == 0 && length > 0 && offset < e->size &&
               length <= e->size - offset;
}

static int do_add_pages(struct sim_enclave *e, struct sgx_enclave_add_pages *arg)
{
        uint8_t page[SGX_PAGE_SIZE], secinfo[SGX_SECINFO_SIZE];
        uint64_t done = 0;
        int r = 0;

        if (!e->created || e->head->initialised || !range_ok(e, arg->offset, arg->length) ||
            arg->src % SGX_PAGE_SIZE || arg->flags & ~(uint64_t)SGX_PAGE_MEASURE)
                return -EINVAL;
        r = sim_copy_in(secinfo, arg->secinfo, sizeof(secinfo));
        for (; r == 0 && done < arg->length; done += r == 0 ? SGX_PAGE_SIZE : 0) {
                r = sim_copy_in(page, arg->src + done, sizeof(page));
                if (r == 0)
                        r = sim_add_page(e, arg->offset + done, page, secinfo, arg->flags & SGX_PAGE_MEASURE);
                if (r < 0)
                        break;
        }
        arg->count = done;
        return r;
}

static int do_init(struct sim_enclave *e, const struct sgx_enclave_init *arg)
{
        uint8_t sigstruct[SGX_SIGSTRUCT_SIZE];
        int r;

        if (!e->created || e->head->initialised)
                return -EINVAL;
        r = sim_copy_in(sigstruct, arg->sigstruct, sizeof(sigstruct));
        if (r == 0)
                r = sim_init(e, sigstruct, NULL);
        return r > 0 ? -EPERM : r;
}

static int do_isgx_add(struct sim_enclave *e, const struct isgx_add_page *arg)
{
        uint8_t page[SGX_PAGE_SIZE], secinfo[SGX_SECINFO_SIZE];
        int r;

        /* Some bits of the mask but not all are legal there, and used by nobody. */
        if (!e->created || e->head->initialised || arg->source % SGX_PAGE_SIZE ||
            !range_ok(e, arg->address - e->base, SGX_PAGE_SIZE) ||
            (arg->measure_mask != 0 && arg->measure_mask != MEASURE_ALL))
                return -EINVAL;
        r = sim_copy_in(page, arg->source, sizeof(page));
        if (r == 0)
                r = sim_copy_in(secinfo, arg->secinfo, sizeof(secinfo));
        return r < 0 ? r : sim_add_page(e, arg->address - e->base, page, secinfo, arg->measure_mask != 0);
}

static int do_isgx_init(struct sim_enclave *e, const struct isgx_init *arg)
{
        uint8_t sigstruct[SGX_SIGSTRUCT_SIZE], token[SGX_TOKEN_SIZE];
        int r;

        if (!e->created || e->head->initialised || arg->address != e->base)
                return -EINVAL;
        r = sim_copy_in(sigstruct, arg->sigstruct, sizeof(sigstruct));
        if (r == 0)
                r = sim_copy_in(token, arg->token, sizeof(token));
        return r < 0 ? r : sim_init(e, sigstruct, token);
}

union argument {
        struct sgx_enclave_create create;
        struct sgx_enclave_add_pages add_pages;
        struct sgx_enclave_init init;
        struct isgx_add_page isgx_add_page;
        struct isgx_init isgx_init;
        union sim_modify modify;
};

static int dispatch(struct sim_enclave *e, unsigned long request, union argument *arg)
{
        switch (request) {
        case SGX_IOC_ENCLAVE_CREATE:
                return do_create(e, &arg->create);
        case SGX_IOC_ENCLAVE_ADD_PAGES:
                return do_add_pages(e, &arg->add_pages);
        case SGX_IOC_ENCLAVE_INIT:
                return do_init(e, &arg->init);
        case ISGX_ADD_PAGE:
                return do_isgx_add(e, &arg->isgx_add_page);
        case ISGX_INIT:
                return do_isgx_init(e, &arg->isgx_init);
        case SGX_IOC_ENCLAVE_PROVISION:
                if (e->created)
                        e->head->provision = 1;
                return e->created ? 0 : -EINVAL;
        default:
                return sim_modify_do(e, request, &arg->modify);
        }
}

int sim_ioctl_do(struct sim_enclave *e, unsigned long request, void *argument)
{
        union argument arg = {0};
        size_t n = _IOC_SIZE(request);
        int r;

        if (_IOC_TYPE(request) != SGX_MAGIC || n > sizeof(arg))
                return -ENOTTY;
        r = sim_copy_in(&arg, (uint64_t)(uintptr_t)argument, n);
        if (r < 0)
                return r;
        r = dispatch(e, request, &arg);
        if (_IOC_DIR(request) & _IOC_READ && sim_copy_out((uint64_t)(uintptr_t)argument, &arg, n) < 0)
                return -EFAULT;
        return r;
}
