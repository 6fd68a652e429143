/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/container/handoff.h"

#include "lib/base/cleanup.h"
#include "lib/base/fd.h"
#include "lib/base/path.h"
#include "lib/base/text.h"
#include "lib/base/unix-socket.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* No process of ours has more descriptors. */
enum { DESCRIPTORS_MAX = 1024 * 1024 };

/* Whatever has the temporary name, by a killed rune or by somebody who may write to the folder, goes: it may
 * be a pipe that nobody reads, or a second name of another file. */
static int write_and_rename(int dirfd, const char *name, const char *temporary, struct view text)
{
        const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
        cleanup_fd int fd = openat(dirfd, temporary, flags, 0644);

        if (fd < 0 && errno == EEXIST && unlinkat(dirfd, temporary, 0) == 0)
                fd = openat(dirfd, temporary, flags, 0644);
        if (fd < 0)
                return -errno;
        int r = fd_write_full(fd, text.p, text.n);
        if (r == 0 && renameat(dirfd, temporary, dirfd, name) < 0)
                r = -errno;
        if (r < 0)
                (void)unlinkat(dirfd, temporary, 0);
        return r;
}

int handoff_pid_file(const char *path, pid_t pid, struct error *err)
{
        cleanup_fd int dirfd = -1;
        const char *name;
        char text[16], temporary[NAME_MAX + 1];
        int r = path_open_parent(AT_FDCWD, path, &dirfd, &name, err);

        if (r < 0) {
                error_wrap(err, "pid file");
                return r;
        }
        if ((size_t)snprintf(temporary, sizeof(temporary), ".%s", name) >= sizeof(temporary))
                return error_set(err, -ENAMETOOLONG, "pid file %s: the name is too long", path);
        (void)snprintf(text, sizeof(text), "%d", pid);
        r = write_and_rename(dirfd, name, temporary, view_of_string(text));
        return r < 0 ? error_errno(err, -r, "pid file %s", path) : 0;
}

int handoff_connect(const char *path, int *ret_fd, struct error *err)
{
        cleanup_fd int dirfd = -1;
        const char *name;
        int r = path_open_parent(AT_FDCWD, path, &dirfd, &name, err);

        if (r == 0) {
                r = unix_socket_connect_wait(dirfd, name, -1, ret_fd, err);
                if (r < 0)
                        error_wrap(err, "%s", path);
        }
        return r;
}

int handoff_pidfd(const char *path, pid_t pid, struct error *err)
{
        cleanup_fd int socket = -1;
        cleanup_fd int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
        char name[] = "pidfd";
        struct iovec part = {.iov_base = name, .iov_len = strlen(name)};

        if (pidfd < 0)
                return error_errno(err, errno, "can't make a pidfd for --pidfd-socket");
        int r = handoff_connect(path, &socket, err);
        if (r < 0) {
                error_wrap(err, "--pidfd-socket");
                return r;
        }
        ssize_t n = fd_send(socket, &part, 1, pidfd);
        return n < 0 ? error_errno(err, (int)-n, "--pidfd-socket: %s", path) : 0;
}

/* As sd_listen_fds(3) reads it. */
static size_t activation_fds(void)
{
        const char *pid_text = getenv("LISTEN_PID"), *fds_text = getenv("LISTEN_FDS");
        uint64_t pid, fds;

        if (!pid_text || !fds_text || !parse_u64(pid_text, INT32_MAX, &pid) || (pid_t)pid != getpid() ||
            !parse_u64(fds_text, DESCRIPTORS_MAX, &fds))
                return 0;
        return fds;
}

/* What is open but close-on-exec is our own: nothing inherited can be. */
static bool is_inherited(int fd)
{
        int flags = fcntl(fd, F_GETFD);

        if (flags >= 0 && !(flags & FD_CLOEXEC))
                return true;
        errno = EBADF;
        return false;
}

int handoff_inherited(size_t preserve, size_t *ret_listen, size_t *ret_all, struct error *err)
{
        size_t listen = activation_fds();

        if (preserve > DESCRIPTORS_MAX)
                return error_set(err, -EINVAL, "--preserve-fds: there can't be %zu", preserve);
        for (size_t i = 0; i < listen + preserve; i++) {
                if (is_inherited((int)i + 3))
                        continue;
                if (i < listen)
                        return error_errno(err, errno, "LISTEN_FDS: descriptor %zu isn't open", i + 3);
                return error_errno(err, errno, "unable to stat preserved-fd %zu (of %zu)", i - listen,
                                   preserve);
        }
        *ret_listen = listen;
        *ret_all = listen + preserve;
        return 0;
}
