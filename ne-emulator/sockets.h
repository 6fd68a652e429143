/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sockets.h - AF_VSOCK for the command, joined to the enclaves; the kernel's own vsock plays no part in it.
 *
 *     connect to an enclave's CID         a port in that enclave
 *     connect to CID 0, port CID + 10000  that enclave's console (debug mode)
 *     connect to CID 1, 2 or 3            the command's own listening sockets: all mean the parent
 *     bind to CID 1, 2, 3 or any          a port of the parent's, for enclaves and the command
 *
 * To the kernel they are Unix stream sockets: so read, write, poll, close, options and passing them on are
 * the kernel's own.  Stream sockets only.
 */
#pragma once

#include "ne-emulator/enclaves.h"

struct socket_set;

/* None yet. `enclaves` must outlive it, and starts none before the first socket_set_join(). */
int socket_set_new(struct loop *loop, struct enclave_set *enclaves, const struct log *log,
                   struct socket_set **ret_set, struct error *err);

/* Forgets all; what is connected goes on as long as the enclaves do. NULL-safe. */
void socket_set_free(struct socket_set *set);
DEFINE_CLEANUP(cleanup_socket_set_p, struct socket_set *, socket_set_free)
#define cleanup_socket_set CLEANUP(cleanup_socket_set_p)

/* From now on the enclave behind `device` reaches the sockets that listen, now and later. */
void socket_set_join(struct socket_set *set, struct vsock_device *device);

/* Answers socket(AF_VSOCK). */
void socket_set_create(struct socket_set *set, const struct call *call);

/* Answers a call on a socket, now or later, or hands it to the kernel where the socket is another one. */
void socket_set_call(struct socket_set *set, const struct call *call);
