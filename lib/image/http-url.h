/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http-url.h - what rules and messages need to know of a URL.
 */
#pragma once

#include <stdbool.h>

enum { HTTP_URL_SHOWN_MAX = 320 };

/* "scheme://host:port" in lower case, the port always there, on the heap; NULL where it is no URL or without
 * memory. */
char *http_url_origin(const char *url);

/* True where the URL's host is this machine, so that no proxy and no TLS is needed to reach it. */
bool http_url_is_local(const char *url);

/* True where the URL's host is in `hosts` (NULL-terminated; or NULL): as HOST, which is any port of it, or as
 * HOST:PORT. */
bool http_url_is_among(const char *url, const char *const *hosts);

/* Writes what of a URL may be shown to ret_text: not its query, which may hold signatures and names of users,
 * and no password. */
void http_url_show(const char *url, char ret_text[static HTTP_URL_SHOWN_MAX]);
