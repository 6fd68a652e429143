/* SPDX-License-Identifier: Apache-2.0 */
/*
 * layout.h - the structures that make an enclave: SECS, SECINFO, TCS, and the launch token.
 *
 * Source: SDM 3D, "SGX Enclave Control Structure (SECS)", "Security Information (SECINFO)", "Thread Control
 * Structure (TCS)", "EINIT Token Structure (EINITTOKEN)".
 */
#pragma once

#include "lib/base/error.h"
#include "lib/base/view.h"
#include "lib/sgx/sgx.h"

#include <stdbool.h>

struct sgx_attributes {
        uint64_t flags; /* SGX_ATTRIBUTE_... */
        uint64_t xfrm;  /* as XCR0 */
};

/* An enclave as a whole. */
struct sgx_secs {
        uint64_t size; /* of ELRANGE: a power of two */
        uint64_t base; /* a multiple of size */
        uint32_t ssa_frame_pages;
        uint32_t misc_select;
        struct sgx_attributes attributes;
        uint8_t mrenclave[SGX_HASH_SIZE]; /* this and what follows: set by EINIT */
        uint8_t mrsigner[SGX_HASH_SIZE];
        uint8_t config_id[64];
        uint16_t isv_prod_id;
        uint16_t isv_svn;
        uint16_t config_svn;
        uint8_t isv_ext_prod_id[16]; /* this and the next have no place in the page: they are the CPU's own */
        uint8_t isv_family_id[16];
};

/* Writes the page as ECREATE reads it. */
void sgx_secs_encode(const struct sgx_secs *secs, uint8_t ret_page[static SGX_PAGE_SIZE]);

/* Reads what ECREATE takes from a page.  -EINVAL where a reserved byte isn't 0. */
int sgx_secs_decode(const uint8_t page[static SGX_PAGE_SIZE], struct sgx_secs *ret_secs, struct error *err);

/* Checks what ECREATE and the kernel check: sizes, alignment, frame size, attributes.  -EINVAL. */
int sgx_secs_check(const struct sgx_secs *secs, struct error *err);

/* Writes a SECINFO that has these flags. */
void sgx_secinfo_encode(uint64_t flags, uint8_t ret_secinfo[static SGX_SECINFO_SIZE]);

/* The flags of a SECINFO; -EINVAL where a reserved byte isn't 0. */
int sgx_secinfo_decode(const uint8_t secinfo[static SGX_SECINFO_SIZE], uint64_t *ret_flags);

/* A thread's entry into the enclave; offsets are relative to its base. */
struct sgx_tcs {
        uint64_t flags; /* bit 0: debugging by single steps is allowed */
        uint64_t ossa;  /* of the first SSA frame */
        uint32_t cssa;  /* the frame that the next exception takes; the CPU's own */
        uint32_t nssa;
        uint64_t oentry;
        uint64_t ofsbase;
        uint64_t ogsbase;
};

/* Offset of OSSA in a TCS page, and of CSSA. */
enum { SGX_TCS_OSSA = 16, SGX_TCS_CSSA = 24 };

/* Reads a TCS page. */
void sgx_tcs_decode(const uint8_t page[static SGX_PAGE_SIZE], struct sgx_tcs *ret_tcs);

/* 0 where EADD would take the page as TCS, else -EINVAL: reserved bytes, state, alignment. */
int sgx_tcs_check(const uint8_t page[static SGX_PAGE_SIZE], struct error *err);

/* Leave to launch, where the CPU asks for one. */
struct sgx_token {
        bool valid;
        struct sgx_attributes attributes;
        uint8_t mrenclave[SGX_HASH_SIZE];
        uint8_t mrsigner[SGX_HASH_SIZE];
        uint8_t cpu_svn_le[SGX_KEY_SIZE]; /* "le": of the launch enclave that made it */
        uint16_t isv_prod_id_le;
        uint16_t isv_svn_le;
        uint32_t masked_misc_select_le;
        struct sgx_attributes masked_attributes_le;
        uint8_t key_id[SGX_HASH_SIZE];
        uint8_t mac[SGX_KEY_SIZE];
};

/* Bytes of a token that its MAC covers. */
enum { SGX_TOKEN_MAC_COVERS = 192 };

/* Writes and reads a token. -EINVAL where a reserved byte isn't 0. */
void sgx_token_encode(const struct sgx_token *token, uint8_t ret_bytes[static SGX_TOKEN_SIZE]);
int sgx_token_decode(const uint8_t bytes[static SGX_TOKEN_SIZE], struct sgx_token *ret_token);
