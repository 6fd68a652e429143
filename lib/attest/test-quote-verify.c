/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/attest/quote-verify.h"

#include "lib/attest/test-evidence.h"
#include "lib/base/text.h"
#include "lib/sgx/sim-qe.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

enum { YEAR = 365 * 24 * 60 * 60, DAY = 24 * 60 * 60 };

static struct quote_policy good_policy(int64_t now)
{
        return (struct quote_policy){
                .isv_prod_id = -1, .root_key = test_root_key(), .now = now, .tcb = {.skip = true}};
}

static void accept(struct view quote, const struct quote_policy *policy)
{
        struct quote_verdict verdict;
        struct error err = {0};

        if (quote_verify(quote, policy, &verdict, &err) < 0)
                fail_msg("refused: %s", error_text(&err));
}

static void refuse(struct view quote, const struct quote_policy *policy, int code, const char *text)
{
        struct quote_verdict verdict;
        struct error err = {0};
        int r = quote_verify(quote, policy, &verdict, &err);

        if (!strstr(error_text(&err), text) || r != code)
                fail_msg("%d \"%s\" and not %d \"%s\"", r, error_text(&err), code, text);
}

static void refuse_evidence(const struct test_evidence *e, int code, const char *text)
{
        cleanup_buf struct buf quote = test_evidence_quote(e);
        const struct quote_policy policy = good_policy(e->now);

        refuse(buf_view(&quote), &policy, code, text);
}

static void a_good_quote_is_accepted_and_says_what_it_is_of(void **state)
{
        const struct test_evidence e = test_evidence_good();
        cleanup_buf struct buf quote = test_evidence_quote(&e);
        const struct quote_policy policy = good_policy(e.now);
        struct quote_verdict v;
        (void)state;

        assert_int_equal(quote_verify(buf_view(&quote), &policy, &v, NULL), 0);
        assert_false(v.test);
        assert_memory_equal(v.quote.report.mrenclave, e.quote.report.mrenclave, SGX_HASH_SIZE);
        assert_memory_equal(v.pck.fmspc, "COFFER", PCK_FMSPC_SIZE);
        assert_int_equal(v.tcb.status, TCB_NOT_CHECKED);
}

/* One bit of each field that a signature or a certificate covers, without signing anew. */
static void an_edit_of_any_field_is_refused_for_its_own_reason(void **state)
{
        static const struct {
                const char *field;
                size_t at;
                int code;
                const char *text;
        } edits[] = {
                {"QE's ISVSVN", 8, -EKEYREJECTED, "was not signed by its attestation key"},
                {"PCE's ISVSVN", 10, -EKEYREJECTED, "was not signed by its attestation key"},
                {"vendor", 12, -EKEYREJECTED, "the vendor of the quoting enclave is 929a7233"},
                {"user data", 28, -EKEYREJECTED, "was not signed by its attestation key"},
                {"CPUSVN", 48, -EKEYREJECTED, "was not signed by its attestation key"},
                {"MRENCLAVE", 48 + 64, -EKEYREJECTED, "was not signed by its attestation key"},
                {"MRSIGNER", 48 + 128, -EKEYREJECTED, "was not signed by its attestation key"},
                {"ISVPRODID", 48 + 256, -EKEYREJECTED, "was not signed by its attestation key"},
                {"ISVSVN", 48 + 258, -EKEYREJECTED, "was not signed by its attestation key"},
                {"REPORTDATA", 48 + 320, -EKEYREJECTED, "was not signed by its attestation key"},
                {"signature", 436 + 5, -EKEYREJECTED, "was not signed by its attestation key"},
                {"attestation key", 500 + 5, -EKEYREJECTED, "is about another attestation key"},
                {"QE's CPUSVN", 564, -EKEYREJECTED, "was not signed by the PCK certificate's key"},
                {"QE's MRSIGNER", 564 + 128, -EKEYREJECTED, "was not signed by the PCK certificate's key"},
                {"QE's REPORTDATA", 564 + 320, -EKEYREJECTED, "was not signed by the PCK certificate's key"},
                {"QE's signature", 948 + 5, -EKEYREJECTED, "was not signed by the PCK certificate's key"},
                {"authentication data", 1014, -EKEYREJECTED, "is about another attestation key"},
                {"kind of certification", 1014 + 19, -ENOTSUP, "certification data are of kind 4"},
        };
        const struct test_evidence e = test_evidence_good();
        const struct quote_policy policy = good_policy(e.now);
        (void)state;

        for (size_t i = 0; i < ARRAY_SIZE(edits); i++) {
                cleanup_buf struct buf quote = test_evidence_quote(&e);

                quote.p[edits[i].at] ^= 1;
                print_message("%s\n", edits[i].field);
                refuse(buf_view(&quote), &policy, edits[i].code, edits[i].text);
        }
}

static void put_pem(struct buf *pem, struct view der)
{
        assert_int_equal(buf_append_string(pem, "-----BEGIN CERTIFICATE-----\n"), 0);
        assert_int_equal(base64_encode(der, pem), 0);
        assert_int_equal(buf_append_string(pem, "\n-----END CERTIFICATE-----\n"), 0);
}

