/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qe-identity.c - "enclaveIdentity" of version 2: what a quoting enclave must be, bits under masks in the
 * order of a report's bytes, and the levels of its security version, best first.
 */
#include "lib/attest/collateral.h"
#include "lib/sgx/little-endian.h"

#include <string.h>

enum { VERSION = 2, MISC_SIZE = 4, ATTRIBUTES_SIZE = 16 };

/* The member `name` under the mask `mask_name` must be what `found` has. */
static int check_masked(const json_t *identity, const char *name, const char *mask_name, const uint8_t *found,
                        size_t n, struct error *err)
{
        uint8_t wanted[ATTRIBUTES_SIZE], mask[ATTRIBUTES_SIZE];
        int r = collateral_bytes(identity, name, wanted, n, err);

        if (r == 0)
                r = collateral_bytes(identity, mask_name, mask, n, err);
        for (size_t i = 0; r == 0 && i < n; i++)
                if ((found[i] & mask[i]) != (wanted[i] & mask[i]))
                        r = error_set(err, -EPERM, "the quoting enclave's %s are others", name);
        return r;
}

static int check_bits(const json_t *identity, const struct sgx_report *qe, struct error *err)
{
        uint8_t misc[MISC_SIZE], attributes[ATTRIBUTES_SIZE];
        int r;

        put_le(misc, qe->misc_select, MISC_SIZE);
        put_le(attributes, qe->attributes.flags, 8);
        put_le(attributes + 8, qe->attributes.xfrm, 8);
        r = check_masked(identity, "miscselect", "miscselectMask", misc, sizeof(misc), err);
        return r == 0 ? check_masked(identity, "attributes", "attributesMask", attributes, sizeof(attributes),
                                     err)
                      : r;
}

static int check_kind(const json_t *identity, struct error *err)
{
        uint64_t version = 0;
        const char *id = NULL;
        int r = collateral_number(identity, "version", UINT32_MAX, &version, err);

        if (r == 0 && version != VERSION)
                r = error_set(err, -ENOTSUP, "it is of version %llu; known is %d",
                              (unsigned long long)version, VERSION);
        if (r == 0)
                r = strict_json_string(identity, "id", &id, err);
        if (r == 0 && (!id || strcmp(id, "QE") != 0))
                r = error_set(err, -EPERM, "it is about %.40s, and not the quoting enclave",
                              id ? id : "nothing");
        return r;
}

static int check_who(const json_t *identity, const struct sgx_report *qe, struct error *err)
{
        uint8_t mrsigner[SGX_HASH_SIZE];
        uint64_t prod_id = 0;
        int r = collateral_bytes(identity, "mrsigner", mrsigner, sizeof(mrsigner), err);

        if (r == 0)
                r = collateral_number(identity, "isvprodid", UINT16_MAX, &prod_id, err);
        if (r == 0 && (memcmp(mrsigner, qe->mrsigner, sizeof(mrsigner)) != 0 || prod_id != qe->isv_prod_id))
                r = error_set(err, -EPERM, "the quoting enclave is of another signer, or another product");
        return r == 0 ? check_bits(identity, qe, err) : r;
}

static int find_level(const json_t *identity, const struct sgx_report *qe, struct tcb_verdict *ret_verdict,
                      struct error *err)
{
        json_t *levels, *tcb;
        int r = check_kind(identity, err);

        if (r == 0)
                r = check_who(identity, qe, err);
        if (r == 0)
                r = strict_json_array(identity, "tcbLevels", &levels, err);
        for (size_t i = 0; r == 0 && i < json_array_size(levels); i++) {
                const json_t *level = json_array_get(levels, i);
                uint64_t svn = 0;

                r = strict_json_object(level, "tcb", &tcb, err);
                if (r == 0)
                        r = collateral_number(tcb, "isvsvn", UINT16_MAX, &svn, err);
                if (r == 0 && qe->isv_svn >= svn)
                        return collateral_level(level, ret_verdict, err);
        }
        return r < 0 ? r : error_set(err, -EPERM, "the quoting enclave is below all levels of it");
}

int qe_identity_level(const json_t *identity, const struct sgx_report *qe, struct tcb_verdict *ret_verdict,
                      struct error *err)
{
        int r = find_level(identity, qe, ret_verdict, err);

        if (r < 0)
                error_wrap(err, "\"enclaveIdentity\"");
        return r;
}
