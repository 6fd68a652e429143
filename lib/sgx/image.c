/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/sgx/image.h"

#include "lib/base/checked.h"
#include "lib/sgx/little-endian.h"
#include "lib/sgx/measure.h"

#include <cpuid.h>
#include <string.h>

enum { XSAVE_LEGACY = 576, CPUID_XSAVE = 0xd, EXINFO_SIZE = 16, XFRM_BITS = 64 };

/* Bytes of an XSAVE area in standard form that holds these features: a number of this CPU's, but for x87
 * and SSE, which all have at the same place. */
static uint32_t xsave_size(uint64_t xfrm)
{
        uint32_t size = XSAVE_LEGACY;

        for (unsigned int bit = 2; bit < XFRM_BITS - 1; bit++) {
                uint32_t a = 0, b = 0, c, d;

                if (xfrm & 1ULL << bit && __get_cpuid_count(CPUID_XSAVE, bit, &a, &b, &c, &d) && a + b > size)
                        size = a + b;
        }
        return size;
}

static uint32_t frame_pages(uint64_t xfrm, uint32_t misc_select)
{
        uint32_t size = xsave_size(xfrm) + (misc_select & SGX_MISC_EXINFO ? EXINFO_SIZE : 0) + SGX_GPRS_SIZE;

        return (uint32_t)((size + SGX_PAGE_SIZE - 1) / SGX_PAGE_SIZE);
}

static size_t file_pages(const struct sgx_image *image)
{
        return (image->file.n + SGX_PAGE_SIZE - 1) / SGX_PAGE_SIZE;
}

int sgx_image_open(struct view file, uint64_t xfrm, uint32_t misc_select, struct sgx_image *ret_image,
                   struct error *err)
{
        struct sgx_image image = {.file = file, .ssa_frame_pages = frame_pages(xfrm, misc_select)};
        struct sgx_tcs tcs;
        int r;

        if (file.n < 2 * SGX_PAGE_SIZE || file.n > SGX_IMAGE_MAX)
                return error_set(
                        err, -EINVAL,
                        "an enclave of %zu bytes; it has at least a TCS and a page of code, and at most "
                        "512 MiB",
                        file.n);
        r = sgx_tcs_check(file.p, err);
        if (r < 0)
                return error_wrap(err, "page 0"), r;
        sgx_tcs_decode(file.p, &tcs);
        if (tcs.nssa == 0)
                return error_set(err, -EINVAL, "page 0: a TCS without SSA frames (NSSA is 0)");
        if (tcs.nssa > file.n)
                return error_set(err, -EINVAL, "page 0: a TCS with %u SSA frames", tcs.nssa);
        image.n_pages = file_pages(&image) + (size_t)image.ssa_frame_pages * tcs.nssa;
        for (image.size = 2 * SGX_PAGE_SIZE; image.size < (uint64_t)image.n_pages * SGX_PAGE_SIZE;)
                image.size *= 2;
        *ret_image = image;
        return 0;
}

void sgx_image_page(const struct sgx_image *image, size_t i, uint8_t ret_page[static SGX_PAGE_SIZE],
                    uint64_t *ret_secinfo_flags)
{
        size_t at = i * SGX_PAGE_SIZE, n = 0;

        if (at < image->file.n)
                n = image->file.n - at < SGX_PAGE_SIZE ? image->file.n - at : SGX_PAGE_SIZE;
        memset(ret_page, 0, SGX_PAGE_SIZE);
        if (n)
                memcpy(ret_page, image->file.p + at, n);
        if (i == 0)
                put_le(ret_page + SGX_TCS_OSSA, file_pages(image) * SGX_PAGE_SIZE, 8);
        *ret_secinfo_flags =
                i == 0 ? SGX_SECINFO_FLAGS(SGX_TYPE_TCS, 0) : SGX_SECINFO_FLAGS(SGX_TYPE_REG, SGX_PAGE_RWX);
}

int sgx_image_measure(const struct sgx_image *image, uint8_t ret_mrenclave[static SGX_HASH_SIZE])
{
        cleanup_hash struct hash h = HASH_NONE;
        uint8_t page[SGX_PAGE_SIZE];
        uint64_t flags;
        int r = sgx_measure_create(&h, image->ssa_frame_pages, image->size);

        if (r < 0)
                return r;
        for (size_t i = 0; i < image->n_pages; i++) {
                sgx_image_page(image, i, page, &flags);
                sgx_measure_page(&h, i * SGX_PAGE_SIZE, flags, page);
        }
        return sgx_measure_final(&h, ret_mrenclave);
}
