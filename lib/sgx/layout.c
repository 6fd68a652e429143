/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/sgx/layout.h"

#include "lib/sgx/little-endian.h"

#include <string.h>

/* Largest ELRANGE that we make: CPUID.12H.0:EDX[15:8] is 36 on the processors that are sold. */
#define SIZE_MAX_OF_ENCLAVE (1ULL << 36)

enum { /* SECS */
       SECS_SIZE = 0,
       SECS_BASE = 8,
       SECS_SSA_FRAME = 16,
       SECS_MISC = 20,
       SECS_ATTRIBUTES = 48,
       SECS_MRENCLAVE = 64,
       SECS_MRSIGNER = 128,
       SECS_CONFIG_ID = 192,
       SECS_ISV_PROD_ID = 256,
       SECS_ISV_SVN = 258,
       SECS_CONFIG_SVN = 260,
       SECS_END = 262,
};

enum { /* TCS */
       TCS_STATE = 0,
       TCS_FLAGS = 8,
       TCS_NSSA = 28,
       TCS_OENTRY = 32,
       TCS_OFSBASE = 48,
       TCS_OGSBASE = 56,
       TCS_END = 72,
};

enum { /* EINITTOKEN */
       TOKEN_ATTRIBUTES = 48,
       TOKEN_MRENCLAVE = 64,
       TOKEN_MRSIGNER = 128,
       TOKEN_CPU_SVN = 192,
       TOKEN_ISV_PROD_ID = 208,
       TOKEN_ISV_SVN = 210,
       TOKEN_MISC = 236,
       TOKEN_MASKED_ATTRIBUTES = 240,
       TOKEN_KEY_ID = 256,
       TOKEN_MAC = 288,
};

_Static_assert(TOKEN_MAC + SGX_KEY_SIZE == SGX_TOKEN_SIZE, "the MAC ends the token");
_Static_assert(SECS_CONFIG_ID + sizeof(((struct sgx_secs *)NULL)->config_id) == SECS_ISV_PROD_ID, "SDM 3D");

static bool all_zero(const uint8_t *p, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (p[i])
                        return false;
        return true;
}

void sgx_secs_encode(const struct sgx_secs *secs, uint8_t ret_page[static SGX_PAGE_SIZE])
{
        memset(ret_page, 0, SGX_PAGE_SIZE);
        put_le(ret_page + SECS_SIZE, secs->size, 8);
        put_le(ret_page + SECS_BASE, secs->base, 8);
        put_le(ret_page + SECS_SSA_FRAME, secs->ssa_frame_pages, 4);
        put_le(ret_page + SECS_MISC, secs->misc_select, 4);
        put_le(ret_page + SECS_ATTRIBUTES, secs->attributes.flags, 8);
        put_le(ret_page + SECS_ATTRIBUTES + 8, secs->attributes.xfrm, 8);
        memcpy(ret_page + SECS_MRENCLAVE, secs->mrenclave, SGX_HASH_SIZE);
        memcpy(ret_page + SECS_MRSIGNER, secs->mrsigner, SGX_HASH_SIZE);
        memcpy(ret_page + SECS_CONFIG_ID, secs->config_id, sizeof(secs->config_id));
        put_le(ret_page + SECS_ISV_PROD_ID, secs->isv_prod_id, 2);
        put_le(ret_page + SECS_ISV_SVN, secs->isv_svn, 2);
        put_le(ret_page + SECS_CONFIG_SVN, secs->config_svn, 2);
}

int sgx_secs_decode(const uint8_t page[static SGX_PAGE_SIZE], struct sgx_secs *ret_secs, struct error *err)
{
        struct sgx_secs s = {
                .size = get_le(page + SECS_SIZE, 8),
                .base = get_le(page + SECS_BASE, 8),
                .ssa_frame_pages = (uint32_t)get_le(page + SECS_SSA_FRAME, 4),
                .misc_select = (uint32_t)get_le(page + SECS_MISC, 4),
                .attributes = {get_le(page + SECS_ATTRIBUTES, 8), get_le(page + SECS_ATTRIBUTES + 8, 8)},
                .config_svn = (uint16_t)get_le(page + SECS_CONFIG_SVN, 2),
        };

        if (!all_zero(page + SECS_MISC + 4, SECS_ATTRIBUTES - SECS_MISC - 4) ||
            !all_zero(page + SECS_MRENCLAVE + SGX_HASH_SIZE,
                      SECS_MRSIGNER - SECS_MRENCLAVE - SGX_HASH_SIZE) ||
            !all_zero(page + SECS_MRSIGNER + SGX_HASH_SIZE, SECS_CONFIG_ID - SECS_MRSIGNER - SGX_HASH_SIZE) ||
            !all_zero(page + SECS_END, SGX_PAGE_SIZE - SECS_END))
                return error_set(err, -EINVAL, "a reserved byte of SECS is not 0");
        memcpy(s.config_id, page + SECS_CONFIG_ID, sizeof(s.config_id));
        *ret_secs = s;
        return 0;
}

