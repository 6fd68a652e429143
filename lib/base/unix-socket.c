/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/unix-socket.h"

#include "lib/base/fd.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 128, SOCKET_TYPE = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC };

static int make_address(int dirfd, const char *name, struct sockaddr_un *ret_address, struct error *err)
{
        if (strlen(name) > UNIX_SOCKET_NAME_MAX || strchr(name, '/') || name[0] == '\0')
                return error_set(err, -ENAMETOOLONG,
                                 "\"%s\" is no name for a socket (1 to %d bytes, no slash)", name,
                                 UNIX_SOCKET_NAME_MAX);
        *ret_address = (struct sockaddr_un){.sun_family = AF_UNIX};
        if (dirfd == AT_FDCWD)
                snprintf(ret_address->sun_path, sizeof(ret_address->sun_path), "%s", name);
        else
                snprintf(ret_address->sun_path, sizeof(ret_address->sun_path), "/proc/self/fd/%d/%s", dirfd,
                         name);
        return 0;
}

/* Removes a socket that a former owner left behind; true where there was one. */
static bool remove_stale(int dirfd, const char *name)
{
        struct stat st;

        return fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISSOCK(st.st_mode) &&
               unlinkat(dirfd, name, 0) == 0;
}

int unix_socket_listen(int dirfd, const char *name, int *ret_fd, struct error *err)
{
        struct sockaddr_un address;

        int r = make_address(dirfd, name, &address, err);
        if (r < 0)
                return r;
        cleanup_fd int fd = socket(AF_UNIX, SOCKET_TYPE, 0);
        if (fd < 0)
                return error_errno(err, errno, "%s", name);
        r = bind(fd, (const struct sockaddr *)&address, sizeof(address));
        if (r < 0 && errno == EADDRINUSE && remove_stale(dirfd, name))
                r = bind(fd, (const struct sockaddr *)&address, sizeof(address));
        if (r < 0)
                return error_errno(err, errno, "%s", name);
        /* Nobody can connect before listen(), so nobody slips in under the umask's mode. */
        if (fchmodat(dirfd, name, 0600, 0) < 0 || listen(fd, BACKLOG) < 0) {
                r = error_errno(err, errno, "%s", address.sun_path);
                (void)unlinkat(dirfd, name, 0);
                return r;
        }
        *ret_fd = take_fd(&fd);
        return 0;
}

int unix_socket_connect(int dirfd, const char *name, int *ret_fd, struct error *err)
{
        struct sockaddr_un address;

        int r = make_address(dirfd, name, &address, err);
        if (r < 0)
                return r;
        cleanup_fd int fd = socket(AF_UNIX, SOCKET_TYPE, 0);
        if (fd < 0)
                return error_errno(err, errno, "%s", name);
        if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
                return error_errno(err, errno, "%s", name);
        *ret_fd = take_fd(&fd);
        return 0;
}

int unix_socket_connect_wait(int dirfd, const char *name, int timeout_ms, int *ret_fd, struct error *err)
{
        struct sockaddr_un address;
        struct timeval forever = {0};
        struct timeval timeout = {.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000L};

        int r = make_address(dirfd, name, &address, err);
        if (r < 0)
                return r;
        cleanup_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return error_errno(err, errno, "%s", name);
        /* Zero would mean for ever. */
        if (timeout_ms == 0)
                timeout.tv_usec = 1;
        if (timeout_ms >= 0 && setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) < 0)
                return error_errno(err, errno, "%s", name);
        if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
                return error_errno(err, errno, "%s", name);
        if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &forever, sizeof(forever)) < 0)
                return error_errno(err, errno, "%s", name);
        *ret_fd = take_fd(&fd);
        return 0;
}

int unix_socket_pair(int ret_fds[2], struct error *err)
{
        if (socketpair(AF_UNIX, SOCKET_TYPE, 0, ret_fds) < 0)
                return error_errno(err, errno, "socket pair");
        return 0;
}
