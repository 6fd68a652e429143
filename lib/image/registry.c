/* SPDX-License-Identifier: Apache-2.0 */
/*
 * docker://REF: a client of the OCI distribution specification v1.1 (pull).
 *
 * Theory of operation.  The first request finds out how to talk: https, or for this machine (and where the
 * caller said "insecure") plain http if TLS cannot begin there.  A 401 names what is wanted; the answer, a
 * token or a password, is kept for the following requests and renewed once per request where it has run out.
 * Credentials are looked up only when asked for.
 *
 * A transfer that breaks is resumed from where the sink is, so that hashes and decompressor go on: up to five
 * tries without progress, with growing pauses.  The sink never sees a byte twice.
 */
#include "lib/image/http.h"
#include "lib/image/registry-auth.h"
#include "lib/image/sources.h"

#include "lib/base/clock.h"
#include "lib/base/text.h"
#include "lib/crypto/hash.h"
#include "lib/format/strict-json.h"

#include <string.h>
#include <unistd.h>

enum {
        TRIES_MAX = 5,
        FIRST_PAUSE_MS = 200,
        TOKEN_REPLY_MAX = 1024 * 1024,
        URL_MAX = 16384,
        PROGRESS_SIZE = 1024 * 1024, /* bytes after which a broken transfer counts as a new one */
};

#define ACCEPT_MANIFESTS                                                                                     \
        MANIFEST_TYPE_OCI_INDEX ", " MANIFEST_TYPE_OCI ", " MANIFEST_TYPE_DOCKER_LIST                        \
                                ", " MANIFEST_TYPE_DOCKER

struct registry_source {
        struct image_source base;
        struct http_client *client;
        const struct image_options *options;
        char *host; /* where the API is */
        char *domain;
        char *path;
        const char *scheme;  /* "https" or "http", once found out */
        char *authorization; /* NULL until asked for */
};

/* One GET below /v2/PATH/. */
struct fetch {
        const char *suffix; /* "manifests/latest" */
        const char *accept;
        bool has_size;
        uint64_t size;
        image_sink_fn sink;
        void *user;
};

static void registry_free(struct image_source *base)
{
        struct registry_source *s = (struct registry_source *)base;

        http_client_free(s->client);
        free(s->host);
        free(s->domain);
        free(s->path);
        auth_wipe_string(s->authorization);
        free(s);
}

/* The first error of a registry's reply ({"errors": [{"code", "message"}]}), or "". */
static void reply_text(const struct http_response *response, char *ret_text, size_t size)
{
        cleanup_json json_t *root = NULL;
        const char *message = NULL;

        ret_text[0] = '\0';
        if (strict_json_parse(buf_view(&response->body), HTTP_ERROR_BODY_MAX, &root, NULL) < 0)
                return;
        const json_t *first = json_array_get(json_object_get(root, "errors"), 0);
        message = json_string_value(json_object_get(first, "message"));
        if (!message)
                message = json_string_value(json_object_get(root, "details"));
        if (message)
                snprintf(ret_text, size, " (%.200s)", message);
}

static int status_fault(const struct registry_source *s, const struct http_response *response,
                        struct error *err)
{
        char text[256];

        reply_text(response, text, sizeof(text));
        if (response->status == 401 || response->status == 403) {
                error_set(err, -EACCES, "the registry denies access%s", text);
                error_hint(err, "%s",
                           s->authorization
                                   ? "the credentials may be wrong, or the image may not exist"
                                   : "it wants credentials; `docker login` or `skopeo login` stores them");
                return -EACCES;
        }
        if (response->status == 404)
                return error_set(err, -ENOENT, "the registry has no such image or blob%s", text);
        if (response->status == 429)
                return error_set(err, -EAGAIN, "the registry says: too many requests%s; try again later",
                                 text);
        return error_set(err, -EIO, "the registry answers with status %ld%s", response->status, text);
}

/* Appends "&name=value" or "?name=value". */
static int add_query(struct buf *b, char separator, const char *name, const char *value)
{
        cleanup_secret char *escaped = value ? http_escape(value) : NULL;

        if (!value)
                return 0;
        if (!escaped)
                return -ENOMEM;
        return buf_printf(b, "%c%s=%s", separator, name, escaped);
}

