/* SPDX-License-Identifier: Apache-2.0 */
/*
 * registry-token.c - what a registry's 401 asks for: a password, or a token from a token server (the
 * distribution project's token specification).
 *
 * One thread authenticates at a time; the others wait and find the new value.
 */
#include "lib/image/http-url.h"
#include "lib/image/registry-internal.h"

#include "lib/base/text.h"
#include "lib/format/strict-json.h"

#include <string.h>
#include <strings.h>

enum { TOKEN_REPLY_MAX = 1024 * 1024, URL_MAX = 16384 };

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

/* One question to the token server; *ret_response is set where it answered. */
static int ask_for_token(struct http_client *client, const struct http_request *request,
                         struct http_response *ret_response, struct error *err)
{
        uint64_t delivered = 0;
        int r = http_do(client, request, &delivered, ret_response, err);

        if (r == 0 && ret_response->status != 200) {
                char text[256];
                bool denied = ret_response->status == 401 || ret_response->status == 403;
                registry_reply_text(ret_response, text, sizeof(text));
                r = error_set(err, denied ? -EACCES : -EIO, "answers with status %ld%s", ret_response->status,
                              text);
                if (denied)
                        error_hint(err, "the credentials may be missing, wrong or expired");
        }
        return r;
}

static int ask_until_answered(struct registry_source *s, struct http_client *client,
                              struct http_request *request, struct buf *reply, struct error *err)
{
        struct retry retry = {.first_pause_ms = s->options->registries.first_pause_ms};

        for (;;) {
                cleanup_http_response struct http_response response = {0};
                auth_wipe_buf(reply);
                *reply = buf_with_max(TOKEN_REPLY_MAX);
                int r = ask_for_token(client, request, &response, err);
                bool answered = response.status > 0;
                if (r == 0 || !http_is_transient(answered ? 0 : r, &response) ||
                    !registry_pause(s, "token", &retry, 0, response.retry_after, err))
                        return r;
        }
}

static int fetch_token(struct registry_source *s, struct http_client *client, const struct auth_challenge *c,
                       const struct registry_credentials *credentials, struct error *err)
{
        cleanup_secret_buf struct buf reply = buf_with_max(TOKEN_REPLY_MAX);
        cleanup_secret_buf struct buf form = buf_with_max(TOKEN_REPLY_MAX);
        cleanup_buf struct buf url = buf_with_max(URL_MAX);
        bool with_password = credentials->user && !credentials->identity_token;
        cleanup_secret char *basic = with_password ? auth_basic_header(credentials) : NULL;
        char shown[HTTP_URL_SHOWN_MAX];

        http_url_show(c->realm, shown);
        /* The realm is where a password would go: it must be as well protected as the registry. */
        if (strcmp(s->scheme, "https") == 0 && strncasecmp(c->realm, "https://", 8) != 0)
                return error_set(err, -EPERM, "sends us to %s for a token, which is not protected", shown);
        int r = token_request(s, c, credentials, &url, &form);
        if (r < 0 || (with_password && !basic))
                return error_set(err, r < 0 ? r : -ENOMEM, "cannot make the request for a token");
        struct http_request request = {
                .url = buf_string(&url),
                .authorization = basic,
                .form = form.n ? buf_string(&form) : NULL,
                .sink = image_sink_buf,
                .user = &reply,
        };
        r = ask_until_answered(s, client, &request, &reply, err);
        if (r == 0)
                r = take_token(s, buf_view(&reply), err);
        if (r < 0)
                error_wrap(err, "token server %s", shown);
        return r;
}

/* Under the lock. */
static int authenticate(struct registry_source *s, struct http_client *client,
                        const struct http_response *response, struct error *err)
{
        cleanup_auth_challenge struct auth_challenge c = {0};
        cleanup_registry_credentials struct registry_credentials credentials = {0};
        const struct registry_credentials_places places = {
                .authfile = s->options->registries.authfile,
                .run_helpers = s->options->registries.credential_helpers,
                .log = s->options->log,
        };
        int r = auth_challenge_parse(response->challenges, &c, err);

        if (r == 0 && c.scheme == AUTH_NONE)
                r = registry_status_fault(s, response, err);
        if (r == 0)
                r = registry_credentials_find(&places, s->domain, s->path, &credentials, err);
        if (r < 0)
                return r;
        if (c.scheme == AUTH_BEARER)
                return fetch_token(s, client, &c, &credentials, err);
        if (!credentials.user)
                return registry_status_fault(s, response, err);
        auth_wipe_string(s->authorization);
        s->authorization = auth_basic_header(&credentials);
        return s->authorization ? 0 : error_oom(err);
}

int registry_authenticate(struct registry_source *s, struct http_client *client,
                          const struct http_response *response, unsigned generation, struct error *err)
{
        int r = 0;

        pthread_mutex_lock(&s->lock);
        if (s->generation == generation) {
                r = authenticate(s, client, response, err);
                s->generation += r == 0;
        }
        pthread_mutex_unlock(&s->lock);
        return r;
}
