/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http.h - one HTTP request at a time, on libcurl: over TLS, plainly, or through a Unix socket.
 *
 * Redirects are followed here and not by libcurl, by these rules: at most five; never from https to http;
 * plain http only to this machine and to hosts named as insecure; and once another origin (scheme, host,
 * port) was entered, no Authorization is sent any more.  A transfer that stalls, or drips in more slowly than
 * HTTP_FLOOR, ends with -ETIMEDOUT, however long it ran before.
 *
 * Proxies are those that the environment names (http-proxy.h), but never for this machine.
 */
#pragma once

#include "lib/base/buf.h"
#include "lib/base/log.h"
#include "lib/image/source.h"

struct http_client;

enum {
        HTTP_ERROR_BODY_MAX = 64 * 1024, /* kept of the body of a reply that is no success */
        HTTP_HEADERS_MAX = 256 * 1024,   /* bytes of all headers of a reply */
        HTTP_FLOOR = 1024,               /* bytes a second, over stall_seconds */
};

/* How a client behaves.  Single strings are copied; `insecure`, `authorities`, `stop` and `log` must outlive
 * it.  All zero: https only, checked against the system's certificates. */
struct http_policy {
        bool allow_plain; /* plain http with any host */
        const char *const
                *insecure; /* NULL, or HOST and HOST:PORT, NULL-terminated: plain http is allowed, and
                                        certificates are not checked, with these */
        const char *unix_socket;
        const char *ca_file;     /* in place of the system's certificates */
        struct view authorities; /* the same as text; empty: none */
        const char *cert_file;   /* ours, with its key */
        const char *key_file;
        const char *cert_host;   /* "host:port" that gets it; NULL: every host */
        unsigned stall_seconds;  /* 0: 60 */
        const atomic_bool *stop; /* once it is true, requests end with -ECANCELED; or NULL */
        const struct log *log;
};

struct http_request {
        const char *url;
        const char *accept;        /* value of Accept, or NULL */
        const char *authorization; /* value of Authorization, or NULL */
        const char *form;          /* NULL: GET; else POST of this form; redirects are then refused */
        uint64_t skip;             /* the sink has this many bytes already: only the rest is given to it */
        bool whole;                /* asks for all the same, for servers that cannot give parts */
        bool has_size;             /* the body must be `size` bytes long */
        uint64_t size;
        image_sink_fn sink; /* gets the body of a success */
        void *user;
};

/* What came back; for http_response_done(). */
struct http_response {
        long status;
        char *content_type; /* "" where absent */
        char *digest;       /* Docker-Content-Digest, "" where absent */
        char *challenges;   /* values of WWW-Authenticate, one per line; "" from another origin than asked */
        uint32_t retry_after; /* seconds, 0 where absent */
        char *redirected;     /* where the reply is from, without query; NULL: from where it was asked */
        char *proxy;          /* where the status is a proxy's (407): which; else NULL */
        struct buf body;      /* of a reply that is no success; cut at HTTP_ERROR_BODY_MAX */
};

/* A client; keeps connections open between requests. For http_client_free(). */
int http_client_new(const struct http_policy *policy, struct http_client **ret_client, struct error *err);

/* Frees it. NULL-safe. */
void http_client_free(struct http_client *client);
DEFINE_CLEANUP(cleanup_http_client_p, struct http_client *, http_client_free)
#define cleanup_http_client CLEANUP(cleanup_http_client_p)

/* Does one request.  0 where a reply came, whatever its status; else the sink's error, -EHOSTDOWN (no
 * connection), -EPROTO (TLS cannot begin: perhaps plain http is spoken there), -EKEYREJECTED (certificate),
 * -EPERM (forbidden redirect), -ECONNREFUSED (the proxy refuses), -EBADMSG (length or range not as asked),
 * -ETIMEDOUT, -ECONNRESET (cut off, also before has_size is reached), -ECANCELED.  `*delivered` counts up the
 * bytes that the sink took, from request->skip, also where it fails. */
int http_do(struct http_client *client, const struct http_request *request, uint64_t *delivered,
            struct http_response *ret_response, struct error *err);

/* True for the errors after which trying again may help. */
bool http_is_transient(int r, const struct http_response *response);

/* Frees the members. Safe on an all-zero struct. */
void http_response_done(struct http_response *response);
#define cleanup_http_response CLEANUP(http_response_done)

/* `text` percent-encoded for a query, on the heap; NULL when out of memory. */
char *http_escape(const char *text);
