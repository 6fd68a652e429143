/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/attest/aesmd.h"

#include "lib/attest/aesmd-message.h"
#include "lib/base/clock.h"
#include "lib/base/fd.h"
#include "lib/base/path.h"
#include "lib/base/unix-socket.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LENGTH_SIZE = 4, QUOTE_LENGTH_AT = 432, QUOTE_FIXED = 436 };

/* ---- the connection ------------------------------------------------------------------------------------ */

static int no_service(const struct aesmd *service, int code, struct error *err)
{
        error_errno(err, -code, "the machine's quoting service (aesmd) can't be reached at %s",
                    service->path);
        error_hint(err, "it is Intel's package sgx-aesm-service with libsgx-aesm-quote-ex-plugin and "
                        "libsgx-aesm-ecdsa-plugin; another socket is named by --aesmd-socket");
        return code;
}

static int connect_service(const struct aesmd *service, int *ret_fd, struct error *err)
{
        cleanup_fd int folder = -1;
        const char *name;
        int r = path_open_parent(AT_FDCWD, service->path, &folder, &name, NULL);

        if (r == 0)
                r = unix_socket_connect_wait(folder, name, (int)service->timeout_ms, ret_fd, NULL);
        if (r == 0)
                r = fd_set_nonblocking(*ret_fd);
        return r < 0 ? no_service(service, r, err) : 0;
}

/* Waits until the socket is ready for `events`. -ETIMEDOUT at the deadline. */
static int wait_for(int fd, short events, uint64_t deadline)
{
        struct pollfd p = {.fd = fd, .events = events};

        for (;;) {
                uint64_t now = clock_ms();
                int n = now < deadline ? poll(&p, 1, (int)(deadline - now)) : 0;

                if (n > 0)
                        return 0;
                if (n == 0 && clock_ms() >= deadline)
                        return -ETIMEDOUT;
                if (n < 0 && errno != EINTR)
                        return -errno;
        }
}

