/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/image/http-url.h"

#include "lib/base/text.h"
#include "lib/image/reference.h"

#include <curl/curl.h>
#include <string.h>
#include <strings.h>

/* What a URL is made of, for curl_free(); NULL where it is none. */
struct parts {
        char *scheme;
        char *host;
        char *port;
};

static void parts_done(struct parts *p)
{
        curl_free(p->scheme);
        curl_free(p->host);
        curl_free(p->port);
}

static bool take_apart(const char *url, struct parts *ret_parts)
{
        CURLU *u = curl_url();
        struct parts p = {0};
        bool good = u && curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK &&
                    curl_url_get(u, CURLUPART_SCHEME, &p.scheme, 0) == CURLUE_OK &&
                    curl_url_get(u, CURLUPART_HOST, &p.host, 0) == CURLUE_OK &&
                    curl_url_get(u, CURLUPART_PORT, &p.port, CURLU_DEFAULT_PORT) == CURLUE_OK;

        curl_url_cleanup(u);
        if (!good)
                parts_done(&p);
        *ret_parts = good ? p : (struct parts){0};
        return good;
}

static void lower(char *text)
{
        for (; *text; text++)
                *text = (char)(*text >= 'A' && *text <= 'Z' ? *text - 'A' + 'a' : *text);
}

char *http_url_origin(const char *url)
{
        CLEANUP(parts_done) struct parts p = {0};

        if (!take_apart(url, &p))
                return NULL;
        char *origin = string_printf("%s://%s:%s", p.scheme, p.host, p.port);
        if (origin)
                lower(origin);
        return origin;
}

bool http_url_is_local(const char *url)
{
        CLEANUP(parts_done) struct parts p = {0};

        return take_apart(url, &p) && reference_domain_is_loopback(p.host);
}

bool http_url_is_among(const char *url, const char *const *hosts)
{
        CLEANUP(parts_done) struct parts p = {0};

        if (!hosts || !take_apart(url, &p))
                return false;
        size_t n = strlen(p.host);
        for (; *hosts; hosts++) {
                if (strncasecmp(*hosts, p.host, n) != 0)
                        continue;
                const char *rest = *hosts + n;
                if (!*rest || (*rest == ':' && strcmp(rest + 1, p.port) == 0))
                        return true;
        }
        return false;
}

void http_url_show(const char *url, char ret_text[static HTTP_URL_SHOWN_MAX])
{
        const char *scheme = strstr(url, "://");
        size_t n_scheme = scheme ? (size_t)(scheme - url) + 3 : 0;
        const char *host = url + n_scheme;
        /* The last one: a password that holds one of its own is all hidden. */
        const char *at = memrchr(host, '@', strcspn(host, "/?#"));

        host = at ? at + 1 : host;
        char text[HTTP_URL_SHOWN_MAX];
        snprintf(text, sizeof(text), "%.*s%.*s", n_scheme < 16 ? (int)n_scheme : 16, url,
                 strcspn(host, "?#") < 300 ? (int)strcspn(host, "?#") : 300, host);
        text_printable(view_of_string(text), ret_text, HTTP_URL_SHOWN_MAX);
}
