/* SPDX-License-Identifier: Apache-2.0 */
/*
 * registry-get.c - theory of operation
 *
 * The first request finds out how to talk: https, or for this machine and hosts named as insecure plain http
 * if TLS cannot begin there.  A 401 names what is wanted; the answer, a token or a password, is kept for the
 * following requests of all threads, and renewed where it has run out, in the middle of a blob too.
 *
 * A transfer that breaks is resumed from where the sink is, so that hashes and decompressor go on.  It always
 * begins at the registry again, never at the end of a redirect: such addresses run out.  The sink never sees
 * a byte twice.
 */
#include "lib/image/http-url.h"
#include "lib/image/registry-internal.h"

#include "lib/base/clock.h"
#include "lib/base/text.h"
#include "lib/format/strict-json.h"

#include <string.h>

enum {
        LONG_PAUSE_MS = 2000, /* from here on people want to know */
        NAP_MS = 50,          /* between two looks at whether to stop */
};

/* The first error of a registry's reply ({"errors": [{"code", "message"}]}), or "". */
void registry_reply_text(const struct http_response *response, char *ret_text, size_t size)
{
        cleanup_json json_t *root = NULL;
        const char *message = NULL;
        char shown[201]; /* a stranger's text, on its way to a terminal */

        ret_text[0] = '\0';
        if (strict_json_parse(buf_view(&response->body), HTTP_ERROR_BODY_MAX, &root, NULL) < 0)
                return;
        const json_t *first = json_array_get(json_object_get(root, "errors"), 0);
        message = json_string_value(json_object_get(first, "message"));
        if (!message)
                message = json_string_value(json_object_get(root, "details"));
        if (!message)
                return;
        text_printable(view_of_string(message), shown, sizeof(shown));
        snprintf(ret_text, size, " (%s)", shown);
}

static int denied_fault(const struct registry_source *s, const struct http_response *response,
                        const char *who, const char *text, struct error *err)
{
        error_set(err, -EACCES, "%s denies access%s", who, text);
        if (!response->redirected)
                error_hint(err, "%s",
                           s->authorization
                                   ? "the credentials may be wrong, or the image may not exist"
                                   : "it wants credentials; `docker login` or `skopeo login` stores them");
        return -EACCES;
}

int registry_status_fault(const struct registry_source *s, const struct http_response *response,
                          struct error *err)
{
        char text[256], who[HTTP_URL_SHOWN_MAX + 64] = "the registry";

        registry_reply_text(response, text, sizeof(text));
        if (response->redirected)
                snprintf(who, sizeof(who), "%s, where the registry redirects to,", response->redirected);
        if (response->proxy) {
                error_set(err, -EACCES, "the proxy %s denies access", response->proxy);
                error_hint(err, "it wants credentials, or other ones: http://USER:PASSWORD@HOST:PORT");
                return -EACCES;
        }
        if (response->status == 401 || response->status == 403)
                return denied_fault(s, response, who, text, err);
        if (response->status == 404)
                return error_set(err, -ENOENT, "%s has no such image or blob%s", who, text);
        if (response->status == 429)
                return error_set(err, -EAGAIN, "%s says: too many requests%s", who, text);
        return error_set(err, -EIO, "%s answers with status %ld%s", who, response->status, text);
}

/* Sleeps, but not longer than somebody wants an answer. */
static void nap(const struct registry_source *s, uint64_t ms)
{
        uint64_t end = clock_ms() + ms;

        while (clock_ms() < end && !image_source_is_stopped(&s->base)) {
                uint64_t left = end - clock_ms();
                clock_sleep_us((left < NAP_MS ? left : NAP_MS) * 1000);
        }
}

bool registry_pause(struct registry_source *s, const char *what, struct retry *retry, uint64_t at,
                    uint32_t retry_after, struct error *why)
{
        uint64_t ms;

        if (!retry_again(retry, at, retry_after, &ms)) {
                if (retry_after > RETRY_AFTER_MAX)
                        error_hint(why, "it asks to be left alone for %u s: try again then", retry_after);
                else
                        error_hint(why, "given up after %u tries", retry->failures);
                return false;
        }
        if (ms >= LONG_PAUSE_MS)
                log_warning(s->options->log, "%s: %s; trying again in %llu s", s->domain, error_text(why),
                            (unsigned long long)(ms + 500) / 1000);
        else
                log_debug(s->options->log, "%s: %s: %s; trying again in %llu ms", s->domain, what,
                          error_text(why), (unsigned long long)ms);
        nap(s, ms);
        return !image_source_is_stopped(&s->base);
}

/* The state of one registry_get(). */
struct getting {
        struct registry_source *s;
        const struct registry_fetch *f;
        struct http_client *client;
        struct retry retry;
        uint64_t at;         /* bytes that the sink has */
        bool whole;          /* the server cannot give parts */
        unsigned generation; /* of the authorization in the last request */
        bool authenticated;  /* already, in this call */
        uint64_t authenticated_at;
};

static int request_once(struct getting *g, const char *scheme, struct http_response *ret_response,
                        struct error *err)
{
        struct registry_source *s = g->s;
        const struct registry_fetch *f = g->f;
        cleanup_free char *url = string_printf("%s://%s/v2/%s/%s", scheme, s->host, s->path, f->suffix);