/* The quote with one bit of one of its certificates turned over. */
static struct buf with_edited_certificate(struct sgx_quote q, const struct certificate_chain *chain,
                                          size_t which, size_t at)
{
        struct buf quote = buf_with_max(SGX_QUOTE_MAX);
        cleanup_buf struct buf pem = buf_with_max(SGX_QUOTE_MAX), edited = buf_with_max(SGX_QUOTE_MAX);

        assert_int_equal(buf_append_view(&edited, certificate_der(chain->certificate[which])), 0);
        edited.p[at] ^= 1;
        for (size_t i = 0; i < chain->n; i++)
                put_pem(&pem, i == which ? buf_view(&edited) : certificate_der(chain->certificate[i]));
        q.certification = buf_view(&pem);
        assert_int_equal(
                sgx_quote_put_signed(&quote, &q, q.signed_part.p + SGX_QUOTE_SIGNED - SGX_QUOTE_BODY_SIZE),
                0);
        assert_int_equal(sgx_quote_put_signature(&quote, &q), 0);
        return quote;
}

static void any_byte_of_the_certificates_counts(void **state)
{
        const struct test_evidence e = test_evidence_good();
        const struct quote_policy policy = good_policy(e.now);
        cleanup_buf struct buf quote = test_evidence_quote(&e);
        cleanup_certificate_chain struct certificate_chain chain = {.n = 0};
        struct quote_verdict v;
        struct sgx_quote q;
        (void)state;

        assert_int_equal(sgx_quote_parse(buf_view(&quote), &q, NULL), 0);
        assert_int_equal(certificate_chain_parse(q.certification, &chain, NULL), 0);
        for (size_t which = 0; which < chain.n; which++)
                for (size_t at = 0; at < certificate_der(chain.certificate[which]).n; at += 7) {
                        cleanup_buf struct buf edited = with_edited_certificate(q, &chain, which, at);

                        if (quote_verify(buf_view(&edited), &policy, &v, NULL) == 0)
                                fail_msg("byte %zu of certificate %zu", at, which);
                }
}

static void a_quoting_enclave_that_is_not_intels_is_refused(void **state)
{
        struct test_evidence e = test_evidence_good();
        (void)state;

        e.quote.qe_report.mrsigner[0] ^= 1;
        refuse_evidence(&e, -EKEYREJECTED, "the quoting enclave was signed by 8d4f5775");
        e = test_evidence_good();
        e.quote.qe_report.isv_prod_id = 2;
        refuse_evidence(&e, -EKEYREJECTED, "is product 2 of its signer");
        e = test_evidence_good();
        e.quote.qe_report.attributes.flags |= SGX_ATTRIBUTE_DEBUG;
        refuse_evidence(&e, -EKEYREJECTED, "the quoting enclave can be debugged");
        e = test_evidence_good();
        e.bound_to = "other data";
        refuse_evidence(&e, -EKEYREJECTED, "is about another attestation key");
        e = test_evidence_good();
        e.quote.qe_report.data[SGX_REPORT_DATA_SIZE - 1] = 1;
        refuse_evidence(&e, -EKEYREJECTED, "is about another attestation key");
}

static void what_was_asked_for_must_be_so(void **state)
{
        const struct test_evidence e = test_evidence_good();
        cleanup_buf struct buf quote = test_evidence_quote(&e);
        const struct quote_policy any = good_policy(e.now);
        struct quote_policy policy = any;
        uint8_t hash[SGX_HASH_SIZE] = {1, 2, 3};
        (void)state;

        policy = any, policy.mrenclave = e.quote.report.mrenclave, policy.mrsigner = e.quote.report.mrsigner;
        policy.isv_prod_id = 7, policy.min_isv_svn = 8, policy.report_data = view_of("\x09\x0a", 2);
        accept(buf_view(&quote), &policy);
        hash[31] = 1;
        policy = any, policy.mrenclave = hash;
        refuse(buf_view(&quote), &policy, -EPERM, "MRENCLAVE is 010203");
        policy = any, policy.mrsigner = hash;
        refuse(buf_view(&quote), &policy, -EPERM, "MRSIGNER is 040506");
        policy = any, policy.isv_prod_id = 0;
        refuse(buf_view(&quote), &policy, -EPERM, "ISVPRODID is 7, and not 0");
        policy = any, policy.min_isv_svn = 9;
        refuse(buf_view(&quote), &policy, -EPERM, "ISVSVN is 8, below the 9");
        policy = any, policy.report_data = view_of("\x09", 1);
        refuse(buf_view(&quote), &policy, -EPERM, "REPORTDATA is 090a00");
        /* More than a report has, though it begins as that does. */
        uint8_t data[SGX_REPORT_DATA_SIZE + 1] = {9, 10};
        policy.report_data = view_of(data, sizeof(data));
        refuse(buf_view(&quote), &policy, -EPERM, "REPORTDATA is 090a00");
        policy.report_data = view_of(data, SGX_REPORT_DATA_SIZE);
        accept(buf_view(&quote), &policy);
        policy = any, policy.tcb.skip = false;
        refuse(buf_view(&quote), &policy, -EPERM, "the platform's TCB can't be checked");
        policy = any, policy.root_key = NULL;
        refuse(buf_view(&quote), &policy, -EKEYREJECTED, "root whose key is another");
}

