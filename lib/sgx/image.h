/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image.h - an enclave as a flat file: its pages in the order of their addresses, the thread control
 * structure first.  (It is what `objcopy -O binary` makes of an enclave that a linker script laid out so.)
 *
 * To the file's pages one SSA frame is added, behind them; the TCS' OSSA is set to it.  Page 0 is a TCS,
 * all others are readable, writable and executable, and all are measured.  ELRANGE is the next power of
 * two.  Signer and loader both work from this, so that they can't differ.
 */
#pragma once

#include "lib/base/buf.h"
#include "lib/sgx/layout.h"

/* Largest file that is read: EPC is a few hundred MiB at most. */
enum { SGX_IMAGE_MAX = 512 * 1024 * 1024 };

struct sgx_image {
        struct view file; /* the owner's */
        uint64_t size;    /* of ELRANGE */
        size_t n_pages;   /* that are added */
        uint32_t ssa_frame_pages;
};

/* Looks at `file`, of which *ret_image keeps a view.  -EINVAL where it is no such enclave (empty, too
 * large, no TCS at its start). `xfrm` and `misc_select` decide the size of the SSA frame. */
int sgx_image_open(struct view file, uint64_t xfrm, uint32_t misc_select, struct sgx_image *ret_image,
                   struct error *err);

/* Writes page `i` (below n_pages) and the SECINFO flags that it is added with. */
void sgx_image_page(const struct sgx_image *image, size_t i, uint8_t ret_page[static SGX_PAGE_SIZE],
                    uint64_t *ret_secinfo_flags);

/* MRENCLAVE of it. 0 or -errno. */
int sgx_image_measure(const struct sgx_image *image, uint8_t ret_mrenclave[static SGX_HASH_SIZE]);
