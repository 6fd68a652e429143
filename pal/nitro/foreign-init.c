/* SPDX-License-Identifier: Apache-2.0 */
/*  foreign-init.c - PID 1 of an enclave that isn't ours, as AWS' own init behaves towards its host, for
 * tests: loads the kernel modules in /modules, sends 0xB7 to port 9000 of CID 3 and wants it back, says so
 * on the console, and reboots after five seconds, which is the end of an enclave.  It knows no control
 * channel.
 */
#include "lib/base/kernel-modules.h"

#include <fcntl.h>
#include <linux/vm_sockets.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HEARTBEAT_PORT = 9000, PARENT_CID = 3, HEARTBEAT = 0xb7, LIFE_SECONDS = 5 };

static int heartbeat(void)
{
        const struct sockaddr_vm parent = {
                .svm_family = AF_VSOCK, .svm_cid = PARENT_CID, .svm_port = HEARTBEAT_PORT};
        unsigned char byte = HEARTBEAT;
        int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);
        int good = fd >= 0 && connect(fd, (const struct sockaddr *)&parent, sizeof(parent)) == 0 &&
                   write(fd, &byte, 1) == 1 && read(fd, &byte, 1) == 1 && byte == HEARTBEAT;

        close(fd);
        return good;
}

int main(void)
{
        char name[NAME_MAX + 1];

        (void)mount("dev", "/dev", "devtmpfs", 0, "");
        int console = open("/dev/console", O_RDWR | O_CLOEXEC);
        if (kernel_modules_load("/modules", name) < 0)
                dprintf(console, "foreign: cannot load %s\n", name);
        dprintf(console, heartbeat() ? "foreign: alive\n" : "foreign: nobody answers\n");
        sleep(LIFE_SECONDS);
        reboot(RB_AUTOBOOT);
        return 1;
}
