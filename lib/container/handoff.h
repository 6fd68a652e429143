/* SPDX-License-Identifier: Apache-2.0 */
/*
 * handoff.h - what an engine wants to be told of a process that was started for it: its pid in a file, a
 * pidfd, a socket for its terminal, and the descriptors it inherits.
 */
#pragma once

#include "lib/base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Writes the pid to `path`, in one atomic step. */
int handoff_pid_file(const char *path, pid_t pid, struct error *err);

/* Connects to the Unix stream socket at `path`, however long; *ret_fd is blocking and the caller's. */
int handoff_connect(const char *path, int *ret_fd, struct error *err);

/* Sends a pidfd of our child `pid` to the Unix stream socket at `path`. */
int handoff_pidfd(const char *path, pid_t pid, struct error *err);

/* Counts the descriptors from 3 on that the payload inherits: those of socket activation (LISTEN_FDS, where
 * LISTEN_PID is us), which *ret_listen has, then `preserve` more.  -EBADF where one of them isn't open. */
int handoff_inherited(size_t preserve, size_t *ret_listen, size_t *ret_all, struct error *err);
