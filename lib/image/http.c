/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation.  http_do() makes one exchange after the other (http-transfer.c) until a reply is no
 * redirect.  Where a redirect may lead, and what it takes along, is decided here.
 */
#include "lib/image/http-head.h"
#include "lib/image/http-internal.h"
#include "lib/image/http-url.h"

#include "lib/base/text.h"

#include <string.h>
#include <strings.h>
#include <time.h>

enum { REDIRECTS_MAX = 5, CHALLENGES_MAX = 16384 };

static int copy_option(const char *value, char **ret_copy)
{
        *ret_copy = value ? strdup(value) : NULL;
        return value && !*ret_copy ? -ENOMEM : 0;
}

int http_client_new(const struct http_policy *policy, struct http_client **ret_client, struct error *err)
{
        cleanup_http_client struct http_client *client = calloc(1, sizeof(*client));

        if (!client)
                return error_oom(err);
        client->policy = *policy; /* its strings are copied below */
        if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
                return error_set(err, -ENOMEM, "cannot set up libcurl");
        client->multi = curl_multi_init();
        if (!client->multi || copy_option(policy->unix_socket, &client->unix_socket) < 0 ||
            copy_option(policy->ca_file, &client->ca_file) < 0 ||
            copy_option(policy->cert_file, &client->cert_file) < 0 ||
            copy_option(policy->key_file, &client->key_file) < 0 ||
            copy_option(policy->cert_host, &client->cert_host) < 0)
                return error_oom(err);
        *ret_client = take_pointer(&client);
        return 0;
}

void http_client_free(struct http_client *client)
{
        if (!client)
                return;
        curl_multi_cleanup(client->multi);
        free(client->unix_socket);
        free(client->ca_file);
        free(client->cert_file);
        free(client->key_file);
        free(client->cert_host);
        free(client);
}

/* As far as it is printable: messages show these. */
static int copy_header(const struct transfer *t, const char *name, char **ret_copy)
{
        const char *value = transfer_header(t, name, 0);
        struct view v = view_of_string(value ? value : "");

        *ret_copy = malloc(v.n + 1);
        if (!*ret_copy)
                return -ENOMEM;
        text_printable(v, *ret_copy, v.n + 1);
        return 0;
}

/* Where the reply is from, if not from where it was asked. */
static int note_origin(const struct transfer *t, struct http_response *r)
{
        char shown[HTTP_URL_SHOWN_MAX];

        if (strcmp(t->url, t->request->url) != 0) {
                http_url_show(t->url, shown);
                r->redirected = strdup(shown);
                if (!r->redirected)
                        return -ENOMEM;
        }
        if (r->status != 407 || !t->proxy.shown)
                return 0;
        r->proxy = string_printf("%s (%s)", t->proxy.shown, t->proxy.variable);
        return r->proxy ? 0 : -ENOMEM;
}

static int fill_response(struct transfer *t, struct http_response *r, struct error *err)
{
        cleanup_buf struct buf challenges = buf_with_max(CHALLENGES_MAX);
        const char *retry_after = transfer_header(t, "Retry-After", 0);
        const char *value;

        r->status = transfer_status(t);
        if (retry_after && !http_retry_after_parse(retry_after, (int64_t)time(NULL), &r->retry_after))
                r->retry_after = 0;
        /* Another origin's challenge must not decide where our credentials go. */
        for (size_t i = 0; t->send_authorization && (value = transfer_header(t, "WWW-Authenticate", i)); i++)
                if (buf_printf(&challenges, "%s\n", value) < 0)
                        return error_set(err, -EBADMSG, "its WWW-Authenticate headers are too long");
        r->challenges = strdup(buf_string(&challenges));
        if (!r->challenges || copy_header(t, "Content-Type", &r->content_type) < 0 ||
            copy_header(t, "Docker-Content-Digest", &r->digest) < 0 || note_origin(t, r) < 0)
                return error_oom(err);
        r->body = t->body;
        t->body = buf_with_max(0);
        return 0;
}

static int check_scheme(const struct http_client *client, const char *url, struct error *err)
{
        char shown[HTTP_URL_SHOWN_MAX];

        http_url_show(url, shown);
        if (strncasecmp(url, "https://", 8) == 0)
                return 0;
        if (strncasecmp(url, "http://", 7) != 0)
                return error_set(err, -EPERM, "%s: neither http nor https", shown);
        if (client->policy.allow_plain || client->unix_socket || http_url_is_local(url) ||
            http_url_is_among(url, client->policy.insecure))
                return 0;
        return error_set(err, -EPERM,
                         "%s: plain http is refused except with this machine and hosts named as insecure",
                         shown);
}

