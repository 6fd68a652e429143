/* SPDX-License-Identifier: Apache-2.0 */
/*
 * openssl-internal.h - what the files of lib/crypto share and nobody else sees: OpenSSL's own types.
 */
#pragma once

#include "lib/crypto/private-key.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

DEFINE_CLEANUP(cleanup_bio_p, BIO *, BIO_free_all)
#define cleanup_bio CLEANUP(cleanup_bio_p)

DEFINE_CLEANUP(cleanup_pkey_p, EVP_PKEY *, EVP_PKEY_free)
#define cleanup_pkey CLEANUP(cleanup_pkey_p)

DEFINE_CLEANUP(cleanup_pkey_ctx_p, EVP_PKEY_CTX *, EVP_PKEY_CTX_free)
#define cleanup_pkey_ctx CLEANUP(cleanup_pkey_ctx_p)

DEFINE_CLEANUP(cleanup_x509_p, X509 *, X509_free)
#define cleanup_x509 CLEANUP(cleanup_x509_p)

DEFINE_CLEANUP(cleanup_md_ctx_p, EVP_MD_CTX *, EVP_MD_CTX_free)
#define cleanup_md_ctx CLEANUP(cleanup_md_ctx_p)

/* The curve of an EVP key, or -ENOTSUP with what it is instead ("an RSA key"). */
int curve_of_pkey(const EVP_PKEY *pkey, const struct curve **ret_curve, struct error *err);

/* The EVP_MD of a hash. */
const EVP_MD *hash_method(enum hash_algorithm algorithm);

/* The certificate's public key, and the certificate itself; both belong to it. */
EVP_PKEY *certificate_pkey(const struct certificate *certificate);
X509 *certificate_x509(const struct certificate *certificate);

/* error_set() with OpenSSL's first reason behind the text, where it gives one; empties its error queue. */
int error_openssl(struct error *err, int code, const char *text);
