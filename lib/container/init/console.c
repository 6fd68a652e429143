/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/container/init/console.h"

#include "lib/base/cleanup.h"
#include "lib/base/fd.h"
#include "lib/container/sync.h"

#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* As engines expect it on a console socket: a name, and the master beside it. */
static int send_master(int socket, int master)
{
        char name[] = "/dev/ptmx";
        struct iovec part = {.iov_base = name, .iov_len = strlen(name)};
        ssize_t n = fd_send(socket, &part, 1, master);

        return n < 0 ? (int)n : 0;
}

static int hand_over(const struct plan *plan, int master, struct error *err)
{
        int r = plan->console_socket_fd >= 0 ? send_master(plan->console_socket_fd, master)
                                             : sync_send(plan->sync_fd, PLAN_CONSOLE, NULL, master);

        return r < 0 ? error_errno(err, -r, "hand over the container's terminal") : 0;
}

static int make_standard_streams(int slave, struct error *err)
{
        if (ioctl(slave, TIOCSCTTY, 0) < 0)
                return error_errno(err, errno, "make the container's terminal the controlling one");
        for (int fd = 0; fd <= 2; fd++)
                if (dup2(slave, fd) < 0)
                        return error_errno(err, errno, "make the container's terminal descriptor %d", fd);
        return 0;
}

int console_set_up(const struct plan *plan, const struct rootfs *rootfs, struct error *err)
{
        const struct spec_process *process = plan->process;
        cleanup_fd int master = -1, slave = -1;

        if (!process->terminal)
                return 0;
        int r = rootfs_console(plan, rootfs, &master, &slave, err);
        if (r < 0)
                return error_wrap(err, "terminal");
        const struct winsize size = {.ws_row = process->console_height, .ws_col = process->console_width};
        if (process->has_console_size && ioctl(master, TIOCSWINSZ, &size) < 0)
                return error_errno(err, errno, "size the container's terminal");
        r = hand_over(plan, master, err);
        return r < 0 ? r : make_standard_streams(slave, err);
}
