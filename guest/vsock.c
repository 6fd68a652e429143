/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/vsock.h"

#include "lib/base/fd.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

int vsock_own_cid(uint32_t *ret_cid)
{
        cleanup_fd int fd = open("/dev/vsock", O_RDONLY | O_CLOEXEC);
        unsigned int cid = VMADDR_CID_ANY;

        if (fd < 0)
                return -ENODEV;
        if (ioctl(fd, IOCTL_VM_SOCKETS_GET_LOCAL_CID, &cid) < 0)
                return -errno;
        if (cid == VMADDR_CID_ANY || cid == VMADDR_CID_LOCAL)
                return -ENODEV;
        *ret_cid = cid;
        return 0;
}

static int new_socket(void)
{
        return socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

/* The outcome of a connect that is under way. */
static int finish_connect(int fd, int milliseconds)
{
        struct pollfd p = {.fd = fd, .events = POLLOUT};
        int failed = 0;
        socklen_t size = sizeof(failed);
        int n = poll(&p, 1, milliseconds);

        if (n == 0)
                return -ETIMEDOUT;
        if (n < 0 || getsockopt(fd, SOL_SOCKET, SO_ERROR, &failed, &size) < 0)
                return -errno;
        return -failed;
}

int vsock_connect(uint32_t cid, uint32_t port, int milliseconds, int *ret_fd)
{
        const struct sockaddr_vm address = {.svm_family = AF_VSOCK, .svm_cid = cid, .svm_port = port};
        cleanup_fd int fd = new_socket();
        int r = 0;

        if (fd < 0)
                return -errno;
        if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
                r = errno == EINPROGRESS ? finish_connect(fd, milliseconds) : -errno;
        if (r < 0)
                return r;
        *ret_fd = take_fd(&fd);
        return 0;
}

/* The kernel refuses what does not fit, and clients may all come at once. musl's SOMAXCONN is 128. */
enum { BACKLOG = 4096 };

int vsock_listen(uint32_t port, int *ret_fd)
{
        const struct sockaddr_vm address = {
                .svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY, .svm_port = port};
        cleanup_fd int fd = new_socket();

        if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
            listen(fd, BACKLOG) < 0)
                return -errno;
        *ret_fd = take_fd(&fd);
        return 0;
}
