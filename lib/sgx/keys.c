/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/sgx/keys.h"

#include "lib/base/cleanup.h"
#include "lib/sgx/little-endian.h"
#include "lib/sgx/sim-qe.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <string.h>

/* "KEYDEPENDENCIES" of SDM 3D, in its order. */
enum {
        AT_NAME = 0,
        AT_PROD_ID = 2,
        AT_SVN = 4,
        AT_CONFIG_SVN = 6,
        AT_ATTRIBUTES = 24, /* 16 bytes of owner epoch before it, always 0 here */
        AT_ATTRIBUTE_MASK = 40,
        AT_MRENCLAVE = 56,
        AT_MRSIGNER = 88,
        AT_KEY_ID = 120,
        AT_CPU_SVN = 152,
        AT_MISC = 168,
        AT_MISC_MASK = 172,
        AT_POLICY = 176,
        AT_FAMILY_ID = 178,
        AT_EXT_PROD_ID = 194,
        AT_CONFIG_ID = 210,
        DEPENDENCIES_SIZE = 274,
};

DEFINE_CLEANUP(cleanup_mac_p, EVP_MAC *, EVP_MAC_free)
#define cleanup_mac CLEANUP(cleanup_mac_p)
DEFINE_CLEANUP(cleanup_mac_ctx_p, EVP_MAC_CTX *, EVP_MAC_CTX_free)
#define cleanup_mac_ctx CLEANUP(cleanup_mac_ctx_p)

int sgx_cmac(const uint8_t key[static SGX_KEY_SIZE], struct view v, uint8_t ret_mac[static SGX_KEY_SIZE])
{
        cleanup_mac EVP_MAC *mac = EVP_MAC_fetch(NULL, "CMAC", NULL);
        cleanup_mac_ctx EVP_MAC_CTX *context = mac ? EVP_MAC_CTX_new(mac) : NULL;
        char cipher[] = "AES-128-CBC";
        const OSSL_PARAM parameters[] = {
                OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_CIPHER, cipher, 0),
                OSSL_PARAM_construct_end(),
        };
        size_t n = 0;

        if (!context || EVP_MAC_init(context, key, SGX_KEY_SIZE, parameters) != 1 ||
            EVP_MAC_update(context, v.p, v.n) != 1 ||
            EVP_MAC_final(context, ret_mac, &n, SGX_KEY_SIZE) != 1 || n != SGX_KEY_SIZE)
                return -ENOMEM;
        return 0;
}

static int derive(const struct sgx_root *root, const uint8_t dependencies[static DEPENDENCIES_SIZE],
                  uint8_t ret_key[static SGX_KEY_SIZE])
{
        return sgx_cmac(root->key, view_of(dependencies, DEPENDENCIES_SIZE), ret_key);
}

/* The key that reports to an enclave are made with; only it can ask for it. */
static int report_key(const struct sgx_root *root, const struct sgx_targetinfo *target,
                      const uint8_t key_id[static SGX_HASH_SIZE], uint8_t ret_key[static SGX_KEY_SIZE])
{
        uint8_t d[DEPENDENCIES_SIZE] = {SGX_KEY_REPORT};

        put_le(d + AT_CONFIG_SVN, target->config_svn, 2);
        put_le(d + AT_ATTRIBUTES, target->attributes.flags, 8);
        put_le(d + AT_ATTRIBUTES + 8, target->attributes.xfrm, 8);
        memcpy(d + AT_MRENCLAVE, target->mrenclave, SGX_HASH_SIZE);
        memcpy(d + AT_KEY_ID, key_id, SGX_HASH_SIZE);
        memcpy(d + AT_CPU_SVN, sgx_simulated_cpu_svn, SGX_KEY_SIZE);
        put_le(d + AT_MISC, target->misc_select, 4);
        memcpy(d + AT_CONFIG_ID, target->config_id, sizeof(target->config_id));
        return derive(root, d, ret_key);
}

static void target_of(const struct sgx_secs *secs, struct sgx_targetinfo *ret_target)
{
        *ret_target = (struct sgx_targetinfo){.attributes = secs->attributes,
                                              .config_svn = secs->config_svn,
                                              .misc_select = secs->misc_select};
        memcpy(ret_target->mrenclave, secs->mrenclave, SGX_HASH_SIZE);
        memcpy(ret_target->config_id, secs->config_id, sizeof(ret_target->config_id));
}

