/* SPDX-License-Identifier: Apache-2.0 */
/* test-token.c - leave to launch is for one enclave, of one signer, on one machine, and as it was given. */
#include "lib/sgx/keys.h"

#include "lib/base/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

static const struct sgx_root root = {.key = {1, 2, 3}}, another_root = {.key = {3, 2, 1}};

static const struct sgx_secs secs = {
        .size = 0x4000,
        .attributes = {SGX_ATTRIBUTE_MODE64 | SGX_ATTRIBUTE_DEBUG, SGX_XFRM_LEGACY},
        .mrenclave = {4},
        .mrsigner = {5},
};

static void make(const struct sgx_root *of, uint8_t ret_bytes[static SGX_TOKEN_SIZE])
{
        struct sgx_token token = {.valid = true,
                                  .attributes = secs.attributes,
                                  .mrenclave = {4},
                                  .mrsigner = {5},
                                  .cpu_svn_le = {6},
                                  .isv_svn_le = 7,
                                  .key_id = {8}};

        assert_int_equal(sgx_token_sign(of, &token), 0);
        sgx_token_encode(&token, ret_bytes);
}

/* What EINIT makes of the bytes. */
static int try(const uint8_t bytes[static SGX_TOKEN_SIZE], const struct sgx_secs *enclave)
{
        struct sgx_token token;

        return sgx_token_decode(bytes, &token) < 0 ? SGX_INVALID_EINITTOKEN
                                                   : sgx_token_check(&root, &token, enclave);
}

static void a_token_is_for_its_enclave(void **state)
{
        uint8_t bytes[SGX_TOKEN_SIZE];
        struct sgx_secs other = secs;

        (void)state;
        make(&root, bytes);
        assert_int_equal(try(bytes, &secs), SGX_SUCCESS);
        other.mrenclave[0]++;
        assert_int_equal(try(bytes, &other), SGX_INVALID_EINITTOKEN);
        other = secs;
        other.mrsigner[0]++;
        assert_int_equal(try(bytes, &other), SGX_INVALID_EINITTOKEN);
        other = secs;
        other.attributes.flags &= ~SGX_ATTRIBUTE_DEBUG;
        assert_int_equal(try(bytes, &other), SGX_INVALID_EINITTOKEN);
        other = secs;
        other.attributes.xfrm |= 4;
        assert_int_equal(try(bytes, &other), SGX_INVALID_EINITTOKEN);
        make(&another_root, bytes);
        assert_int_equal(try(bytes, &secs), SGX_INVALID_EINITTOKEN);
}

static void an_edit_of_any_field_is_refused(void **state)
{
        static const struct {
                const char *field;
                size_t at;
        } edits[] = {
                {"VALID's rest", 1},
                {"reserved at 4", 4},
                {"ATTRIBUTES", 48},
                {"XFRM", 56},
                {"MRENCLAVE", 64},
                {"reserved at 96", 96},
                {"MRSIGNER", 128},
                {"reserved at 160", 160},
                {"CPUSVNLE", 192},
                {"ISVPRODIDLE", 208},
                {"ISVSVNLE", 210},
                {"reserved at 212", 212},
                {"MASKEDMISCSELECT", 236},
                {"MASKEDATTRIBUTES", 240},
                {"KEYID", 256},
                {"MAC", 288},
                {"MAC's end", SGX_TOKEN_SIZE - 1},
        };
        uint8_t bytes[SGX_TOKEN_SIZE];

        (void)state;
        make(&root, bytes);
        for (size_t i = 0; i < ARRAY_SIZE(edits); i++) {
                bytes[edits[i].at] ^= 8;
                if (try(bytes, &secs) != SGX_INVALID_EINITTOKEN)
                        fail_msg("%s: the token is taken", edits[i].field);
                bytes[edits[i].at] ^= 8;
        }
        assert_int_equal(try(bytes, &secs), SGX_SUCCESS);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_token_is_for_its_enclave),
                cmocka_unit_test(an_edit_of_any_field_is_refused),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
