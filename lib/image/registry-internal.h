/* SPDX-License-Identifier: Apache-2.0 */
/*
 * registry-internal.h - what registry.c (the source), registry-get.c (requests and their retries) and
 * registry-token.c (authentication) share.
 */
#pragma once

#include "lib/image/fetch.h"
#include "lib/image/http-trust.h"
#include "lib/image/http.h"
#include "lib/image/registry-auth.h"
#include "lib/image/retry.h"

#include <pthread.h>

struct registry_source {
        struct image_source base;
        const struct image_options *options;
        char *host; /* where the API is */
        char *domain;
        char *path;
        const char *scheme; /* "https" or "http", once the first request has found out */
        struct http_trust trust;
        char *cert_host; /* "host:port", to which alone our certificate is shown */
        pthread_mutex_t lock;
        /* Under the lock. */
        char *authorization;                           /* NULL until asked for */
        unsigned generation;                           /* counts the values of it */
        struct http_client *idle[FETCH_TRANSFERS_MAX]; /* each for one request at a time */
        size_t n_idle;
};

/* One GET below /v2/PATH/. */
struct registry_fetch {
        const char *suffix; /* "manifests/latest" */
        const char *accept;
        bool has_size;
        uint64_t size;
        image_sink_fn sink;
        void *user;
};

/* Does it: finds out how to talk, authenticates where asked to, resumes and tries again.  May be called from
 * several threads once one call has succeeded.  *ret_response is for http_response_done(); its members may be
 * NULL. */
int registry_get(struct registry_source *s, const struct registry_fetch *f,
                 struct http_response *ret_response, struct error *err);

/* After a failure that may pass, with `at` bytes of `what` there in all: says so and waits as retry.h has it;
 * true where another try is worth it.  Else `why`, the failure, gets to say so. */
bool registry_pause(struct registry_source *s, const char *what, struct retry *retry, uint64_t at,
                    uint32_t retry_after, struct error *why);

/* The error for a reply that is no success. */
int registry_status_fault(const struct registry_source *s, const struct http_response *response,
                          struct error *err);

/* The first message of a registry's or token server's reply, as " (message)", or "". */
void registry_reply_text(const struct http_response *response, char *ret_text, size_t size);

/* Does what a 401 asks for, unless another thread has done it since the request that was made with
 * s->authorization's `generation`. */
int registry_authenticate(struct registry_source *s, struct http_client *client,
                          const struct http_response *response, unsigned generation, struct error *err);
