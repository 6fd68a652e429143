/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/image/registry-auth.h"

#include "lib/base/file.h"
#include "lib/base/text.h"
#include "lib/format/strict-json.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

void auth_wipe_string(char *s)
{
        if (s)
                explicit_bzero(s, strlen(s));
        free(s);
}

void registry_credentials_done(struct registry_credentials *credentials)
{
        auth_wipe_string(credentials->user);
        auth_wipe_string(credentials->password);
        auth_wipe_string(credentials->identity_token);
        *credentials = (struct registry_credentials){0};
}

void auth_wipe_buf(struct buf *b)
{
        if (b->p)
                explicit_bzero(b->p, b->capacity);
        buf_done(b);
}

static const char *const docker_hub_names[] = {"index.docker.io", "registry-1.docker.io",
                                               "registry.hub.docker.com"};

/* True where key `key` of "auths" means `wanted` ("host" or "host/namespace...").  Docker writes URLs;
 * whatever follows the host in one is no namespace. */
static bool key_means(const char *key, const char *wanted)
{
        const char *scheme = strstr(key, "://");
        const char *host = scheme ? scheme + 3 : key;
        size_t n = strcspn(host, "/");
        const char *rest = scheme ? "" : host + n;
        cleanup_free char *name = strndup(host, n);

        if (!name)
                return false;
        const char *normal = name;
        for (size_t i = 0; i < ARRAY_SIZE(docker_hub_names); i++)
                if (strcmp(name, docker_hub_names[i]) == 0)
                        normal = "docker.io";
        return string_starts_with(wanted, normal) && strcmp(wanted + strlen(normal), rest) == 0;
}

static json_t *find_entry(json_t *auths, const char *wanted)
{
        const char *key;
        json_t *value;

        json_object_foreach (auths, key, value) {
                if (key_means(key, wanted))
                        return value;
        }
        return NULL;
}

static int copy_secret(const char *value, char **ret_copy, struct error *err)
{
        *ret_copy = value && *value ? strdup(value) : NULL;
        return value && *value && !*ret_copy ? error_oom(err) : 0;
}

/* "auth": base64 of USER:PASSWORD. */
static int take_auth(const char *auth, struct registry_credentials *c, struct error *err)
{
        cleanup_secret_buf struct buf plain = buf_with_max(AUTHFILE_SIZE_MAX);

        if (base64_decode(view_of_string(auth), &plain) < 0)
                return error_set(err, -EBADMSG, "member \"auth\" is not base64");
        const char *colon = plain.n > 0 ? memchr(plain.p, ':', plain.n) : NULL;
        if (!colon)
                return error_set(err, -EBADMSG, "member \"auth\" is not USER:PASSWORD");
        c->user = strndup((const char *)plain.p, (size_t)(colon - (const char *)plain.p));
        /* Some writers pad with NUL bytes, which end the string here. */
        c->password = strdup(colon + 1);
        return c->user && c->password ? 0 : error_oom(err);
}

static int take_entry(const json_t *entry, struct registry_credentials *c, struct error *err)
{
        const char *auth = NULL, *token = NULL, *user = NULL, *password = NULL;
        int r = json_is_object(entry) ? 0 : error_set(err, -EBADMSG, "not an object");

        if (r == 0)
                r = strict_json_string(entry, "auth", &auth, err);
        if (r == 0)
                r = strict_json_string(entry, "identitytoken", &token, err);
        if (r == 0)
                r = strict_json_string(entry, "username", &user, err);
        if (r == 0)
                r = strict_json_string(entry, "password", &password, err);
        if (r == 0 && auth && *auth)
                r = take_auth(auth, c, err);
        else if (r == 0)
                r = copy_secret(user, &c->user, err) < 0 ? -ENOMEM : copy_secret(password, &c->password, err);
        if (r == 0)
                r = copy_secret(token, &c->identity_token, err);
        return r;
}

static void note_helpers(const json_t *root, const char *domain, const struct log *log)
{
        const json_t *helpers = json_object_get(root, "credHelpers");

        if (json_object_get(helpers, domain) || json_string_length(json_object_get(root, "credsStore")) > 0)
                log_debug(log, "credentials for %s may be with a helper program; helpers are not used",
                          domain);
}

