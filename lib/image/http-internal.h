/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http-internal.h - what http.c (requests, redirects) and http-transfer.c (one exchange) share.
 */
#pragma once

#include "lib/image/http-proxy.h"
#include "lib/image/http.h"

#include <curl/curl.h>

struct http_client {
        CURLM *multi; /* keeps the connections */
        struct http_policy policy;
        char *unix_socket;
        char *ca_file;
        char *cert_file;
        char *key_file;
        char *cert_host;
};

/* One exchange: a request to one URL and its reply. */
struct transfer {
        struct http_client *client;
        const struct http_request *request;
        const char *url;
        bool send_authorization;
        CURL *easy;
        struct curl_slist *headers;
        char reason[CURL_ERROR_SIZE];
        struct http_proxy proxy;
        uint64_t *delivered;
        uint64_t drop;       /* body bytes that the sink has already */
        size_t header_bytes; /* of the reply */
        bool begun;          /* first body byte of a success was seen */
        int failed;          /* negative errno from a callback */
        struct error *err;
        struct buf body;
};

/* Makes the exchange. 0 where a reply came, whatever its status; else as http_do(). */
int transfer_run(struct transfer *t, struct error *err);

/* The value of response header `name`, or NULL; valid until the transfer ends. */
const char *transfer_header(const struct transfer *t, const char *name, size_t index);

/* The reply's status. */
long transfer_status(const struct transfer *t);

/* Ends it; wipes what was secret. Safe before transfer_run(). */
void transfer_done(struct transfer *t);