static void an_enclave_that_can_be_debugged_is_refused_unless_allowed(void **state)
{
        struct test_evidence e = test_evidence_good();
        struct quote_policy policy = good_policy(e.now);
        (void)state;

        e.quote.report.attributes.flags |= SGX_ATTRIBUTE_DEBUG;
        refuse_evidence(&e, -EPERM, "the enclave can be debugged");
        cleanup_buf struct buf quote = test_evidence_quote(&e);
        policy.allow_debug = true;
        accept(buf_view(&quote), &policy);
}

static void certificates_have_their_time(void **state)
{
        const struct test_evidence e = test_evidence_good();
        cleanup_buf struct buf quote = test_evidence_quote(&e);
        struct quote_policy policy = good_policy(e.now + YEAR + 1);
        (void)state;

        refuse(buf_view(&quote), &policy, -EKEYREJECTED, "certificate has expired");
        policy.now = e.now - DAY - 1;
        refuse(buf_view(&quote), &policy, -EKEYREJECTED, "certificate is not yet valid");
}

/* Any of the simulation's marks makes a test quote, whatever root is given. */
static void a_quote_with_a_mark_of_the_simulation_is_a_test_quote(void **state)
{
        struct test_evidence e = test_evidence_good();
        (void)state;

        memcpy(e.quote.qe_vendor, sgx_simulated_cpu_svn, sizeof(e.quote.qe_vendor));
        refuse_evidence(&e, -EPERM, "this is a test quote");
        e = test_evidence_good();
        memcpy(e.quote.report.cpu_svn, sgx_simulated_cpu_svn, SGX_KEY_SIZE);
        refuse_evidence(&e, -EPERM, "this is a test quote");
        e = test_evidence_good();
        memcpy(e.quote.qe_report.cpu_svn, sgx_simulated_cpu_svn, SGX_KEY_SIZE);
        refuse_evidence(&e, -EPERM, "this is a test quote");
        e = test_evidence_good();
        memcpy(e.quote.qe_report.mrsigner, SGX_SIM_QE_MRSIGNER, SGX_HASH_SIZE);
        refuse_evidence(&e, -EPERM, "this is a test quote");
}

static void a_test_quote_is_checked_all_the_same(void **state)
{
        struct test_evidence e = test_evidence_good();
        struct quote_policy policy = good_policy(e.now);
        struct quote_verdict v;
        (void)state;

        memcpy(e.quote.qe_vendor, sgx_simulated_cpu_svn, sizeof(e.quote.qe_vendor));
        memcpy(e.quote.report.cpu_svn, sgx_simulated_cpu_svn, SGX_KEY_SIZE);
        memcpy(e.quote.qe_report.mrsigner, SGX_SIM_QE_MRSIGNER, SGX_HASH_SIZE);
        e.quote.report.attributes.flags |= SGX_ATTRIBUTE_DEBUG; /* there is nothing to look into */
        cleanup_buf struct buf quote = test_evidence_quote(&e);
        policy.accept_test_quotes = true;
        policy.tcb.skip = false;
        assert_int_equal(quote_verify(buf_view(&quote), &policy, &v, NULL), 0);
        assert_true(v.test);
        policy.root_key = NULL; /* its own */
        accept(buf_view(&quote), &policy);
        policy.root_key = quote_intel_root_key;
        refuse(buf_view(&quote), &policy, -EKEYREJECTED, "root whose key is another");
        policy.root_key = NULL;
        quote.p[48 + 64] ^= 1;
        refuse(buf_view(&quote), &policy, -EKEYREJECTED, "was not signed by its attestation key");

        /* A real one is not treated more gently. */
        e = test_evidence_good();
        cleanup_buf struct buf real = test_evidence_quote(&e);
        refuse(buf_view(&real), &policy, -EKEYREJECTED, "root whose key is another");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_good_quote_is_accepted_and_says_what_it_is_of),
                cmocka_unit_test(an_edit_of_any_field_is_refused_for_its_own_reason),
                cmocka_unit_test(any_byte_of_the_certificates_counts),
                cmocka_unit_test(a_quoting_enclave_that_is_not_intels_is_refused),
                cmocka_unit_test(what_was_asked_for_must_be_so),
                cmocka_unit_test(an_enclave_that_can_be_debugged_is_refused_unless_allowed),
                cmocka_unit_test(certificates_have_their_time),
                cmocka_unit_test(a_quote_with_a_mark_of_the_simulation_is_a_test_quote),
                cmocka_unit_test(a_test_quote_is_checked_all_the_same),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
