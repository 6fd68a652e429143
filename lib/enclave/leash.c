/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/enclave/leash.h"

#include "lib/enclave/control.h"

#include "lib/base/fd.h"

#include <sys/socket.h>

static int send_request(int fd, const struct control_request *request, struct error *err)
{
        cleanup_buf struct buf line = buf_with_max(CONTROL_REQUEST_MAX);
        int r = control_append_request(request, &line);

        if (r < 0)
                return error_errno(err, -r, "the request");
        ssize_t n = send(fd, line.p, line.n, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n != (ssize_t)line.n)
                return error_errno(err, n < 0 ? errno : EPIPE, "the enclave's supervisor");
        return 0;
}

int leash_signal(int fd, int signal, struct error *err)
{
        return send_request(fd, &(struct control_request){.op = CONTROL_SIGNAL, .signal = (uint32_t)signal},
                            err);
}

int leash_stop(int fd, unsigned grace_ms, struct error *err)
{
        return send_request(fd, &(struct control_request){.op = CONTROL_STOP, .grace_ms = grace_ms}, err);
}

int leash_wait(int fd, struct enclave_info *ret_info, struct error *err)
{
        cleanup_buf struct buf input = buf_with_max(CONTROL_LINE_MAX);
        struct control_reply reply;
        struct view line;
        size_t used;

        while (!control_line(buf_view(&input), &line, &used)) {
                uint8_t piece[4096];
                ssize_t n = recv(fd, piece, sizeof(piece), 0);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0 || buf_append(&input, piece, (size_t)n) < 0)
                        return error_set(err, -EIO, "the enclave's supervisor ended without an answer");
        }
        int r = control_decode_reply(line, &reply, err);
        if (r < 0)
                return r;
        if (!reply.has_info)
                return error_set(err, -EPROTO, "an answer without the enclave");
        *ret_info = reply.info;
        return 0;
}
