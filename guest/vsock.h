/* SPDX-License-Identifier: Apache-2.0 */
/* vsock.h - AF_VSOCK as a guest uses it. */
#pragma once

#include <stdint.h>

/* This machine's CID into *ret_cid. -ENODEV where it has none: no driver, or no device. */
int vsock_own_cid(uint32_t *ret_cid);

/* Connects to cid:port, waiting for `milliseconds` at most. *ret_fd is the caller's, non-blocking. 0 or
 * -errno. */
int vsock_connect(uint32_t cid, uint32_t port, int milliseconds, int *ret_fd);

/* Listens on `port` for whatever CID connects. *ret_fd is the caller's, non-blocking. 0 or -errno. */
int vsock_listen(uint32_t port, int *ret_fd);
