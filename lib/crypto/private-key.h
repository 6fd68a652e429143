/* SPDX-License-Identifier: Apache-2.0 */
/*
 * private-key.h - the private half of a certificate: loaded from PEM, used for signing, wiped when released.
 */
#pragma once

#include "lib/crypto/certificate.h"

/* The private key in a PEM text: "PRIVATE KEY" (PKCS #8) or "EC PRIVATE KEY" (SEC 1).  -EBADMSG where there
 * is none, -ENOTSUP where it is encrypted (nobody is asked for a passphrase) or on none of our curves. */
int private_key_parse(struct view pem, struct private_key **ret_key, struct error *err);

/* As private_key_parse() from a file of at most PEM_FILE_MAX bytes; the copy in memory is wiped.  The error
 * names `path`.  The file's mode is the owner's business. */
int private_key_read(int dirfd, const char *path, struct private_key **ret_key, struct error *err);

/* Wipes and releases it. NULL-safe. */
void private_key_free(struct private_key *key);
DEFINE_CLEANUP(cleanup_private_key_p, struct private_key *, private_key_free)
#define cleanup_private_key CLEANUP(cleanup_private_key_p)

/* The key's curve. */
const struct curve *private_key_curve(const struct private_key *key);

/* 0 where the certificate is this key's, else -EKEYREJECTED. */
int private_key_match(const struct private_key *key, const struct certificate *certificate,
                      struct error *err);

/* ECDSA over `message` with the curve's hash, as r and s one after the other, each coordinate_size bytes (RFC
 * 9053, section 2.1), appended to ret_signature.  Deterministic (RFC 6979): the same key and message give the
 * same signature. */
int private_key_sign(const struct private_key *key, struct view message, struct buf *ret_signature,
                     struct error *err);
