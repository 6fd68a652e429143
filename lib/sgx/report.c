/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/sgx/report.h"

#include "lib/sgx/little-endian.h"

#include <string.h>

enum { /* TARGETINFO */
       TARGET_ATTRIBUTES = 32,
       TARGET_CET = 48,
       TARGET_CONFIG_SVN = 50,
       TARGET_MISC = 52,
       TARGET_CONFIG_ID = 64,
       TARGET_END = 128,
};

enum { /* REPORT */
       REPORT_MISC = 16,
       REPORT_EXT_PROD_ID = 32,
       REPORT_ATTRIBUTES = 48,
       REPORT_MRENCLAVE = 64,
       REPORT_MRSIGNER = 128,
       REPORT_CONFIG_ID = 192,
       REPORT_ISV_PROD_ID = 256,
       REPORT_ISV_SVN = 258,
       REPORT_CONFIG_SVN = 260,
       REPORT_FAMILY_ID = 304,
       REPORT_DATA = 320,
       REPORT_KEY_ID = 384,
       REPORT_MAC = 416,
};

enum { /* KEYREQUEST */
       REQUEST_POLICY = 2,
       REQUEST_ISV_SVN = 4,
       REQUEST_CPU_SVN = 8,
       REQUEST_ATTRIBUTE_MASK = 24,
       REQUEST_KEY_ID = 40,
       REQUEST_MISC_MASK = 72,
       REQUEST_CONFIG_SVN = 76,
       REQUEST_END = 78,
};

_Static_assert(REPORT_MAC + SGX_KEY_SIZE == SGX_REPORT_SIZE, "the MAC ends the report");
_Static_assert(REPORT_DATA + SGX_REPORT_DATA_SIZE == REPORT_KEY_ID, "SDM 3D");
_Static_assert((int)REPORT_KEY_ID == (int)SGX_REPORT_MAC_COVERS, "the MAC covers all but its own key's name");

static bool all_zero(const uint8_t *p, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (p[i])
                        return false;
        return true;
}

static void put_attributes(uint8_t *p, const struct sgx_attributes *a)
{
        put_le(p, a->flags, 8);
        put_le(p + 8, a->xfrm, 8);
}

static struct sgx_attributes get_attributes(const uint8_t *p)
{
        return (struct sgx_attributes){get_le(p, 8), get_le(p + 8, 8)};
}

void sgx_targetinfo_encode(const struct sgx_targetinfo *t, uint8_t ret_bytes[static SGX_TARGETINFO_SIZE])
{
        memset(ret_bytes, 0, SGX_TARGETINFO_SIZE);
        memcpy(ret_bytes, t->mrenclave, SGX_HASH_SIZE);
        put_attributes(ret_bytes + TARGET_ATTRIBUTES, &t->attributes);
        put_le(ret_bytes + TARGET_CONFIG_SVN, t->config_svn, 2);
        put_le(ret_bytes + TARGET_MISC, t->misc_select, 4);
        memcpy(ret_bytes + TARGET_CONFIG_ID, t->config_id, sizeof(t->config_id));
}

int sgx_targetinfo_decode(const uint8_t bytes[static SGX_TARGETINFO_SIZE], struct sgx_targetinfo *ret_t)
{
        struct sgx_targetinfo t = {
                .attributes = get_attributes(bytes + TARGET_ATTRIBUTES),
                .config_svn = (uint16_t)get_le(bytes + TARGET_CONFIG_SVN, 2),
                .misc_select = (uint32_t)get_le(bytes + TARGET_MISC, 4),
        };

        if (!all_zero(bytes + TARGET_CET, 2) || !all_zero(bytes + TARGET_MISC + 4, 8) ||
            !all_zero(bytes + TARGET_END, SGX_TARGETINFO_SIZE - TARGET_END))
                return -EINVAL;
        memcpy(t.mrenclave, bytes, SGX_HASH_SIZE);
        memcpy(t.config_id, bytes + TARGET_CONFIG_ID, sizeof(t.config_id));
        *ret_t = t;
        return 0;
}

