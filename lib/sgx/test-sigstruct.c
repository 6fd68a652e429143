/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/sgx/signing-key.h"

#include "lib/sgx/image.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

/* Making a key takes a second or so; all tests share one. */
static int make_key(void **state)
{
        return sgx_signing_key_generate((struct sgx_signing_key **)state, NULL);
}

static int free_key(void **state)
{
        sgx_signing_key_free(*state);
        return 0;
}

static const struct sgx_secs some_secs = {
        .size = 0x4000,
        .attributes = {SGX_ATTRIBUTE_MODE64 | SGX_ATTRIBUTE_DEBUG, SGX_XFRM_LEGACY},
};

static void some_sigstruct(const struct sgx_signing_key *key, uint8_t ret_bytes[static SGX_SIGSTRUCT_SIZE])
{
        struct sgx_sigstruct s = {
                .date = 0x20261130,
                .software_defined = 7,
                .attributes = some_secs.attributes,
                .attribute_mask = {~0ULL, ~0ULL},
                .misc_mask = ~0U,
                .mrenclave = {1, 2, 3},
                .isv_prod_id = 0x1234,
                .isv_svn = 0x5678,
        };

        assert_int_equal(sgx_signing_key_sign(key, &s, NULL), 0);
        sgx_sigstruct_encode(&s, ret_bytes);
}

/* What EINIT gives for these bytes and an enclave that measures 01 02 03 00 ... */
static int einit(const uint8_t bytes[static SGX_SIGSTRUCT_SIZE], const struct sgx_secs *secs)
{
        static const uint8_t mrenclave[SGX_HASH_SIZE] = {1, 2, 3};
        struct sgx_sigstruct s;
        int code = -1;

        if (sgx_sigstruct_decode(view_of(bytes, SGX_SIGSTRUCT_SIZE), &s, NULL) < 0)
                return SGX_INVALID_SIG_STRUCT;
        assert_int_equal(sgx_sigstruct_check(&s, secs, mrenclave, &code, NULL), 0);
        return code;
}

static void what_was_signed_is_taken_and_comes_back_the_same(void **state)
{
        uint8_t bytes[SGX_SIGSTRUCT_SIZE], again[SGX_SIGSTRUCT_SIZE];
        struct sgx_sigstruct s;

        some_sigstruct(*state, bytes);
        assert_int_equal(einit(bytes, &some_secs), SGX_SUCCESS);
        assert_int_equal(sgx_sigstruct_decode(view_of(bytes, sizeof(bytes)), &s, NULL), 0);
        sgx_sigstruct_encode(&s, again);
        assert_memory_equal(bytes, again, sizeof(bytes));
        assert_int_equal(s.isv_prod_id, 0x1234);
        assert_int_equal(s.isv_svn, 0x5678);
}

/* One bit of each field, by its place in the format's table. */
static void an_edit_of_any_field_is_refused_by_its_code(void **state)
{
        static const struct {
                const char *field;
                unsigned int at;
                int code;
        } edits[] = {
                {"HEADER", 0, SGX_INVALID_SIG_STRUCT},
                {"HEADER's end", 13, SGX_INVALID_SIG_STRUCT},
                {"VENDOR", 16, SGX_INVALID_SIG_STRUCT},
                {"DATE", 20, SGX_INVALID_SIGNATURE},
                {"HEADER2", 24, SGX_INVALID_SIG_STRUCT},
                {"SWDEFINED", 40, SGX_INVALID_SIGNATURE},
                {"reserved at 44", 44, SGX_INVALID_SIG_STRUCT},
                {"reserved at 127", 127, SGX_INVALID_SIG_STRUCT},
                {"MODULUS", 200, SGX_INVALID_SIGNATURE},
                {"EXPONENT", 512, SGX_INVALID_SIG_STRUCT},
                {"SIGNATURE", 516, SGX_INVALID_SIGNATURE},
                {"MISCSELECT", 900, SGX_INVALID_SIGNATURE},
                {"MISCMASK", 904, SGX_INVALID_SIGNATURE},
                {"CET_ATTRIBUTES", 908, SGX_INVALID_SIG_STRUCT},
                {"ISVFAMILYID", 912, SGX_INVALID_SIGNATURE},
                {"ATTRIBUTES", 928, SGX_INVALID_SIGNATURE},
                {"XFRM", 936, SGX_INVALID_SIGNATURE},
                {"ATTRIBUTEMASK", 944, SGX_INVALID_SIGNATURE},
                {"ENCLAVEHASH", 960, SGX_INVALID_SIGNATURE},
                {"reserved at 992", 992, SGX_INVALID_SIG_STRUCT},
                {"ISVEXTPRODID", 1008, SGX_INVALID_SIGNATURE},
                {"ISVPRODID", 1024, SGX_INVALID_SIGNATURE},
                {"ISVSVN", 1026, SGX_INVALID_SIGNATURE},
                {"reserved at 1028", 1028, SGX_INVALID_SIG_STRUCT},
                {"Q1", 1040, SGX_INVALID_SIGNATURE},
                {"Q2", 1424, SGX_INVALID_SIGNATURE},
        };
        uint8_t bytes[SGX_SIGSTRUCT_SIZE];

        some_sigstruct(*state, bytes);
        for (size_t i = 0; i < ARRAY_SIZE(edits); i++) {
                int code;

                bytes[edits[i].at] ^= 4;
                code = einit(bytes, &some_secs);
                if (code != edits[i].code)
                        fail_msg("%s: code %d instead of %d", edits[i].field, code, edits[i].code);
                bytes[edits[i].at] ^= 4;
        }
        assert_int_equal(einit(bytes, &some_secs), SGX_SUCCESS);
}