int sgx_secs_check(const struct sgx_secs *secs, struct error *err)
{
        const uint64_t known = SGX_ATTRIBUTE_DEBUG | SGX_ATTRIBUTE_MODE64 | SGX_ATTRIBUTE_PROVISIONKEY |
                               SGX_ATTRIBUTE_EINITTOKENKEY | SGX_ATTRIBUTE_KSS;

        if (secs->size < 2 * SGX_PAGE_SIZE || secs->size > SIZE_MAX_OF_ENCLAVE ||
            (secs->size & (secs->size - 1)))
                return error_set(err, -EINVAL,
                                 "an enclave of %#llx bytes; its size is a power of two, from two pages to "
                                 "64 GiB",
                                 (unsigned long long)secs->size);
        if (secs->base & (secs->size - 1))
                return error_set(err, -EINVAL, "an enclave at %#llx, which is no multiple of its size %#llx",
                                 (unsigned long long)secs->base, (unsigned long long)secs->size);
        if (secs->ssa_frame_pages == 0 || secs->ssa_frame_pages > secs->size / SGX_PAGE_SIZE)
                return error_set(err, -EINVAL, "SSA frames of %u pages", secs->ssa_frame_pages);
        if (!(secs->attributes.flags & SGX_ATTRIBUTE_MODE64) || secs->attributes.flags & ~known)
                return error_set(err, -EINVAL, "attributes %#llx; MODE64 must be set and INIT must not",
                                 (unsigned long long)secs->attributes.flags);
        if ((secs->attributes.xfrm & SGX_XFRM_LEGACY) != SGX_XFRM_LEGACY)
                return error_set(err, -EINVAL, "XFRM %#llx lacks x87 or SSE",
                                 (unsigned long long)secs->attributes.xfrm);
        if (secs->misc_select & ~SGX_MISC_EXINFO)
                return error_set(err, -EINVAL, "MISCSELECT %#x has unknown bits", secs->misc_select);
        return 0;
}

void sgx_secinfo_encode(uint64_t flags, uint8_t ret_secinfo[static SGX_SECINFO_SIZE])
{
        memset(ret_secinfo, 0, SGX_SECINFO_SIZE);
        put_le(ret_secinfo, flags, 8);
}

int sgx_secinfo_decode(const uint8_t secinfo[static SGX_SECINFO_SIZE], uint64_t *ret_flags)
{
        uint64_t flags = get_le(secinfo, 8);

        if (!all_zero(secinfo + 8, SGX_SECINFO_SIZE - 8) || flags & ~0xff3fULL)
                return -EINVAL;
        *ret_flags = flags;
        return 0;
}

void sgx_tcs_decode(const uint8_t page[static SGX_PAGE_SIZE], struct sgx_tcs *ret_tcs)
{
        *ret_tcs = (struct sgx_tcs){
                .flags = get_le(page + TCS_FLAGS, 8),
                .ossa = get_le(page + SGX_TCS_OSSA, 8),
                .cssa = (uint32_t)get_le(page + SGX_TCS_CSSA, 4),
                .nssa = (uint32_t)get_le(page + TCS_NSSA, 4),
                .oentry = get_le(page + TCS_OENTRY, 8),
                .ofsbase = get_le(page + TCS_OFSBASE, 8),
                .ogsbase = get_le(page + TCS_OGSBASE, 8),
        };
}

