/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ecdsa.h - ECDSA whose nonce comes from key and message (RFC 6979), so that signing the same bytes twice
 * gives the same signature and a signed image can be reproduced.
 *
 * OpenSSL draws the nonce at random before 3.2.  Only the nonce is made here, by RFC 6979 section 3.2 from
 * OpenSSL's HMAC; the signature itself is OpenSSL's own, which takes a nonce from outside for this purpose.
 */
#pragma once

#include "lib/base/error.h"
#include "lib/base/view.h"

#include <openssl/ec.h>
#include <openssl/evp.h>

/* Signs `digest`, made with `method`, with the EC key.  *ret_signature is for ECDSA_SIG_free(). -ENOMEM,
 * -EIO. */
int ecdsa_sign_digest(EVP_PKEY *pkey, const EVP_MD *method, struct view digest, ECDSA_SIG **ret_signature,
                      struct error *err);
