/* SPDX-License-Identifier: Apache-2.0 */
/*
 * registry.h - which enclaves there are: a folder per user, shared by clients and supervisors.
 *
 *     lock                       flock: held while entries come and go
 *     enclaves/<id>/lock         flock: held by the enclave's supervisor as long as it lives
 *     enclaves/<id>/state.json   state.h, replaced atomically
 *     enclaves/<id>/control.sock control.h
 *     enclaves/<id>/vsock.sock   the bridge to the enclave's vsock, where it is ours
 *     ended/<id>.json            how an enclave ended by itself, until its id is used again
 *     ended/<id>.console         its console (debug mode)
 *
 * An entry whose lock nobody holds is stale: its supervisor was killed.  Whoever meets it removes it, under
 * the registry's lock, and leaves a record.  A liveness check takes the entry's lock shared, so that two
 * checks at once don't take each other for a supervisor; entries vanish by rename, so that nobody sees half
 * of one.
 */
#pragma once

#include "lib/enclave/enclave.h"

#include "lib/base/buf.h"

#define REGISTRY_VSOCK_SOCKET "vsock.sock"

/* A live entry, held by its lock. */
struct registry_entry {
        uint32_t id;
        uint32_t cid;
        int dirfd;
        int lock_fd; /* the entry lives while any copy of this descriptor is open */
};

#define REGISTRY_ENTRY_NONE ((struct registry_entry){.dirfd = -1, .lock_fd = -1})

/* Closes the descriptors; the entry is then stale unless somebody else has a copy of lock_fd. */
void registry_entry_done(struct registry_entry *entry);
#define cleanup_registry_entry CLEANUP(registry_entry_done)

/* Asked for each CID that is free as far as the registry knows: 0 takes it, -EADDRINUSE passes on to the
 * next, any other error ends the reservation. */
typedef int (*registry_claim_fn)(uint32_t cid, void *user, struct error *err);

/* Makes an entry: the lowest free id, and the CID of `info` or, where that is 0, the lowest free one.
 * Completes info->id, ->cid and, where `bridged`, ->vsock_path, and publishes it.  `claim` may be NULL.
 * -EADDRINUSE (text says which enclave has the CID), -ENOSPC. */
int registry_reserve(struct enclaves *enclaves, struct enclave_info *info, bool bridged,
                     registry_claim_fn claim, void *user, struct registry_entry *ret_entry,
                     struct error *err);

/* Replaces an entry's state. */
int registry_publish(int entry_dirfd, const struct enclave_info *info, struct error *err);

/* Removes the live entry `id`, which must be the caller's.  Where `record` is not NULL it is kept, with
 * `console` (empty: none). */
int registry_retire(struct enclaves *enclaves, uint32_t id, const struct enclave_info *record,
                    struct view console, struct error *err);

/* Removes what is remembered of `id`. -ENOENT. */
int registry_forget(struct enclaves *enclaves, uint32_t id, struct error *err);

/* Reads one entry or record; *ret_dirfd is the entry's folder, for the caller to close, or -1 for a
 * record. */
int registry_find(struct enclaves *enclaves, uint32_t id, struct enclave_info *ret_info, int *ret_dirfd,
                  struct error *err);

/* True while somebody is responsible for the entry behind the descriptor and has not retired it. */
bool registry_entry_is_live(int entry_dirfd);

/* Opens what is remembered of the console of `id`. -ENOENT. */
int registry_open_console(struct enclaves *enclaves, uint32_t id, int *ret_fd, struct error *err);

/* The registry's folder, absolute. Belongs to `enclaves`. */
const char *registry_path(const struct enclaves *enclaves);
