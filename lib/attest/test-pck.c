/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/attest/pck.h"

#include "lib/crypto/certificate-chain.h"
#include "lib/sgx/sim-pck.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

enum { ROOM = 1024 };

static struct buf extension(void)
{
        static const struct sgx_root root = {.key = "of these tests.."};
        cleanup_buf struct buf pem = buf_with_max(PEM_FILE_MAX);
        cleanup_certificate_chain struct certificate_chain chain = {.n = 0};
        struct buf copy = buf_with_max(ROOM);
        struct view value;

        assert_int_equal(sgx_sim_pck_chain(&root, 1000000000, &pem, NULL), 0);
        assert_int_equal(certificate_chain_parse(buf_view(&pem), &chain, NULL), 0);
        assert_int_equal(certificate_extension(chain.certificate[0], "1.2.840.113741.1.13.1", &value, NULL),
                         0);
        assert_int_equal(buf_append_view(&copy, value), 0);
        return copy;
}

static void what_the_certificate_says_is_read(void **state)
{
        cleanup_buf struct buf e = extension();
        struct pck pck;
        (void)state;

        assert_int_equal(pck_parse(buf_view(&e), &pck, NULL), 0);
        assert_memory_equal(pck.fmspc, "COFFER", 6);
        assert_memory_equal(pck.cpu_svn, "COFFER-SIMULATED", 16);
        assert_int_equal(pck.pce_svn, 0);
        uint8_t *third = memmem(e.p, e.n, "\x2a\x86\x48\x86\xf8\x4d\x01\x0d\x01\x02\x03\x02\x01", 13);
        assert_non_null(third);
        third[13] = 0x7f;
        assert_int_equal(pck_parse(buf_view(&e), &pck, NULL), 0);
        assert_int_equal(pck.tcb[2], 0x7f);
        assert_int_equal(pck.tcb[1], 0);
}

static void one_that_ends_anywhere_is_refused(void **state)
{
        cleanup_buf struct buf e = extension();
        struct pck pck;
        (void)state;

        for (size_t n = 0; n < e.n; n++)
                assert_int_equal(pck_parse(view_of(e.p, n), &pck, NULL), -EBADMSG);
        assert_int_equal(buf_append_byte(&e, 0), 0);
        assert_int_equal(pck_parse(buf_view(&e), &pck, NULL), -EBADMSG);
}

/* `from` becomes `to`, of the same length, where it is first. */
static void refuse(const char *from, const char *to, size_t n, const char *text)
{
        cleanup_buf struct buf e = extension();
        struct error err = {0};
        struct pck pck;
        uint8_t *at = memmem(e.p, e.n, from, n);

        assert_non_null(at);
        memcpy(at, to, n);
        assert_int_equal(pck_parse(buf_view(&e), &pck, &err), -EBADMSG);
        if (!strstr(error_text(&err), text))
                fail_msg("%s", error_text(&err));
}

static void parts_that_are_wrong_are_refused(void **state)
{
        (void)state;
        refuse("\x0d\x01\x02\x03\x02\x01", "\x0d\x01\x02\x02\x02\x01", 6,
               "malformed"); /* component 2 twice */
        refuse("\x0d\x01\x02\x03\x02\x01\x00", "\x0d\x01\x02\x03\x02\x01\x80", 7, "malformed"); /* below 0 */
        refuse("\x0d\x01\x02\x03\x02\x01", "\x0d\x01\x02\x03\x04\x01", 6, "malformed"); /* of another kind */
        refuse("\x0d\x01\x02\x03\x02\x01", "\x0d\x01\x02\x13\x02\x01", 6, "malformed"); /* component 19 */
        refuse("\x0d\x01\x02\x12\x04\x10", "\x0d\x01\x02\x12\x04\x0f", 6,
               "malformed"); /* CPUSVN of 15 bytes */
        refuse("\x0d\x01\x04\x04\x06", "\x0d\x01\x06\x04\x06", 5, "lacks TCB, PCEID or FMSPC");
        refuse("\x0d\x01\x04\x04\x06", "\x0d\x01\x03\x04\x06", 5, "malformed"); /* PCEID twice */
        refuse("\x0d\x01\x04\x04\x06", "\x0d\x01\x04\x04\x07", 5, "malformed");
        refuse("\x30\x82", "\x30\x80", 2, "malformed"); /* a length without end */
        refuse("\x30\x82", "\x31\x82", 2, "malformed");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_the_certificate_says_is_read),
                cmocka_unit_test(one_that_ends_anywhere_is_refused),
                cmocka_unit_test(parts_that_are_wrong_are_refused),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
