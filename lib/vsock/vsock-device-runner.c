/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vsock-device-runner CID BRIDGE FD - a vsock device on its own, for tests with a real guest: FD is the
 * socket to QEMU, BRIDGE the path of the Unix socket.  Ends when QEMU does, and says on stderr why the device
 * ended.
 */
#include "lib/base/fd.h"
#include "lib/base/path.h"
#include "lib/base/text.h"
#include "lib/vsock/device.h"

#include <fcntl.h>
#include <inttypes.h>

static void on_ended(struct vsock_device *device, const struct error *why, void *user)
{
        (void)device;
        fprintf(stderr, "vsock-device-runner: %s\n", error_text(why));
        loop_quit(user, why->code == -EPIPE ? 0 : 1);
}

static int run(uint32_t cid, const char *path, int fd, struct error *err)
{
        const struct log log = {.level = LOG_LEVEL_DEBUG, .emit = log_emit_stderr};
        cleanup_fd int dirfd = -1;
        cleanup_loop struct loop *loop = NULL;
        cleanup_vsock_device struct vsock_device *device = NULL;
        struct vsock_device_options options = {.guest_cid = cid, .on_ended = on_ended, .log = &log};

        int r = path_open_parent(AT_FDCWD, path, &dirfd, &options.name, err);
        if (r == 0)
                r = loop_new(&loop, err);
        if (r < 0)
                return r;
        options.dirfd = dirfd;
        options.user = loop;
        r = vsock_device_new(loop, &options, fd, &device, err);
        return r < 0 ? r : loop_run(loop);
}

int main(int argc, char **argv)
{
        struct error err = {0};
        uint64_t cid, fd;

        if (argc != 4 || !parse_u64(argv[1], UINT32_MAX, &cid) || !parse_u64(argv[3], INT32_MAX, &fd)) {
                fprintf(stderr, "usage: vsock-device-runner CID BRIDGE FD\n");
                return 2;
        }
        int r = run((uint32_t)cid, argv[2], (int)fd, &err);
        if (r < 0)
                fprintf(stderr, "vsock-device-runner: %s\n", error_text(&err));
        return r == 0 ? 0 : 1;
}
