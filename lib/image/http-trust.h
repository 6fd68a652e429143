/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http-trust.h - the certificates for talking to a registry: whom to believe, and who we are.
 *
 * Authorities: the system's, or those in SSL_CERT_FILE in their place; beside them those of --ca-file and of
 * the registry's folder HOST[:PORT] (*.crt) in $XDG_CONFIG_HOME/containers/certs.d (or below ~/.config),
 * /etc/containers/certs.d and /etc/docker/certs.d, of which the first that is there counts.  A NAME.cert with
 * its NAME.key in that folder is our own certificate, for that registry alone.
 */
#pragma once

#include "lib/base/buf.h"
#include "lib/base/error.h"
#include "lib/base/log.h"

struct http_trust {
        struct buf authorities; /* PEM; empty: libcurl's own default will do */
        char *cert_file;        /* both or neither */
        char *key_file;
};

/* Finds them for the registry `domain` ("host:port"); `ca_file` may be NULL.  *ret_trust is for
 * http_trust_done().  The errors name the file: one that is missing, unreadable or holds no certificate, a
 * certificate without its key, or a folder with more than 254 names in it. */
int http_trust_find(const char *domain, const char *ca_file, const struct log *log,
                    struct http_trust *ret_trust, struct error *err);

/* Frees the members. Safe on an all-zero struct. */
void http_trust_done(struct http_trust *trust);
#define cleanup_http_trust CLEANUP(http_trust_done)