/* Where a redirect leads to, checked; *ret_url is NULL where the reply is none. */
static int next_hop(struct transfer *t, char **ret_url, bool *send_authorization, struct error *err)
{
        long status = transfer_status(t);
        char *target = NULL;
        char shown[HTTP_URL_SHOWN_MAX];

        curl_easy_getinfo(t->easy, CURLINFO_REDIRECT_URL, &target);
        if (status < 300 || status > 399 || !target) {
                *ret_url = NULL;
                return 0;
        }
        http_url_show(target, shown);
        if (t->request->form)
                return error_set(err, -EPERM, "redirects a request that holds credentials to %s", shown);
        if (strncasecmp(t->url, "https://", 8) == 0 && strncasecmp(target, "https://", 8) != 0)
                return error_set(err, -EPERM, "redirects from https to %s, which is not protected", shown);
        int r = check_scheme(t->client, target, err);
        if (r < 0) {
                error_wrap(err, "redirects to");
                return r;
        }
        cleanup_free char *from = http_url_origin(t->url), *to = http_url_origin(target);
        if (!from || !to || strcmp(from, to) != 0)
                *send_authorization = false;
        *ret_url = strdup(target);
        return *ret_url ? 0 : error_oom(err);
}

/* One exchange. *ret_next is the redirect's target, or NULL where *ret_response is the reply. */
static int do_one(struct http_client *client, const struct http_request *request, const char *url,
                  bool *send_authorization, uint64_t *delivered, char **ret_next,
                  struct http_response *ret_response, struct error *err)
{
        CLEANUP(transfer_done)
        struct transfer t = {
                .client = client,
                .request = request,
                .url = url,
                .send_authorization = *send_authorization,
                .delivered = delivered,
                .err = err,
                .body = buf_with_max(HTTP_ERROR_BODY_MAX),
        };
        char shown[HTTP_URL_SHOWN_MAX];
        int r = transfer_run(&t, err);

        http_url_show(url, shown);
        if (r == 0)
                r = next_hop(&t, ret_next, send_authorization, err);
        if (r < 0 && strcmp(url, request->url) != 0)
                error_wrap(err, "%s, where it redirects to", shown);
        if (r < 0 || *ret_next)
                return r;
        log_debug(client->policy.log, "%s %s", request->form ? "POST" : "GET", shown);
        return fill_response(&t, ret_response, err);
}

/* A reply without a length can end early and still look whole. */
static int check_complete(const struct http_request *request, const struct http_response *response,
                          uint64_t delivered, struct error *err)
{
        if ((response->status != 200 && response->status != 206) || !request->has_size ||
            delivered >= request->size)
                return 0;
        return error_set(err, -ECONNRESET, "ends after %llu of %llu bytes", (unsigned long long)delivered,
                         (unsigned long long)request->size);
}

int http_do(struct http_client *client, const struct http_request *request, uint64_t *delivered,
            struct http_response *ret_response, struct error *err)
{
        cleanup_http_response struct http_response response = {0};
        cleanup_free char *url = strdup(request->url);
        bool send_authorization = true;
        int r = url ? check_scheme(client, url, err) : error_oom(err);

        for (int hops = 0; r == 0; hops++) {
                char *next = NULL;
                if (hops > REDIRECTS_MAX)
                        return error_set(err, -EPERM, "redirects more than %d times", REDIRECTS_MAX);
                r = do_one(client, request, url, &send_authorization, delivered, &next, &response, err);
                if (r == 0 && !next)
                        break;
                free(url);
                url = next;
        }
        if (r == 0)
                r = check_complete(request, &response, *delivered, err);
        if (r < 0)
                return r;
        *ret_response = response;
        response = (struct http_response){0};
        return 0;
}

bool http_is_transient(int r, const struct http_response *response)
{
        if (r < 0)
                return r == -ECONNRESET || r == -ETIMEDOUT || r == -EHOSTDOWN;
        return response->status == 408 || response->status == 429 || response->status == 500 ||
               response->status == 502 || response->status == 503 || response->status == 504;
}

void http_response_done(struct http_response *response)
{
        free(response->content_type);
        free(response->digest);
        free(response->challenges);
        free(response->redirected);
        free(response->proxy);
        buf_done(&response->body);
        *response = (struct http_response){0};
}

char *http_escape(const char *text)
{
        char *escaped = curl_easy_escape(NULL, text, 0);
        char *copy = escaped ? strdup(escaped) : NULL;

        curl_free(escaped);
        return copy;
}
