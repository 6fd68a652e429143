/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/sgx/sigstruct.h"

#include "lib/base/text.h"
#include "lib/crypto/hash.h"
#include "lib/sgx/little-endian.h"

#include <string.h>

enum {
        AT_HEADER = 0,
        AT_DEBUG = 12,
        AT_VENDOR = 16,
        AT_DATE = 20,
        AT_HEADER2 = 24,
        AT_SOFTWARE = 40,
        AT_RESERVED1 = 44,
        AT_MODULUS = 128,
        AT_EXPONENT = 512,
        AT_SIGNATURE = 516,
        AT_MISC = 900,
        AT_MISC_MASK = 904,
        AT_CET = 908,
        AT_FAMILY_ID = 912,
        AT_ATTRIBUTES = 928,
        AT_ATTRIBUTE_MASK = 944,
        AT_MRENCLAVE = 960,
        AT_RESERVED2 = 992,
        AT_EXT_PROD_ID = 1008,
        AT_PROD_ID = 1024,
        AT_SVN = 1026,
        AT_RESERVED3 = 1028,
        AT_Q1 = 1040,
        AT_Q2 = 1424,
        EXPONENT = 3,
        VENDOR_INTEL = 0x8086,
};

_Static_assert(AT_Q2 + SGX_MODULUS_SIZE == SGX_SIGSTRUCT_SIZE, "Q2 ends it");
_Static_assert(AT_SIGNATURE + SGX_MODULUS_SIZE == AT_MISC, "the signature is in no part of what is signed");

#define DEBUG_BIT (1U << 31)

static const uint8_t header[12] = {6, 0, 0, 0, 0xe1, 0, 0, 0, 0, 0, 1, 0};
static const uint8_t header2[16] = {1, 1, 0, 0, 0x60, 0, 0, 0, 0x60, 0, 0, 0, 1, 0, 0, 0};

static bool all_zero(const uint8_t *p, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (p[i])
                        return false;
        return true;
}

static struct sgx_attributes get_attributes(const uint8_t *p)
{
        return (struct sgx_attributes){get_le(p, 8), get_le(p + 8, 8)};
}

static void put_attributes(uint8_t *p, const struct sgx_attributes *a)
{
        put_le(p, a->flags, 8);
        put_le(p + 8, a->xfrm, 8);
}

/* The name of the first field that isn't as SIGSTRUCT's form wants it, or NULL. */
static const char *malformed(const uint8_t *p)
{
        uint32_t vendor = (uint32_t)get_le(p + AT_VENDOR, 4);

        if (memcmp(p + AT_HEADER, header, sizeof(header)) != 0 || get_le(p + AT_DEBUG, 4) & ~DEBUG_BIT)
                return "HEADER";
        if (vendor != 0 && vendor != VENDOR_INTEL)
                return "VENDOR";
        if (memcmp(p + AT_HEADER2, header2, sizeof(header2)) != 0)
                return "HEADER2";
        if (get_le(p + AT_EXPONENT, 4) != EXPONENT)
                return "EXPONENT";
        if (!all_zero(p + AT_RESERVED1, AT_MODULUS - AT_RESERVED1))
                return "the reserved field at 44";
        if (!all_zero(p + AT_CET, AT_FAMILY_ID - AT_CET))
                return "CET_ATTRIBUTES";
        if (!all_zero(p + AT_RESERVED2, AT_EXT_PROD_ID - AT_RESERVED2))
                return "the reserved field at 992";
        if (!all_zero(p + AT_RESERVED3, AT_Q1 - AT_RESERVED3))
                return "the reserved field at 1028";
        return NULL;
}

int sgx_sigstruct_decode(struct view bytes, struct sgx_sigstruct *ret_s, struct error *err)
{
        const uint8_t *p = bytes.p;
        const char *field;

        if (bytes.n != SGX_SIGSTRUCT_SIZE)
                return error_set(err, -EBADMSG, "a SIGSTRUCT of %zu bytes instead of %d", bytes.n,
                                 SGX_SIGSTRUCT_SIZE);
        field = malformed(p);
        if (field)
                return error_set(err, -EBADMSG, "SIGSTRUCT: %s is not as it must be", field);
        *ret_s = (struct sgx_sigstruct){
                .debug = get_le(p + AT_DEBUG, 4) & DEBUG_BIT,
                .vendor = (uint32_t)get_le(p + AT_VENDOR, 4),
                .date = (uint32_t)get_le(p + AT_DATE, 4),
                .software_defined = (uint32_t)get_le(p + AT_SOFTWARE, 4),
                .misc_select = (uint32_t)get_le(p + AT_MISC, 4),
                .misc_mask = (uint32_t)get_le(p + AT_MISC_MASK, 4),
                .attributes = get_attributes(p + AT_ATTRIBUTES),
                .attribute_mask = get_attributes(p + AT_ATTRIBUTE_MASK),
                .isv_prod_id = (uint16_t)get_le(p + AT_PROD_ID, 2),
                .isv_svn = (uint16_t)get_le(p + AT_SVN, 2),
        };
        memcpy(ret_s->modulus, p + AT_MODULUS, SGX_MODULUS_SIZE);
        memcpy(ret_s->signature, p + AT_SIGNATURE, SGX_MODULUS_SIZE);
        memcpy(ret_s->isv_family_id, p + AT_FAMILY_ID, sizeof(ret_s->isv_family_id));
        memcpy(ret_s->mrenclave, p + AT_MRENCLAVE, SGX_HASH_SIZE);
        memcpy(ret_s->isv_ext_prod_id, p + AT_EXT_PROD_ID, sizeof(ret_s->isv_ext_prod_id));
        memcpy(ret_s->q1, p + AT_Q1, SGX_MODULUS_SIZE);
        memcpy(ret_s->q2, p + AT_Q2, SGX_MODULUS_SIZE);
        return 0;
}