static void an_enclave_other_than_the_signed_one_is_refused(void **state)
{
        struct sgx_sigstruct s;
        uint8_t bytes[SGX_SIGSTRUCT_SIZE];
        static const uint8_t other[SGX_HASH_SIZE] = {9};
        struct error err = {0};
        int code;

        some_sigstruct(*state, bytes);
        assert_int_equal(sgx_sigstruct_decode(view_of(bytes, sizeof(bytes)), &s, NULL), 0);
        assert_int_equal(sgx_sigstruct_check(&s, &some_secs, other, &code, &err), 0);
        assert_int_equal(code, SGX_INVALID_MEASUREMENT);
        assert_non_null(strstr(err.text, "0900000000"));
}

static void attributes_count_where_the_mask_says_so(void **state)
{
        uint8_t bytes[SGX_SIGSTRUCT_SIZE];
        struct sgx_secs secs = some_secs;
        struct sgx_sigstruct s;

        some_sigstruct(*state, bytes);
        secs.attributes.flags &= ~SGX_ATTRIBUTE_DEBUG;
        assert_int_equal(einit(bytes, &secs), SGX_INVALID_ATTRIBUTE);
        secs = some_secs;
        secs.attributes.xfrm |= 4;
        assert_int_equal(einit(bytes, &secs), SGX_INVALID_ATTRIBUTE);
        secs = some_secs;
        secs.misc_select = SGX_MISC_EXINFO;
        assert_int_equal(einit(bytes, &secs), SGX_INVALID_ATTRIBUTE);

        assert_int_equal(sgx_sigstruct_decode(view_of(bytes, sizeof(bytes)), &s, NULL), 0);
        s.attribute_mask.flags = ~SGX_ATTRIBUTE_DEBUG;
        assert_int_equal(sgx_signing_key_sign(*state, &s, NULL), 0);
        sgx_sigstruct_encode(&s, bytes);
        secs = some_secs;
        secs.attributes.flags &= ~SGX_ATTRIBUTE_DEBUG;
        assert_int_equal(einit(bytes, &secs), SGX_SUCCESS);
}

/* What the CPU computes with must be numbers of RSA before it is compared with anything. */
static void numbers_that_no_key_has_are_named(void **state)
{
        enum { MODULUS = 128, MODULUS_END = MODULUS + SGX_MODULUS_SIZE, SIGNATURE = 516 };
        uint8_t good[SGX_SIGSTRUCT_SIZE], bytes[SGX_SIGSTRUCT_SIZE];
        struct sgx_sigstruct s;
        struct error err = {0};

        some_sigstruct(*state, good);
        memcpy(bytes, good, sizeof(good));
        bytes[MODULUS] &= 0xfe;
        assert_int_equal(sgx_sigstruct_decode(view_of(bytes, sizeof(bytes)), &s, NULL), 0);
        assert_int_equal(sgx_sigstruct_verify(&s, &err), -EBADMSG);
        assert_non_null(strstr(err.text, "MODULUS is no number"));
        memcpy(bytes, good, sizeof(good));
        bytes[MODULUS_END - 1] &= 0x7f;
        assert_int_equal(sgx_sigstruct_decode(view_of(bytes, sizeof(bytes)), &s, NULL), 0);
        assert_int_equal(sgx_sigstruct_verify(&s, &err), -EBADMSG);
        assert_non_null(strstr(err.text, "MODULUS is no number"));
        memcpy(bytes, good, sizeof(good));
        memcpy(bytes + SIGNATURE, bytes + MODULUS, SGX_MODULUS_SIZE); /* as large as the modulus */
        assert_int_equal(sgx_sigstruct_decode(view_of(bytes, sizeof(bytes)), &s, NULL), 0);
        assert_int_equal(sgx_sigstruct_verify(&s, &err), -EBADMSG);
        assert_non_null(strstr(err.text, "SIGNATURE is not below MODULUS"));
}

