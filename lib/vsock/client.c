/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/vsock/client.h"

#include "lib/base/clock.h"
#include "lib/base/fd.h"
#include "lib/base/path.h"
#include "lib/base/text.h"
#include "lib/base/unix-socket.h"
#include "lib/vsock/handshake.h"

#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Behind sys/socket.h, whose types it uses. */
#include <linux/vm_sockets.h>

enum { BACKLOG = 128, PEER_NAME_MAX = 300 };

/* --- time
 * ------------------------------------------------------------------------------------------------------- */

/* Negative: never. */
static int64_t deadline_of(int timeout_ms)
{
        return timeout_ms < 0 ? -1 : (int64_t)clock_ms() + timeout_ms;
}

static int left_of(int64_t deadline)
{
        if (deadline < 0)
                return -1;
        int64_t left = deadline - (int64_t)clock_ms();
        return left > 0 ? (int)left : 0;
}

/* Waits for `events`: 0, -ETIMEDOUT or another -errno. */
static int wait_for(int fd, short events, int64_t deadline)
{
        struct pollfd pfd = {.fd = fd, .events = events};

        for (;;) {
                int n = poll(&pfd, 1, left_of(deadline));
                if (n > 0)
                        return 0;
                if (n == 0)
                        return -ETIMEDOUT;
                if (errno != EINTR)
                        return -errno;
        }
}

static int set_blocking(int fd)
{
        int flags = fcntl(fd, F_GETFL);

        return flags < 0 || fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) < 0 ? -errno : 0;
}

/* --- what went wrong
 * -------------------------------------------------------------------------------------------- */

static void describe_peer(const struct vsock_endpoint *endpoint, char ret_name[PEER_NAME_MAX])
{
        if (endpoint->name)
                snprintf(ret_name, PEER_NAME_MAX, "%s", endpoint->name);
        else if (endpoint->bridge)
                snprintf(ret_name, PEER_NAME_MAX, "the enclave behind %s", endpoint->bridge);
        else
                snprintf(ret_name, PEER_NAME_MAX, "CID %" PRIu32, endpoint->cid);
}

/* Turns a failure to connect into an error that tells the peer from the port. */
static int explain(const struct vsock_endpoint *endpoint, uint32_t port, int code, struct error *err)
{
        char peer[PEER_NAME_MAX];

        describe_peer(endpoint, peer);
        switch (-code) {
        case ECONNREFUSED:
        case ECONNRESET:
                return error_set(err, -ECONNREFUSED, "%s has nothing listening on port %" PRIu32, peer, port);
        case ENODEV:
        case ENOENT:
        case EADDRNOTAVAIL:
                return error_set(err, code == -ENOENT ? -ENOENT : -ENODEV, "%s is not there", peer);
        case ETIMEDOUT:
        case EAGAIN:
                return error_set(err, -ETIMEDOUT, "%s does not answer on port %" PRIu32, peer, port);
        case EAFNOSUPPORT:
                return error_set(err, code, "%s cannot be reached: this kernel has no AF_VSOCK", peer);
        default:
                return error_errno(err, -code, "%s, port %" PRIu32, peer, port);
        }
}

/* --- the device's bridge
 * ---------------------------------------------------------------------------------------- */

/* Takes what has come of the bridge's line, up to its end and not a byte more, into ret_line: 1 with the end,
 * 0 without. */
static int take_some(int fd, char *ret_line, size_t size, size_t *ret_n)
{
        ssize_t got = recv(fd, ret_line, size, MSG_PEEK | MSG_DONTWAIT);

        if (got == 0)
                return -ECONNRESET;
        if (got < 0)
                return -errno;
        const char *end = memchr(ret_line, '\n', (size_t)got);
        size_t n = end ? (size_t)(end - ret_line) + 1 : (size_t)got;
        if (recv(fd, ret_line, n, MSG_DONTWAIT) != (ssize_t)n)
                return -EPROTO;
        *ret_n = n;
        return end != NULL;
}

/* Reads the bridge's line into ret_line. -ECONNRESET where it hung up instead. */
static int read_line(int fd, int64_t deadline, char ret_line[HANDSHAKE_LINE_MAX])
{
        for (size_t n = 0, more; n < HANDSHAKE_LINE_MAX; n += more) {
                more = 0;
                int r = take_some(fd, ret_line + n, HANDSHAKE_LINE_MAX - n, &more);
                if (r == 1) {
                        ret_line[n + more - 1] = '\0';
                        return 0;
                }
                if (r == -EAGAIN)
                        r = wait_for(fd, POLLIN, deadline);
                if (r < 0 && r != -EINTR)
                        return r;
        }
        return -EPROTO;
}

static int shake_hands(int fd, uint32_t port, int64_t deadline)
{
        char line[HANDSHAKE_LINE_MAX];
        size_t n = handshake_write_connect(port, line);
        uint32_t local_port;

        ssize_t sent = send(fd, line, n, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0)
                return errno == EPIPE ? -ECONNRESET : -errno;
        if (sent != (ssize_t)n)
                return -EPROTO;
        int r = read_line(fd, deadline, line);
        if (r < 0)
                return r;
        return handshake_parse_ok(view_of_string(line), &local_port) ? 0 : -EPROTO;
}

