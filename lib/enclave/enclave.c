/* SPDX-License-Identifier: Apache-2.0 */
/*
 * enclave.c - asking the supervisors of running enclaves.
 *
 * An enclave may end at any moment, also between our look into the registry and our request.  So whoever
 * finds its supervisor gone looks again: the enclave is then remembered, or there is none.
 */
#include "lib/enclave/enclave.h"

#include "lib/enclave/control.h"
#include "lib/enclave/registry.h"

#include "lib/base/fd.h"
#include "lib/base/unix-socket.h"
#include "lib/vsock/client.h"

#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum {
        REPLY_SLACK_MS = 60 * 1000, /* a supervisor that says nothing for so long is broken */
        END_MS = 10 * 1000,         /* from its last word to its end */
        CONNECT_MS = 15 * 1000,
        LISTEN_MS = 15 * 1000, /* from an entry to its supervisor's socket */
        LISTEN_STEP_MS = 10,
        GONE_MS = 2 * 1000, /* from a socket's end to its supervisor's */
};

/* ---- one request, one reply ---- */

/* An entry exists a little before its supervisor listens: that is waited for.  -ESTALE where nobody will
 * answer, since the enclave has ended or is about to. */
static int connect_control(int dirfd, int cancel_fd, int *ret_fd, struct error *err)
{
        struct pollfd cancel = {.fd = cancel_fd, .events = POLLIN};

        for (int waited = 0;; waited += LISTEN_STEP_MS) {
                int r = unix_socket_connect_wait(dirfd, CONTROL_SOCKET, -1, ret_fd, err);
                if (r != -ENOENT && r != -ECONNREFUSED)
                        return r;
                if (!registry_entry_is_live(dirfd))
                        return error_set(err, -ESTALE, "the supervisor does not listen");
                if (waited >= LISTEN_MS)
                        return error_set(err, -ETIMEDOUT, "the supervisor does not listen");
                if (poll(&cancel, 1, LISTEN_STEP_MS) > 0)
                        return error_set(err, -ECANCELED, "interrupted");
        }
}

/* Reads the reply and not a byte more: what follows it belongs to whoever gets the descriptor. */
static int read_reply(int fd, int cancel_fd, int timeout_ms, struct control_reply *ret_reply,
                      struct error *err)
{
        cleanup_buf struct buf line = buf_with_max(CONTROL_LINE_MAX);
        struct pollfd fds[] = {{.fd = fd, .events = POLLIN}, {.fd = cancel_fd, .events = POLLIN}};

        for (;;) {
                int r = poll(fds, ARRAY_SIZE(fds), timeout_ms);
                if (r < 0 && errno == EINTR)
                        continue;
                if (r < 0)
                        return error_errno(err, errno, "control socket");
                if (r == 0)
                        return error_set(err, -ETIMEDOUT, "the supervisor does not answer");
                if (fds[1].revents)
                        return error_set(err, -ECANCELED, "interrupted");
                uint8_t byte;
                ssize_t n = read(fd, &byte, 1);
                if (n == 0 || (n < 0 && errno == ECONNRESET))
                        return error_set(err, -ESTALE, "the supervisor ended without an answer");
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return error_errno(err, errno, "control socket");
                if (byte == '\n')
                        return control_decode_reply(buf_view(&line), ret_reply, err);
                if (buf_append_byte(&line, byte) < 0)
                        return error_set(err, -EBADMSG, "the supervisor's answer has no end");
        }
}

static int ask(int dirfd, const struct control_request *request, int cancel_fd, int timeout_ms, int *ret_fd,
               struct control_reply *ret_reply, struct error *err)
{
        cleanup_buf struct buf line = buf_with_max(CONTROL_REQUEST_MAX);
        cleanup_fd int fd = -1;
        int r = connect_control(dirfd, cancel_fd, &fd, err);

        if (r < 0)
                return r;
        if ((r = control_append_request(request, &line)) < 0)
                return error_errno(err, -r, "control socket");
        /* One that has hung up already may have said why. */
        (void)!send(fd, line.p, line.n, MSG_NOSIGNAL);
        if ((r = read_reply(fd, cancel_fd, timeout_ms, ret_reply, err)) < 0)
                return r;
        if (ret_reply->code < 0)
                return error_set(err, ret_reply->code, "%s", ret_reply->text);
        *ret_fd = take_fd(&fd);
        return 0;
}

/* ---- waiting until a supervisor has gone ---- */

static void wait_for_process(int pidfd)
{
        struct pollfd fds = {.fd = pidfd, .events = POLLIN};

        if (pidfd >= 0)
                (void)poll(&fds, 1, END_MS);
}

static int open_process(pid_t pid)
{
        return pid > 0 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
}

/* While it was being started, the registry could not name the supervisor's process; its socket can. */
static void name_process(int fd, int *pidfd)
{
        struct ucred peer;
        socklen_t size = sizeof(peer);

        if (*pidfd < 0 && fd >= 0 && getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0)
                *pidfd = open_process(peer.pid);
}

/* ---- the calls ---- */

/* For one that ended by itself, or was killed, while it was asked: a look at the registry removes what a
 * killed supervisor left there, and then the memory of it goes, if there is any. */
