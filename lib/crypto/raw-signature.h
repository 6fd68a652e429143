/* SPDX-License-Identifier: Apache-2.0 */
/*
 * raw-signature.h - ECDSA signatures as r and s one after the other, each as long as a coordinate of the
 * curve, and keys on P-256 as x and y likewise: the form of COSE (RFC 9053, section 2.1) and of Intel SGX'
 * quotes.
 */
#pragma once

#include "lib/base/buf.h"
#include "lib/base/error.h"
#include "lib/crypto/digest.h"

#include <openssl/evp.h>

/* Bytes of a coordinate on P-256, and of a signature or key there. */
enum { P256_COORDINATE_SIZE = 32, P256_PAIR_SIZE = 64 };

/* Appends the signature of `message`, hashed by `algorithm`, by a key whose curve has coordinates of `half`
 * bytes.  Deterministic (ecdsa.h).  0, -EIO, -ENOMEM. */
int raw_sign(EVP_PKEY *pkey, enum hash_algorithm algorithm, struct view message, size_t half,
             struct buf *ret_signature, struct error *err);

/* Appends the signature that `der` is (SEQUENCE of two INTEGERs, as OpenSSL and most devices write it) in
 * our form. -EBADMSG where it is none, or is too large for coordinates of `half` bytes; -ENOMEM. */
int raw_of_der(struct view der, size_t half, struct buf *ret_signature, struct error *err);

/* 0 where the key made that signature of `message`; -EKEYREJECTED where not; -EIO, -ENOMEM. */
int raw_verify(EVP_PKEY *pkey, enum hash_algorithm algorithm, struct view message, struct view signature,
               struct error *err);

/* The public key on P-256 at x and y, for EVP_PKEY_free().  -EBADMSG where these are no point of it. */
int p256_public_key(struct view xy, EVP_PKEY **ret_pkey, struct error *err);

/* x and y of a public key; -ENOTSUP where it is none on P-256. */
int p256_point(const EVP_PKEY *pkey, uint8_t ret_xy[static P256_PAIR_SIZE], struct error *err);

/* The key pair on P-256 whose private scalar is what `secret`, of at least 48 random bytes (high byte first),
 * leaves over the order less one, plus one (FIPS 186-4, appendix B.4.1). */
int p256_key_pair(struct view secret, EVP_PKEY **ret_pkey, struct error *err);
