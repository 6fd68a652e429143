/* SPDX-License-Identifier: Apache-2.0 */
/*
 * signing-key.h - the RSA-3072 key, exponent 3, that enclaves are signed with.  Wiped when released.
 */
#pragma once

#include "lib/base/buf.h"
#include "lib/sgx/sigstruct.h"

struct sgx_signing_key;

/* A fresh one; takes a second or so. */
int sgx_signing_key_generate(struct sgx_signing_key **ret_key, struct error *err);

/* The private key in a PEM text.  -EBADMSG where there is none, -ENOTSUP where it isn't RSA-3072 with
 * exponent 3, or is encrypted (nobody is asked for a passphrase). */
int sgx_signing_key_parse(struct view pem, struct sgx_signing_key **ret_key, struct error *err);

/* Appends it as PEM (PKCS #8), to a buffer that the caller wipes. */
int sgx_signing_key_pem(const struct sgx_signing_key *key, struct buf *pem, struct error *err);

/* Sets modulus, signature, Q1 and Q2 of s for its other fields. */
int sgx_signing_key_sign(const struct sgx_signing_key *key, struct sgx_sigstruct *s, struct error *err);

/* Wipes and releases it. NULL-safe. */
void sgx_signing_key_free(struct sgx_signing_key *key);
DEFINE_CLEANUP(cleanup_sgx_signing_key_p, struct sgx_signing_key *, sgx_signing_key_free)
#define cleanup_sgx_signing_key CLEANUP(cleanup_sgx_signing_key_p)