static int take_token(struct registry_source *s, struct view reply, struct error *err)
{
        cleanup_json json_t *root = NULL;
        const char *token = NULL;
        int r = strict_json_parse(reply, TOKEN_REPLY_MAX, &root, err);

        if (r == 0)
                r = strict_json_string(root, "token", &token, err);
        if (r == 0 && !token)
                r = strict_json_string(root, "access_token", &token, err);
        if (r == 0 && (!token || !*token))
                r = error_set(err, -EBADMSG, "no token in the reply");
        if (r < 0)
                return r;
        if (token[strcspn(token, "\r\n")])
                return error_set(err, -EBADMSG, "a line break in the token");
        auth_wipe_string(s->authorization);
        s->authorization = string_printf("Bearer %s", token);
        return s->authorization ? 0 : error_oom(err);
}

/* Fills in what goes to the token server: a query behind the realm, or with an identity token a form. */
static int token_request(const struct registry_source *s, const struct auth_challenge *c,
                         const struct registry_credentials *credentials, struct buf *url, struct buf *form)
{
        cleanup_free char *own_scope = string_printf("repository:%s:pull", s->path);
        const char *scope = c->scope ? c->scope : own_scope;
        bool post = credentials->identity_token;
        struct buf *b = post ? form : url;
        char separator = strchr(c->realm, '?') ? '&' : '?';

        if (!own_scope)
                return -ENOMEM;
        buf_append_string(url, c->realm);
        if (post)
                buf_append_string(form, "grant_type=refresh_token");
        int r = add_query(b, post ? '&' : separator, "scope", scope);
        if (r == 0)
                r = add_query(b, '&', "service", c->service);
        if (r == 0)
                r = add_query(b, '&', "client_id", "coffer");
        if (r == 0 && post)
                r = add_query(b, '&', "refresh_token", credentials->identity_token);
        if (r == 0 && !post)
                r = add_query(b, '&', "account", credentials->user);
        return url->failed ? url->failed : form->failed ? form->failed : r;
}

static int fetch_token(struct registry_source *s, const struct auth_challenge *c,
                       const struct registry_credentials *credentials, struct error *err)
{
        cleanup_http_response struct http_response response = {0};
        cleanup_secret_buf struct buf reply = buf_with_max(TOKEN_REPLY_MAX);
        cleanup_secret_buf struct buf form = buf_with_max(TOKEN_REPLY_MAX);
        cleanup_buf struct buf url = buf_with_max(URL_MAX);
        cleanup_secret char *basic = credentials->user ? auth_basic_header(credentials) : NULL;
        uint64_t delivered = 0;

        /* The realm is where a password would go: it must be as well protected as the registry. */
        if (strcmp(s->scheme, "https") == 0 && strncasecmp(c->realm, "https://", 8) != 0)
                return error_set(err, -EPERM, "sends us to %.200s for a token, which is not protected",
                                 c->realm);
        int r = token_request(s, c, credentials, &url, &form);
        if (r < 0)
                return error_set(err, r, "cannot make the request for a token");
        const struct http_request request = {
                .url = buf_string(&url),
                .authorization = basic,
                .form = form.n ? buf_string(&form) : NULL,
                .sink = image_sink_buf,
                .user = &reply,
        };
        r = http_do(s->client, &request, &delivered, &response, err);
        if (r == 0 && (response.status < 200 || response.status > 299)) {
                char text[256];
                reply_text(&response, text, sizeof(text));
                r = error_set(err, response.status == 401 || response.status == 403 ? -EACCES : -EIO,
                              "answers with status %ld%s", response.status, text);
        }
        if (r == 0)
                r = take_token(s, buf_view(&reply), err);
        if (r < 0)
                error_wrap(err, "token server %.200s", c->realm);
        return r;
}

/* Does what a 401 asks for. */
static int authenticate(struct registry_source *s, const struct http_response *response, struct error *err)
{
        cleanup_auth_challenge struct auth_challenge c = {0};
        cleanup_registry_credentials struct registry_credentials credentials = {0};
        int r = auth_challenge_parse(response->challenges, &c, err);

        if (r == 0 && c.scheme == AUTH_NONE)
                r = status_fault(s, response, err);
        if (r == 0)
                r = registry_credentials_find(s->options->authfile, s->domain, s->path, s->options->log,
                                              &credentials, err);
        if (r < 0)
                return r;
        if (c.scheme == AUTH_BEARER)
                return fetch_token(s, &c, &credentials, err);
        if (!credentials.user)
                return status_fault(s, response, err);
        auth_wipe_string(s->authorization);
        s->authorization = auth_basic_header(&credentials);
        return s->authorization ? 0 : error_oom(err);
}

