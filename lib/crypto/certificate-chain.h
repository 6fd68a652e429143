/* SPDX-License-Identifier: Apache-2.0 */
/*
 * certificate-chain.h - certificates that vouch for each other up to a root whose key is known beforehand
 * (RFC 5280, section 6), and lists of those that were revoked.
 */
#pragma once

#include "lib/crypto/certificate.h"
#include "lib/crypto/raw-signature.h"

enum { CERTIFICATE_CHAIN_MAX = 4, CERTIFICATE_CRLS_MAX = 4, CRL_FILE_MAX = 1024 * 1024 };

struct crl;

/* The leaf first, the root last. */
struct certificate_chain {
        struct certificate *certificate[CERTIFICATE_CHAIN_MAX];
        size_t n;
};

/* What a chain must hold against. */
struct certificate_trust {
        const uint8_t *root_key; /* P256_PAIR_SIZE bytes: the root's public key; NULL: the chain's own root */
        struct crl *const *crls; /* where there are any, each certificate's issuer needs one */
        size_t n_crls;
        int64_t now; /* seconds since 1970 */
};

/* The certificates of a PEM text of at most PEM_FILE_MAX bytes, and nothing else in it but white space and a
 * NUL at its end.  -EBADMSG. */
int certificate_chain_parse(struct view pem, struct certificate_chain *ret_chain, struct error *err);

/* Releases them. Safe on an empty chain. */
void certificate_chain_done(struct certificate_chain *chain);
#define cleanup_certificate_chain CLEANUP(certificate_chain_done)

/* 0 where the leaf's key may be believed: the root signed itself with the key that is expected, each
 * certificate signed the one before it and was allowed to, all are valid now and none is revoked.
 * -EKEYREJECTED with the certificate and the reason. */
int certificate_chain_verify(const struct certificate_chain *chain, const struct certificate_trust *trust,
                             struct error *err);

/* A certificate revocation list, in DER or PEM. -EBADMSG. */
int crl_parse(struct view bytes, struct crl **ret_crl, struct error *err);

/* Releases it. NULL-safe. */
void crl_free(struct crl *crl);
