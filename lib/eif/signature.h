/* SPDX-License-Identifier: Apache-2.0 */
/*
 * signature.h - the signature section: a certificate (PEM) and a COSE_Sign1 over the final PCR0.
 */
#pragma once

#include "lib/crypto/certificate.h"
#include "lib/eif/writer.h"

/* Certificates tolerated in one section; the first is the one that counts. */
enum { EIF_CERTIFICATES_MAX = 8 };

struct eif_signature {
        struct certificate *certificate; /* the first one */
        struct buf message;              /* its COSE_Sign1 */
        size_t n;                        /* how many entries the section has */
};

/* Appends the bytes that are hashed and signed for an image with this PCR0, by the certificate's key
 * wherever that is: the hash is that of the certificate's curve. */
int eif_signature_to_sign(const struct certificate *certificate, const struct digest *pcr0, struct buf *ret_b,
                          struct error *err);

/* Appends the section's payload: `signer` signs pcr0, or has a signature of it.  -EKEYREJECTED where that
 * doesn't verify under the certificate. */
int eif_signature_encode(const struct eif_signer *signer, const struct digest *pcr0, struct buf *ret_section,
                         struct error *err);

/* Decodes a section's payload; form only.  -EBADMSG with the reason.  Release with eif_signature_done(). */
int eif_signature_decode(struct view section, struct eif_signature *ret_signature, struct error *err);

/* Releases it. Safe on an empty struct. */
void eif_signature_done(struct eif_signature *signature);
#define cleanup_eif_signature CLEANUP(eif_signature_done)

/* 0 where the certificate's key signed exactly this PCR0 and the certificate is valid at `now` (seconds since
 * 1970). -EBADMSG, -EKEYREJECTED or -EKEYEXPIRED with the reason otherwise. */
int eif_signature_verify(const struct eif_signature *signature, const struct digest *pcr0, int64_t now,
                         struct error *err);

/* All of it for a measured file: decode, verify.  -ENODATA where the file isn't signed. */
int eif_verify_signature(const struct eif_measured *measured, int64_t now, struct error *err);

/* PCR8: what a verifier sees of the signing certificate. 0 or -ENOMEM. */
int eif_pcr8(const struct certificate *certificate, struct digest *ret_pcr8);