void sgx_report_encode(const struct sgx_report *report, uint8_t ret_bytes[static SGX_REPORT_SIZE])
{
        memset(ret_bytes, 0, SGX_REPORT_SIZE);
        memcpy(ret_bytes, report->cpu_svn, SGX_KEY_SIZE);
        put_le(ret_bytes + REPORT_MISC, report->misc_select, 4);
        memcpy(ret_bytes + REPORT_EXT_PROD_ID, report->isv_ext_prod_id, sizeof(report->isv_ext_prod_id));
        put_attributes(ret_bytes + REPORT_ATTRIBUTES, &report->attributes);
        memcpy(ret_bytes + REPORT_MRENCLAVE, report->mrenclave, SGX_HASH_SIZE);
        memcpy(ret_bytes + REPORT_MRSIGNER, report->mrsigner, SGX_HASH_SIZE);
        memcpy(ret_bytes + REPORT_CONFIG_ID, report->config_id, sizeof(report->config_id));
        put_le(ret_bytes + REPORT_ISV_PROD_ID, report->isv_prod_id, 2);
        put_le(ret_bytes + REPORT_ISV_SVN, report->isv_svn, 2);
        put_le(ret_bytes + REPORT_CONFIG_SVN, report->config_svn, 2);
        memcpy(ret_bytes + REPORT_FAMILY_ID, report->isv_family_id, sizeof(report->isv_family_id));
        memcpy(ret_bytes + REPORT_DATA, report->data, SGX_REPORT_DATA_SIZE);
        memcpy(ret_bytes + REPORT_KEY_ID, report->key_id, SGX_HASH_SIZE);
        memcpy(ret_bytes + REPORT_MAC, report->mac, SGX_KEY_SIZE);
}

void sgx_report_decode(const uint8_t bytes[static SGX_REPORT_SIZE], struct sgx_report *ret_report)
{
        struct sgx_report r = {
                .misc_select = (uint32_t)get_le(bytes + REPORT_MISC, 4),
                .attributes = get_attributes(bytes + REPORT_ATTRIBUTES),
                .isv_prod_id = (uint16_t)get_le(bytes + REPORT_ISV_PROD_ID, 2),
                .isv_svn = (uint16_t)get_le(bytes + REPORT_ISV_SVN, 2),
                .config_svn = (uint16_t)get_le(bytes + REPORT_CONFIG_SVN, 2),
        };

        memcpy(r.cpu_svn, bytes, SGX_KEY_SIZE);
        memcpy(r.isv_ext_prod_id, bytes + REPORT_EXT_PROD_ID, sizeof(r.isv_ext_prod_id));
        memcpy(r.mrenclave, bytes + REPORT_MRENCLAVE, SGX_HASH_SIZE);
        memcpy(r.mrsigner, bytes + REPORT_MRSIGNER, SGX_HASH_SIZE);
        memcpy(r.config_id, bytes + REPORT_CONFIG_ID, sizeof(r.config_id));
        memcpy(r.isv_family_id, bytes + REPORT_FAMILY_ID, sizeof(r.isv_family_id));
        memcpy(r.data, bytes + REPORT_DATA, SGX_REPORT_DATA_SIZE);
        memcpy(r.key_id, bytes + REPORT_KEY_ID, SGX_HASH_SIZE);
        memcpy(r.mac, bytes + REPORT_MAC, SGX_KEY_SIZE);
        *ret_report = r;
}

void sgx_keyrequest_encode(const struct sgx_keyrequest *k, uint8_t ret_bytes[static SGX_KEYREQUEST_SIZE])
{
        memset(ret_bytes, 0, SGX_KEYREQUEST_SIZE);
        put_le(ret_bytes, k->name, 2);
        put_le(ret_bytes + REQUEST_POLICY, k->policy, 2);
        put_le(ret_bytes + REQUEST_ISV_SVN, k->isv_svn, 2);
        memcpy(ret_bytes + REQUEST_CPU_SVN, k->cpu_svn, SGX_KEY_SIZE);
        put_attributes(ret_bytes + REQUEST_ATTRIBUTE_MASK, &k->attribute_mask);
        memcpy(ret_bytes + REQUEST_KEY_ID, k->key_id, SGX_HASH_SIZE);
        put_le(ret_bytes + REQUEST_MISC_MASK, k->misc_mask, 4);
        put_le(ret_bytes + REQUEST_CONFIG_SVN, k->config_svn, 2);
}

int sgx_keyrequest_decode(const uint8_t bytes[static SGX_KEYREQUEST_SIZE], struct sgx_keyrequest *ret_k)
{
        struct sgx_keyrequest k = {
                .name = (uint16_t)get_le(bytes, 2),
                .policy = (uint16_t)get_le(bytes + REQUEST_POLICY, 2),
                .isv_svn = (uint16_t)get_le(bytes + REQUEST_ISV_SVN, 2),
                .attribute_mask = get_attributes(bytes + REQUEST_ATTRIBUTE_MASK),
                .misc_mask = (uint32_t)get_le(bytes + REQUEST_MISC_MASK, 4),
                .config_svn = (uint16_t)get_le(bytes + REQUEST_CONFIG_SVN, 2),
        };

        if (!all_zero(bytes + REQUEST_ISV_SVN + 2, 2) ||
            !all_zero(bytes + REQUEST_END, SGX_KEYREQUEST_SIZE - REQUEST_END))
                return -EINVAL;
        memcpy(k.cpu_svn, bytes + REQUEST_CPU_SVN, SGX_KEY_SIZE);
        memcpy(k.key_id, bytes + REQUEST_KEY_ID, SGX_HASH_SIZE);
        *ret_k = k;
        return 0;
}
