/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/image/source.h"

#include "lib/crypto/hash.h"

#include <string.h>

void image_source_free(struct image_source *source)
{
        if (source)
                source->ops->free(source);
}

void image_source_stop(struct image_source *source)
{
        atomic_store(&source->stopped, true);
}

bool image_source_is_stopped(const struct image_source *source)
{
        return atomic_load(&source->stopped);
}

void image_content_done(struct image_content *content)
{
        free(content->name);
        image_config_done(&content->config);
        for (size_t i = 0; i < content->n_layers; i++)
                descriptor_done(&content->layers[i]);
        free(content->layers);
        *content = (struct image_content){0};
}

int image_sink_buf(void *user, struct view data, struct error *err)
{
        struct buf *b = user;
        int r = buf_append_view(b, data);

        if (r == -E2BIG)
                return error_set(err, -EFBIG, "larger than the %zu bytes allowed", b->max);
        return r < 0 ? error_oom(err) : 0;
}

typedef int (*read_fn)(struct image_source *source, const struct descriptor *d, image_sink_fn sink,
                       void *user, struct error *err);

/* Reads a small blob into *b (empty, with its ceiling) and checks size and digest. */
static int read_checked(struct image_source *source, read_fn read, const struct descriptor *d,
                        const char *what, struct buf *b, struct error *err)
{
        char text[DIGEST_TEXT_MAX];
        struct digest actual;
        int r = 0;

        digest_format(&d->digest, text);
        if (d->has_size && d->size > b->max)
                r = error_set(err, -EFBIG, "%llu bytes, more than the %zu allowed",
                              (unsigned long long)d->size, b->max);
        if (r == 0)
                r = read(source, d, image_sink_buf, b, err);
        if (r == 0 && d->has_size && d->size != b->n)
                r = error_set(err, -EBADMSG, "has %zu bytes, but must have %llu", b->n,
                              (unsigned long long)d->size);
        if (r == 0)
                r = hash_view(d->digest.algorithm, buf_view(b), &actual);
        if (r == 0 && !digest_equal(&actual, &d->digest)) {
                char other[DIGEST_TEXT_MAX];
                digest_format(&actual, other);
                r = error_set(err, -EBADMSG, "content does not match its digest (it has %s)", other);
        }
        if (r < 0)
                error_wrap(err, "%s %s", what, text);
        return r;
}

static int check_platform(const struct image_config *c, const char *arch, struct error *err)
{
        if ((*c->os && strcmp(c->os, "linux") != 0) ||
            (*c->architecture && strcmp(c->architecture, arch) != 0))
                return error_set(err, -ENOENT, "the image is for %.40s/%.40s, wanted is linux/%s", c->os,
                                 c->architecture, arch);
        return 0;
}

int image_take_config(struct view json, const char *arch, struct image_content *content, struct error *err)
{
        int r = image_config_parse(json, &content->config, err);

        if (r == 0)
                r = check_platform(&content->config, arch, err);
        if (r == 0 && content->config.n_diff_ids != content->n_layers)
                r = error_set(err, -EBADMSG, "names %zu layers (diff_ids), but the manifest has %zu",
                              content->config.n_diff_ids, content->n_layers);
        if (r < 0) {
                error_wrap(err, "image configuration");
                return r;
        }
        r = hash_view(HASH_SHA256, json, &content->id);
        return r < 0 ? error_set(err, r, "cannot hash the image configuration") : 0;
}

/* Moves a manifest's layers into content and reads the configuration. */
static int take_manifest(struct image_source *source, struct manifest *m, const char *arch,
                         struct image_content *content, struct error *err)
{
        cleanup_buf struct buf config = buf_with_max(IMAGE_CONFIG_SIZE_MAX);
        int r = read_checked(source, source->ops->read_blob, &m->config, "image configuration", &config, err);

        if (r < 0)
                return r;
        content->layers = take_pointer(&m->contents);
        content->n_layers = m->n_contents;
        m->n_contents = 0;
        r = image_take_config(buf_view(&config), arch, content, err);
        if (r == 0)
                content->id = m->config.digest;
        return r;
}

/* Reads `bytes` and, where it is an index, puts the chosen entry into *ret_next (has_digest set). */
static int take_document(struct image_source *source, struct view bytes, const char *media_type,
                         const char *arch, struct image_content *content, struct descriptor *ret_next,
                         struct error *err)
{
        cleanup_manifest struct manifest m = {0};
        const struct descriptor *chosen;
        int r = manifest_parse(bytes, media_type, &m, err);

        if (r < 0) {
                error_wrap(err, "manifest");
                return r;
        }
        if (m.kind == MANIFEST_IMAGE) {
                *ret_next = (struct descriptor){0};
                r = take_manifest(source, &m, arch, content, err);
                if (r == 0)
                        r = hash_view(HASH_SHA256, bytes, &content->manifest_digest);
                content->has_manifest_digest = r == 0;
                return r;
        }
        r = manifest_select(&m, arch, &chosen, err);
        if (r < 0)
                return r;
        return descriptor_copy(chosen, ret_next) < 0 ? error_oom(err) : 0;
}

int image_resolve(struct image_source *source, const struct descriptor *root, const char *arch,
                  struct image_content *ret_content, struct error *err)
{
        cleanup_descriptor struct descriptor at = {0};
        cleanup_image_content struct image_content content = {0};

        if (descriptor_copy(root, &at) < 0)
                return error_oom(err);
        for (int depth = 0; at.has_digest; depth++) {
                cleanup_buf struct buf bytes = buf_with_max(MANIFEST_SIZE_MAX);
                struct descriptor next = {0};
                if (depth > MANIFEST_NESTING_MAX)
                        return error_set(err, -EBADMSG, "indexes nest deeper than %d levels",
                                         MANIFEST_NESTING_MAX);
                int r = read_checked(source, source->ops->read_manifest, &at, "manifest", &bytes, err);
                if (r == 0)
                        r = take_document(source, buf_view(&bytes), at.media_type, arch, &content, &next,
                                          err);
                if (r < 0)
                        return r;
                if (content.has_manifest_digest)
                        content.manifest_digest = at.digest; /* in its own algorithm */
                descriptor_done(&at);
                at = next;
        }
        *ret_content = content;
        content = (struct image_content){0};
        return 0;
}

int image_resolve_bytes(struct image_source *source, struct view bytes, const char *media_type,
                        const char *arch, struct image_content *ret_content, struct error *err)
{
        cleanup_image_content struct image_content content = {0};
        cleanup_descriptor struct descriptor next = {0};
        int r = take_document(source, bytes, media_type, arch, &content, &next, err);

        if (r < 0)
                return r;
        if (next.has_digest)
                return image_resolve(source, &next, arch, ret_content, err);
        *ret_content = content;
        content = (struct image_content){0};
        return 0;
}