static int request_once(struct registry_source *s, const char *scheme, const struct fetch *f, uint64_t *at,
                        struct http_response *ret_response, struct error *err)
{
        cleanup_free char *url = string_printf("%s://%s/v2/%s/%s", scheme, s->host, s->path, f->suffix);

        if (!url)
                return error_oom(err);
        const struct http_request request = {
                .url = url,
                .accept = f->accept,
                .authorization = s->authorization,
                .skip = *at,
                .has_size = f->has_size,
                .size = f->size,
                .sink = f->sink,
                .user = f->user,
        };
        return http_do(s->client, &request, at, ret_response, err);
}

/* The first request of all finds the scheme. */
static int request_any_scheme(struct registry_source *s, const struct fetch *f, uint64_t *at,
                              struct http_response *ret_response, struct error *err)
{
        if (s->scheme)
                return request_once(s, s->scheme, f, at, ret_response, err);
        int r = request_once(s, "https", f, at, ret_response, err);
        bool may_be_plain = s->options->insecure || reference_domain_is_loopback(s->host);
        if (may_be_plain && (r == -EPROTO || r == -EHOSTDOWN)) {
                log_debug(s->options->log, "%s does not speak TLS; trying plain http", s->host);
                r = request_once(s, "http", f, at, ret_response, err);
                if (r == 0)
                        s->scheme = "http";
        } else if (r == 0) {
                s->scheme = "https";
        }
        if (r == -EKEYREJECTED)
                error_hint(
                        err,
                        "the registry's certificate is not trusted; SSL_CERT_FILE names other authorities");
        return r;
}

/* True where another try is worth it; waits before it. */
static bool again(const struct registry_source *s, const struct fetch *f, unsigned *tries,
                  unsigned retry_after, const struct error *why)
{
        if (!s->scheme || ++*tries >= TRIES_MAX)
                return false;
        unsigned ms = retry_after ? retry_after * 1000 : (unsigned)FIRST_PAUSE_MS << (*tries - 1);
        log_debug(s->options->log, "%s: %s; trying again in %u ms", f->suffix, error_text(why), ms);
        clock_sleep_us((uint64_t)ms * 1000);
        return true;
}

static int registry_get(struct registry_source *s, const struct fetch *f, struct http_response *ret_response,
                        struct error *err)
{
        uint64_t at = 0, last = 0;
        unsigned tries = 0;
        bool authenticated = false;

        for (;;) {
                cleanup_http_response struct http_response response = {0};
                int r = request_any_scheme(s, f, &at, &response, err);
                if (at - last >= PROGRESS_SIZE) {
                        tries = 0;
                        last = at;
                }
                if (r == 0 && response.status >= 200 && response.status <= 299) {
                        *ret_response = response;
                        response = (struct http_response){0};
                        return 0;
                }
                bool transient = http_is_transient(r, &response);
                if (r == 0 && response.status == 401 && !authenticated) {
                        authenticated = true;
                        r = authenticate(s, &response, err);
                        if (r < 0)
                                return r;
                        continue;
                }
                if (r == 0)
                        r = status_fault(s, &response, err);
                if (!transient || !again(s, f, &tries, response.retry_after, err))
                        return r;
        }
}

static int read_at(struct image_source *base, const char *folder, const char *accept,
                   const struct descriptor *d, image_sink_fn sink, void *user, struct error *err)
{
        struct registry_source *s = (struct registry_source *)base;
        cleanup_http_response struct http_response response = {0};
        char digest[DIGEST_TEXT_MAX];

        digest_format(&d->digest, digest);
        cleanup_free char *suffix = string_printf("%s/%s", folder, digest);
        if (!suffix)
                return error_oom(err);
        const struct fetch f = {
                .suffix = suffix,
                .accept = accept,
                .has_size = d->has_size,
                .size = d->size,
                .sink = sink,
                .user = user,
        };
        return registry_get(s, &f, &response, err);
}

static int registry_read_blob(struct image_source *base, const struct descriptor *d, image_sink_fn sink,
                              void *user, struct error *err)
{
        return read_at(base, "blobs", NULL, d, sink, user, err);
}

static int registry_read_manifest(struct image_source *base, const struct descriptor *d, image_sink_fn sink,
                                  void *user, struct error *err)
{
        return read_at(base, "manifests", ACCEPT_MANIFESTS, d, sink, user, err);
}

static const struct image_source_ops registry_ops = {
        .read_blob = registry_read_blob,
        .read_manifest = registry_read_manifest,
        .free = registry_free,
};

