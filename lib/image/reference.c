/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/image/reference.h"

#include "lib/base/text.h"

#include <arpa/inet.h>
#include <string.h>

/* The longest text worth looking at: name, tag and the longest digest. */
enum {
        REFERENCE_TEXT_MAX =
                REFERENCE_DOMAIN_MAX + 1 + REFERENCE_PATH_MAX + 1 + REFERENCE_TAG_MAX + 1 + DIGEST_TEXT_MAX,
};

#define DEFAULT_DOMAIN "docker.io"

static bool is_lower_or_digit(char c)
{
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool is_upper(char c)
{
        return c >= 'A' && c <= 'Z';
}

static bool is_alnum(char c)
{
        return is_lower_or_digit(c) || is_upper(c);
}

/* Letters, digits and inner hyphens, separated by single dots. */
static bool host_name_ok(const char *s, size_t n)
{
        if (n == 0)
                return false;
        for (size_t i = 0; i < n; i++) {
                bool first = i == 0 || s[i - 1] == '.';
                bool last = i + 1 == n || s[i + 1] == '.';
                if (is_alnum(s[i]))
                        continue;
                if (s[i] == '-' && !first && !last)
                        continue;
                if (s[i] == '.' && !first && i + 1 < n)
                        continue;
                return false;
        }
        return true;
}

/* "[" an address "]": no zone, and no part of it as IPv4. */
static bool ipv6_ok(const char *s, size_t n)
{
        char text[INET6_ADDRSTRLEN];
        struct in6_addr address;

        if (n < 4 || n - 2 >= sizeof(text) || s[0] != '[' || s[n - 1] != ']')
                return false;
        memcpy(text, s + 1, n - 2);
        text[n - 2] = '\0';
        return !strchr(text, '.') && inet_pton(AF_INET6, text, &address) == 1;
}

static bool domain_ok(const char *domain)
{
        size_t n = strlen(domain);
        const char *colon = domain[0] == '[' ? strstr(domain, "]:") : strchr(domain, ':');

        if (colon) {
                uint64_t port;
                colon += domain[0] == '[';
                if (!parse_u64(colon + 1, UINT16_MAX, &port) || port == 0)
                        return false;
                n = (size_t)(colon - domain);
        }
        return domain[0] == '[' ? ipv6_ok(domain, n) : host_name_ok(domain, n);
}

/* Lower-case letters and digits in components; between them ".", "_", "__" or any number of "-". */
static const char *path_fault(const char *path)
{
        for (const char *p = path; *p;) {
                if (*p == '/')
                        return "its name has an empty component";
                for (;;) {
                        if (is_upper(*p))
                                return "its name must be lower-case";
                        if (!is_lower_or_digit(*p))
                                return "its name has a character or a separator that names can't have there";
                        while (is_lower_or_digit(*p))
                                p++;
                        if (*p == '.')
                                p++;
                        else if (*p == '_')
                                p += p[1] == '_' ? 2 : 1;
                        else if (*p == '-')
                                p += strspn(p, "-");
                        else
                                break;
                }
                if (*p == '/') {
                        if (!p[1])
                                return "its name ends with a slash";
                        p++;
                } else if (*p) {
                        return is_upper(*p) ? "its name must be lower-case"
                                            : "its name has a character that names can't have";
                }
        }
        return *path ? NULL : "it has no name";
}

static const char *tag_fault(const char *tag)
{
        size_t n = strlen(tag);

        if (n == 0)
                return "its tag is empty";
        if (n > REFERENCE_TAG_MAX)
                return "its tag is longer than 128 characters";
        for (size_t i = 0; i < n; i++) {
                bool ok = is_alnum(tag[i]) || tag[i] == '_' || (i > 0 && (tag[i] == '.' || tag[i] == '-'));
                if (!ok)
                        return "its tag has a character that tags can't have";
        }
        return NULL;
}

static bool names_a_domain(const char *first)
{
        if (strcmp(first, "localhost") == 0 || strpbrk(first, ".:["))
                return true;
        for (const char *p = first; *p; p++)
                if (is_upper(*p))
                        return true;
        return false;
}

/* Splits "name" into domain and path and fills in what is left out. 0 or -ENOMEM. */
static int split_name(const char *name, struct reference *r)
{
        const char *slash = strchr(name, '/');
        cleanup_free char *first = slash ? strndup(name, (size_t)(slash - name)) : NULL;

        if (slash && !first)
                return -ENOMEM;
        bool has_domain = first && names_a_domain(first);
        const char *domain = has_domain ? first : DEFAULT_DOMAIN;
        const char *path = has_domain ? slash + 1 : name;
        if (strcmp(domain, "index.docker.io") == 0)
                domain = DEFAULT_DOMAIN;
        bool official = strcmp(domain, DEFAULT_DOMAIN) == 0 && *path && !strchr(path, '/');
        r->domain = strdup(domain);
        r->path = string_printf("%s%s", official ? "library/" : "", path);
        return r->domain && r->path ? 0 : -ENOMEM;
}

static bool is_hex_id(const char *s)
{
        return strlen(s) == 64 && strspn(s, "0123456789abcdef") == 64;
}

/* Takes "@digest" and ":tag" off the end of `text`. Returns what is wrong, or NULL. */
static const char *cut_tail(char *text, struct reference *r)
{
        char *at = strchr(text, '@');
        if (at) {
                struct error why = {0};
                *at = '\0';
                if (digest_parse(view_of_string(at + 1), &r->digest, &why) < 0)
                        return "its digest is not \"sha256:\" and 64 lower-case hex digits";
                r->has_digest = true;
        }
        char *slash = strrchr(text, '/');
        char *colon = strrchr(slash ? slash : text, ':');
        if (colon) {
                *colon = '\0';
                const char *fault = tag_fault(colon + 1);
                if (fault)
                        return fault;
                r->tag = strdup(colon + 1);
                if (!r->tag)
                        return "out of memory";
        } else if (!at) {
                r->tag = strdup("latest");
                if (!r->tag)
                        return "out of memory";
        }
        return NULL;
}

static const char *parse(const char *text, struct reference *r)
{
        if (strlen(text) > REFERENCE_TEXT_MAX)
                return "it is too long";
        if (is_hex_id(text))
                return "it is an image id; write docker-daemon:sha256:ID";
        cleanup_free char *name = strdup(text);
        if (!name)
                return "out of memory";
        const char *fault = cut_tail(name, r);
        if (fault)
                return fault;
        if (!*name)
                return "it has no name";
        if (split_name(name, r) < 0)
                return "out of memory";
        if (!domain_ok(r->domain))
                return "its host is not a host name with an optional port";
        fault = path_fault(r->path);
        if (fault)
                return fault;
        if (strlen(r->domain) > REFERENCE_DOMAIN_MAX)
                return "its host is longer than 259 characters";
        if (strlen(r->path) > REFERENCE_PATH_MAX)
                return "its name is longer than 255 characters";
        return NULL;
}

int reference_parse(const char *text, struct reference *ret_reference, struct error *err)
{
        cleanup_reference struct reference r = {0};
        const char *fault = parse(text, &r);

        if (fault)
                return error_set(err, -EINVAL, "\"%.300s\" is not an image reference: %s", text, fault);
        *ret_reference = r;
        r = (struct reference){0};
        return 0;
}

void reference_done(struct reference *reference)
{
        free(reference->domain);
        free(reference->path);
        free(reference->tag);
        *reference = (struct reference){0};
}

char *reference_format(const struct reference *reference)
{
        char digest[DIGEST_TEXT_MAX] = "";

        if (reference->has_digest)
                digest_format(&reference->digest, digest);
        if (!reference->path)
                return strdup(digest);
        return string_printf("%s/%s%s%s%s%s", reference->domain, reference->path, reference->tag ? ":" : "",
                             reference->tag ? reference->tag : "", *digest ? "@" : "", digest);
}

bool reference_domain_is_loopback(const char *domain)
{
        size_t n = strcspn(domain, ":");

        if (strcmp(domain, "[::1]") == 0 || string_starts_with(domain, "[::1]:"))
                return true;
        if (n == strlen("localhost") && strncmp(domain, "localhost", n) == 0)
                return true;
        /* 127.x.y.z and nothing that only begins so, such as 127.0.0.1.example.org. */
        if (!string_starts_with(domain, "127."))
                return false;
        unsigned dots = 0;
        for (size_t i = 0; i < n; i++) {
                if (domain[i] == '.')
                        dots++;
                else if (domain[i] < '0' || domain[i] > '9')
                        return false;
        }
        return dots == 3;
}

static int parse_image_reference(const char *rest, struct image_uri *uri, struct error *err)
{
        return reference_parse(rest, &uri->reference, err);
}

static int parse_daemon(const char *rest, struct image_uri *uri, struct error *err)
{
        if (string_starts_with(rest, "sha256:") && is_hex_id(rest + strlen("sha256:"))) {
                uri->reference.has_digest = true;
                return digest_parse(view_of_string(rest), &uri->reference.digest, err);
        }
        return reference_parse(rest, &uri->reference, err);
}

static int parse_file(const char *rest, struct image_uri *uri, struct error *err)
{
        const char *colon = strchr(rest, ':');
        size_t n = colon ? (size_t)(colon - rest) : strlen(rest);

        if (n == 0)
                return error_set(err, -EINVAL, "no file or folder is named");
        if (colon && !colon[1])
                return error_set(err, -EINVAL, "nothing follows the colon behind \"%.*s\"", (int)n, rest);
        uri->path = strndup(rest, n);
        uri->selector = colon ? strdup(colon + 1) : NULL;
        if (!uri->path || (colon && !uri->selector))
                return error_oom(err);
        return 0;
}

static int parse_docker_archive(const char *rest, struct image_uri *uri, struct error *err)
{
        cleanup_reference struct reference r = {0};
        int e = parse_file(rest, uri, err);

        if (e < 0 || !uri->selector || uri->selector[0] == '@')
                return e;
        e = reference_parse(uri->selector, &r, err);
        if (e < 0)
                return e;
        free(uri->selector);
        uri->selector = reference_format(&r);
        return uri->selector ? 0 : error_oom(err);
}

/* The first prefix that fits decides; the last fits everything. */
static const struct {
        const char *prefix;
        enum image_transport transport;
        int (*parse)(const char *rest, struct image_uri *uri, struct error *err);
} forms[] = {
        {"docker-daemon:", IMAGE_TRANSPORT_DOCKER_DAEMON, parse_daemon},
        {"docker://", IMAGE_TRANSPORT_REGISTRY, parse_image_reference},
        {"docker-archive:", IMAGE_TRANSPORT_DOCKER_ARCHIVE, parse_docker_archive},
        {"oci:", IMAGE_TRANSPORT_OCI, parse_file},
        {"oci-archive:", IMAGE_TRANSPORT_OCI_ARCHIVE, parse_file},
        {"", IMAGE_TRANSPORT_NAME, parse_image_reference},
};

int image_uri_parse(const char *uri, struct image_uri *ret_uri, struct error *err)
{
        cleanup_image_uri struct image_uri parsed = {0};
        size_t i = 0;

        while (!string_starts_with(uri, forms[i].prefix))
                i++;
        parsed.transport = forms[i].transport;
        int r = forms[i].parse(uri + strlen(forms[i].prefix), &parsed, err);
        if (r < 0) {
                if (forms[i].transport != IMAGE_TRANSPORT_NAME)
                        error_wrap(err, "%.400s", uri);
                else if (uri[0] == '/' || uri[0] == '.' || string_ends_with(uri, ".tar"))
                        error_hint(err, "for a file or folder write docker-archive:FILE, oci-archive:FILE or "
                                        "oci:FOLDER");
                return r;
        }
        *ret_uri = parsed;
        parsed = (struct image_uri){0};
        return 0;
}

void image_uri_done(struct image_uri *uri)
{
        reference_done(&uri->reference);
        free(uri->path);
        free(uri->selector);
        *uri = (struct image_uri){0};
}
