/* SPDX-License-Identifier: Apache-2.0 */
/*
 * WWW-Authenticate (RFC 7235): challenges separated by commas, each a scheme and parameters that are also
 * separated by commas.  A word that is not followed by "=" begins a new challenge.
 */
#include "lib/image/registry-auth.h"

#include "lib/base/buf.h"

#include <string.h>

enum { VALUE_MAX = 4096 };

void auth_challenge_done(struct auth_challenge *challenge)
{
        free(challenge->realm);
        free(challenge->service);
        free(challenge->scope);
        *challenge = (struct auth_challenge){0};
}

static bool is_token(char c)
{
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               (c && strchr("!#$%&'*+-.^_`|~/", c));
}

static const char *skip_separators(const char *p)
{
        return p + strspn(p, " \t,\r\n");
}

/* Reads a token or a quoted string at *p and steps over it; NULL on a syntax error or without memory. */
static char *take_value(const char **p)
{
        cleanup_buf struct buf value = buf_with_max(VALUE_MAX);
        const char *at = *p;

        if (*at == '"') {
                for (at++; *at && *at != '"'; at++) {
                        if (*at == '\\' && at[1])
                                at++;
                        buf_append_byte(&value, (uint8_t)*at);
                }
                if (*at != '"')
                        return NULL;
                at++;
        } else {
                for (; is_token(*at) || *at == ':' || *at == '='; at++)
                        buf_append_byte(&value, (uint8_t)*at);
        }
        *p = at;
        return value.n == 0 && !value.failed ? strdup("") : buf_take_string(&value);
}

static void set_parameter(struct auth_challenge *c, const char *name, size_t n, char *value)
{
        const struct {
                const char *name;
                char **target;
        } parameters[] = {{"realm", &c->realm}, {"service", &c->service}, {"scope", &c->scope}};

        for (size_t i = 0; i < ARRAY_SIZE(parameters); i++) {
                if (strlen(parameters[i].name) == n && strncasecmp(parameters[i].name, name, n) == 0 &&
                    !*parameters[i].target) {
                        *parameters[i].target = value;
                        return;
                }
        }
        free(value);
}

static enum auth_scheme scheme_of(const char *name, size_t n)
{
        if (n == strlen("Bearer") && strncasecmp(name, "Bearer", n) == 0)
                return AUTH_BEARER;
        if (n == strlen("Basic") && strncasecmp(name, "Basic", n) == 0)
                return AUTH_BASIC;
        return AUTH_NONE;
}

/* Keeps the better of *best and *c, which is empty afterwards. */
static void keep_better(struct auth_challenge *best, struct auth_challenge *c)
{
        if (c->scheme > best->scheme) {
                auth_challenge_done(best);
                *best = *c;
                *c = (struct auth_challenge){0};
        }
        auth_challenge_done(c);
}

int auth_challenge_parse(const char *headers, struct auth_challenge *ret_challenge, struct error *err)
{
        cleanup_auth_challenge struct auth_challenge best = {0}, current = {0};

        for (const char *p = skip_separators(headers); *p; p = skip_separators(p)) {
                const char *word = p;
                while (is_token(*p))
                        p++;
                size_t n = (size_t)(p - word);
                if (n == 0)
                        return error_set(err, -EBADMSG, "its WWW-Authenticate header cannot be understood");
                p += strspn(p, " \t");
                if (*p != '=') {
                        keep_better(&best, &current);
                        current.scheme = scheme_of(word, n);
                        continue;
                }
                p++;
                p += strspn(p, " \t");
                char *value = take_value(&p);
                if (!value)
                        return error_set(err, -EBADMSG, "its WWW-Authenticate header cannot be understood");
                set_parameter(&current, word, n, value);
        }
        keep_better(&best, &current);
        if (best.scheme == AUTH_BEARER && !best.realm)
                return error_set(err, -EBADMSG,
                                 "asks for a token, but does not say where to get one (no realm)");
        *ret_challenge = best;
        best = (struct auth_challenge){0};
        return 0;
}
