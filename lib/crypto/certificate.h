/* SPDX-License-Identifier: Apache-2.0 */
/*
 * certificate.h - X.509 certificates and the private keys that go with them, from PEM (RFC 7468).
 *
 * Only elliptic-curve keys on P-256, P-384 and P-521 pass: they are what COSE signs with here (cose.h).
 */
#pragma once

#include "lib/base/buf.h"
#include "lib/base/cleanup.h"
#include "lib/base/error.h"
#include "lib/crypto/digest.h"

#include <stdint.h>

struct certificate;
struct private_key;

enum {
        PEM_FILE_MAX = 64 * 1024,                              /* bytes of a certificate or key file */
        CERTIFICATE_TIME_MAX = sizeof("9999-12-31T23:59:59Z"), /* what X.509 can say */
};

/* A curve, and what follows from it: the ECDSA hash and the COSE algorithm (RFC 9053, section 2.1). */
struct curve {
        const char *name;         /* "P-256" */
        const char *openssl_name; /* "prime256v1" */
        enum hash_algorithm hash;
        int cose_algorithm;     /* -7 ES256, -35 ES384, -36 ES512 */
        size_t coordinate_size; /* bytes of r and of s: 32, 48 or 66 */
};

/* One attribute of a name, in the certificate's order: "commonName" (OpenSSL's long name, or a dotted number)
 * and its value as UTF-8.  Both belong to the array. */
struct name_field {
        char *name;
        char *value;
};

struct name_fields {
        struct name_field *field;
        size_t n;
};

struct certificate_info {
        struct name_fields issuer;
        struct name_fields subject;
        char not_before[CERTIFICATE_TIME_MAX]; /* "2026-11-20T16:08:42Z" */
        char not_after[CERTIFICATE_TIME_MAX];
        const char *signature_algorithm; /* it was signed with, "ecdsa-with-SHA384"; belongs to OpenSSL */
        struct view signature;           /* belongs to the certificate */
};

/* The first certificate of a PEM text (others are ignored).  -EBADMSG where there is none or it can't be
 * decoded, -ENOTSUP where its key is on none of our curves. */
int certificate_parse(struct view pem, struct certificate **ret_certificate, struct error *err);

/* As certificate_parse() from a file of at most PEM_FILE_MAX bytes; the error names `path`. */
int certificate_read(int dirfd, const char *path, struct certificate **ret_certificate, struct error *err);

/* Releases it. NULL-safe. */
void certificate_free(struct certificate *certificate);
DEFINE_CLEANUP(cleanup_certificate_p, struct certificate *, certificate_free)
#define cleanup_certificate CLEANUP(cleanup_certificate_p)

/* The certificate as DER, and as PEM of this one certificate alone.  Both belong to it. */
struct view certificate_der(const struct certificate *certificate);
struct view certificate_pem(const struct certificate *certificate);

/* The curve of its key. */
const struct curve *certificate_curve(const struct certificate *certificate);

/* Whether it is valid at `now` (seconds since 1970, UTC): 0, or -EKEYEXPIRED after notAfter and -EKEYREJECTED
 * before notBefore, with both moments in the text. */
int certificate_check_time(const struct certificate *certificate, int64_t now, struct error *err);

/* The value of the extension with this dotted number, which belongs to the certificate.  -ENOENT where it has
 * none, -EBADMSG where it has two. */
int certificate_extension(const struct certificate *certificate, const char *oid, struct view *ret_value,
                          struct error *err);

/* What a person wants to know of it.  0, -ENOMEM or -EBADMSG; release with certificate_info_done(). */
int certificate_info_init(struct certificate_info *ret_info, const struct certificate *certificate,
                          struct error *err);

/* Releases what init took. Safe on an empty struct. */
void certificate_info_done(struct certificate_info *info);
#define cleanup_certificate_info CLEANUP(certificate_info_done)