/* Which identities go into a key: the policy's choice for sealing keys, the signer's for all others. */
static void put_identity(uint8_t d[static DEPENDENCIES_SIZE], const struct sgx_secs *secs, uint16_t policy)
{
        put_le(d + AT_POLICY, policy, 2);
        if (policy & SGX_POLICY_MRENCLAVE)
                memcpy(d + AT_MRENCLAVE, secs->mrenclave, SGX_HASH_SIZE);
        if (policy & SGX_POLICY_MRSIGNER)
                memcpy(d + AT_MRSIGNER, secs->mrsigner, SGX_HASH_SIZE);
        if (!(policy & SGX_POLICY_NOISVPRODID))
                put_le(d + AT_PROD_ID, secs->isv_prod_id, 2);
        if (policy & SGX_POLICY_ISVFAMILYID)
                memcpy(d + AT_FAMILY_ID, secs->isv_family_id, sizeof(secs->isv_family_id));
        if (policy & SGX_POLICY_ISVEXTPRODID)
                memcpy(d + AT_EXT_PROD_ID, secs->isv_ext_prod_id, sizeof(secs->isv_ext_prod_id));
        if (policy & SGX_POLICY_CONFIGID) {
                memcpy(d + AT_CONFIG_ID, secs->config_id, sizeof(secs->config_id));
                put_le(d + AT_CONFIG_SVN, secs->config_svn, 2);
        }
}

/* SGX_SUCCESS, or why EGETKEY refuses. */
static int may_have(const struct sgx_secs *secs, const struct sgx_keyrequest *k)
{
        uint64_t needs = k->name == SGX_KEY_EINITTOKEN ? SGX_ATTRIBUTE_EINITTOKENKEY
                         : k->name == SGX_KEY_PROVISION || k->name == SGX_KEY_PROVISION_SEAL
                                 ? SGX_ATTRIBUTE_PROVISIONKEY
                                 : 0;

        if (k->name > SGX_KEY_SEAL)
                return SGX_INVALID_KEYNAME;
        if ((secs->attributes.flags & needs) != needs)
                return SGX_INVALID_ATTRIBUTE;
        if (k->policy >= SGX_POLICY_CONFIGID && !(secs->attributes.flags & SGX_ATTRIBUTE_KSS))
                return SGX_INVALID_ATTRIBUTE;
        if (k->name == SGX_KEY_REPORT)
                return SGX_SUCCESS;
        if (memcmp(k->cpu_svn, sgx_simulated_cpu_svn, SGX_KEY_SIZE) != 0)
                return SGX_INVALID_CPUSVN;
        if (k->isv_svn > secs->isv_svn || k->config_svn > secs->config_svn)
                return SGX_INVALID_ISVSVN;
        return SGX_SUCCESS;
}

int sgx_key_get(const struct sgx_root *root, const struct sgx_secs *secs,
                const struct sgx_keyrequest *request, uint8_t ret_key[static SGX_KEY_SIZE], int *ret_code)
{
        const uint64_t always = SGX_ATTRIBUTE_INIT | SGX_ATTRIBUTE_DEBUG;
        uint64_t flags_mask = request->attribute_mask.flags | always;
        uint8_t d[DEPENDENCIES_SIZE] = {0};
        struct sgx_targetinfo self;

        *ret_code = may_have(secs, request);
        if (*ret_code != SGX_SUCCESS)
                return 0;
        if (request->name == SGX_KEY_REPORT) {
                target_of(secs, &self);
                return report_key(root, &self, request->key_id, ret_key);
        }
        put_le(d + AT_NAME, request->name, 2);
        put_le(d + AT_SVN, request->isv_svn, 2);
        put_le(d + AT_ATTRIBUTES, secs->attributes.flags & flags_mask, 8);
        put_le(d + AT_ATTRIBUTES + 8, secs->attributes.xfrm & request->attribute_mask.xfrm, 8);
        put_le(d + AT_ATTRIBUTE_MASK, flags_mask, 8);
        put_le(d + AT_ATTRIBUTE_MASK + 8, request->attribute_mask.xfrm, 8);
        memcpy(d + AT_CPU_SVN, request->cpu_svn, SGX_KEY_SIZE);
        put_le(d + AT_MISC, secs->misc_select & request->misc_mask, 4);
        put_le(d + AT_MISC_MASK, request->misc_mask, 4);
        put_identity(d, secs, request->name == SGX_KEY_SEAL ? request->policy : SGX_POLICY_MRSIGNER);
        if (request->name == SGX_KEY_SEAL || request->name == SGX_KEY_EINITTOKEN)
                memcpy(d + AT_KEY_ID, request->key_id, SGX_HASH_SIZE);
        if (request->name == SGX_KEY_EINITTOKEN)
                memset(d + AT_MRSIGNER, 0, SGX_HASH_SIZE); /* EINIT must derive it without knowing by whom */
        return derive(root, d, ret_key);
}

