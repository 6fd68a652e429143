/* SPDX-License-Identifier: Apache-2.0 */
/*  nitro-heartbeat.h - waiting for an enclave's heartbeat on the parent's vsock port 9000
 * (guest-protocol.h), which is one for all enclaves of a machine.
 *
 * Whoever waits shares the listening socket with all others of the same user (and root) that wait,
 * whichever process they are; each answers whatever enclave comes, and tells the one who waits for it.  So
 * many enclaves can start at once, and the port is free again when none does.  Another program that has it,
 * as nitro-cli while it starts an enclave, is waited for.
 *
 * Made in one place and begun in another: all sockets are made by nitro_heartbeat_new(), which so may be
 * called before a process enters a network namespace and a seccomp filter that has no AF_VSOCK.
 */
#pragma once

#include "lib/base/cleanup.h"
#include "lib/base/error.h"

#include <stdint.h>

struct nitro_heartbeat;

/* Has the sockets, and listens to nothing yet. *ret_heartbeat is freed with nitro_heartbeat_free(). */
int nitro_heartbeat_new(struct nitro_heartbeat **ret_heartbeat, struct error *err);

/* NULL-safe. */
void nitro_heartbeat_free(struct nitro_heartbeat *heartbeat);
DEFINE_CLEANUP(cleanup_nitro_heartbeat_p, struct nitro_heartbeat *, nitro_heartbeat_free)
#define cleanup_nitro_heartbeat CLEANUP(cleanup_nitro_heartbeat_p)

/* Takes part in listening, and waits for the enclave with this CID, which boots next; once for an object.
 * A stranger who has the port is waited for, up to `timeout_ms`.  From here on nitro_heartbeat_service() is
 * to be called without much delay, for others may depend on it.  -EADDRINUSE: a stranger, or somebody has
 * the CID already. */
int nitro_heartbeat_begin(struct nitro_heartbeat *heartbeat, uint32_t cid, int timeout_ms, struct error *err);

/* Readable when nitro_heartbeat_service() has something to do.  Belongs to the object. */
int nitro_heartbeat_fd(const struct nitro_heartbeat *heartbeat);

/* Does what there is to do, without blocking.  1: the enclave's heartbeat came; 0: not yet; -errno. */
int nitro_heartbeat_service(struct nitro_heartbeat *heartbeat);
