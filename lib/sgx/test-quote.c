/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/sgx/quote.h"

#include "lib/sgx/keys.h"
#include "lib/sgx/little-endian.h"
#include "lib/sgx/sim-pck.h"
#include "lib/sgx/sim-qe.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

enum {
        AT_VERSION = 0,
        AT_KEY_KIND = 2,
        AT_RESERVED = 4,
        AT_VENDOR = 12,
        AT_MRENCLAVE = 48 + 64,
        AT_SIGNATURE_SIZE = 432,
        AT_KEY = 500,
        AT_QE_BODY = 564,
        AT_AUTH_SIZE = 1012,
        NOW = 1000000000,
};

static const struct sgx_root root = {.key = "a root key, 16 b", .report_key_id = "of the tests"};

/* A report of an enclave whose measurement begins with 1, to the simulated QE or to another. */
static void make_report(const struct sgx_targetinfo *target, uint8_t ret_bytes[static SGX_REPORT_SIZE])
{
        static const uint8_t data[SGX_REPORT_DATA_SIZE] = "said by the enclave";
        const struct sgx_secs secs = {
                .attributes = {SGX_ATTRIBUTE_MODE64 | SGX_ATTRIBUTE_DEBUG, SGX_XFRM_LEGACY},
                .mrenclave = {1},
                .isv_svn = 7};
        struct sgx_report report;

        assert_int_equal(sgx_report_make(&root, &secs, target, data, &report), 0);
        sgx_report_encode(&report, ret_bytes);
}

static struct buf some_quote(void)
{
        struct buf quote = buf_with_max(SGX_QUOTE_MAX);
        uint8_t report[SGX_REPORT_SIZE];
        struct sgx_targetinfo target;
        struct error err = {0};

        sgx_sim_qe_target(&target);
        make_report(&target, report);
        if (sgx_sim_quote(&root, report, NOW, &quote, &err) < 0)
                fail_msg("%s", error_text(&err));
        return quote;
}

static void a_test_quote_has_its_parts_and_comes_back_the_same(void **state)
{
        cleanup_buf struct buf quote = some_quote(), again = buf_with_max(SGX_QUOTE_MAX);
        struct sgx_quote q;
        (void)state;

        assert_int_equal(sgx_quote_parse(buf_view(&quote), &q, NULL), 0);
        assert_memory_equal(q.qe_vendor, "COFFER-SIMULATED", 16);
        assert_memory_equal(q.report.data, "said by the enclave", 19);
        assert_int_equal(q.report.mrenclave[0], 1);
        assert_int_equal(q.report.isv_svn, 7);
        assert_true(sgx_report_is_simulated(&q.report) && sgx_report_is_simulated(&q.qe_report));
        assert_memory_equal(q.qe_report.mrsigner, SGX_SIM_QE_MRSIGNER, SGX_HASH_SIZE);
        assert_int_equal(q.certification_kind, SGX_QUOTE_CERTIFICATION_CHAIN);

        assert_int_equal(sgx_quote_put_signed(&again, &q, quote.p + 48), 0);
        assert_int_equal(sgx_quote_put_signature(&again, &q), 0);
        assert_true(view_equal(buf_view(&quote), buf_view(&again)));
}

static void expect(struct view bytes, int code, const char *text)
{
        struct error err = {0};
        struct sgx_quote q;

        assert_int_equal(sgx_quote_parse(bytes, &q, &err), code);
        if (!strstr(error_text(&err), text))
                fail_msg("\"%s\" and not \"%s\"", error_text(&err), text);
}

static void a_quote_of_another_kind_is_named(void **state)
{
        static const struct {
                size_t at;
                uint8_t value;
                int code;
                const char *text;
        } edits[] = {
                {AT_VERSION, 4, -ENOTSUP, "a quote of version 4"},
                {AT_KEY_KIND, 3, -ENOTSUP, "attestation key is of kind 3"},
                {AT_RESERVED, 0x81, -EBADMSG, "bytes 4 to 7 of the quote are not 0, but 0x81"},
                {AT_SIGNATURE_SIZE, 1, -EBADMSG, "bytes of signature data, and has"},
                {AT_AUTH_SIZE + 1, 0xff, -EBADMSG, "bytes of authentication data; the limit is"},
                {AT_AUTH_SIZE + 1, 0x3f, -EBADMSG, "end before their last part"},
                {AT_AUTH_SIZE, 57, -EBADMSG, "bytes of certification data, and has"},
        };
        (void)state;

        for (size_t i = 0; i < ARRAY_SIZE(edits); i++) {
                cleanup_buf struct buf quote = some_quote();

                quote.p[edits[i].at] = edits[i].value;
                expect(buf_view(&quote), edits[i].code, edits[i].text);
        }
}

static void a_quote_that_ends_anywhere_is_refused(void **state)
{
        cleanup_buf struct buf quote = some_quote();
        struct sgx_quote q;
        (void)state;

        for (size_t n = 0; n < quote.n; n++)
                assert_int_equal(sgx_quote_parse(view_of(quote.p, n), &q, NULL), -EBADMSG);
        assert_int_equal(buf_append_byte(&quote, 0), 0);
        expect(buf_view(&quote), -EBADMSG, "bytes of signature data, and has");
}

static void sizes_that_wrap_around_are_refused(void **state)
{
        cleanup_buf struct buf quote = some_quote();
        struct sgx_quote q;
        (void)state;

        assert_int_equal(sgx_quote_parse(buf_view(&quote), &q, NULL), 0);
        size_t at_size = quote.n - q.certification.n - 4;
        put_le(quote.p + at_size, UINT32_MAX, 4);
        expect(buf_view(&quote), -EBADMSG, "claims 4294967295 bytes of certification data");
        put_le(quote.p + AT_SIGNATURE_SIZE, UINT32_MAX, 4);
        expect(buf_view(&quote), -EBADMSG, "claims 4294967295 bytes of signature data");
}

