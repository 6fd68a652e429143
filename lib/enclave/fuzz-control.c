/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/enclave/control.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Each line as a request, a reply and an event; what was understood as a request must survive a round
 * trip. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct view input = view_of(data, size), line;
        size_t used;

        while (control_line(input, &line, &used)) {
                struct control_request request, again;
                struct control_reply reply;
                struct control_event event;
                if (control_decode_request(line, &request, NULL) == 0) {
                        cleanup_buf struct buf b = buf_with_max(CONTROL_REQUEST_MAX);
                        if (control_append_request(&request, &b) < 0 ||
                            control_decode_request(view_of(b.p, b.n - 1), &again, NULL) < 0 ||
                            again.op != request.op || again.grace_ms != request.grace_ms ||
                            again.signal != request.signal)
                                abort();
                }
                (void)control_decode_reply(line, &reply, NULL);
                (void)control_decode_event(line, &event, NULL);
                input = view_of(input.p + used, input.n - used);
        }
        return 0;
}
