/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz-aesmd.c - hostile answers of the quoting service: what is read lies in the message.
 */
#include "lib/attest/aesmd-message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        for (enum aesmd_call call = AESMD_INIT_QUOTE_EX; call <= AESMD_GET_QUOTE_EX; call++) {
                struct aesmd_answer a;

                if (aesmd_answer_parse(view_of(data, size), call, &a, NULL) < 0)
                        continue;
                if (a.bytes.n > 0 && (a.bytes.p < data || a.bytes.p + a.bytes.n > data + size))
                        abort();
        }
        return 0;
}