int sgx_report_make(const struct sgx_root *root, const struct sgx_secs *secs,
                    const struct sgx_targetinfo *target, const uint8_t data[static SGX_REPORT_DATA_SIZE],
                    struct sgx_report *ret_report)
{
        uint8_t key[SGX_KEY_SIZE], bytes[SGX_REPORT_SIZE];
        struct sgx_report r = {
                .misc_select = secs->misc_select,
                .attributes = secs->attributes,
                .isv_prod_id = secs->isv_prod_id,
                .isv_svn = secs->isv_svn,
                .config_svn = secs->config_svn,
        };
        int e = report_key(root, target, root->report_key_id, key);

        memcpy(r.cpu_svn, sgx_simulated_cpu_svn, SGX_KEY_SIZE);
        memcpy(r.isv_ext_prod_id, secs->isv_ext_prod_id, sizeof(r.isv_ext_prod_id));
        memcpy(r.mrenclave, secs->mrenclave, SGX_HASH_SIZE);
        memcpy(r.mrsigner, secs->mrsigner, SGX_HASH_SIZE);
        memcpy(r.config_id, secs->config_id, sizeof(r.config_id));
        memcpy(r.isv_family_id, secs->isv_family_id, sizeof(r.isv_family_id));
        memcpy(r.data, data, SGX_REPORT_DATA_SIZE);
        memcpy(r.key_id, root->report_key_id, SGX_HASH_SIZE);
        sgx_report_encode(&r, bytes);
        if (e == 0)
                e = sgx_cmac(key, view_of(bytes, SGX_REPORT_MAC_COVERS), r.mac);
        explicit_bzero(key, sizeof(key));
        if (e == 0)
                *ret_report = r;
        return e;
}

int sgx_report_verify(const struct sgx_root *root, const uint8_t report[static SGX_REPORT_SIZE],
                      const struct sgx_targetinfo *target, struct error *err)
{
        uint8_t key[SGX_KEY_SIZE], mac[SGX_KEY_SIZE];
        struct sgx_report r;
        int e;

        sgx_report_decode(report, &r);
        if (memcmp(r.cpu_svn, sgx_simulated_cpu_svn, SGX_KEY_SIZE) != 0)
                return error_set(err, -EBADMSG, "the report is of a real processor, not of a simulation");
        e = report_key(root, target, r.key_id, key);
        if (e == 0)
                e = sgx_cmac(key, view_of(report, SGX_REPORT_MAC_COVERS), mac);
        explicit_bzero(key, sizeof(key));
        if (e < 0)
                return error_oom(err);
        if (CRYPTO_memcmp(mac, r.mac, sizeof(mac)) != 0)
                return error_set(
                        err, -EBADMSG,
                        "the report's MAC is wrong: it was changed, is for another enclave, or comes "
                        "from another machine, user or boot");
        return 0;
}

static int token_mac(const struct sgx_root *root, const struct sgx_token *token,
                     uint8_t ret_mac[static SGX_KEY_SIZE])
{
        uint8_t d[DEPENDENCIES_SIZE] = {SGX_KEY_EINITTOKEN}, key[SGX_KEY_SIZE], bytes[SGX_TOKEN_SIZE];
        int r;

        put_le(d + AT_PROD_ID, token->isv_prod_id_le, 2);
        put_le(d + AT_SVN, token->isv_svn_le, 2);
        put_le(d + AT_ATTRIBUTES, token->masked_attributes_le.flags, 8);
        put_le(d + AT_ATTRIBUTES + 8, token->masked_attributes_le.xfrm, 8);
        memcpy(d + AT_KEY_ID, token->key_id, SGX_HASH_SIZE);
        memcpy(d + AT_CPU_SVN, token->cpu_svn_le, SGX_KEY_SIZE);
        put_le(d + AT_MISC, token->masked_misc_select_le, 4);
        r = derive(root, d, key);
        sgx_token_encode(token, bytes);
        if (r == 0)
                r = sgx_cmac(key, view_of(bytes, SGX_TOKEN_MAC_COVERS), ret_mac);
        explicit_bzero(key, sizeof(key));
        return r;
}

int sgx_token_sign(const struct sgx_root *root, struct sgx_token *token)
{
        return token_mac(root, token, token->mac);
}

int sgx_token_check(const struct sgx_root *root, const struct sgx_token *token, const struct sgx_secs *secs)
{
        uint8_t mac[SGX_KEY_SIZE];
        int r = token_mac(root, token, mac);

        if (r < 0)
                return r;
        if (CRYPTO_memcmp(mac, token->mac, sizeof(mac)) != 0 ||
            memcmp(token->mrenclave, secs->mrenclave, SGX_HASH_SIZE) != 0 ||
            memcmp(token->mrsigner, secs->mrsigner, SGX_HASH_SIZE) != 0 ||
            ((token->attributes.flags ^ secs->attributes.flags) & ~SGX_ATTRIBUTE_INIT) ||
            token->attributes.xfrm != secs->attributes.xfrm)
                return SGX_INVALID_EINITTOKEN;
        return SGX_SUCCESS;
}