static void a_sigstruct_of_another_size_is_refused(void **state)
{
        uint8_t bytes[SGX_SIGSTRUCT_SIZE + 1] = {0};
        struct sgx_sigstruct s;
        struct error err = {0};

        some_sigstruct(*state, bytes);
        assert_int_equal(sgx_sigstruct_decode(view_of(bytes, SGX_SIGSTRUCT_SIZE - 1), &s, &err), -EBADMSG);
        assert_non_null(strstr(err.text, "1807 bytes instead of 1808"));
        assert_int_equal(sgx_sigstruct_decode(view_of(bytes, SGX_SIGSTRUCT_SIZE + 1), &s, NULL), -EBADMSG);
        assert_int_equal(sgx_sigstruct_decode(view_of(NULL, 0), &s, NULL), -EBADMSG);
}

static void keys_of_another_kind_are_refused(void **state)
{
        static const char other[] = "-----BEGIN PRIVATE KEY-----\n"
                                    "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n"
                                    "-----END PRIVATE KEY-----\n";
        cleanup_sgx_signing_key struct sgx_signing_key *key = NULL;
        cleanup_buf struct buf pem = buf_with_max(8192);

        assert_int_equal(sgx_signing_key_parse(view_of_string(other), &key, NULL), -ENOTSUP);
        assert_int_equal(sgx_signing_key_parse(view_of_string("no key"), &key, NULL), -EBADMSG);
        assert_int_equal(sgx_signing_key_pem(*state, &pem, NULL), 0);
        assert_int_equal(sgx_signing_key_parse(buf_view(&pem), &key, NULL), 0);
}

/* The file is a TCS page with NSSA 1 and OENTRY 0x1000, and half a page of 0xa5; the value comes from an
 * implementation of its own in Python (hashlib), see tests/e2e/sgx_oracle.py. */
static void a_flat_file_measures_as_the_manual_says(void **state)
{
        static const uint8_t should[SGX_HASH_SIZE] = {0x67, 0xef, 0x8d, 0xbc, 0x1c, 0xf9, 0x53, 0xe5,
                                                      0x09, 0x41, 0xa0, 0xdb, 0x5f, 0x43, 0x58, 0xbf,
                                                      0xd7, 0x52, 0xe6, 0xe1, 0x43, 0x98, 0x94, 0xbf,
                                                      0x86, 0xab, 0xd3, 0x30, 0x04, 0x9e, 0x23, 0x5e};
        uint8_t file[SGX_PAGE_SIZE + SGX_PAGE_SIZE / 2] = {0}, mrenclave[SGX_HASH_SIZE], page[SGX_PAGE_SIZE];
        struct sgx_image image;
        uint64_t flags;
        (void)state;

        file[28] = 1;
        file[33] = 0x10;
        memset(file + SGX_PAGE_SIZE, 0xa5, sizeof(file) - SGX_PAGE_SIZE);
        assert_int_equal(sgx_image_open(view_of(file, sizeof(file)), SGX_XFRM_LEGACY, 0, &image, NULL),
                         -EINVAL);
        cleanup_free uint8_t *padded = calloc(2, SGX_PAGE_SIZE);
        memcpy(padded, file, sizeof(file));
        assert_int_equal(sgx_image_open(view_of(padded, 2 * SGX_PAGE_SIZE), SGX_XFRM_LEGACY, 0, &image, NULL),
                         0);
        assert_int_equal(image.n_pages, 3);
        assert_int_equal(image.size, 4 * SGX_PAGE_SIZE);
        sgx_image_page(&image, 0, page, &flags);
        assert_int_equal(flags, 0x100);
        assert_int_equal(page[17], 0x20);
        assert_int_equal(sgx_image_measure(&image, mrenclave), 0);
        assert_memory_equal(mrenclave, should, SGX_HASH_SIZE);
}

static void files_that_are_no_enclave_are_refused(void **state)
{
        cleanup_free uint8_t *file = calloc(2, SGX_PAGE_SIZE);
        struct sgx_image image;
        struct error err = {0};
        (void)state;

        assert_int_equal(sgx_image_open(view_of(file, 100), 3, 0, &image, &err), -EINVAL);
        assert_int_equal(sgx_image_open(view_of(file, 2 * SGX_PAGE_SIZE), 3, 0, &image, &err), -EINVAL);
        assert_non_null(strstr(err.text, "NSSA is 0"));
        file[28] = 1;
        file[100] = 1;
        assert_int_equal(sgx_image_open(view_of(file, 2 * SGX_PAGE_SIZE), 3, 0, &image, &err), -EINVAL);
        assert_non_null(strstr(err.text, "reserved"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_was_signed_is_taken_and_comes_back_the_same),
                cmocka_unit_test(an_edit_of_any_field_is_refused_by_its_code),
                cmocka_unit_test(an_enclave_other_than_the_signed_one_is_refused),
                cmocka_unit_test(attributes_count_where_the_mask_says_so),
                cmocka_unit_test(numbers_that_no_key_has_are_named),
                cmocka_unit_test(a_sigstruct_of_another_size_is_refused),
                cmocka_unit_test(keys_of_another_kind_are_refused),
                cmocka_unit_test(a_flat_file_measures_as_the_manual_says),
                cmocka_unit_test(files_that_are_no_enclave_are_refused),
        };

        return cmocka_run_group_tests(tests, make_key, free_key);
}
