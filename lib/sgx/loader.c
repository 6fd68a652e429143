/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/sgx/loader.h"

#include "lib/sgx/image.h"
#include "lib/sgx/sigstruct.h"

#include <sys/mman.h>

/* What a loader may ask for. INIT is the CPU's. */
#define ATTRIBUTES_ALLOWED                                                                                   \
        (SGX_ATTRIBUTE_DEBUG | SGX_ATTRIBUTE_MODE64 | SGX_ATTRIBUTE_PROVISIONKEY |                           \
         SGX_ATTRIBUTE_EINITTOKENKEY | SGX_ATTRIBUTE_KSS)

/* Reserves `size` bytes at a multiple of it. */
static int reserve(uint64_t size, uint64_t *ret_base, struct error *err)
{
        uint8_t *p = mmap(NULL, 2 * size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        size_t before;

        if (p == MAP_FAILED)
                return error_errno(err, errno, "cannot reserve %llu bytes for the enclave",
                                   (unsigned long long)size);
        before = -(uintptr_t)p % size;
        if (before)
                munmap(p, before);
        munmap(p + before + size, size - before);
        *ret_base = (uint64_t)(uintptr_t)(p + before);
        return 0;
}

static struct sgx_secs secs_for(const struct sgx_load *load, const struct sgx_sigstruct *s,
                                const struct sgx_image *image)
{
        struct sgx_secs secs = {
                .size = image->size,
                .ssa_frame_pages = image->ssa_frame_pages,
                .misc_select = s->misc_select,
                .attributes = {s->attributes.flags & ATTRIBUTES_ALLOWED, s->attributes.xfrm},
        };

        if (load->simulated || (load->debug && !(s->attribute_mask.flags & SGX_ATTRIBUTE_DEBUG)))
                secs.attributes.flags |= SGX_ATTRIBUTE_DEBUG;
        return secs;
}

static int add_pages(struct sgx_enclave *e, const struct sgx_image *image, struct error *err)
{
        uint8_t page[SGX_PAGE_SIZE] __attribute__((aligned(SGX_PAGE_SIZE)));
        uint64_t flags;
        int r = 0;

        for (size_t i = 0; r == 0 && i < image->n_pages; i++) {
                sgx_image_page(image, i, page, &flags);
                r = e->driver->add_page(e, i * SGX_PAGE_SIZE, page, flags, err);
        }
        return r;
}

/* Why EINIT refuses, where the driver says only that it does: the same comparison, made here. */
static void explain(const struct sgx_secs *secs, const struct sgx_sigstruct *s, const struct sgx_image *image,
                    struct error *err)
{
        uint8_t mrenclave[SGX_HASH_SIZE];
        struct error why = {0};
        int code;

        if (sgx_image_measure(image, mrenclave) < 0 ||
            sgx_sigstruct_check(s, secs, mrenclave, &code, &why) < 0 || code == SGX_SUCCESS)
                return;
        error_set(err, -EPERM, "the CPU refuses the enclave with %s: %s", sgx_code_text(code),
                  error_text(&why));
}

static int map_pages(struct sgx_enclave *e, const struct sgx_image *image, struct error *err)
{
        int r = e->driver->map(e, 0, SGX_PAGE_SIZE, PROT_READ | PROT_WRITE, err);

        return r < 0 ? r
                     : e->driver->map(e, SGX_PAGE_SIZE, (image->n_pages - 1) * SGX_PAGE_SIZE,
                                      PROT_READ | PROT_WRITE | PROT_EXEC, err);
}

static int build(struct sgx_enclave *e, const struct sgx_load *load, const struct sgx_sigstruct *s,
                 const struct sgx_image *image, struct error *err)
{
        struct sgx_secs secs = secs_for(load, s, image);
        int code = -1, r = reserve(secs.size, &e->base, err);

        if (r < 0)
                return r;
        e->size = secs.size;
        secs.base = e->base;
        r = sgx_secs_check(&secs, err);
        if (r == 0)
                r = e->driver->create(e, &secs, err);
        if (r == 0)
                r = add_pages(e, image, err);
        if (r < 0)
                return r;
        r = e->driver->init(e, load->sigstruct.p, load->token.n ? load->token.p : NULL, &code, err);
        if (r == -EPERM)
                explain(&secs, s, image, err);
        return r < 0 ? r : map_pages(e, image, err);
}

int sgx_load(const struct sgx_load *load, struct sgx_enclave *ret_enclave, struct error *err)
{
        struct sgx_enclave e = {.driver = load->driver, .os = *load->os, .fd = load->fd};
        struct sgx_sigstruct s;
        struct sgx_image image;
        int r = sgx_sigstruct_decode(load->sigstruct, &s, err);

        /* What EINIT would give: the loader needs attributes from it, and so is told first. */
        if (r == -EBADMSG) {
                error_wrap(err, "%s", sgx_code_text(SGX_INVALID_SIG_STRUCT));
                r = -EINVAL;
        }
        if (r == 0 && load->token.n && load->token.n != SGX_TOKEN_SIZE)
                r = error_set(err, -EINVAL, "a launch token of %zu bytes instead of %d", load->token.n,
                              SGX_TOKEN_SIZE);
        if (r == 0)
                r = sgx_image_open(load->image, s.attributes.xfrm, s.misc_select, &image, err);
        if (r == 0)
                r = build(&e, load, &s, &image, err);
        if (r < 0)
                sgx_unload(&e);
        else
                *ret_enclave = e;
        return r;
}

void sgx_unload(struct sgx_enclave *e)
{
        if (e->size)
                e->os.munmap(e->os.user, (void *)(uintptr_t)e->base, e->size);
        if (e->fd >= 0)
                e->os.close(e->os.user, e->fd);
        e->size = 0;
        e->fd = -1;
}
