/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hash.h - streaming and one-shot SHA-2.
 *
 *     cleanup_hash struct hash h = HASH_NONE;
 *     int r = hash_init(&h, HASH_SHA256);
 *     hash_update(&h, p, n);           // as often as wanted
 *     r = hash_final(&h, &digest);
 *
 * Updates don't return anything: a failure (no memory, a provider that refuses) is kept and comes out of
 * hash_final(), so that a loop over chunks needs one check.
 */
#pragma once

#include "lib/base/cleanup.h"
#include "lib/crypto/digest.h"

struct evp_md_ctx_st;

struct hash {
        struct evp_md_ctx_st *context; /* NULL where not begun, or after hash_final() */
        enum hash_algorithm algorithm;
        int failed; /* 0 or the negative errno that hash_final() will return */
};

#define HASH_NONE ((struct hash){.context = NULL})

/* Begins.  *h must be HASH_NONE or done; it owns memory until hash_final() or hash_done().  0, -ENOMEM, or
 * -ENOTSUP where OpenSSL has no such algorithm.  A failed h stays usable: updates are dropped and
 * hash_final() fails. */
int hash_init(struct hash *h, enum hash_algorithm algorithm);

/* Begins *ret_h with the state that h has now: for two hashes with a common beginning.  Errors as
 * hash_init(). */
int hash_copy(const struct hash *h, struct hash *ret_h);

/* Takes n more bytes in. */
void hash_update(struct hash *h, const void *p, size_t n);

/* Ends and releases. 0, or the first error since hash_init(); *ret_digest is set on success only. */
int hash_final(struct hash *h, struct digest *ret_digest);

/* Releases without a result. Safe on HASH_NONE and after hash_final(). */
void hash_done(struct hash *h);
#define cleanup_hash CLEANUP(hash_done)

/* The hash of v in one step. 0, -ENOMEM or -ENOTSUP. */
int hash_view(enum hash_algorithm algorithm, struct view v, struct digest *ret_digest);
