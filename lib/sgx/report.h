/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report.h - what enclaves tell each other and ask of the CPU: TARGETINFO, REPORT, KEYREQUEST.
 *
 * Source: SDM 3D, "Report (REPORT)", "Report Target Info (TARGETINFO)", "Key Request (KEYREQUEST)".
 */
#pragma once

#include "lib/base/error.h"
#include "lib/sgx/layout.h"

/* For whom a report is. */
struct sgx_targetinfo {
        uint8_t mrenclave[SGX_HASH_SIZE];
        struct sgx_attributes attributes;
        uint16_t config_svn;
        uint32_t misc_select;
        uint8_t config_id[64];
};

/* Writes it, and reads it: -EINVAL where a reserved byte isn't 0. */
void sgx_targetinfo_encode(const struct sgx_targetinfo *t, uint8_t ret_bytes[static SGX_TARGETINFO_SIZE]);
int sgx_targetinfo_decode(const uint8_t bytes[static SGX_TARGETINFO_SIZE], struct sgx_targetinfo *ret_t);

struct sgx_report {
        uint8_t cpu_svn[SGX_KEY_SIZE];
        uint32_t misc_select;
        uint8_t isv_ext_prod_id[16];
        struct sgx_attributes attributes;
        uint8_t mrenclave[SGX_HASH_SIZE];
        uint8_t mrsigner[SGX_HASH_SIZE];
        uint8_t config_id[64];
        uint16_t isv_prod_id;
        uint16_t isv_svn;
        uint16_t config_svn;
        uint8_t isv_family_id[16];
        uint8_t data[SGX_REPORT_DATA_SIZE];
        uint8_t key_id[SGX_HASH_SIZE];
        uint8_t mac[SGX_KEY_SIZE];
};

/* Bytes of a report that its MAC covers. */
enum { SGX_REPORT_MAC_COVERS = 384 };

/* Writes it, and reads it; reserved bytes are not looked at, the MAC covers them. */
void sgx_report_encode(const struct sgx_report *report, uint8_t ret_bytes[static SGX_REPORT_SIZE]);
void sgx_report_decode(const uint8_t bytes[static SGX_REPORT_SIZE], struct sgx_report *ret_report);

enum sgx_key_name {
        SGX_KEY_EINITTOKEN = 0,
        SGX_KEY_PROVISION = 1,
        SGX_KEY_PROVISION_SEAL = 2,
        SGX_KEY_REPORT = 3,
        SGX_KEY_SEAL = 4,
};

/* KEYREQUEST.KEYPOLICY: what a sealing key depends on */
enum {
        SGX_POLICY_MRENCLAVE = 0x01,
        SGX_POLICY_MRSIGNER = 0x02,
        SGX_POLICY_NOISVPRODID = 0x04,
        SGX_POLICY_CONFIGID = 0x08,
        SGX_POLICY_ISVFAMILYID = 0x10,
        SGX_POLICY_ISVEXTPRODID = 0x20,
};

struct sgx_keyrequest {
        uint16_t name; /* enum sgx_key_name, or what a stranger wrote */
        uint16_t policy;
        uint16_t isv_svn;
        uint8_t cpu_svn[SGX_KEY_SIZE];
        struct sgx_attributes attribute_mask;
        uint8_t key_id[SGX_HASH_SIZE];
        uint32_t misc_mask;
        uint16_t config_svn;
};

/* Writes it, and reads it: -EINVAL where a reserved byte isn't 0. */
void sgx_keyrequest_encode(const struct sgx_keyrequest *k, uint8_t ret_bytes[static SGX_KEYREQUEST_SIZE]);
int sgx_keyrequest_decode(const uint8_t bytes[static SGX_KEYREQUEST_SIZE], struct sgx_keyrequest *ret_k);
