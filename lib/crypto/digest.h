/* SPDX-License-Identifier: Apache-2.0 */
/*
 * digest.h - a hash value that knows its algorithm, and its text form "sha256:<hex>" (OCI image
 * specification, descriptor.md, "Digests").
 */
#pragma once

#include "lib/base/error.h"
#include "lib/base/view.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum hash_algorithm {
        HASH_SHA256,
        HASH_SHA384,
        HASH_SHA512,
};

enum {
        DIGEST_SIZE_MAX = 64,                         /* bytes of the longest hash */
        DIGEST_HEX_MAX = 2 * DIGEST_SIZE_MAX + 1,     /* its hex form, with NUL */
        DIGEST_TEXT_MAX = sizeof("sha512:") + 2 * 64, /* "<algorithm>:<hex>" with NUL */
};

/* `bytes` holds digest_size() bytes, the rest is 0.  All zero is a valid (SHA-256) value, not "unset". */
struct digest {
        enum hash_algorithm algorithm;
        uint8_t bytes[DIGEST_SIZE_MAX];
};

/* Bytes that a hash of this algorithm has: 32, 48 or 64. */
size_t digest_size(enum hash_algorithm algorithm);

/* "sha256", "sha384" or "sha512". */
const char *digest_algorithm_name(enum hash_algorithm algorithm);

/* Reads "<algorithm>:<lower-case hex>" and nothing around it.  -EBADMSG where it is anything else, -ENOTSUP
 * for an algorithm that is well-formed but none of ours; the error quotes the text. */
int digest_parse(struct view text, struct digest *ret_digest, struct error *err);

/* True where algorithm and bytes are the same.  Not for secrets: takes time that depends on the input. */
bool digest_equal(const struct digest *a, const struct digest *b);

/* Writes "<algorithm>:<hex>" and a NUL. */
void digest_format(const struct digest *d, char ret_text[static DIGEST_TEXT_MAX]);

/* Writes the hex alone and a NUL. */
void digest_hex(const struct digest *d, char ret_hex[static DIGEST_HEX_MAX]);

/* The bytes as a view into d. */
static inline struct view digest_view(const struct digest *d)
{
        return view_of(d->bytes, digest_size(d->algorithm));
}
