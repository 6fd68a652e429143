/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/image/registry-auth.h"

#include "lib/image/credential-helper.h"

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

void registry_credentials_entry_done(struct registry_credentials_entry *entry)
{
        registry_credentials_done(&entry->credentials);
        free(entry->helper);
        free(entry->common_helper);
        *entry = (struct registry_credentials_entry){0};
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

/* Takes a helper's name; one that can be none is an error, for it would be executed. */
static int take_helper(const char *name, char **ret_name, struct error *err)
{
        if (!name || !*name)
                return 0;
        if (!credential_helper_name_is_valid(name))
                return error_set(err, -EBADMSG, "\"%.64s\" is no name of a credential helper", name);
        *ret_name = strdup(name);
        return *ret_name ? 0 : error_oom(err);
}

static int take_helpers(const json_t *root, const char *domain, struct registry_credentials_entry *e,
                        struct error *err)
{
        json_t *helpers = NULL;
        const char *common = NULL, *key;
        json_t *value;
        int r = strict_json_object(root, "credHelpers", &helpers, err);

        if (r == 0)
                r = strict_json_string(root, "credsStore", &common, err);
        if (r == 0)
                r = take_helper(common, &e->common_helper, err);
        json_object_foreach (helpers, key, value) {
                if (r == 0 && !e->helper && key_means(key, domain))
                        r = take_helper(json_string_value(value), &e->helper, err);
        }
        return r;
}

/* The entry with the most specific key for "domain/path". */
static int take_from_auths(json_t *auths, const char *domain, const char *path,
                           struct registry_credentials *c, struct error *err)
{
        cleanup_free char *wanted = string_printf("%s/%s", domain, path);
        json_t *entry = NULL;

        if (!wanted)
                return error_oom(err);
        for (;;) {
                entry = find_entry(auths, wanted);
                char *slash = strrchr(wanted, '/');
                if (entry || !slash)
                        break;
                *slash = '\0';
        }
        int r = entry ? take_entry(entry, c, err) : 0;
        if (r < 0)
                error_wrap(err, "credentials for %.200s", wanted);
        return r;
}

int registry_credentials_parse(struct view json, const char *domain, const char *path,
                               struct registry_credentials_entry *ret_entry, struct error *err)
{
        cleanup_json json_t *root = NULL;
        cleanup_registry_credentials_entry struct registry_credentials_entry e = {0};
        json_t *auths = NULL;
        int r = strict_json_parse(json, AUTHFILE_SIZE_MAX, &root, err);

        if (r == 0 && !json_is_object(root))
                r = error_set(err, -EBADMSG, "not a JSON object");
        if (r == 0)
                r = strict_json_object(root, "auths", &auths, err);
        if (r == 0)
                r = take_from_auths(auths, domain, path, &e.credentials, err);
        if (r == 0)
                r = take_helpers(root, domain, &e, err);
        if (r < 0)
                return r;
        *ret_entry = e;
        e = (struct registry_credentials_entry){0};
        return 0;
}

static bool is_empty(const struct registry_credentials *c)
{
        return !c->user && !c->identity_token;
}

/* Docker stores the Hub's credentials under the URL of its index. */
static const char *server_name(const char *domain)
{
        return strcmp(domain, "docker.io") == 0 ? "https://index.docker.io/v1/" : domain;
}

/* What a helper has goes to *c; none changes nothing. */
static int ask_helper(const char *name, const char *domain, struct registry_credentials *c, struct error *err)
{
        struct registry_credentials found = {0};
        int r = credential_helper_get(name, server_name(domain), 0, &found, err);

        if (r == -ENOENT)
                return 0;
        if (r < 0)
                return r;
        registry_credentials_done(c);
        *c = found;
        return 0;
}

static int use_helpers(const struct registry_credentials_places *places, const char *domain,
                       struct registry_credentials_entry *e, struct error *err)
{
        const char *name = e->helper ? e->helper : is_empty(&e->credentials) ? e->common_helper : NULL;

        if (!name)
                return 0;
        if (places->run_helpers)
                return ask_helper(name, domain, &e->credentials, err);
        log_say(places->log, e->helper ? LOG_LEVEL_WARNING : LOG_LEVEL_DEBUG,
                "credentials for %s may be with the program docker-credential-%s, which is not asked; "
                "--credential-helpers lets it be run",
                domain, name);
        return 0;
}

/* A file that exists or is allowed to be missing; -ENOENT also where it has nothing. */
static int look_in(const struct registry_credentials_places *places, const char *file, const char *domain,
                   const char *path, struct registry_credentials *ret_credentials, struct error *err)
{
        cleanup_secret_buf struct buf content = {0};
        cleanup_registry_credentials_entry struct registry_credentials_entry e = {0};
        int r = file_read(AT_FDCWD, file, AUTHFILE_SIZE_MAX, &content, err);

        if (r < 0)
                return r;
        r = registry_credentials_parse(buf_view(&content), domain, path, &e, err);
        if (r == 0)
                r = use_helpers(places, domain, &e, err);
        if (r < 0) {
                error_wrap(err, "%s", file);
                return r;
        }
        if (is_empty(&e.credentials))
                return -ENOENT;
        log_debug(places->log, "credentials for %s/%s are from %s", domain, path, file);
        *ret_credentials = e.credentials;
        e.credentials = (struct registry_credentials){0};
        return 0;
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

int registry_credentials_find(const struct registry_credentials_places *where, const char *domain,
                              const char *path, struct registry_credentials *ret_credentials,
                              struct error *err)
{
        const char *named = where->authfile ? where->authfile : getenv("REGISTRY_AUTH_FILE");
        struct registry_credentials found = {0};
        int r = -ENOENT;

        if (named && *named) {
                if (access(named, F_OK) < 0)
                        return error_errno(err, errno, "%s", named);
                r = look_in(where, named, domain, path, &found, err);
        } else {
                for (size_t i = 0; r == -ENOENT && i < ARRAY_SIZE(places); i++) {
                        cleanup_free char *file = place(i);
                        if (file)
                                r = look_in(where, file, domain, path, &found, err);
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