/* The certificates to trust: SSL_CERT_FILE as with other programs, else what is set up for this registry
 * alone. */
static char *ca_file_for(const char *domain)
{
        static const char *const folders[] = {"/etc/containers/certs.d", "/etc/docker/certs.d"};
        const char *named = getenv("SSL_CERT_FILE");

        if (named && *named)
                return strdup(named);
        for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
                char *path = string_printf("%s/%s/ca.crt", folders[i], domain);
                if (path && access(path, R_OK) == 0)
                        return path;
                free(path);
        }
        return NULL;
}

static int registry_new(const struct reference *reference, const struct image_options *options,
                        struct image_source **ret_source, struct error *err)
{
        struct registry_source *s = calloc(1, sizeof(*s));
        bool hub = strcmp(reference->domain, "docker.io") == 0;
        cleanup_free char *ca_file = ca_file_for(reference->domain);
        const struct http_policy policy = {
                .allow_plain = options->insecure,
                .unverified = options->insecure,
                .ca_file = ca_file,
                .stall_seconds = options->stall_seconds,
                .log = options->log,
        };

        if (!s)
                return error_oom(err);
        cleanup_image_source struct image_source *source = &s->base;
        s->base.ops = &registry_ops;
        s->options = options;
        s->host = strdup(hub ? "registry-1.docker.io" : reference->domain);
        s->domain = strdup(reference->domain);
        s->path = strdup(reference->path);
        if (!s->host || !s->domain || !s->path)
                return error_oom(err);
        int r = http_client_new(&policy, &s->client, err);
        if (r == 0)
                *ret_source = take_pointer(&source);
        return r;
}

/* What the registry says the digest is must be what we got. */
static int check_header(const struct http_response *response, struct view bytes, struct error *err)
{
        struct digest said, actual;
        struct error ignored = {0};

        if (!*response->digest || digest_parse(view_of_string(response->digest), &said, &ignored) < 0)
                return 0;
        int r = hash_view(said.algorithm, bytes, &actual);
        if (r < 0)
                return error_set(err, r, "cannot hash the manifest");
        if (!digest_equal(&said, &actual))
                return error_set(err, -EBADMSG,
                                 "manifest does not match the digest that the registry gives for it (%s)",
                                 response->digest);
        return 0;
}

static int resolve_tag(struct image_source *source, const char *tag, const char *arch,
                       struct image_content *ret_content, struct error *err)
{
        cleanup_http_response struct http_response response = {0};
        cleanup_buf struct buf bytes = buf_with_max(MANIFEST_SIZE_MAX);
        cleanup_free char *suffix = string_printf("manifests/%s", tag);
        const struct fetch f = {
                .suffix = suffix, .accept = ACCEPT_MANIFESTS, .sink = image_sink_buf, .user = &bytes};

        if (!suffix)
                return error_oom(err);
        int r = registry_get((struct registry_source *)source, &f, &response, err);
        if (r == 0)
                r = check_header(&response, buf_view(&bytes), err);
        if (r == 0)
                r = image_resolve_bytes(source, buf_view(&bytes), response.content_type, arch, ret_content,
                                        err);
        return r;
}

static int resolve_digest(struct image_source *source, const struct digest *digest, const char *arch,
                          struct image_content *ret_content, struct error *err)
{
        char empty[] = "";
        const struct descriptor root = {.media_type = empty,
                                        .has_digest = true,
                                        .digest = *digest,
                                        .architecture = empty,
                                        .os = empty,
                                        .variant = empty,
                                        .ref_name = empty,
                                        .member = empty};

        return image_resolve(source, &root, arch, ret_content, err);
}

int registry_open(const struct image_uri *uri, const struct image_options *options,
                  struct image_source **ret_source, struct image_content *ret_content, struct error *err)
{
        const struct reference *reference = &uri->reference;
        cleanup_image_source struct image_source *source = NULL;
        cleanup_image_content struct image_content content = {0};
        int r = registry_new(reference, options, &source, err);

        if (r < 0)
                return r;
        r = reference->has_digest ? resolve_digest(source, &reference->digest, options->arch, &content, err)
                                  : resolve_tag(source, reference->tag, options->arch, &content, err);
        if (r < 0) {
                error_wrap(err, "registry %s", reference->domain);
                return r;
        }
        content.name = reference_format(reference);
        if (!content.name)
                return error_oom(err);
        *ret_source = take_pointer(&source);
        *ret_content = content;
        content = (struct image_content){0};
        return 0;
}
