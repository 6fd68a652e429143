/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz-service-protocol.c - any bytes as a conversation: the first says whose (odd: the guest's), the rest is
 * frames.  What is accepted must survive encoding and decoding unchanged.
 */
#include "lib/enclave/service-protocol.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_again(const struct service_frame *frame, enum service_side side)
{
        cleanup_buf struct buf once = buf_with_max(SERVICE_FROM_PARENT_MAX);
        cleanup_buf struct buf twice = buf_with_max(SERVICE_FROM_PARENT_MAX);
        struct service_frame again;
        size_t used;

        if (service_frame_encode(frame, &once) < 0 ||
            service_frame_decode(buf_view(&once), side, &again, &used, NULL) != 1 || used != once.n ||
            service_frame_encode(&again, &twice) < 0 || !view_equal(buf_view(&once), buf_view(&twice)))
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        enum service_side side = size > 0 && data[0] & 1 ? SERVICE_GUEST : SERVICE_PARENT;
        struct view input = size > 0 ? view_of(data + 1, size - 1) : view_of(data, 0);
        struct service_frame frame;
        struct error err = {0};
        size_t used;
        int r;

        while ((r = service_frame_decode(input, side, &frame, &used, &err)) > 0) {
                if (used == 0 || used > input.n)
                        abort();
                check_again(&frame, side);
                input = view_of(input.p + used, input.n - used);
        }
        if (r < 0 && !*error_text(&err))
                abort();
        return 0;
}