static int connect_bridge(const struct vsock_endpoint *endpoint, uint32_t port, int64_t deadline, int *ret_fd,
                          struct error *err)
{
        cleanup_fd int dirfd = -1;
        cleanup_fd int fd = -1;
        const char *name;

        int r = path_open_parent(AT_FDCWD, endpoint->bridge, &dirfd, &name, err);
        if (r == 0)
                r = unix_socket_connect_wait(dirfd, name, left_of(deadline), &fd, err);
        /* A socket file that nobody listens on any more is what a supervisor leaves that was killed. */
        if (r == -ECONNREFUSED)
                r = -ENOENT;
        if (r == 0)
                r = shake_hands(fd, port, deadline);
        if (r < 0)
                return explain(endpoint, port, r, err);
        *ret_fd = take_fd(&fd);
        return 0;
}

static int listen_bridge(const struct vsock_endpoint *endpoint, uint32_t port, int *ret_fd, struct error *err)
{
        cleanup_fd int dirfd = -1;
        cleanup_fd int fd = -1;
        const char *name;

        int r = path_open_parent(AT_FDCWD, endpoint->bridge, &dirfd, &name, err);
        if (r < 0)
                return r;
        cleanup_free char *with_port = string_printf("%s_%" PRIu32, name, port);
        if (!with_port)
                return error_oom(err);
        r = unix_socket_listen(dirfd, with_port, &fd, err);
        if (r < 0)
                return r;
        r = set_blocking(fd);
        if (r < 0)
                return error_errno(err, -r, "%s", with_port);
        *ret_fd = take_fd(&fd);
        return 0;
}

/* --- the kernel's vsock
 * ----------------------------------------------------------------------------------------- */

static int connect_kernel(uint32_t cid, uint32_t port, int64_t deadline, int *ret_fd)
{
        const struct sockaddr_vm address = {.svm_family = AF_VSOCK, .svm_cid = cid, .svm_port = port};
        int code = 0;
        socklen_t size = sizeof(code);

        cleanup_fd int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return -errno;
        if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
                if (errno != EINPROGRESS)
                        return -errno;
                int r = wait_for(fd, POLLOUT, deadline);
                if (r < 0)
                        return r;
                if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &size) < 0)
                        return -errno;
                if (code != 0)
                        return -code;
        }
        int r = set_blocking(fd);
        if (r < 0)
                return r;
        *ret_fd = take_fd(&fd);
        return 0;
}

int vsock_listen_on(int fd, uint32_t port, struct error *err)
{
        const struct sockaddr_vm address = {
                .svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY, .svm_port = port};

        if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, BACKLOG) < 0)
                return error_errno(err, errno, "vsock port %" PRIu32, port);
        return 0;
}

static int listen_kernel(uint32_t port, int *ret_fd, struct error *err)
{
        cleanup_fd int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);

        if (fd < 0)
                return error_errno(err, errno, "vsock");
        int r = vsock_listen_on(fd, port, err);
        if (r < 0)
                return r;
        *ret_fd = take_fd(&fd);
        return 0;
}

/* --- the calls
 * -------------------------------------------------------------------------------------------------- */

int vsock_connect(const struct vsock_endpoint *endpoint, uint32_t port, int timeout_ms, int *ret_fd,
                  struct error *err)
{
        int64_t deadline = deadline_of(timeout_ms);

        if (endpoint->bridge)
                return connect_bridge(endpoint, port, deadline, ret_fd, err);
        int r = connect_kernel(endpoint->cid, port, deadline, ret_fd);
        return r < 0 ? explain(endpoint, port, r, err) : 0;
}

int vsock_listen(const struct vsock_endpoint *endpoint, uint32_t port, int *ret_fd, struct error *err)
{
        return endpoint->bridge ? listen_bridge(endpoint, port, ret_fd, err)
                                : listen_kernel(port, ret_fd, err);
}

void vsock_unlisten(const struct vsock_endpoint *endpoint, uint32_t port)
{
        cleanup_fd int dirfd = -1;
        const char *name;

        if (!endpoint->bridge || path_open_parent(AT_FDCWD, endpoint->bridge, &dirfd, &name, NULL) < 0)
                return;
        cleanup_free char *with_port = string_printf("%s_%" PRIu32, name, port);
        if (with_port)
                (void)unlinkat(dirfd, with_port, 0);
}

int vsock_accept(int listen_fd, int timeout_ms, int *ret_fd, uint32_t *ret_peer_cid, struct error *err)
{
        union {
                struct sockaddr any;
                struct sockaddr_vm vm;
                struct sockaddr_storage storage;
        } peer = {0};
        socklen_t size = sizeof(peer);
        int64_t deadline = deadline_of(timeout_ms);

        int r = wait_for(listen_fd, POLLIN, deadline);
        if (r < 0)
                return error_errno(err, -r, "accept");
        int fd = accept4(listen_fd, &peer.any, &size, SOCK_CLOEXEC);
        if (fd < 0)
                return error_errno(err, errno, "accept");
        *ret_fd = fd;
        *ret_peer_cid = peer.any.sa_family == AF_VSOCK ? peer.vm.svm_cid : 0;
        return 0;
}
