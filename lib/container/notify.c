/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/container/notify.h"

#include "lib/base/fd.h"
#include "lib/base/text.h"
#include "lib/container/bundle.h"
#include "lib/container/process.h"

#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define FOLDER_IN_CONTAINER "/run/notify"
#define SOCKET_NAME         "notify.sock"

enum {
        DATAGRAM_MAX = 4096,
        BARRIER_TIMEOUT = 30 * 1000, /* milliseconds, as sd_notify_barrier(3)'s callers have it */
        LOOK_INTERVAL = 100,         /* milliseconds, for kernels without pidfds */
};

static const char *manager_socket(void)
{
        const char *path = getenv("NOTIFY_SOCKET");

        return path && (*path == '/' || *path == '@') ? path : NULL;
}

int notify_prepare(struct starting *s, struct error *err)
{
        struct spec *spec = s->spec;

        if (!manager_socket())
                return 0;
        if (mkdirat(s->folder, STATE_NOTIFY, 0755) < 0)
                return error_errno(err, errno, "can't make the folder of the notify socket");
        struct spec_mount *mounts = arena_alloc(&s->arena, spec->n_mounts + 1, sizeof(*mounts));
        char *source = arena_printf(&s->arena, "%s/%s/%s", s->engine->root, s->state.id, STATE_NOTIFY);
        if (!mounts || !source)
                return error_oom(err);
        if (spec->n_mounts > 0)
                memcpy(mounts, spec->mounts, spec->n_mounts * sizeof(*mounts));
        /* Strings of the program aren't in the arena, and mean nothing to container-init. */
        mounts[spec->n_mounts] = (struct spec_mount){
                .destination = arena_string(&s->arena, FOLDER_IN_CONTAINER),
                .type = arena_string(&s->arena, "bind"),
                .source = source,
                .features = SPEC_MOUNT_BIND,
                .flags = MS_NOSUID | MS_NOEXEC | MS_NODEV | MS_RDONLY,
        };
        if (!mounts[spec->n_mounts].destination || !mounts[spec->n_mounts].type)
                return error_oom(err);
        spec->mounts = mounts;
        spec->n_mounts++;
        return bundle_add_env(s, spec->process, "NOTIFY_SOCKET=" FOLDER_IN_CONTAINER "/" SOCKET_NAME, err);
}

int notify_listen(int folder, int *ret_socket, struct error *err)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};

        *ret_socket = -1;
        if (!manager_socket())
                return 0;
        cleanup_fd int notify = openat(folder, STATE_NOTIFY, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (notify < 0)
                return errno == ENOENT ? 0 : error_errno(err, errno, "the folder of the notify socket");
        cleanup_fd int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return error_errno(err, errno, "can't make the notify socket");
        (void)unlinkat(notify, SOCKET_NAME, 0);
        (void)snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/%s", notify,
                       SOCKET_NAME);
        if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
            fchmodat(notify, SOCKET_NAME, 0777, 0) < 0)
                return error_errno(err, errno, "can't make the notify socket");
        *ret_socket = take_fd(&fd);
        return 0;
}

static int connect_manager(int *ret_fd, struct error *err)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        const char *path = manager_socket();
        size_t n = path ? strlen(path) : 0;

        if (n == 0 || n >= sizeof(address.sun_path))
                return error_set(err, -EINVAL, "NOTIFY_SOCKET: \"%s\" is no address of a socket", path ?: "");
        memcpy(address.sun_path, path, n);
        if (*path == '@')
                address.sun_path[0] = '\0';
        cleanup_fd int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
        if (fd < 0 || connect(fd, (const struct sockaddr *)&address, size) < 0)
                return error_errno(err, errno, "NOTIFY_SOCKET %s", path);
        *ret_fd = take_fd(&fd);
        return 0;
}

/* The manager closes the pipe's end once it has read all that came before: then it knows whose pid it is. */
static int barrier(int manager)
{
        char text[] = "BARRIER=1";
        struct iovec part = {.iov_base = text, .iov_len = sizeof(text) - 1};
        int fds[2];

        if (pipe2(fds, O_CLOEXEC) < 0)
                return -errno;
        cleanup_fd int read_end = fds[0], write_end = fds[1];
        ssize_t n = fd_send(manager, &part, 1, write_end);
        if (n < 0)
                return (int)n;
        fd_close_p(&write_end);
        struct pollfd closed = {.fd = read_end};
        (void)poll(&closed, 1, BARRIER_TIMEOUT);
        return 0;
}

static int tell_manager(pid_t pid, struct error *err)
{
        cleanup_fd int manager = -1;
        char text[32];
        int r = connect_manager(&manager, err);

        if (r < 0)
                return r;
        (void)snprintf(text, sizeof(text), "MAINPID=%d\n", pid);
        if (send(manager, "READY=1\n", 8, MSG_NOSIGNAL) < 0 ||
            send(manager, text, strlen(text), MSG_NOSIGNAL) < 0)
                return error_errno(err, errno, "can't pass readiness on");
        r = barrier(manager);
        return r < 0 ? error_errno(err, -r, "can't pass readiness on") : 0;
}

/* True where one of the lines of a datagram is READY=1. */
static bool says_ready(int socket)
{
        char text[DATAGRAM_MAX + 1];
        ssize_t n = recv(socket, text, DATAGRAM_MAX, MSG_DONTWAIT);

        if (n <= 0)
                return false;
        text[n] = '\0';
        for (char *line = text; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
                if (string_starts_with(line, "READY=1"))
                        return true;
        return false;
}

bool notify_take(int socket, pid_t pid, struct error *err)
{
        if (!says_ready(socket))
                return false;
        (void)tell_manager(pid, err);
        return true;
}

int notify_relay(int socket, pid_t pid, uint64_t start_time, struct error *err)
{
        cleanup_fd int pidfd = -1;
        bool has_pidfd = process_open(pid, start_time, &pidfd) == 0;

        for (;;) {
                struct pollfd fds[] = {{.fd = socket, .events = POLLIN}, {.fd = pidfd, .events = POLLIN}};
                int n = poll(fds, 2, has_pidfd ? -1 : LOOK_INTERVAL);
                if (n < 0 && errno != EINTR)
                        return error_errno(err, errno, "notify socket");
                if (n > 0 && fds[0].revents && says_ready(socket))
                        return tell_manager(pid, err);
                if ((n > 0 && fds[1].revents) || (!has_pidfd && !process_is(pid, start_time)))
                        return 0;
        }
}
