/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/image/http-proxy.h"

#include "lib/base/text.h"
#include "lib/image/registry-auth.h"

#include <curl/curl.h>
#include <string.h>
#include <strings.h>

static const char *const https_variables[] = {"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", NULL};
static const char *const http_variables[] = {"http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", NULL};
static const char *const schemes[] = {"http", "https", "socks4", "socks4a", "socks5", "socks5h"};

void http_proxy_done(struct http_proxy *proxy)
{
        auth_wipe_string(proxy->url);
        free(proxy->shown);
        free(proxy->host);
        *proxy = (struct http_proxy){0};
}

/* The first variable that is set, even to nothing, which means "no proxy". */
static const char *find_variable(const char *const *names)
{
        while (*names && !getenv(*names))
                names++;
        return *names && *getenv(*names) ? *names : NULL;
}

static bool is_known(const char *scheme)
{
        for (size_t i = 0; i < ARRAY_SIZE(schemes); i++)
                if (strcasecmp(schemes[i], scheme) == 0)
                        return true;
        return false;
}

/* Takes the proxy's URL apart; "host:port" means http, as everywhere. */
static int parse(const char *value, struct http_proxy *p, struct error *err)
{
        CURLU *u = curl_url();
        char *scheme = NULL, *host = NULL, *port = NULL;
        bool good = u &&
                    curl_url_set(u, CURLUPART_URL, value, CURLU_DEFAULT_SCHEME | CURLU_NON_SUPPORT_SCHEME) ==
                            CURLUE_OK &&
                    curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
                    curl_url_get(u, CURLUPART_HOST, &host, 0) == CURLUE_OK;
        int r = 0;

        if (good)
                (void)curl_url_get(u, CURLUPART_PORT, &port, 0);
        if (!good || !*host)
                r = error_set(err, -EINVAL, "%s is no URL of a proxy; write http://HOST:PORT", p->variable);
        else if (!is_known(strstr(value, "://") ? scheme : "http"))
                r = error_set(err, -EINVAL, "%s names a proxy of kind \"%.20s\", which is not supported",
                              p->variable, scheme);
        if (r == 0) {
                p->url = strdup(value);
                p->host = strdup(host);
                p->shown = string_printf("%s://%s%s%s", strstr(value, "://") ? scheme : "http", host,
                                         port ? ":" : "", port ? port : "");
                if (!p->url || !p->host || !p->shown)
                        r = error_oom(err);
        }
        curl_free(scheme);
        curl_free(host);
        curl_free(port);
        curl_url_cleanup(u);
        return r;
}

int http_proxy_find(const char *url, struct http_proxy *ret_proxy, struct error *err)
{
        cleanup_http_proxy struct http_proxy p = {0};
        int r = 0;

        p.variable = find_variable(strncasecmp(url, "https:", 6) == 0 ? https_variables : http_variables);
        if (p.variable)
                r = parse(getenv(p.variable), &p, err);
        else if (!(p.url = strdup("")))
                r = error_oom(err);
        if (r < 0)
                return r;
        *ret_proxy = p;
        p = (struct http_proxy){0};
        return 0;
}
