/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/attest/tcb.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

static void names_lead_back_to_their_status(void **state)
{
        enum tcb_status found;
        (void)state;

        for (enum tcb_status s = TCB_UP_TO_DATE; s <= TCB_REVOKED; s++) {
                assert_true(tcb_status_parse(tcb_status_name(s), &found));
                assert_int_equal(found, s);
        }
        assert_false(tcb_status_parse("not checked", &found));
        assert_false(tcb_status_parse("uptodate", &found));
        assert_false(tcb_status_parse("", &found));
}

static void only_what_was_asked_for_passes_and_never_what_was_revoked(void **state)
{
        const struct tcb_policy strict = {.accepted = 0}, lax = {.accepted = ~0U},
                                old = {.accepted = 1U << TCB_OUT_OF_DATE};
        (void)state;

        assert_true(tcb_status_passes(TCB_UP_TO_DATE, &strict));
        for (enum tcb_status s = TCB_UP_TO_DATE + 1; s <= TCB_REVOKED; s++) {
                assert_false(tcb_status_passes(s, &strict));
                assert_int_equal(tcb_status_passes(s, &lax), s != TCB_REVOKED);
                assert_int_equal(tcb_status_passes(s, &old), s == TCB_OUT_OF_DATE);
        }
}

static void a_quoting_enclave_never_makes_a_platform_better(void **state)
{
        (void)state;
        for (enum tcb_status s = TCB_UP_TO_DATE; s <= TCB_REVOKED; s++) {
                assert_int_equal(tcb_status_with_qe(s, TCB_UP_TO_DATE), s);
                assert_int_equal(tcb_status_with_qe(s, TCB_REVOKED), TCB_REVOKED);
                assert_true(tcb_status_with_qe(s, TCB_OUT_OF_DATE) >= s);
                assert_true(tcb_status_with_qe(s, TCB_OUT_OF_DATE) >= TCB_OUT_OF_DATE);
                /* One that quoting enclaves don't have. */
                assert_int_equal(tcb_status_with_qe(s, TCB_CONFIGURATION_NEEDED), TCB_REVOKED);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(names_lead_back_to_their_status),
                cmocka_unit_test(only_what_was_asked_for_passes_and_never_what_was_revoked),
                cmocka_unit_test(a_quoting_enclave_never_makes_a_platform_better),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