int registry_credentials_parse(struct view json, const char *domain, const char *path, const struct log *log,
                               struct registry_credentials *ret_credentials, struct error *err)
{
        cleanup_json json_t *root = NULL;
        cleanup_registry_credentials struct registry_credentials c = {0};
        cleanup_free char *wanted = string_printf("%s/%s", domain, path);
        json_t *auths = NULL, *entry = NULL;
        int r = wanted ? strict_json_parse(json, AUTHFILE_SIZE_MAX, &root, err) : error_oom(err);

        if (r == 0 && !json_is_object(root))
                r = error_set(err, -EBADMSG, "not a JSON object");
        if (r == 0)
                r = strict_json_object(root, "auths", &auths, err);
        if (r < 0)
                return r;
        for (;;) {
                entry = find_entry(auths, wanted);
                char *slash = strrchr(wanted, '/');
                if (entry || !slash)
                        break;
                *slash = '\0';
        }
        if (!entry) {
                note_helpers(root, domain, log);
                return error_set(err, -ENOENT, "no credentials for %s", domain);
        }
        r = take_entry(entry, &c, err);
        if (r < 0) {
                error_wrap(err, "credentials for %.200s", wanted);
                return r;
        }
        /* Docker leaves an empty entry behind where a helper has the password. */
        if (!c.user && !c.identity_token) {
                note_helpers(root, domain, log);
                return error_set(err, -ENOENT, "no credentials for %s", domain);
        }
        *ret_credentials = c;
        c = (struct registry_credentials){0};
        return 0;
}

/* A file that exists or is allowed to be missing (-ENOENT). */
static int look_in(const char *file, const char *domain, const char *path, const struct log *log,
                   struct registry_credentials *ret_credentials, struct error *err)
{
        cleanup_secret_buf struct buf content = {0};
        int r = file_read(AT_FDCWD, file, AUTHFILE_SIZE_MAX, &content, err);

        if (r < 0)
                return r;
        r = registry_credentials_parse(buf_view(&content), domain, path, log, ret_credentials, err);
        if (r == 0)
                log_debug(log, "credentials for %s/%s are from %s", domain, path, file);
        else
                error_wrap(err, "%s", file);
        return r;
}

/* The usual places: a folder from an environment variable, or else one below another. */
static const struct {
        const char *variable;
        const char *below_variable;
        const char *fallback_variable;
        const char *below_fallback;
} places[] = {
        {"XDG_RUNTIME_DIR", "containers/auth.json", NULL, NULL},
        {"XDG_CONFIG_HOME", "containers/auth.json", "HOME", ".config/containers/auth.json"},
        {"DOCKER_CONFIG", "config.json", "HOME", ".docker/config.json"},
};

/* The file's path on the heap, or NULL where the environment names none. */
static char *place(size_t i)
{
        const char *folder = getenv(places[i].variable);
        const char *home = places[i].fallback_variable ? getenv(places[i].fallback_variable) : NULL;

        if (folder && *folder)
                return string_printf("%s/%s", folder, places[i].below_variable);
        return home && *home ? string_printf("%s/%s", home, places[i].below_fallback) : NULL;
}

int registry_credentials_find(const char *authfile, const char *domain, const char *path,
                              const struct log *log, struct registry_credentials *ret_credentials,
                              struct error *err)
{
        const char *named = authfile ? authfile : getenv("REGISTRY_AUTH_FILE");
        struct registry_credentials found = {0};
        int r = -ENOENT;

        if (named && *named) {
                if (access(named, F_OK) < 0)
                        return error_errno(err, errno, "%s", named);
                r = look_in(named, domain, path, log, &found, err);
        } else {
                for (size_t i = 0; r == -ENOENT && i < ARRAY_SIZE(places); i++) {
                        cleanup_free char *file = place(i);
                        if (file)
                                r = look_in(file, domain, path, log, &found, err);
                }
        }
        if (r < 0 && r != -ENOENT)
                return r;
        *ret_credentials = found;
        return 0;
}

char *auth_basic_header(const struct registry_credentials *credentials)
{
        cleanup_secret_buf struct buf plain = buf_with_max(AUTHFILE_SIZE_MAX);
        cleanup_secret_buf struct buf text = buf_with_max((size_t)2 * AUTHFILE_SIZE_MAX);

        buf_printf(&plain, "%s:%s", credentials->user ? credentials->user : "",
                   credentials->password ? credentials->password : "");
        buf_append_string(&text, "Basic ");
        if (plain.failed || base64_encode(buf_view(&plain), &text) < 0)
                return NULL;
        return buf_take_string(&text);
}
