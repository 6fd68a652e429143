/* SPDX-License-Identifier: Apache-2.0 */
/* The way of a listener to the agent that answers for it (runtime-spec config-linux.md, "The Container
 * Process State"). */
#include "lib/container/seccomp.h"

#include "lib/base/fd.h"
#include "lib/base/path.h"
#include "lib/base/unix-socket.h"

#include <fcntl.h>
#include <jansson.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

/* The version of the specification that containerProcessState follows here. */
static const char state_version[] = "1.3.0";

/* How long an agent may keep its backlog full. */
enum { CONNECT_TIMEOUT_MS = 10000 };

/* "@name": without a file, in the network namespace. */
static int connect_abstract(const char *name, int *ret_fd, struct error *err)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        size_t n = strlen(name);

        if (n >= sizeof(address.sun_path))
                return error_set(err, -ENAMETOOLONG,
                                 "name of an abstract socket has %zu bytes, not up to %zu", n,
                                 sizeof(address.sun_path) - 1);
        memcpy(address.sun_path + 1, name, n);
        cleanup_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0 || connect(fd, (const struct sockaddr *)&address,
                              (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + n)) < 0)
                return error_errno(err, errno, "abstract socket");
        *ret_fd = take_fd(&fd);
        return 0;
}

static int connect_agent(const char *path, int *ret_fd, struct error *err)
{
        cleanup_fd int folder = -1;
        const char *name;

        if (path[0] == '@')
                return connect_abstract(path + 1, ret_fd, err);
        int r = path_open_parent(AT_FDCWD, path, &folder, &name, err);
        return r < 0 ? r : unix_socket_connect_wait(folder, name, CONNECT_TIMEOUT_MS, ret_fd, err);
}

/* The descriptor goes with the first byte; the rest may need more calls. */
static int send_with_fd(int socket, const char *text, size_t n, int fd)
{
        for (size_t at = 0; at < n;) {
                struct iovec rest = {.iov_base = (void *)(uintptr_t)(text + at), .iov_len = n - at};
                ssize_t sent = fd_send(socket, &rest, 1, at == 0 ? fd : -1);
                if (sent < 0)
                        return (int)sent;
                at += (size_t)sent;
        }
        return 0;
}

static char *process_state(const struct spec_seccomp *seccomp, pid_t pid, const char *state)
{
        json_t *inner = json_loads(state, 0, NULL);
        json_t *object =
                json_pack("{s:s, s:[s], s:i, s:s*, s:o}", "ociVersion", state_version, "fds", "seccompFd",
                          "pid", (int)pid, "metadata", seccomp->listener_metadata, "state", inner);
        char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;

        json_decref(object);
        return text;
}

int seccomp_send_listener(const struct spec_seccomp *seccomp, int listener, pid_t pid, const char *state,
                          struct error *err)
{
        cleanup_fd int socket = -1;

        if (!seccomp->listener_path || !*seccomp->listener_path)
                return error_set(err, -EINVAL, "seccomp: listenerPath is not set");
        cleanup_free char *text = process_state(seccomp, pid, state);
        if (!text)
                return error_oom(err);
        int r = connect_agent(seccomp->listener_path, &socket, err);
        if (r < 0) {
                error_wrap(err, "failed to connect with seccomp agent at %s", seccomp->listener_path);
                error_hint(err, "the agent of listenerPath must listen before the container is made");
                return r;
        }
        r = send_with_fd(socket, text, strlen(text), listener);
        return r < 0 ? error_errno(err, -r, "send the seccomp listener to %s", seccomp->listener_path) : 0;
}