int sgx_tcs_check(const uint8_t page[static SGX_PAGE_SIZE], struct error *err)
{
        struct sgx_tcs tcs;

        sgx_tcs_decode(page, &tcs);
        if (get_le(page + TCS_STATE, 8) || tcs.flags & ~1ULL || tcs.cssa ||
            !all_zero(page + TCS_END, SGX_PAGE_SIZE - TCS_END))
                return error_set(err, -EINVAL, "the TCS has a reserved byte that is not 0");
        if (tcs.ossa % SGX_PAGE_SIZE || tcs.ofsbase % SGX_PAGE_SIZE || tcs.ogsbase % SGX_PAGE_SIZE)
                return error_set(err, -EINVAL, "the TCS' SSA, FS or GS is not at the start of a page");
        return 0;
}

void sgx_token_encode(const struct sgx_token *token, uint8_t ret_bytes[static SGX_TOKEN_SIZE])
{
        memset(ret_bytes, 0, SGX_TOKEN_SIZE);
        put_le(ret_bytes, token->valid, 4);
        put_le(ret_bytes + TOKEN_ATTRIBUTES, token->attributes.flags, 8);
        put_le(ret_bytes + TOKEN_ATTRIBUTES + 8, token->attributes.xfrm, 8);
        memcpy(ret_bytes + TOKEN_MRENCLAVE, token->mrenclave, SGX_HASH_SIZE);
        memcpy(ret_bytes + TOKEN_MRSIGNER, token->mrsigner, SGX_HASH_SIZE);
        memcpy(ret_bytes + TOKEN_CPU_SVN, token->cpu_svn_le, SGX_KEY_SIZE);
        put_le(ret_bytes + TOKEN_ISV_PROD_ID, token->isv_prod_id_le, 2);
        put_le(ret_bytes + TOKEN_ISV_SVN, token->isv_svn_le, 2);
        put_le(ret_bytes + TOKEN_MISC, token->masked_misc_select_le, 4);
        put_le(ret_bytes + TOKEN_MASKED_ATTRIBUTES, token->masked_attributes_le.flags, 8);
        put_le(ret_bytes + TOKEN_MASKED_ATTRIBUTES + 8, token->masked_attributes_le.xfrm, 8);
        memcpy(ret_bytes + TOKEN_KEY_ID, token->key_id, SGX_HASH_SIZE);
        memcpy(ret_bytes + TOKEN_MAC, token->mac, SGX_KEY_SIZE);
}

int sgx_token_decode(const uint8_t bytes[static SGX_TOKEN_SIZE], struct sgx_token *ret_token)
{
        struct sgx_token t = {
                .valid = bytes[0] & 1,
                .attributes = {get_le(bytes + TOKEN_ATTRIBUTES, 8), get_le(bytes + TOKEN_ATTRIBUTES + 8, 8)},
                .isv_prod_id_le = (uint16_t)get_le(bytes + TOKEN_ISV_PROD_ID, 2),
                .isv_svn_le = (uint16_t)get_le(bytes + TOKEN_ISV_SVN, 2),
                .masked_misc_select_le = (uint32_t)get_le(bytes + TOKEN_MISC, 4),
                .masked_attributes_le = {get_le(bytes + TOKEN_MASKED_ATTRIBUTES, 8),
                                         get_le(bytes + TOKEN_MASKED_ATTRIBUTES + 8, 8)},
        };

        if (get_le(bytes, 4) > 1 || !all_zero(bytes + 4, TOKEN_ATTRIBUTES - 4) ||
            !all_zero(bytes + TOKEN_MRENCLAVE + SGX_HASH_SIZE, SGX_HASH_SIZE) ||
            !all_zero(bytes + TOKEN_MRSIGNER + SGX_HASH_SIZE, SGX_HASH_SIZE) ||
            !all_zero(bytes + TOKEN_ISV_SVN + 2, TOKEN_MISC - TOKEN_ISV_SVN - 2))
                return -EINVAL;
        memcpy(t.mrenclave, bytes + TOKEN_MRENCLAVE, SGX_HASH_SIZE);
        memcpy(t.mrsigner, bytes + TOKEN_MRSIGNER, SGX_HASH_SIZE);
        memcpy(t.cpu_svn_le, bytes + TOKEN_CPU_SVN, SGX_KEY_SIZE);
        memcpy(t.key_id, bytes + TOKEN_KEY_ID, SGX_HASH_SIZE);
        memcpy(t.mac, bytes + TOKEN_MAC, SGX_KEY_SIZE);
        *ret_token = t;
        return 0;
}
