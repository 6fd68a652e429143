/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz-systemd-message.c - what rune and systemd-agent may say to each other: a request where the first byte
 * is 'q', else an answer.  What is taken apart is put together again, and must be what it was.
 */
#include "lib/container/systemd-message.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void request(struct view bytes)
{
        cleanup_systemd_properties struct systemd_properties properties = {0};
        cleanup_buf struct buf again = buf_with_max(SYSTEMD_REQUEST_MAX);
        struct systemd_request request;
        struct error err;

        if (bytes.n > SYSTEMD_REQUEST_MAX || systemd_request_decode(bytes, &request, &properties, &err) < 0)
                return;
        if (systemd_request_encode(&request, &again, &err) < 0 || !view_equal(buf_view(&again), bytes))
                abort();
}

static void answer(struct view bytes)
{
        cleanup_buf struct buf again = buf_with_max(SYSTEMD_ANSWER_MAX);
        struct systemd_answer answer;
        struct error err;

        if (systemd_answer_decode(bytes, &answer, &err) < 0)
                return;
        if (answer.code > 0 || systemd_answer_encode(answer.code, answer.text, &again) < 0 ||
            !view_equal(buf_view(&again), bytes))
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        if (size > 0)
                (data[0] == 'q' ? request : answer)(view_of(data + 1, size - 1));
        return 0;
}
