/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/enclave/qmp.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A stream of messages, as on_qmp() takes it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        cleanup_buf struct buf input = buf_with_max((size_t)2 * QMP_LINE_MAX);
        struct qmp_message message;

        if (size > QMP_LINE_MAX || buf_append(&input, data, size) < 0)
                return 0;
        while (qmp_next(&input, &message, NULL) > 0) {
                /* What is shown on a terminal can't do anything there. */
                for (size_t i = 0; i < strlen(message.text); i++) {
                        if (message.text[i] < ' ' || message.text[i] > '~')
                                abort();
                }
        }
        return 0;
}
