/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unix-socket.h - Unix stream sockets named by (folder descriptor, name), so that the 108 bytes of
 * sockaddr_un limit only the name and never the folder's path: they are reached through
 * /proc/self/fd/<folder>/<name>.  path_open_parent() makes such a pair of a path.
 */
#pragma once

#include "lib/base/error.h"

/* The longest name, without NUL, that is sure to fit behind "/proc/self/fd/<n>/". */
enum { UNIX_SOCKET_NAME_MAX = 80 };

/* Listens on `name` (no slash) in `dirfd`, mode 0600.  A socket that lies there already is replaced; anything
 * else is -EADDRINUSE.  *ret_fd is non-blocking and close-on-exec.  Paths in errors are relative to the
 * folder. */
int unix_socket_listen(int dirfd, const char *name, int *ret_fd, struct error *err);

/* Connects to `name` in `dirfd` without ever blocking. *ret_fd is non-blocking and close-on-exec.  -ENOENT
 * and -ECONNREFUSED: nobody listens; -EAGAIN: the listener has too many connections waiting. */
int unix_socket_connect(int dirfd, const char *name, int *ret_fd, struct error *err);

/* As unix_socket_connect(), but waits up to `timeout_ms` (negative: for ever) for room in the listener's
 * backlog, and *ret_fd is blocking.  -EAGAIN where there was none. */
int unix_socket_connect_wait(int dirfd, const char *name, int timeout_ms, int *ret_fd, struct error *err);

/* Two connected sockets, non-blocking and close-on-exec. */
int unix_socket_pair(int ret_fds[2], struct error *err);
