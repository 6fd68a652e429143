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

/* ---- extensions made by hand --------------------------------------------------------------------------- */

static void put_value(struct buf *b, uint8_t tag, struct view content)
{
        assert_true(content.n < 0x10000);
        buf_append_byte(b, tag);
        if (content.n >= 0x100) {
                buf_append_byte(b, 0x82);
                buf_append_byte(b, (uint8_t)(content.n >> 8));
        } else if (content.n >= 0x80) {
                buf_append_byte(b, 0x81);
        }
        buf_append_byte(b, (uint8_t)content.n);
        assert_int_equal(buf_append_view(b, content), 0);
}

/* SEQUENCE { OID arc.number or arc.2.number, the value as it is } */
static void put_entry(struct buf *b, bool of_tcb, uint8_t number, struct view value)
{
        static const uint8_t arc[] = {0x2a, 0x86, 0x48, 0x86, 0xf8, 0x4d, 0x01, 0x0d, 0x01, 0x02};
        cleanup_buf struct buf oid = buf_with_max(16), entry = buf_with_max(ROOM);

        buf_append(&oid, arc, sizeof(arc) - !of_tcb);
        buf_append_byte(&oid, number);
        put_value(&entry, 0x06, buf_view(&oid));
        buf_append_view(&entry, value);
        put_value(b, 0x30, buf_view(&entry));
}

/* An extension with all parts of TCB but `left_out`, of which component 1 and PCESVN have these values. */
static int parse_made(uint8_t left_out, struct view component, struct view pce_svn, struct pck *ret_pck)
{
        static const uint8_t octets[2 + PCK_CPU_SVN_SIZE] = {0x04, PCK_CPU_SVN_SIZE};
        cleanup_buf struct buf tcb = buf_with_max(ROOM), whole = buf_with_max(ROOM), all = buf_with_max(ROOM),
                               extension = buf_with_max(ROOM);

        for (uint8_t part = 1; part <= 18; part++) {
                if (part != left_out)
                        put_entry(&tcb, true, part,
                                  part == 1    ? component
                                  : part == 17 ? pce_svn
                                  : part == 18 ? view_of(octets, sizeof(octets))
                                               : view_of("\x02\x01\x05", 3));
        }
        put_value(&whole, 0x30, buf_view(&tcb));
        put_entry(&all, false, 2, buf_view(&whole));
        put_entry(&all, false, 3, view_of("\x04\x02\0\0", 4));
        put_entry(&all, false, 4,
                  view_of("\x04\x06"
                          "COFFER",
                          8));
        put_value(&extension, 0x30, buf_view(&all));
        return pck_parse(buf_view(&extension), ret_pck, NULL);
}

static void each_part_of_the_tcb_is_needed(void **state)
{
        const struct view one = view_of("\x02\x01\x01", 3);
        struct pck pck;
        (void)state;

        assert_int_equal(parse_made(0, one, one, &pck), 0);
        assert_int_equal(pck.tcb[0], 1);
        assert_int_equal(pck.tcb[15], 5);
        for (uint8_t part = 1; part <= 18; part++)
                assert_int_equal(parse_made(part, one, one, &pck), -EBADMSG);
}

static void numbers_are_in_their_shortest_form_and_fit(void **state)
{
        static const struct {
                const char *bytes;
                size_t n;
                int component, pce_svn; /* what becomes of it; below 0: refused */
        } numbers[] = {
                {"\x02\x01\x7f", 3, 0x7f, 0x7f},     {"\x02\x02\x00\xff", 4, 0xff, 0xff},
                {"\x02\x02\x01\x00", 4, -1, 0x100},  {"\x02\x03\x00\xff\xff", 5, -1, 0xffff},
                {"\x02\x03\x01\x00\x00", 5, -1, -1}, {"\x02\x04\x00\x00\x00\x01", 6, -1, -1},
                {"\x02\x02\x00\x01", 4, -1, -1}, /* a needless zero */
                {"\x02\x81\x01\x01", 4, -1, -1}, /* a needless byte of length */
                {"\x02\x82\x00\x01\x01", 5, -1, -1}, {"\x02\x00", 2, -1, -1},
                {"\x02\x01\xff", 3, -1, -1},     /* -1 */
                {"\x02\x01\x01\x00", 4, -1, -1}, /* more than its value in the entry */
        };
        const struct view one = view_of("\x02\x01\x01", 3);
        (void)state;

        for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
                const struct view number = view_of(numbers[i].bytes, numbers[i].n);
                struct pck pck = {.pce_svn = 0};
                int r = parse_made(0, number, one, &pck);

                assert_int_equal(r < 0 ? -1 : pck.tcb[0], numbers[i].component);
                r = parse_made(0, one, number, &pck);
                assert_int_equal(r < 0 ? -1 : pck.pce_svn, numbers[i].pce_svn);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_the_certificate_says_is_read),
                cmocka_unit_test(one_that_ends_anywhere_is_refused),
                cmocka_unit_test(parts_that_are_wrong_are_refused),
                cmocka_unit_test(each_part_of_the_tcb_is_needed),
                cmocka_unit_test(numbers_are_in_their_shortest_form_and_fit),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
