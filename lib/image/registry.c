/* SPDX-License-Identifier: Apache-2.0 */
/*
 * docker://REF: a client of the OCI distribution specification v1.1 (pull).
 *
 * Content is always asked of the registry.  Other addresses that a descriptor may name ("urls") are not used:
 * credentials must not go there (CVE-2020-15157), and layers that are only there are not distributable.
 */
#include "lib/image/http-url.h"
#include "lib/image/registry-internal.h"
#include "lib/image/sources.h"

#include "lib/base/text.h"
#include "lib/crypto/hash.h"

#include <string.h>
#include <strings.h>

#define ACCEPT_MANIFESTS                                                                                     \
        MANIFEST_TYPE_OCI_INDEX ", " MANIFEST_TYPE_OCI ", " MANIFEST_TYPE_DOCKER_LIST                        \
                                ", " MANIFEST_TYPE_DOCKER

static void registry_free(struct image_source *base)
{
        struct registry_source *s = (struct registry_source *)base;

        while (s->n_idle > 0)
                http_client_free(s->idle[--s->n_idle]);
        pthread_mutex_destroy(&s->lock);
        http_trust_done(&s->trust);
        free(s->host);
        free(s->domain);
        free(s->path);
        free(s->cert_host);
        auth_wipe_string(s->authorization);
        free(s);
}

/* A page for people where a document was asked for: something in between has answered. */
static int refuse_web_page(const struct http_response *response, struct error *err)
{
        const char *type = response->content_type ? response->content_type : "";

        if (strncasecmp(type, "text/html", strlen("text/html")) != 0)
                return 0;
        return error_set(
                err, -EBADMSG,
                "answers with a web page (%.60s) where a manifest was asked for; perhaps a login page "
                "or a proxy's is in between",
                type);
}

/* A manifest is sent as what its descriptor says it is, where both say something that we know. */
static int check_type(const struct http_response *response, const char *wanted, struct error *err)
{
        const char *type = response->content_type ? response->content_type : "";
        int r = refuse_web_page(response, err);

        if (r < 0 || !manifest_type_is_known(type) || !manifest_type_is_known(wanted) ||
            manifest_type_same(type, wanted))
                return r;
        return error_set(err, -EBADMSG, "is sent as \"%.100s\", but must be \"%.100s\"", type, wanted);
}

static int read_at(struct image_source *base, const char *folder, const char *accept,
                   const struct descriptor *d, image_sink_fn sink, void *user,
                   struct http_response *ret_response, struct error *err)
{
        char digest[DIGEST_TEXT_MAX];

        digest_format(&d->digest, digest);
        cleanup_free char *suffix = string_printf("%s/%s", folder, digest);
        if (!suffix)
                return error_oom(err);
        const struct registry_fetch f = {
                .suffix = suffix,
                .accept = accept,
                .has_size = d->has_size,
                .size = d->size,
                .sink = sink,
                .user = user,
        };
        return registry_get((struct registry_source *)base, &f, ret_response, err);
}

static int registry_read_blob(struct image_source *base, const struct descriptor *d, image_sink_fn sink,
                              void *user, struct error *err)
{
        cleanup_http_response struct http_response response = {0};

        return read_at(base, "blobs", NULL, d, sink, user, &response, err);
}

static int registry_read_manifest(struct image_source *base, const struct descriptor *d, image_sink_fn sink,
                                  void *user, struct error *err)
{
        cleanup_http_response struct http_response response = {0};
        int r = read_at(base, "manifests", ACCEPT_MANIFESTS, d, sink, user, &response, err);

        return r < 0 ? r : check_type(&response, d->media_type, err);
}

static const struct image_source_ops registry_ops = {
        .read_blob = registry_read_blob,
        .read_manifest = registry_read_manifest,
        .free = registry_free,
};

static int registry_new(const struct reference *reference, const struct image_options *options,
                        struct image_source **ret_source, struct error *err)
{
        struct registry_source *s = calloc(1, sizeof(*s));
        bool hub = strcmp(reference->domain, "docker.io") == 0;

        if (!s)
                return error_oom(err);
        cleanup_image_source struct image_source *source = &s->base;
        s->base.ops = &registry_ops;
        s->options = options;
        pthread_mutex_init(&s->lock, NULL);
        s->host = strdup(hub ? "registry-1.docker.io" : reference->domain);
        s->domain = strdup(reference->domain);
        s->path = strdup(reference->path);
        cleanup_free char *url = s->host ? string_printf("https://%s/", s->host) : NULL;
        cleanup_free char *origin = url ? http_url_origin(url) : NULL;
        if (!s->domain || !s->path || !origin)
                return error_oom(err);
        s->cert_host = strdup(origin + strlen("https://"));
        if (!s->cert_host)
                return error_oom(err);
        int r = http_trust_find(reference->domain, options->registries.ca_file, options->log, &s->trust, err);
        if (r == 0)
                *ret_source = take_pointer(&source);
        return r;
}

/* What the registry says the digest is must be what we got. */
static int check_header(const struct http_response *response, struct view bytes, struct error *err)
{
        struct digest said, actual;
        struct error ignored = {0};

        if (!response->digest || !*response->digest ||
            digest_parse(view_of_string(response->digest), &said, &ignored) < 0)
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

/* The bytes of the manifest or index that `reference` names, by tag or digest, and what they were sent as. */
static int read_root(struct registry_source *s, const struct reference *reference, struct buf *bytes,
                     struct http_response *ret_response, struct error *err)
{
        char digest[DIGEST_TEXT_MAX] = "";
        struct digest actual;

        if (reference->has_digest)
                digest_format(&reference->digest, digest);
        cleanup_free char *suffix = string_printf("manifests/%s", *digest ? digest : reference->tag);
        if (!suffix)
                return error_oom(err);
        const struct registry_fetch f = {
                .suffix = suffix, .accept = ACCEPT_MANIFESTS, .sink = image_sink_buf, .user = bytes};
        int r = registry_get(s, &f, ret_response, err);
        if (r == 0)
                r = refuse_web_page(ret_response, err);
        if (r < 0 || !*digest)
                return r < 0 ? r : check_header(ret_response, buf_view(bytes), err);
        r = hash_view(reference->digest.algorithm, buf_view(bytes), &actual);
        if (r < 0)
                return error_set(err, r, "cannot hash the manifest");
        if (digest_equal(&actual, &reference->digest))
                return 0;
        digest_format(&actual, digest);
        return error_set(err, -EBADMSG, "manifest %s: content does not match its digest (it has %s)",
                         suffix + strlen("manifests/"), digest);
}

static int resolve(struct image_source *source, const struct reference *reference, const char *arch,
                   struct image_content *ret_content, struct error *err)
{
        cleanup_http_response struct http_response response = {0};
        cleanup_buf struct buf bytes = buf_with_max(MANIFEST_SIZE_MAX);
        struct digest root;
        int r = read_root((struct registry_source *)source, reference, &bytes, &response, err);

        if (r == 0)
                r = image_resolve_bytes(source, buf_view(&bytes),
                                        response.content_type ? response.content_type : "", arch, ret_content,
                                        err);
        if (r < 0 || !reference->has_digest)
                return r;
        /* In the algorithm that was asked for, where what was named is no index but the manifest itself. */
        if (hash_view(HASH_SHA256, buf_view(&bytes), &root) == 0 &&
            digest_equal(&root, &ret_content->manifest_digest))
                ret_content->manifest_digest = reference->digest;
        return 0;
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
        r = resolve(source, reference, options->arch, &content, err);
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
