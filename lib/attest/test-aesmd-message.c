/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/attest/aesmd-message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

static struct view text(const char *s, size_t n)
{
        return view_of(s, n);
}
#define BYTES(literal) text(literal, sizeof(literal) - 1)

static void requests_are_as_the_protocol_has_them(void **state)
{
        cleanup_buf struct buf b = buf_with_max(AESMD_REQUEST_MAX);
        uint8_t report[SGX_REPORT_SIZE] = {'r'};
        (void)state;

        /* InitQuoteEx { key: 256 bytes, true, 32, 60000 }: 3 + 256 + 2 + 2 + 4 bytes. */
        assert_int_equal(aesmd_put_init_quote(&b, 60000), 0);
        assert_true(view_equal(view_of(b.p, 6), BYTES("\x7a\x8b\x02\x0a\x80\x02")));
        assert_memory_equal(b.p + 6 + 6, sgx_intel_qe_mrsigner, SGX_HASH_SIZE);
        assert_true(
                view_equal(view_of(b.p + 6 + 256, b.n - 6 - 256), BYTES("\x18\x01\x20\x20\x48\xe0\xd4\x03")));
        buf_done(&b);
        assert_int_equal(aesmd_put_get_quote_size(&b, 1), 0);
        assert_true(view_equal(view_of(b.p, 4), BYTES("\x82\x01\x85\x02")));
        assert_true(view_equal(view_of(b.p + b.n - 2, 2), BYTES("\x48\x01")));
        buf_done(&b);
        assert_int_equal(aesmd_put_get_quote(&b, view_of(report, sizeof(report)), 4600, 1), 0);
        assert_true(view_equal(view_of(b.p, 8), BYTES("\x8a\x01\xbb\x05\x0a\xb0\x03r")));
        assert_true(view_equal(view_of(b.p + b.n - 5, 5), BYTES("\x20\xf8\x23\x48\x01")));
}

static void answers_are_read(void **state)
{
        struct aesmd_answer a;
        (void)state;

        assert_int_equal(
                aesmd_answer_parse(BYTES("\x7a\x06\x08\x00\x12\x02hi"), AESMD_INIT_QUOTE_EX, &a, NULL), 0);
        assert_int_equal(a.code, 0);
        assert_true(view_equal(a.bytes, BYTES("hi")));
        assert_int_equal(aesmd_answer_parse(BYTES("\x82\x01\x05\x08\x00\x10\xf8\x23"),
                                            AESMD_GET_QUOTE_SIZE_EX, &a, NULL),
                         0);
        assert_int_equal(a.size, 4600);
        assert_int_equal(aesmd_answer_parse(BYTES("\x8a\x01\x02\x08\x2c"), AESMD_GET_QUOTE_EX, &a, NULL), 0);
        assert_int_equal(a.code, 44);
}

static void an_answer_that_ends_anywhere_is_refused(void **state)
{
        static const char whole[] = "\x7a\x06\x08\x00\x12\x02hi";
        struct aesmd_answer a;
        (void)state;

        for (size_t n = 0; n < sizeof(whole) - 1; n++)
                assert_int_equal(aesmd_answer_parse(view_of(whole, n), AESMD_INIT_QUOTE_EX, &a, NULL),
                                 -EBADMSG);
}

static void nonsense_is_refused(void **state)
{
        static const struct {
                const char *bytes;
                size_t n;
                int code;
        } messages[] = {
#define MESSAGE(literal, code) {literal, sizeof(literal) - 1, code}
                MESSAGE("\x82\x01\x02\x08\x00", -EBADMSG),                 /* another call's */
                MESSAGE("\x78\x00", -EBADMSG),                             /* a number for an answer */
                MESSAGE("\x7a\x02\x08\x00\x7a\x02\x08\x00", -EBADMSG),     /* two of them */
                MESSAGE("\x7a\x02\x08\x00\xa2\x01\x02\x08\x01", -EBADMSG), /* an answer, and none */
                MESSAGE("\x7a\x04\x08\x00\x08\x00", -EBADMSG),             /* two codes */
                MESSAGE("\x7a\x02\x0a\x00", -EBADMSG),                     /* a code of bytes */
                MESSAGE("\x7a\x07\x08\x80\x80\x80\x80\x10\x00", -EBADMSG), /* a code of 33 bits */
                MESSAGE("\x7a\x0b\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x02",
                        -EBADMSG),                                                 /* a code of 65 bits */
                MESSAGE("\x7a\x02\x12\x00", -EBADMSG),                             /* no code */
                MESSAGE("\x7a\x04\x08\x00\x10\x00", -EBADMSG),                     /* a number for bytes */
                MESSAGE("\x7a\x02\x02\x00", -EBADMSG),                             /* field 0 */
                MESSAGE("\x7a\x02\x0b\x00", -EBADMSG),                             /* a group */
                MESSAGE("\x7a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", -EBADMSG), /* 2^64 - 1 bytes */
                MESSAGE("\x7a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", -EBADMSG), /* a number of 65 bits */
                MESSAGE("\xa2\x01\x02\x08\x01", -EOPNOTSUPP), /* it doesn't know the call */
        };
        (void)state;

        for (size_t i = 0; i < ARRAY_SIZE(messages); i++) {
                struct aesmd_answer a;
                int r = aesmd_answer_parse(text(messages[i].bytes, messages[i].n), AESMD_INIT_QUOTE_EX, &a,
                                           NULL);

                if (r != messages[i].code)
                        fail_msg("message %zu: %d", i, r);
        }
}

static void codes_have_their_meaning(void **state)
{
        (void)state;
        assert_null(aesmd_code_text(0));
        assert_null(aesmd_code_text(52));
        assert_null(aesmd_code_text(UINT32_MAX));
        for (uint32_t code = 1; code <= 51; code++) {
                char number[16];
                const char *meaning = aesmd_code_text(code);

                (void)snprintf(number, sizeof(number), " (%u): ", code);
                if (meaning)
                        assert_non_null(strstr(meaning, number));
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(requests_are_as_the_protocol_has_them),
                cmocka_unit_test(answers_are_read),
                cmocka_unit_test(an_answer_that_ends_anywhere_is_refused),
                cmocka_unit_test(nonsense_is_refused),
                cmocka_unit_test(codes_have_their_meaning),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