static int forget_ended(struct enclaves *enclaves, uint32_t id, struct error *err)
{
        cleanup_free struct enclave_info *infos = NULL;
        size_t n;
        int r = enclave_list(enclaves, &infos, &n, err);

        if (r == 0)
                r = registry_forget(enclaves, id, err);
        return r == -ENOENT ? 0 : r;
}

/* A supervisor that hung up instead of answering has ended as a rule, but one that goes on has stopped
 * nothing. */
static int expect_end(int dirfd, uint32_t id, struct error *err)
{
        for (int waited = 0; registry_entry_is_live(dirfd); waited += LISTEN_STEP_MS) {
                if (waited >= GONE_MS)
                        return error_set(err, -EIO,
                                         "enclave %" PRIu32 " still runs: its supervisor hung up instead of "
                                         "answering; try again",
                                         id);
                (void)poll(NULL, 0, LISTEN_STEP_MS);
        }
        return 0;
}

int enclave_stop(struct enclaves *enclaves, uint32_t id, unsigned grace_ms, struct error *err)
{
        struct control_request request = {.op = CONTROL_STOP, .grace_ms = grace_ms};
        struct control_reply reply;
        struct enclave_info info;
        cleanup_fd int dirfd = -1, fd = -1;
        int r = registry_find(enclaves, id, &info, &dirfd, err);

        if (r < 0)
                return r;
        if (dirfd < 0)
                return registry_forget(enclaves, id, err);
        if (grace_ms > CONTROL_GRACE_MAX_MS)
                return error_set(err, -EINVAL, "a grace period of more than a day");
        cleanup_fd int pidfd = open_process(info.pid);
        r = ask(dirfd, &request, -1, (int)grace_ms + REPLY_SLACK_MS, &fd, &reply, err);
        name_process(fd, &pidfd);
        wait_for_process(r == 0 || r == -ESTALE ? pidfd : -1);
        if (r == -ESTALE) {
                r = expect_end(dirfd, id, err);
                return r < 0 ? r : forget_ended(enclaves, id, err);
        }
        if (r < 0)
                error_wrap(err, "enclave %" PRIu32, id);
        return r;
}

int enclave_wait(struct enclaves *enclaves, uint32_t id, int cancel_fd, struct enclave_info *ret_info,
                 struct error *err)
{
        struct control_request request = {.op = CONTROL_WAIT};
        struct control_reply reply;
        struct enclave_info info;
        cleanup_fd int dirfd = -1, fd = -1;
        int r = registry_find(enclaves, id, &info, &dirfd, err);

        if (r == 0 && dirfd >= 0) {
                cleanup_fd int pidfd = open_process(info.pid);
                r = ask(dirfd, &request, cancel_fd, -1, &fd, &reply, err);
                if (r == 0 && reply.has_info) {
                        name_process(fd, &pidfd);
                        wait_for_process(pidfd);
                        *ret_info = reply.info;
                        return 0;
                }
                if (r < 0 && r != -ESTALE) {
                        error_wrap(err, "enclave %" PRIu32, id);
                        return r;
                }
                wait_for_process(pidfd);
                r = enclave_find(enclaves, id, &info, err);
        }
        if (r < 0)
                return r;
        if (info.state != ENCLAVE_EXITED && info.state != ENCLAVE_FAILED)
                return error_set(err, -EPROTO, "enclave %" PRIu32 ": its supervisor did not say how it ended",
                                 id);
        *ret_info = info;
        return 0;
}

static int no_console(uint32_t id, struct error *err)
{
        return error_set(err, -EPERM,
                         "enclave %" PRIu32 " has no console, because it is not in debug mode; start it with "
                         "--debug-mode",
                         id);
}

int enclave_console_open(struct enclaves *enclaves, uint32_t id, int *ret_fd, struct error *err)
{
        struct control_request request = {.op = CONTROL_CONSOLE};
        struct control_reply reply;
        struct enclave_info info;
        cleanup_fd int dirfd = -1;
        int r = registry_find(enclaves, id, &info, &dirfd, err);

        if (r < 0)
                return r;
        if (!info.debug_mode)
                return no_console(id, err);
        if (dirfd >= 0) {
                cleanup_fd int pidfd = open_process(info.pid);
                r = ask(dirfd, &request, -1, REPLY_SLACK_MS, ret_fd, &reply, err);
                if (r < 0 && r != -ESTALE)
                        error_wrap(err, "enclave %" PRIu32, id);
                if (r != -ESTALE)
                        return r;
                wait_for_process(pidfd);
        }
        return registry_open_console(enclaves, id, ret_fd, err);
}

int enclave_connect(struct enclaves *enclaves, uint32_t id, uint32_t port, int *ret_fd, struct error *err)
{
        struct enclave_info info;
        char name[32];
        int r = enclave_find(enclaves, id, &info, err);

        if (r < 0)
                return r;
        snprintf(name, sizeof(name), "enclave %" PRIu32, id);
        if (info.state == ENCLAVE_EXITED || info.state == ENCLAVE_FAILED)
                return error_set(err, -ENOENT, "%s has ended", name);
        struct vsock_endpoint endpoint = {
                .bridge = info.vsock_path[0] ? info.vsock_path : NULL,
                .cid = info.cid,
                .name = name,
        };
        return vsock_connect(&endpoint, port, CONNECT_MS, ret_fd, err);
}
