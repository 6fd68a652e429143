/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: the lines that clients and device exchange, and clients that send theirs in any pieces.  The
 * input is a row of records: u8 which client does what, u8 size of what it sends, then that.
 */
#include "lib/vsock/device-internal.h"
#include "lib/vsock/handshake.h"

#include "lib/base/fd.h"
#include "lib/base/unix-socket.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CID = 42, CLIENTS = 4, RECORDS_MAX = 64 };

static char folder[] = "/tmp/fuzz-bridge-XXXXXX";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is understood is written to a line that is understood the same. */
static void check_lines(struct view v)
{
        char line[HANDSHAKE_LINE_MAX];
        uint32_t port, again;

        if (handshake_parse_connect(v, &port)) {
                size_t n = handshake_write_connect(port, line);
                if (n >= sizeof(line) || line[n - 1] != '\n' ||
                    !handshake_parse_connect(view_of(line, n - 1), &again) || again != port)
                        abort();
        }
        if (handshake_parse_ok(v, &port)) {
                size_t n = handshake_write_ok(port, line);
                if (n >= sizeof(line) || line[n - 1] != '\n' ||
                    !handshake_parse_ok(view_of(line, n - 1), &again) || again != port)
                        abort();
        }
}

static void remove_folder(void)
{
        (void)rmdir(folder);
}

static int open_folder(void)
{
        static int fd = -1;

        if (fd < 0) {
                if (!mkdtemp(folder) || (fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
                        abort();
                (void)atexit(remove_folder);
        }
        return fd;
}

static void feed(struct vsock_device *device, int dirfd, struct cursor *c)
{
        int clients[CLIENTS] = {-1, -1, -1, -1};

        for (int i = 0; i < RECORDS_MAX && !cursor_at_end(c); i++) {
                uint8_t what = cursor_u8(c), n = cursor_u8(c);
                int *client = &clients[what % CLIENTS];
                struct view bytes = cursor_take(c, n);
                if (!cursor_ok(c))
                        break;
                if (*client < 0)
                        (void)unix_socket_connect(dirfd, "bridge", client, NULL);
                if (*client >= 0 && bytes.n > 0)
                        (void)send(*client, bytes.p, bytes.n, MSG_DONTWAIT | MSG_NOSIGNAL);
                if (what & 64)
                        fd_close_p(client);
                if (what & 128)
                        (void)loop_turn(device->loop);
        }
        for (size_t i = 0; i < CLIENTS; i++)
                fd_close_p(&clients[i]);
        (void)loop_turn(device->loop);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct cursor c = cursor_of(view_of(data, size));
        cleanup_loop struct loop *loop = NULL;
        cleanup_vsock_device struct vsock_device *device = NULL;
        const struct vsock_device_options options = {
                .guest_cid = CID, .max_connections = 3, .dirfd = open_folder(), .name = "bridge"};
        int fds[2];

        check_lines(view_of(data, size));
        if (loop_new(&loop, NULL) < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0 ||
            vsock_device_new(loop, &options, fds[0], &device, NULL) < 0)
                abort();
        feed(device, options.dirfd, &c);
        close(fds[1]);
        return 0;
}
