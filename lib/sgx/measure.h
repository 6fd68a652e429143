/* SPDX-License-Identifier: Apache-2.0 */
/*
 * measure.h - MRENCLAVE: SHA-256 over a record of 64 bytes for ECREATE, for each EADD, and for each
 * EEXTEND, which has the 256 bytes themselves behind it (SDM 3D, "ECREATE", "EADD", "EEXTEND").  The
 * records say where a page lies and what it may do, not where the enclave lies: one enclave measures the
 * same at every address.
 */
#pragma once

#include "lib/crypto/hash.h"
#include "lib/sgx/sgx.h"

/* Begins *ret_h with ECREATE's record; end it with sgx_measure_final() or hash_done().  0 or -errno. */
int sgx_measure_create(struct hash *ret_h, uint32_t ssa_frame_pages, uint64_t size);

/* EADD of the page at `offset` from the enclave's base. */
void sgx_measure_add(struct hash *h, uint64_t offset, uint64_t secinfo_flags);

/* EEXTEND of the 256 bytes at `offset`. */
void sgx_measure_extend(struct hash *h, uint64_t offset, const uint8_t chunk[static SGX_CHUNK_SIZE]);

/* EADD of a page, then EEXTEND of all of it, as drivers do. */
void sgx_measure_page(struct hash *h, uint64_t offset, uint64_t secinfo_flags,
                      const uint8_t page[static SGX_PAGE_SIZE]);

/* Ends it. 0, or the first error since sgx_measure_create(). */
int sgx_measure_final(struct hash *h, uint8_t ret_mrenclave[static SGX_HASH_SIZE]);
