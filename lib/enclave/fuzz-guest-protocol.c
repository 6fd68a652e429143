/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz-guest-protocol.c - any bytes as a conversation.  A message that is accepted must encode to a frame of
 * the size it was read from; nothing of it may be able to act on a terminal.
 */
#include "lib/enclave/guest-protocol.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *text)
{
        for (; *text; text++) {
                if (*text < 0x20 || *text > 0x7e)
                        abort();
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct view rest = view_of(data, size);
        struct guest_message message;
        size_t used;

        while (guest_message_decode(rest, &message, &used, NULL) > 0) {
                cleanup_buf struct buf frame = buf_with_max(GUEST_HEADER_SIZE + GUEST_PAYLOAD_MAX);

                if (used > rest.n || guest_message_encode(&message, &frame) < 0 || frame.n != used)
                        abort();
                if (message.type == GUEST_FAILED) {
                        check_text(message.failed.stage);
                        check_text(message.failed.path);
                }
                rest = view_of(rest.p + used, rest.n - used);
        }
        return 0;
}
