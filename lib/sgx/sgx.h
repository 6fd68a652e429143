/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sgx.h - the numbers of Intel SGX that everything in this folder shares.
 *
 * Source for all of lib/sgx: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 3D,
 * chapters "Enclave Access Control and Data Structures" and "SGX Instruction References" (below: SDM 3D).
 * Multi-byte integers are little-endian; offsets are in bytes.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Of type size_t, so that products with it can't overflow an int. */
#define SGX_PAGE_SIZE ((size_t)4096)

enum {
        SGX_CHUNK_SIZE = 256, /* what one EEXTEND measures */
        SGX_HASH_SIZE = 32,   /* MRENCLAVE, MRSIGNER */
        SGX_KEY_SIZE = 16,    /* keys, MACs, CPUSVN */
        SGX_SIGSTRUCT_SIZE = 1808,
        SGX_TOKEN_SIZE = 304,
        SGX_SECINFO_SIZE = 64,
        SGX_TARGETINFO_SIZE = 512,
        SGX_REPORT_SIZE = 432,
        SGX_REPORT_DATA_SIZE = 64,
        SGX_KEYREQUEST_SIZE = 512,
        SGX_GPRS_SIZE = 184, /* GPRSGX, the end of an SSA frame */
};

/* ATTRIBUTES.FLAGS */
#define SGX_ATTRIBUTE_INIT          0x01ULL
#define SGX_ATTRIBUTE_DEBUG         0x02ULL
#define SGX_ATTRIBUTE_MODE64        0x04ULL
#define SGX_ATTRIBUTE_PROVISIONKEY  0x10ULL
#define SGX_ATTRIBUTE_EINITTOKENKEY 0x20ULL
#define SGX_ATTRIBUTE_CET           0x40ULL
#define SGX_ATTRIBUTE_KSS           0x80ULL

/* ATTRIBUTES.XFRM of every enclave: x87 and SSE */
#define SGX_XFRM_LEGACY 0x03ULL

/* MISCSELECT: #GP and #PF are described in the SSA */
#define SGX_MISC_EXINFO 0x01U

/* SECINFO.FLAGS; the page type is in bits 8 to 15 */
#define SGX_PAGE_R        0x01ULL
#define SGX_PAGE_W        0x02ULL
#define SGX_PAGE_X        0x04ULL
#define SGX_PAGE_RWX      0x07ULL
#define SGX_PAGE_PENDING  0x08ULL
#define SGX_PAGE_MODIFIED 0x10ULL
#define SGX_PAGE_PR       0x20ULL

enum sgx_page_type {
        SGX_TYPE_SECS = 0,
        SGX_TYPE_TCS = 1,
        SGX_TYPE_REG = 2,
        SGX_TYPE_VA = 3,
        SGX_TYPE_TRIM = 4,
};

/* SECINFO.FLAGS of a page of this type with these rights. */
#define SGX_SECINFO_FLAGS(type, rights) (((uint64_t)(type) << 8) | (rights))

/* Leaves of ENCLU, in EAX */
enum sgx_leaf {
        SGX_EREPORT = 0,
        SGX_EGETKEY = 1,
        SGX_EENTER = 2,
        SGX_ERESUME = 3,
        SGX_EEXIT = 4,
        SGX_EACCEPT = 5,
        SGX_EMODPE = 6,
        SGX_EACCEPTCOPY = 7,
};

/* Codes that leaves give in EAX (SDM 3D, "Error Codes"). */
enum sgx_code {
        SGX_SUCCESS = 0,
        SGX_INVALID_SIG_STRUCT = 1,
        SGX_INVALID_ATTRIBUTE = 2,
        SGX_INVALID_MEASUREMENT = 4,
        SGX_INVALID_SIGNATURE = 8,
        SGX_PAGE_NOT_TRACKED = 11,
        SGX_INVALID_EINITTOKEN = 16,
        SGX_PAGE_ATTRIBUTES_MISMATCH = 19,
        SGX_INVALID_CPUSVN = 32,
        SGX_INVALID_ISVSVN = 64,
        SGX_UNMASKED_EVENT = 128,
        SGX_INVALID_KEYNAME = 256,
};

/* What a code means, for people: "SGX_INVALID_MEASUREMENT (4): the pages are not those that were signed".
 * Never NULL. */
const char *sgx_code_text(int code);
