/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hash-thread.h - a hash whose updates run on a thread of their own, some blocks behind the caller.
 *
 * The caller hands over a block and goes on with its other work, until HASH_THREAD_BLOCKS - 1 are in flight.
 * Several, and not one, so that on a machine with fewer processors than threads none of them waits for
 * another's turn to come.
 * The thread starts with the first block worth it; small updates, and all of them where no thread can be had,
 * run in the caller.  Either way the result is the same.
 */
#pragma once

#include "lib/crypto/hash.h"

/* Updates below this many bytes stay in the caller: handing over costs more than hashing them. */
enum { HASH_THREAD_MIN = 64 * 1024 };

/* Whoever fills so many buffers in turn never writes into one that is still to be hashed. */
enum { HASH_THREAD_BLOCKS = 8 };

struct hash_thread;

/* A running hash, to be released with hash_thread_free(). 0, -ENOMEM or -ENOTSUP. */
int hash_thread_new(enum hash_algorithm algorithm, struct hash_thread **ret_thread);

/* Ends the thread and releases it. NULL-safe. */
void hash_thread_free(struct hash_thread *thread);
DEFINE_CLEANUP(cleanup_hash_thread_p, struct hash_thread *, hash_thread_free)
#define cleanup_hash_thread CLEANUP(cleanup_hash_thread_p)

/* Takes n more bytes in, after what came before.  They must stay as they are until HASH_THREAD_BLOCKS - 1
 * further updates, or one hash_thread_wait(), have returned. */
void hash_thread_update(struct hash_thread *thread, const void *p, size_t n);

/* Waits until all bytes are in. */
void hash_thread_wait(struct hash_thread *thread);

/* Begins *ret_h with the state after all bytes so far. Errors as hash_copy(). */
int hash_thread_copy(struct hash_thread *thread, struct hash *ret_h);
