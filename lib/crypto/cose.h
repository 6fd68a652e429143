/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cose.h - COSE_Sign1 (RFC 9052, section 4.2) with ES256, ES384 and ES512 (RFC 9053, section 2.1).
 */
#pragma once

#include "lib/crypto/private-key.h"

/* A decoded message. The views point into the message's bytes. */
struct cose_sign1 {
        struct view protected_header; /* the bytes that are signed, a CBOR map */
        int64_t algorithm;            /* from it: -7, -35, -36 or unknown to us */
        struct view payload;
        struct view signature;
};

/* Appends an untagged COSE_Sign1 of `payload`: protected header {1: algorithm by the key's curve}, no
 * unprotected header, no external data.  0 or a negative errno. */
int cose_sign1_sign(const struct private_key *key, struct view payload, struct buf *ret_message,
                    struct error *err);

/* Appends what a key on `curve` signs for such a message: the Sig_structure, to be hashed with the curve's
 * hash.  For keys that others keep. 0 or -ENOMEM. */
int cose_sign1_to_sign(const struct curve *curve, struct view payload, struct buf *ret_b, struct error *err);

/* Appends the message for a signature (r and s one after the other) that was made of cose_sign1_to_sign();
 * not verified here. 0 or -ENOMEM. */
int cose_sign1_assemble(const struct curve *curve, struct view payload, struct view signature,
                        struct buf *ret_message, struct error *err);

/* Decodes a message with or without tag 18.  Nothing but form is checked.  -EBADMSG with the reason: not such
 * an array, indefinite lengths, no algorithm, a critical header, a detached payload, bytes behind the end. */
int cose_sign1_decode(struct view message, struct cose_sign1 *ret_sign1, struct error *err);

/* 0 where the certificate's key signed it.  -EBADMSG where the algorithm doesn't go with the key's curve or
 * the signature has the wrong length, -EKEYREJECTED where it is simply not that key's signature. */
int cose_sign1_verify(const struct cose_sign1 *sign1, const struct certificate *certificate,
                      struct error *err);
