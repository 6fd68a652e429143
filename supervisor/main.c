/* SPDX-License-Identifier: Apache-2.0 */
/*
 * coffer-enclave - the supervisor of one enclave.  Started by enclave_start() (lib/enclave/start.c) with all
 * that it needs as descriptors (lib/enclave/launch.h); not to be started by hand.
 */
#include "supervisor/confine.h"
#include "supervisor/supervisor.h"

#include "lib/enclave/pool.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

/* The starter waits for us, and nobody does for our child: it belongs to no terminal and to no command. */
static void go_to_background(void)
{
        pid_t pid = fork();

        if (pid != 0)
                _exit(pid < 0);
        (void)setsid();
        (void)!chdir("/");
}

static int run(void)
{
        cleanup_launch struct launch launch = LAUNCH_NONE;
        cleanup_supervisor struct supervisor *supervisor = NULL;
        struct supervisor_parts parts = {
                .launch = &launch,
                .backend = &backend_qemu,
                .pool_folder = POOL_FOLDER,
                .status_fd = LAUNCH_FD_STATUS,
                .entry_dirfd = LAUNCH_FD_ENTRY,
                .kernel_fd = LAUNCH_FD_KERNEL,
                .initrd_fd = LAUNCH_FD_INITRD,
                .vsock_fd = LAUNCH_FD_VSOCK,
                .leash_fd = LAUNCH_FD_LEASH,
        };

        if (launch_read(LAUNCH_FD_SPEC, &launch, NULL) < 0)
                return -1;
        if (launch.nitro)
                parts.backend = &backend_nitro;
        go_to_background();
        int r = supervisor_new(&parts, &supervisor);
        if (r == 0)
                r = confine_supervisor(launch.state_dir);
        return r < 0 ? r : supervisor_run(supervisor);
}

int main(void)
{
        struct sigaction ignore = {.sa_handler = SIG_IGN};

        if (fcntl(LAUNCH_FD_LEASH, F_GETFD) < 0) {
                fputs("coffer-enclave: started by `qt enclave start`, not by hand\n", stderr);
                return 2;
        }
        (void)sigaction(SIGPIPE, &ignore, NULL);
        return run() < 0;
}
