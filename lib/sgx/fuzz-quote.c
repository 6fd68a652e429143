/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz-quote.c - hostile quotes: what is accepted comes back byte by byte.
 */
#include "lib/sgx/quote.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        cleanup_buf struct buf again = buf_with_max(SGX_QUOTE_MAX);
        struct error err = {0};
        struct sgx_quote q;

        if (sgx_quote_parse(view_of(data, size), &q, &err) < 0) {
                if (!err.text[0])
                        abort();
                return 0;
        }
        if (sgx_quote_put_signed(&again, &q, data + SGX_QUOTE_SIGNED - SGX_QUOTE_BODY_SIZE) < 0 ||
            sgx_quote_put_signature(&again, &q) < 0 || !view_equal(view_of(data, size), buf_view(&again)))
                abort();
        return 0;
}
