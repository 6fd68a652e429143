/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz-evidence.c - hostile quotes through all that judges them, and hostile extensions of certificates.
 */
#include "lib/attest/quote-verify.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct quote_policy policy = {
                .accept_test_quotes = true, .isv_prod_id = -1, .now = 1800000000, .tcb = {.skip = true}};
        struct view input = view_of(data, size);
        struct quote_verdict verdict;
        struct error err = {0};
        struct pck pck;

        if (quote_verify(input, &policy, &verdict, &err) < 0 && !err.text[0])
                abort();
        policy.accept_test_quotes = false;
        if (quote_verify(input, &policy, &verdict, NULL) == 0 && verdict.test)
                abort();
        (void)pck_parse(input, &pck, NULL);
        return 0;
}