static int send_all(int fd, struct view v, uint64_t deadline)
{
        while (v.n > 0) {
                ssize_t n = send(fd, v.p, v.n, MSG_NOSIGNAL);
                int r = n < 0 && errno == EAGAIN ? wait_for(fd, POLLOUT, deadline) : 0;

                if (r < 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
                        return r < 0 ? r : -errno;
                if (n > 0)
                        v = view_of(v.p + n, v.n - (size_t)n);
        }
        return 0;
}

/* Reads n bytes; *ret_got is how many came before an error. -ECONNRESET where the other side ended. */
static int receive_all(int fd, uint8_t *p, size_t n, uint64_t deadline, size_t *ret_got)
{
        *ret_got = 0;
        while (*ret_got < n) {
                ssize_t m = recv(fd, p + *ret_got, n - *ret_got, 0);
                int r = m < 0 && errno == EAGAIN ? wait_for(fd, POLLIN, deadline) : 0;

                if (m == 0)
                        return -ECONNRESET;
                if (r < 0 || (m < 0 && errno != EAGAIN && errno != EINTR))
                        return r < 0 ? r : -errno;
                if (m > 0)
                        *ret_got += (size_t)m;
        }
        return 0;
}

/* What went wrong when `got` of `size` bytes of an answer had come. */
static int explain(const struct aesmd *service, int code, size_t got, size_t size, struct error *err)
{
        if (code == -ETIMEDOUT)
                return error_set(err, code, "no answer within %u ms", service->timeout_ms);
        if (code == -ECONNRESET && got == 0 && size == LENGTH_SIZE)
                return error_set(err, code, "it closed the connection without an answer");
        if (code == -ECONNRESET)
                return error_set(err, code, "it closed the connection after %zu of %zu bytes", got, size);
        return error_errno(err, -code, "the connection broke");
}

static int receive(const struct aesmd *service, int fd, uint64_t deadline, struct buf *answer,
                   struct error *err)
{
        uint8_t length[LENGTH_SIZE];
        size_t got;
        int r = receive_all(fd, length, sizeof(length), deadline, &got);

        if (r < 0)
                return explain(service, r, got, sizeof(length), err);
        struct cursor c = cursor_of(view_of(length, sizeof(length)));
        size_t n = cursor_le32(&c);
        if (n == 0 || n > AESMD_ANSWER_MAX)
                return error_set(err, -EBADMSG, "it announces an answer of %zu bytes; the limit is %d", n,
                                 AESMD_ANSWER_MAX);
        if (buf_reserve(answer, n) < 0)
                return error_oom(err);
        r = receive_all(fd, answer->p, n, deadline, &got);
        if (r < 0)
                return explain(service, r, got, n, err);
        answer->n = n;
        return 0;
}

/* ---- calls --------------------------------------------------------------------------------------------- */

static int refused(uint32_t code, struct error *err)
{
        const char *text = aesmd_code_text(code);

        return text ? error_set(err, -EREMOTEIO, "it refuses: %s", text)
                    : error_set(err, -EREMOTEIO, "it refuses with code %u, which isn't known", code);
}

static int exchange(const struct aesmd *service, const struct buf *request, struct buf *answer,
                    struct error *err)
{
        uint64_t deadline = clock_ms() + service->timeout_ms;
        const uint8_t length[LENGTH_SIZE] = {(uint8_t)request->n, (uint8_t)(request->n >> 8),
                                             (uint8_t)(request->n >> 16), (uint8_t)(request->n >> 24)};
        cleanup_fd int fd = -1;
        int r = connect_service(service, &fd, err);

        if (r < 0)
                return r;
        r = send_all(fd, view_of(length, sizeof(length)), deadline);
        if (r == 0)
                r = send_all(fd, buf_view(request), deadline);
        /* One that closes early may have said why. */
        r = r < 0 && r != -EPIPE ? explain(service, r, 0, LENGTH_SIZE, err)
                                 : receive(service, fd, deadline, answer, err);
        if (r < 0)
                error_wrap(err, "the machine's quoting service (aesmd at %s)", service->path);
        return r;
}

/* Asks, and reads the answer into *ret_parsed, whose views are of `answer`. */
static int ask(const struct aesmd *service, enum aesmd_call call, const struct buf *request,
               struct buf *answer, struct aesmd_answer *ret_parsed, struct error *err)
{
        int r = request->failed ? error_oom(err) : exchange(service, request, answer, err);

        if (r < 0)
                return r;
        r = aesmd_answer_parse(buf_view(answer), call, ret_parsed, err);
        if (r < 0)
                error_wrap(err, "its answer can't be used");
        else if (ret_parsed->code != 0)
                r = refused(ret_parsed->code, err);
        if (r < 0)
                error_wrap(err, "the machine's quoting service (aesmd at %s)", service->path);
        return r;
}

int aesmd_target(const struct aesmd *service, uint8_t ret_target[static SGX_TARGETINFO_SIZE],
                 struct error *err)
{
        cleanup_buf struct buf request = buf_with_max(AESMD_REQUEST_MAX),
                               answer = buf_with_max(AESMD_ANSWER_MAX);
        struct aesmd_answer parsed;
        int r;

        (void)aesmd_put_init_quote(&request, service->timeout_ms);
        r = ask(service, AESMD_INIT_QUOTE_EX, &request, &answer, &parsed, err);
        if (r < 0)
                return r;
        if (parsed.bytes.n != SGX_TARGETINFO_SIZE)
                return error_set(
                        err, -EBADMSG,
                        "the machine's quoting service (aesmd at %s) gave %zu bytes for a TARGETINFO",
                        service->path, parsed.bytes.n);
        memcpy(ret_target, parsed.bytes.p, SGX_TARGETINFO_SIZE);
        return 0;
}

static int quote_size(const struct aesmd *service, uint32_t *ret_size, struct error *err)
{
        cleanup_buf struct buf request = buf_with_max(AESMD_REQUEST_MAX),
                               answer = buf_with_max(AESMD_ANSWER_MAX);
        struct aesmd_answer parsed;
        int r;

        (void)aesmd_put_get_quote_size(&request, service->timeout_ms);
        r = ask(service, AESMD_GET_QUOTE_SIZE_EX, &request, &answer, &parsed, err);
        if (r < 0)
                return r;
        if (parsed.size == 0 || parsed.size > SGX_QUOTE_MAX)
                return error_set(
                        err, -EBADMSG,
                        "the machine's quoting service (aesmd at %s) wants to give a quote of %llu bytes; "
                        "the limit is %d",
                        service->path, (unsigned long long)parsed.size, SGX_QUOTE_MAX);
        *ret_size = (uint32_t)parsed.size;
        return 0;
}

/* The QE fills the room that it is given; what counts is the size that the quote itself has. */
static struct view without_padding(struct view quote)
{
        struct view length;

        if (!view_slice(quote, QUOTE_LENGTH_AT, LENGTH_SIZE, &length))
                return quote;
        struct cursor c = cursor_of(length);
        size_t n = cursor_le32(&c);
        return n < quote.n - QUOTE_FIXED ? view_of(quote.p, QUOTE_FIXED + n) : quote;
}

static int check_quote(const struct aesmd *service, struct view bytes, const uint8_t *report,
                       struct error *err)
{
        struct sgx_quote quote;
        int r = sgx_quote_parse(bytes, &quote, err);

        if (r == 0 && !view_equal(view_of(report, SGX_QUOTE_BODY_SIZE),
                                  view_of(quote.signed_part.p + SGX_QUOTE_SIGNED - SGX_QUOTE_BODY_SIZE,
                                          SGX_QUOTE_BODY_SIZE)))
                r = error_set(err, -EBADMSG, "it is a quote of another report");
        if (r < 0)
                error_wrap(err, "what the machine's quoting service (aesmd at %s) gave", service->path);
        return r;
}

int aesmd_quote(const struct aesmd *service, const uint8_t report[static SGX_REPORT_SIZE],
                struct buf *ret_quote, struct error *err)
{
        cleanup_buf struct buf request = buf_with_max(AESMD_REQUEST_MAX),
                               answer = buf_with_max(AESMD_ANSWER_MAX);
        struct aesmd_answer parsed;
        uint32_t size;
        int r = quote_size(service, &size, err);

        if (r < 0)
                return r;
        (void)aesmd_put_get_quote(&request, view_of(report, SGX_REPORT_SIZE), size, service->timeout_ms);
        r = ask(service, AESMD_GET_QUOTE_EX, &request, &answer, &parsed, err);
        if (r < 0)
                return r;
        struct view quote = without_padding(parsed.bytes);
        r = check_quote(service, quote, report, err);
        return r == 0 && buf_append_view(ret_quote, quote) < 0 ? error_oom(err) : r;
}
