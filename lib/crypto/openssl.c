/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/crypto/openssl-internal.h"

#include <string.h>

static const struct curve curves[] = {
        {"P-256", "prime256v1", HASH_SHA256, -7, 32},
        {"P-384", "secp384r1", HASH_SHA384, -35, 48},
        {"P-521", "secp521r1", HASH_SHA512, -36, 66},
};

/* Longest name of a group in OpenSSL, with room. */
enum { GROUP_NAME_MAX = 80 };

int curve_of_pkey(const EVP_PKEY *pkey, const struct curve **ret_curve, struct error *err)
{
        char group[GROUP_NAME_MAX] = "";

        if (EVP_PKEY_get_base_id(pkey) != EVP_PKEY_EC)
                return error_set(err, -ENOTSUP,
                                 "has a key of type %s; use an elliptic-curve key on P-256, P-384 or P-521",
                                 EVP_PKEY_get0_type_name(pkey) ? EVP_PKEY_get0_type_name(pkey) : "unknown");
        if (EVP_PKEY_get_group_name(pkey, group, sizeof(group), NULL) == 1)
                for (size_t i = 0; i < ARRAY_SIZE(curves); i++)
                        if (strcmp(group, curves[i].openssl_name) == 0) {
                                *ret_curve = &curves[i];
                                return 0;
                        }
        ERR_clear_error();
        return error_set(err, -ENOTSUP, "has a key on curve %s; use P-256, P-384 or P-521",
                         group[0] ? group : "unknown");
}

int error_openssl(struct error *err, int code, const char *text)
{
        const char *reason = ERR_reason_error_string(ERR_peek_error());

        error_set(err, code, "%s%s%s%s", text, reason ? " (" : "", reason ? reason : "", reason ? ")" : "");
        ERR_clear_error();
        return code;
}
