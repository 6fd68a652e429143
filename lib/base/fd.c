/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/fd.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

void fd_close_p(int *fd)
{
        int saved = errno;

        if (*fd >= 0)
                close(*fd);
        *fd = -1;
        errno = saved;
}

int take_fd(int *fd)
{
        int taken = *fd;

        *fd = -1;
        return taken;
}

int fd_read_full(int fd, void *p, size_t n)
{
        for (size_t done = 0; done < n;) {
                ssize_t r = read(fd, (char *)p + done, n - done);
                if (r == 0)
                        return -ENODATA;
                if (r < 0 && errno != EINTR)
                        return -errno;
                if (r > 0)
                        done += (size_t)r;
        }
        return 0;
}

int fd_pread_full(int fd, void *p, size_t n, uint64_t offset)
{
        for (size_t done = 0; done < n;) {
                ssize_t r = pread(fd, (char *)p + done, n - done, (off_t)(offset + done));
                if (r == 0)
                        return -ENODATA;
                if (r < 0 && errno != EINTR)
                        return -errno;
                if (r > 0)
                        done += (size_t)r;
        }
        return 0;
}

int fd_write_full(int fd, const void *p, size_t n)
{
        for (size_t done = 0; done < n;) {
                ssize_t r = write(fd, (const char *)p + done, n - done);
                if (r < 0 && errno != EINTR)
                        return -errno;
                if (r > 0)
                        done += (size_t)r;
        }
        return 0;
}

int fd_pwrite_full(int fd, const void *p, size_t n, uint64_t offset)
{
        for (size_t done = 0; done < n;) {
                ssize_t r = pwrite(fd, (const char *)p + done, n - done, (off_t)(offset + done));
                if (r < 0 && errno != EINTR)
                        return -errno;
                if (r > 0)
                        done += (size_t)r;
        }
        return 0;
}

ssize_t fd_send(int socket, const struct iovec *parts, size_t n_parts, int fd)
{
        union {
                struct cmsghdr align;
                char bytes[CMSG_SPACE(sizeof(int))];
        } control = {0};
        struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)parts, .msg_iovlen = n_parts};
        ssize_t n;

        if (fd >= 0) {
                message.msg_control = control.bytes;
                message.msg_controllen = sizeof(control.bytes);
                struct cmsghdr *c = CMSG_FIRSTHDR(&message);
                c->cmsg_level = SOL_SOCKET;
                c->cmsg_type = SCM_RIGHTS;
                c->cmsg_len = CMSG_LEN(sizeof(int));
                memcpy(CMSG_DATA(c), &fd, sizeof(fd));
        }
        do
                n = sendmsg(socket, &message, MSG_NOSIGNAL);
        while (n < 0 && errno == EINTR);
        return n < 0 ? -errno : n;
}

void fd_begin_writeback(int fd, uint64_t offset, uint64_t n)
{
        (void)sync_file_range(fd, (off64_t)offset, (off64_t)n, SYNC_FILE_RANGE_WRITE);
}

int fd_set_nonblocking(int fd)
{
        int flags = fcntl(fd, F_GETFL);

        if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
                return -errno;
        return 0;
}

void fd_reset_on_close(int fd)
{
        const struct linger reset = {.l_onoff = 1};

        (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
}