        pthread_mutex_lock(&s->lock);
        cleanup_secret char *authorization = s->authorization ? strdup(s->authorization) : NULL;
        bool lost = s->authorization && !authorization;
        g->generation = s->generation;
        pthread_mutex_unlock(&s->lock);
        if (!url || lost)
                return error_oom(err);
        const struct http_request request = {
                .url = url,
                .accept = f->accept,
                .authorization = authorization,
                .skip = g->at,
                .whole = g->whole,
                .has_size = f->has_size,
                .size = f->size,
                .sink = f->sink,
                .user = f->user,
        };
        return http_do(g->client, &request, &g->at, ret_response, err);
}

/* The first request of all finds the scheme. */
static int request_any_scheme(struct getting *g, struct http_response *ret_response, struct error *err)
{
        struct registry_source *s = g->s;

        if (s->scheme)
                return request_once(g, s->scheme, ret_response, err);
        int r = request_once(g, "https", ret_response, err);
        cleanup_free char *url = string_printf("https://%s/", s->host);
        cleanup_free char *plain_url = string_printf("http://%s/", s->host);
        const char *const *insecure = s->options->registries.insecure;
        bool may_be_plain = url && plain_url &&
                            (http_url_is_local(url) || http_url_is_among(url, insecure) ||
                             http_url_is_among(plain_url, insecure));
        if (may_be_plain && (r == -EPROTO || r == -EHOSTDOWN)) {
                log_debug(s->options->log, "%s does not speak TLS; trying plain http", s->host);
                r = request_once(g, "http", ret_response, err);
                if (r == 0)
                        s->scheme = "http";
        } else if (r == 0) {
                s->scheme = "https";
        } else if (r == -EPROTO) {
                error_hint(err, "it may speak plain http only; where that is as it should be, name it with "
                                "--insecure-registry");
        }
        if (r == -EKEYREJECTED)
                error_hint(err, "the registry's certificate is not trusted; SSL_CERT_FILE names other "
                                "authorities, --ca-file further ones");
        return r;
}

/* True where the 401 may be because what we had has run out, or was not there yet: not where we have just
 * authenticated, and it didn't help. */
static bool may_authenticate(const struct getting *g)
{
        return !g->authenticated || g->at > g->authenticated_at;
}

/* An address that the registry gave out runs out while a blob comes from it. */
static bool address_ran_out(const struct getting *g, const struct http_response *response)
{
        return response->redirected && g->at > 0 && (response->status == 401 || response->status == 403);
}

/* What comes of one request: 1 to make another one, 0 where it succeeded, or the failure. */
static int judge(struct getting *g, int r, struct http_response *response, struct error *err)
{
        if (r == 0 && (response->status == 200 || response->status == 206))
                return 0;
        /* Cut off behind its last byte. */
        if (r < 0 && http_is_transient(r, response) && g->f->has_size && g->at == g->f->size && g->at > 0)
                return 0;
        if (r == 0 && response->status == 401 && !response->redirected && may_authenticate(g)) {
                g->authenticated = true;
                g->authenticated_at = g->at;
                r = registry_authenticate(g->s, g->client, response, g->generation, err);
                return r < 0 ? r : 1;
        }
        if (r == 0 && response->status == 416 && g->at > 0 && !g->whole) {
                g->whole = true;
                return 1;
        }
        bool transient = http_is_transient(r, response) || (r == 0 && address_ran_out(g, response));
        if (r == 0)
                r = registry_status_fault(g->s, response, err);
        /* What never answered at all is not there, as far as one can tell. */
        if (!transient || !g->s->scheme ||
            !registry_pause(g->s, g->f->suffix, &g->retry, g->at, response->retry_after, err))
                return r;
        return 1;
}

static int take_client(struct registry_source *s, struct http_client **ret_client, struct error *err)
{
        const struct image_options *o = s->options;
        const struct http_policy policy = {
                .insecure = o->registries.insecure,
                .authorities = buf_view(&s->trust.authorities),
                .cert_file = s->trust.cert_file,
                .key_file = s->trust.key_file,
                .cert_host = s->cert_host,
                .stall_seconds = o->registries.stall_seconds,
                .stop = &s->base.stopped,
                .log = o->log,
        };
        struct http_client *client = NULL;

        pthread_mutex_lock(&s->lock);
        if (s->n_idle > 0)
                client = s->idle[--s->n_idle];
        pthread_mutex_unlock(&s->lock);
        if (!client)
                return http_client_new(&policy, ret_client, err);
        *ret_client = client;
        return 0;
}

static void give_client_back(struct registry_source *s, struct http_client *client)
{
        pthread_mutex_lock(&s->lock);
        bool kept = s->n_idle < ARRAY_SIZE(s->idle);
        if (kept)
                s->idle[s->n_idle++] = client;
        pthread_mutex_unlock(&s->lock);
        if (!kept)
                http_client_free(client);
}

int registry_get(struct registry_source *s, const struct registry_fetch *f,
                 struct http_response *ret_response, struct error *err)
{
        struct getting g = {.s = s, .f = f, .retry.first_pause_ms = s->options->registries.first_pause_ms};
        int r = take_client(s, &g.client, err);

        if (r < 0)
                return r;
        do {
                cleanup_http_response struct http_response response = {0};
                r = request_any_scheme(&g, &response, err);
                r = judge(&g, r, &response, err);
                if (r == 0) {
                        *ret_response = response;
                        response = (struct http_response){0};
                }
        } while (r > 0);
        give_client_back(s, g.client);
        return r;
}
