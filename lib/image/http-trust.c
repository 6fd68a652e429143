/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/image/http-trust.h"

#include "lib/base/file.h"
#include "lib/base/text.h"

#include <curl/curl.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum { AUTHORITIES_MAX = 8 * 1024 * 1024, NAMES_MAX = 254 };

void http_trust_done(struct http_trust *trust)
{
        buf_done(&trust->authorities);
        free(trust->cert_file);
        free(trust->key_file);
        *trust = (struct http_trust){0};
}

static int add_file(struct http_trust *t, const char *path, struct error *err)
{
        cleanup_buf struct buf file = {0};
        int r = file_read(AT_FDCWD, path, AUTHORITIES_MAX, &file, err);

        if (r < 0)
                return r;
        if (!strstr(buf_string(&file), "-----BEGIN "))
                return error_set(err, -EBADMSG, "%s: holds no certificate in PEM form", path);
        buf_append_view(&t->authorities, buf_view(&file));
        /* A file without a last newline would swallow the beginning of the next one. */
        if (buf_append_byte(&t->authorities, '\n') < 0)
                return error_set(err, t->authorities.failed, "%s: too many certificates", path);
        return 0;
}

/* Those that others go beside: libcurl's own list would not count any more. */
static int add_system(struct http_trust *t, struct error *err)
{
        const char *named = getenv("SSL_CERT_FILE");
        const char *built_in = curl_version_info(CURLVERSION_NOW)->cainfo;

        if (t->authorities.n > 0)
                return 0;
        if (named && *named)
                return add_file(t, named, err);
        return built_in && access(built_in, R_OK) == 0 ? add_file(t, built_in, err) : 0;
}

/* "NAME.cert" is ours, with "NAME.key". */
static int take_own(struct http_trust *t, const char *path, struct error *err)
{
        cleanup_free char *key = string_printf("%.*s.key", (int)(strlen(path) - strlen(".cert")), path);

        if (!key)
                return error_oom(err);
        if (access(key, R_OK) < 0)
                return error_errno(err, errno, "%s, the key of %s", key, path);
        if (t->cert_file)
                return error_set(err, -EINVAL,
                                 "%s and %s: only one certificate of our own can be used; "
                                 "remove the other",
                                 t->cert_file, path);
        t->cert_file = strdup(path);
        t->key_file = take_pointer(&key);
        return t->cert_file ? 0 : error_oom(err);
}

static int take_entry(struct http_trust *t, const char *folder, const char *name, struct error *err)
{
        cleanup_free char *path = string_printf("%s/%s", folder, name);
        int r = 0;

        if (!path)
                return error_oom(err);
        if (string_ends_with(name, ".crt")) {
                r = add_system(t, err);
                return r < 0 ? r : add_file(t, path, err);
        }
        return string_ends_with(name, ".cert") ? take_own(t, path, err) : 0;
}

static int take_folder(struct http_trust *t, DIR *dir, const char *folder, struct error *err)
{
        const struct dirent *entry;

        /* None is left out without a word: which one would be by chance. */
        for (size_t n = 0; (errno = 0, entry = readdir(dir)); n++) {
                if (n == NAMES_MAX + 2) /* with "." and ".." */
                        return error_set(err, -E2BIG, "%s: more than %d names", folder, NAMES_MAX);
                int r = take_entry(t, folder, entry->d_name, err);
                if (r < 0)
                        return r;
        }
        return errno ? error_errno(err, errno, "%s", folder) : 0;
}

/* Below the user's own configuration; NULL where the environment names no place for it. */
static char *user_folder(const char *domain)
{
        const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");

        if (config && *config)
                return string_printf("%s/containers/certs.d/%s", config, domain);
        return home && *home ? string_printf("%s/.config/containers/certs.d/%s", home, domain) : NULL;
}

static int take_folders(struct http_trust *t, const char *domain, const struct log *log, struct error *err)
{
        char *folders[] = {user_folder(domain), string_printf("/etc/containers/certs.d/%s", domain),
                           string_printf("/etc/docker/certs.d/%s", domain)};
        bool found = false;
        int r = 0;

        for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
                cleanup_dir DIR *dir = folders[i] && !found ? opendir(folders[i]) : NULL;
                if (dir) {
                        found = true;
                        log_debug(log, "certificates for %s are from %s", domain, folders[i]);
                        r = take_folder(t, dir, folders[i], err);
                }
                free(folders[i]);
        }
        return r;
}

int http_trust_find(const char *domain, const char *ca_file, const struct log *log,
                    struct http_trust *ret_trust, struct error *err)
{
        const char *named = getenv("SSL_CERT_FILE");
        cleanup_http_trust struct http_trust t = {.authorities = buf_with_max(AUTHORITIES_MAX)};
        int r = named && *named ? add_system(&t, err) : 0;

        if (r == 0 && ca_file)
                r = add_system(&t, err);
        if (r == 0 && ca_file)
                r = add_file(&t, ca_file, err);
        if (r == 0)
                r = take_folders(&t, domain, log, err);
        if (r < 0)
                return r;
        *ret_trust = t;
        t = (struct http_trust){0};
        return 0;
}