void sgx_sigstruct_encode(const struct sgx_sigstruct *s, uint8_t ret_bytes[static SGX_SIGSTRUCT_SIZE])
{
        uint8_t *p = ret_bytes;

        memset(p, 0, SGX_SIGSTRUCT_SIZE);
        memcpy(p + AT_HEADER, header, sizeof(header));
        put_le(p + AT_DEBUG, s->debug ? DEBUG_BIT : 0, 4);
        put_le(p + AT_VENDOR, s->vendor, 4);
        put_le(p + AT_DATE, s->date, 4);
        memcpy(p + AT_HEADER2, header2, sizeof(header2));
        put_le(p + AT_SOFTWARE, s->software_defined, 4);
        memcpy(p + AT_MODULUS, s->modulus, SGX_MODULUS_SIZE);
        put_le(p + AT_EXPONENT, EXPONENT, 4);
        memcpy(p + AT_SIGNATURE, s->signature, SGX_MODULUS_SIZE);
        put_le(p + AT_MISC, s->misc_select, 4);
        put_le(p + AT_MISC_MASK, s->misc_mask, 4);
        memcpy(p + AT_FAMILY_ID, s->isv_family_id, sizeof(s->isv_family_id));
        put_attributes(p + AT_ATTRIBUTES, &s->attributes);
        put_attributes(p + AT_ATTRIBUTE_MASK, &s->attribute_mask);
        memcpy(p + AT_MRENCLAVE, s->mrenclave, SGX_HASH_SIZE);
        memcpy(p + AT_EXT_PROD_ID, s->isv_ext_prod_id, sizeof(s->isv_ext_prod_id));
        put_le(p + AT_PROD_ID, s->isv_prod_id, 2);
        put_le(p + AT_SVN, s->isv_svn, 2);
        memcpy(p + AT_Q1, s->q1, SGX_MODULUS_SIZE);
        memcpy(p + AT_Q2, s->q2, SGX_MODULUS_SIZE);
}

int sgx_sigstruct_digest(const struct sgx_sigstruct *s, struct digest *ret_digest)
{
        cleanup_hash struct hash h = HASH_NONE;
        uint8_t bytes[SGX_SIGSTRUCT_SIZE];
        int r = hash_init(&h, HASH_SHA256);

        if (r < 0)
                return r;
        sgx_sigstruct_encode(s, bytes);
        hash_update(&h, bytes, AT_MODULUS);
        hash_update(&h, bytes + AT_MISC, AT_RESERVED3 - AT_MISC);
        return hash_final(&h, ret_digest);
}

int sgx_sigstruct_mrsigner(const struct sgx_sigstruct *s, uint8_t ret_mrsigner[static SGX_HASH_SIZE])
{
        struct digest d;
        int r = hash_view(HASH_SHA256, view_of(s->modulus, SGX_MODULUS_SIZE), &d);

        if (r == 0)
                memcpy(ret_mrsigner, d.bytes, SGX_HASH_SIZE);
        return r;
}

static int wrong_measurement(const struct sgx_sigstruct *s, const uint8_t *mrenclave, struct error *err)
{
        char is[2 * SGX_HASH_SIZE + 1], should[2 * SGX_HASH_SIZE + 1];

        hex_encode(mrenclave, SGX_HASH_SIZE, is);
        hex_encode(s->mrenclave, SGX_HASH_SIZE, should);
        error_set(err, -EPERM, "the enclave measures %s, but %s was signed", is, should);
        return SGX_INVALID_MEASUREMENT;
}

static int wrong_attribute(const char *name, uint64_t is, uint64_t should, uint64_t mask, struct error *err)
{
        error_set(err, -EPERM, "the enclave has %s %#llx, but %#llx was signed with mask %#llx", name,
                  (unsigned long long)is, (unsigned long long)should, (unsigned long long)mask);
        if ((is ^ should) & mask & SGX_ATTRIBUTE_DEBUG && strcmp(name, "ATTRIBUTES") == 0)
                error_hint(err, "it was signed to run %s debugging",
                           should & SGX_ATTRIBUTE_DEBUG ? "only with" : "only without");
        return SGX_INVALID_ATTRIBUTE;
}

static int compare(const struct sgx_sigstruct *s, const struct sgx_secs *secs, const uint8_t *mrenclave,
                   struct error *err)
{
        const struct sgx_attributes *is = &secs->attributes, *should = &s->attributes,
                                    *mask = &s->attribute_mask;

        if (memcmp(s->mrenclave, mrenclave, SGX_HASH_SIZE) != 0)
                return wrong_measurement(s, mrenclave, err);
        if ((is->flags ^ should->flags) & mask->flags)
                return wrong_attribute("ATTRIBUTES", is->flags, should->flags, mask->flags, err);
        if ((is->xfrm ^ should->xfrm) & mask->xfrm)
                return wrong_attribute("XFRM", is->xfrm, should->xfrm, mask->xfrm, err);
        if ((secs->misc_select ^ s->misc_select) & s->misc_mask)
                return wrong_attribute("MISCSELECT", secs->misc_select, s->misc_select, s->misc_mask, err);
        return SGX_SUCCESS;
}

int sgx_sigstruct_check(const struct sgx_sigstruct *s, const struct sgx_secs *secs,
                        const uint8_t mrenclave[static SGX_HASH_SIZE], int *ret_code, struct error *err)
{
        int r = sgx_sigstruct_verify(s, err);

        if (r < 0 && r != -EBADMSG)
                return r;
        *ret_code = r < 0 ? SGX_INVALID_SIGNATURE : compare(s, secs, mrenclave, err);
        return 0;
}