/* A quote with so much authentication data: -E2BIG, or what the parser makes of it. */
static int parse_with_authentication(size_t n)
{
        static uint8_t authentication[SGX_QUOTE_AUTH_MAX + 1];
        cleanup_buf struct buf quote = some_quote(), again = buf_with_max(SGX_QUOTE_MAX);
        struct sgx_quote q;

        assert_int_equal(sgx_quote_parse(buf_view(&quote), &q, NULL), 0);
        q.authentication = view_of(authentication, n);
        assert_int_equal(sgx_quote_put_signed(&again, &q, quote.p + 48), 0);
        int r = sgx_quote_put_signature(&again, &q);
        return r < 0 ? r : sgx_quote_parse(buf_view(&again), &q, NULL);
}

static void sizes_have_their_limits(void **state)
{
        cleanup_free uint8_t *large = calloc(1, SGX_QUOTE_MAX + 1);
        cleanup_buf struct buf quote = some_quote();
        (void)state;

        assert_int_equal(parse_with_authentication(SGX_QUOTE_AUTH_MAX), 0);
        assert_int_equal(parse_with_authentication(SGX_QUOTE_AUTH_MAX + 1), -E2BIG);
        put_le(quote.p + AT_AUTH_SIZE, SGX_QUOTE_AUTH_MAX + 1, 2);
        expect(buf_view(&quote), -EBADMSG, "bytes of authentication data; the limit is");
        memcpy(large, quote.p, quote.n);
        expect(view_of(large, SGX_QUOTE_MAX + 1), -EBADMSG, "a quote of 32769 bytes");
        put_le(large + AT_VERSION, 9, 2);
        expect(view_of(large, SGX_QUOTE_MAX), -ENOTSUP, "a quote of version 9");
}

static void a_target_has_nothing_where_the_format_has_nothing(void **state)
{
        const struct sgx_targetinfo target = {.mrenclave = {1}, .misc_select = 1, .config_id = {2}};
        uint8_t bytes[SGX_TARGETINFO_SIZE];
        struct sgx_targetinfo again;
        (void)state;

        sgx_targetinfo_encode(&target, bytes);
        assert_int_equal(sgx_targetinfo_decode(bytes, &again), 0);
        assert_memory_equal(again.mrenclave, target.mrenclave, SGX_HASH_SIZE);
        /* MRENCLAVE, attributes, CET, CONFIGSVN, MISCSELECT, 8 bytes, CONFIGID, and the rest. */
        for (size_t at = 0; at < sizeof(bytes); at++) {
                bool reserved = (at >= 48 && at < 50) || (at >= 56 && at < 64) || at >= 128;

                bytes[at] ^= 0x80;
                if (sgx_targetinfo_decode(bytes, &again) != (reserved ? -EINVAL : 0))
                        fail_msg("byte %zu", at);
                bytes[at] ^= 0x80;
        }
}

static void only_what_this_simulation_reported_to_its_quoting_enclave_is_quoted(void **state)
{
        cleanup_buf struct buf quote = buf_with_max(SGX_QUOTE_MAX);
        const struct sgx_root other = {.key = "another boot's"};
        uint8_t report[SGX_REPORT_SIZE];
        struct sgx_targetinfo target = {.mrenclave = {9}};
        (void)state;

        make_report(&target, report);
        assert_int_equal(sgx_sim_quote(&root, report, NOW, &quote, NULL), -EBADMSG);
        sgx_sim_qe_target(&target);
        make_report(&target, report);
        assert_int_equal(sgx_sim_quote(&other, report, NOW, &quote, NULL), -EBADMSG);
        report[AT_MRENCLAVE - 48] ^= 1;
        assert_int_equal(sgx_sim_quote(&root, report, NOW, &quote, NULL), -EBADMSG);
        report[AT_MRENCLAVE - 48] ^= 1;
        report[0] ^= 1; /* CPUSVN: as though it were a real one */
        assert_int_equal(sgx_sim_quote(&root, report, NOW, &quote, NULL), -EBADMSG);
        assert_int_equal(quote.n, 0);
}

static void the_keys_are_those_of_the_root_key(void **state)
{
        cleanup_buf struct buf a = some_quote(), b = some_quote();
        (void)state;

        assert_memory_equal(a.p + AT_KEY, b.p + AT_KEY, SGX_QUOTE_ECDSA_SIZE);
        EVP_PKEY *one = NULL, *two = NULL;
        assert_int_equal(sgx_sim_key(&root, SGX_SIM_KEY_PCK, &one, NULL), 0);
        assert_int_equal(sgx_sim_key(&root, SGX_SIM_KEY_ATTESTATION, &two, NULL), 0);
        assert_int_not_equal(EVP_PKEY_eq(one, two), 1);
        EVP_PKEY_free(one);
        EVP_PKEY_free(two);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_test_quote_has_its_parts_and_comes_back_the_same),
                cmocka_unit_test(a_quote_of_another_kind_is_named),
                cmocka_unit_test(a_quote_that_ends_anywhere_is_refused),
                cmocka_unit_test(sizes_that_wrap_around_are_refused),
                cmocka_unit_test(sizes_have_their_limits),
                cmocka_unit_test(a_target_has_nothing_where_the_format_has_nothing),
                cmocka_unit_test(only_what_this_simulation_reported_to_its_quoting_enclave_is_quoted),
                cmocka_unit_test(the_keys_are_those_of_the_root_key),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
