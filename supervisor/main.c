/* SPDX-License-Identifier: Apache-2.0 */
/*
 * coffer-enclave - the supervisor of one enclave.  Started by enclave_start() (lib/enclave/start.c), which
 * tells it over a socket what is to be launched (lib/enclave/launch.h); not to be started by hand.
 */
#include "supervisor/background.h"
#include "supervisor/confine.h"
#include "supervisor/supervisor.h"

#include "lib/enclave/pool.h"

#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>

static int supervise(const struct launch *launch, const int fds[LAUNCH_FDS], struct error *err)
{
        cleanup_supervisor struct supervisor *supervisor = NULL;
        const struct supervisor_parts parts = {
                .launch = launch,
                .backend = launch->nitro ? &backend_nitro : &backend_qemu,
                .pool_folder = POOL_FOLDER,
                .status_fd = LAUNCH_SOCKET,
                .entry_dirfd = fds[LAUNCH_FD_ENTRY],
                .kernel_fd = fds[LAUNCH_FD_KERNEL],
                .initrd_fd = fds[LAUNCH_FD_INITRD],
                .vsock_fd = fds[LAUNCH_FD_VSOCK],
                .leash_fd = fds[LAUNCH_FD_LEASH],
        };
        int r = supervisor_new(&parts, &supervisor);

        if (r < 0)
                return error_set(err, r, "the supervisor could not start");
        if ((r = confine_supervisor(launch->state_dir)) < 0)
                return error_errno(err, -r, "the supervisor cannot give up what it does not need");
        r = supervisor_run(supervisor);
        return r < 0 ? error_set(err, r, "the supervisor failed") : 0;
}

static int run(struct error *err)
{
        cleanup_launch struct launch launch = LAUNCH_NONE;
        int fds[LAUNCH_FDS];
        int r = launch_receive(LAUNCH_SOCKET, &launch, fds, err);

        if (r == -ENODATA)
                return 0;
        if (r < 0 || (r = background_enter(LAUNCH_SOCKET, fds, err)) < 0)
                return r;
        return supervise(&launch, fds, err);
}

int main(void)
{
        struct sigaction ignore = {.sa_handler = SIG_IGN};
        struct error err = {0};
        socklen_t size = sizeof(int);
        int type;

        if (getsockopt(LAUNCH_SOCKET, SOL_SOCKET, SO_TYPE, &type, &size) < 0) {
                fputs("coffer-enclave: started by `qt enclave start`, not by hand\n", stderr);
                return 2;
        }
        /* For those who look for the supervisor: that is not the process that waits, and then watches it. */
        (void)prctl(PR_SET_NAME, "coffer-launcher");
        (void)sigaction(SIGPIPE, &ignore, NULL);
        int r = run(&err);
        /* Where the starter has its answer already, this is one too many, and goes nowhere. */
        if (r < 0)
                background_tell(LAUNCH_SOCKET, r, error_text(&err));
        return r < 0;
}
