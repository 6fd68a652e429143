/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fd.h - file descriptors: ownership, and reads and writes that do all or fail.
 */
#pragma once

#include "lib/base/cleanup.h"

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/* Closes *fd unless negative, keeping errno, and leaves -1. */
void fd_close_p(int *fd);
#define cleanup_fd CLEANUP(fd_close_p)

/* The value of *fd, which becomes -1: ownership leaves the scope. */
int take_fd(int *fd);

/* Reads exactly n bytes.  0, or -errno; -ENODATA where the end came first. */
int fd_read_full(int fd, void *p, size_t n);

/* Reads exactly n bytes from offset. 0, or -errno; -ENODATA where the file ends first. */
int fd_pread_full(int fd, void *p, size_t n, uint64_t offset);

/* Writes all n bytes (SIGPIPE is the caller's business). 0 or -errno. */
int fd_write_full(int fd, const void *p, size_t n);

/* Writes all n bytes at offset. 0 or -errno. */
int fd_pwrite_full(int fd, const void *p, size_t n, uint64_t offset);

/* Sends one message on a socket, with descriptor `fd` (-1: none) beside it for the receiver to own a copy of.
 * The bytes that were sent, or -errno; never SIGPIPE. */
ssize_t fd_send(int socket, const struct iovec *parts, size_t n_parts, int fd);

/* Asks the kernel to begin writing that part of a file to its disk, so that a later fsync() has less to wait
 * for.  Promises nothing, and fails silently. */
void fd_begin_writeback(int fd, uint64_t offset, uint64_t n);

/* Switches O_NONBLOCK on. 0 or -errno. */
int fd_set_nonblocking(int fd);

/* Makes the close of a TCP socket a reset, so that the peer does not take what it got for the whole.  Does
 * nothing to other descriptors, and to a negative one. */
void fd_reset_on_close(int fd);
