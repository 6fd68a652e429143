/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http-proxy.h - which proxy the environment names for a URL.
 *
 * For https HTTPS_PROXY, for http HTTP_PROXY, for both ALL_PROXY, each in lower case first; exceptions
 * (NO_PROXY) are libcurl's business.  A proxy's URL may hold a password, which no message shows.
 */
#pragma once

#include "lib/base/cleanup.h"
#include "lib/base/error.h"

struct http_proxy {
        const char *variable; /* the environment variable; NULL: there is no proxy */
        char *url;            /* with credentials, for libcurl; "" where there is none */
        char *shown;          /* "http://proxy:3128", for messages */
        char *host;
};

/* Finds the proxy for `url`; *ret_proxy is for http_proxy_done().  -EINVAL where the variable holds no URL of
 * a proxy that we can use (http, https, socks4, socks4a, socks5, socks5h). */
int http_proxy_find(const char *url, struct http_proxy *ret_proxy, struct error *err);

/* Wipes and frees the members. Safe on an all-zero struct. */
void http_proxy_done(struct http_proxy *proxy);
#define cleanup_http_proxy CLEANUP(http_proxy_done)
