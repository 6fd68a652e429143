/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/image/manifest.h"

#include "lib/base/buf.h"
#include "lib/base/text.h"
#include "lib/image/image-config.h"
#include "lib/format/strict-json.h"

#include <string.h>
#include <strings.h>

/* Media types that say what a document is. Others ("application/json", "text/plain") say nothing. */
static const struct {
        const char *type;
        enum manifest_kind kind;
} known_types[] = {
        {MANIFEST_TYPE_OCI, MANIFEST_IMAGE},
        {MANIFEST_TYPE_DOCKER, MANIFEST_IMAGE},
        {MANIFEST_TYPE_OCI_INDEX, MANIFEST_INDEX},
        {MANIFEST_TYPE_DOCKER_LIST, MANIFEST_INDEX},
};

static const char *const config_types[] = {
        "application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json",
        "application/octet-stream", /* old registries' converters */
};

/* Duplicates `s` ("" for NULL) into *ret_copy. */
static int copy_string(const char *s, char **ret_copy, struct error *err)
{
        char *copy = strdup(s ? s : "");

        if (!copy)
                return error_oom(err);
        *ret_copy = copy;
        return 0;
}

/* Takes string member `name` of `parent` (which may be NULL) into *ret_copy. */
static int take_string(const json_t *parent, const char *name, char **ret_copy, struct error *err)
{
        const char *value = NULL;
        int r = parent ? strict_json_string(parent, name, &value, err) : 0;

        return r < 0 ? r : copy_string(value, ret_copy, err);
}

static int take_platform(const json_t *json, struct descriptor *d, struct error *err)
{
        json_t *platform;
        int r = strict_json_object(json, "platform", &platform, err);

        if (r == 0)
                r = take_string(platform, "architecture", &d->architecture, err);
        if (r == 0)
                r = take_string(platform, "os", &d->os, err);
        if (r == 0)
                r = take_string(platform, "variant", &d->variant, err);
        return r;
}

static int take_ref_name(const json_t *json, struct descriptor *d, struct error *err)
{
        json_t *annotations;
        const char *name = NULL;
        int r = strict_json_object(json, "annotations", &annotations, err);

        if (r == 0 && annotations)
                r = strict_json_string(annotations, "org.opencontainers.image.ref.name", &name, err);
        if (r == 0 && annotations && !name)
                r = strict_json_string(annotations, "io.containerd.image.name", &name, err);
        return r < 0 ? r : copy_string(name, &d->ref_name, err);
}

static int parse_descriptor(const json_t *json, struct descriptor *ret_d, struct error *err)
{
        cleanup_descriptor struct descriptor d = {.has_digest = true, .has_size = true};
        const char *digest = NULL;

        if (!json_is_object(json))
                return error_set(err, -EBADMSG, "not an object");
        if (!json_is_integer(json_object_get(json, "size")))
                return error_set(err, -EBADMSG, "member \"size\" is missing or not a number");
        int r = strict_json_u64(json, "size", &d.size, err);
        if (r == 0)
                r = strict_json_string(json, "digest", &digest, err);
        if (r == 0)
                r = digest ? digest_parse(view_of_string(digest), &d.digest, err)
                           : error_set(err, -EBADMSG, "member \"digest\" is missing");
        if (r == 0)
                r = take_string(json, "mediaType", &d.media_type, err);
        if (r == 0)
                r = take_platform(json, &d, err);
        if (r == 0)
                r = take_ref_name(json, &d, err);
        if (r == 0)
                r = copy_string("", &d.member, err);
        if (r < 0)
                return r;
        *ret_d = d;
        d = (struct descriptor){0};
        return 0;
}

static int parse_contents(const json_t *root, const char *name, size_t max, struct manifest *m,
                          struct error *err)
{
        json_t *array;
        int r = strict_json_array(root, name, &array, err);

        if (r < 0)
                return r;
        size_t n = json_array_size(array);
        if (n > max)
                return error_set(err, -EFBIG, "%zu %s, more than the %zu allowed", n, name, max);
        m->contents = calloc(n ? n : 1, sizeof(*m->contents));
        if (!m->contents)
                return error_oom(err);
        for (; m->n_contents < n; m->n_contents++) {
                r = parse_descriptor(json_array_get(array, m->n_contents), &m->contents[m->n_contents], err);
                if (r < 0) {
                        error_wrap(err, "entry %zu of \"%s\"", m->n_contents, name);
                        return r;
                }
        }
        return 0;
}

static bool kind_of_type(const char *type, enum manifest_kind *ret_kind)
{
        size_t n = strcspn(type, "; "); /* without "; charset=..." */

        for (size_t i = 0; i < ARRAY_SIZE(known_types); i++) {
                if (strlen(known_types[i].type) == n && strncasecmp(known_types[i].type, type, n) == 0) {
                        *ret_kind = known_types[i].kind;
                        return true;
                }
        }
        return false;
}

bool manifest_type_is_known(const char *type)
{
        enum manifest_kind ignored;

        return kind_of_type(type, &ignored);
}

bool manifest_type_same(const char *a, const char *b)
{
        size_t n = strcspn(a, "; ");

        return n == strcspn(b, "; ") && strncasecmp(a, b, n) == 0;
}

/* Decides what the document is by its members; its own type and the source's must not contradict. */
static int find_kind(const json_t *root, const char *media_type, enum manifest_kind *ret_kind,
                     struct error *err)
{
        bool has_manifests = json_object_get(root, "manifests");
        bool has_image = json_object_get(root, "config") || json_object_get(root, "layers");
        const char *own_type = NULL;
        enum manifest_kind kind = has_manifests ? MANIFEST_INDEX : MANIFEST_IMAGE, said = kind;
        int r = strict_json_string(root, "mediaType", &own_type, err);

        if (r < 0)
                return r;
        if (json_object_get(root, "fsLayers") || json_object_get(root, "signatures"))
                return error_set(
                        err, -ENOTSUP,
                        "a Docker schema 1 manifest, a format given up in 2017; push the image again "
                        "with a current tool");
        if (has_manifests && has_image)
                return error_set(err, -EBADMSG, "both an index and a manifest (\"manifests\" beside \"%s\")",
                                 json_object_get(root, "config") ? "config" : "layers");
        if (!has_manifests && !has_image)
                return error_set(err, -EBADMSG, "neither a manifest nor an index");
        if ((own_type && kind_of_type(own_type, &said) && said != kind) ||
            (kind_of_type(media_type, &said) && said != kind))
                return error_set(err, -EBADMSG, "media type \"%.200s\" contradicts its members",
                                 own_type ? own_type : media_type);
        *ret_kind = kind;
        return 0;
}

static int parse_image(const json_t *root, struct manifest *m, struct error *err)
{
        json_t *config;
        int r = strict_json_object(root, "config", &config, err);

        if (r < 0)
                return r;
        if (!config)
                return error_set(err, -EBADMSG, "member \"config\" is missing");
        r = parse_descriptor(config, &m->config, err);
        if (r < 0) {
                error_wrap(err, "member \"config\"");
                return r;
        }
        size_t i = 0;
        while (i < ARRAY_SIZE(config_types) && strcmp(config_types[i], m->config.media_type) != 0)
                i++;
        if (i == ARRAY_SIZE(config_types))
                return error_set(err, -ENOTSUP,
                                 "its configuration has type \"%.200s\": not a container image",
                                 m->config.media_type);
        if (!json_object_get(root, "layers"))
                return error_set(err, -EBADMSG, "member \"layers\" is missing");
        return parse_contents(root, "layers", IMAGE_LAYERS_MAX, m, err);
}

int manifest_parse(struct view json, const char *media_type, struct manifest *ret_manifest, struct error *err)
{
        cleanup_json json_t *root = NULL;
        cleanup_manifest struct manifest m = {0};
        uint64_t version = 0;
        int r = strict_json_parse(json, MANIFEST_SIZE_MAX, &root, err);

        if (r < 0)
                return r;
        if (!json_is_object(root))
                return error_set(err, -EBADMSG, "not a JSON object");
        r = find_kind(root, media_type, &m.kind, err);
        if (r == 0)
                r = strict_json_u64(root, "schemaVersion", &version, err);
        if (r == 0 && version != 2)
                r = error_set(err, version == 1 ? -ENOTSUP : -EBADMSG, "schemaVersion is not 2");
        if (r == 0)
                r = m.kind == MANIFEST_IMAGE ? parse_image(root, &m, err)
                                             : parse_contents(root, "manifests", MANIFEST_INDEX_MAX, &m, err);
        if (r < 0)
                return r;
        *ret_manifest = m;
        m = (struct manifest){0};
        return 0;
}

/* How well a variant suits a machine of which only the architecture is known: the lower the better. */
static int variant_rank(const struct descriptor *d)
{
        static const struct {
                const char *architecture;
                const char *variant;
        } baseline[] = {{"amd64", "v1"}, {"arm64", "v8"}, {"arm", "v7"}};

        if (!*d->variant)
                return 0;
        for (size_t i = 0; i < ARRAY_SIZE(baseline); i++)
                if (strcmp(baseline[i].architecture, d->architecture) == 0 &&
                    strcmp(baseline[i].variant, d->variant) == 0)
                        return 1;
        return 2;
}

static int no_such_platform(const struct manifest *index, const char *arch, struct error *err)
{
        cleanup_buf struct buf list = buf_with_max(ERROR_TEXT_MAX / 2);

        for (size_t i = 0; i < index->n_contents; i++) {
                const struct descriptor *d = &index->contents[i];
                if (!*d->os || strcmp(d->os, "unknown") == 0)
                        continue;
                buf_printf(&list, "%s%.40s/%.40s%s%.40s", list.n ? ", " : "", d->os, d->architecture,
                           *d->variant ? "/" : "", d->variant);
        }
        return error_set(err, -ENOENT, "no image for linux/%s; there is %s", arch,
                         list.n ? buf_string(&list) : "none with a platform");
}

int manifest_select(const struct manifest *index, const char *arch, const struct descriptor **ret_descriptor,
                    struct error *err)
{
        const struct descriptor *best = NULL;

        for (size_t i = 0; i < index->n_contents; i++) {
                const struct descriptor *d = &index->contents[i];
                if (strcmp(d->os, "linux") != 0 || strcmp(d->architecture, arch) != 0)
                        continue;
                if (!best || variant_rank(d) < variant_rank(best))
                        best = d;
        }
        /* A lone entry may go without a platform; its configuration is checked anyway. */
        if (!best && index->n_contents == 1 && !*index->contents[0].os)
                best = &index->contents[0];
        if (!best)
                return no_such_platform(index, arch, err);
        *ret_descriptor = best;
        return 0;
}

int descriptor_copy(const struct descriptor *d, struct descriptor *ret_copy)
{
        struct descriptor copy = *d;

        copy.media_type = strdup(d->media_type);
        copy.architecture = strdup(d->architecture);
        copy.os = strdup(d->os);
        copy.variant = strdup(d->variant);
        copy.ref_name = strdup(d->ref_name);
        copy.member = strdup(d->member);
        if (!copy.media_type || !copy.architecture || !copy.os || !copy.variant || !copy.ref_name ||
            !copy.member) {
                descriptor_done(&copy);
                return -ENOMEM;
        }
        *ret_copy = copy;
        return 0;
}

void descriptor_done(struct descriptor *d)
{
        free(d->media_type);
        free(d->architecture);
        free(d->os);
        free(d->variant);
        free(d->ref_name);
        free(d->member);
        *d = (struct descriptor){0};
}

void manifest_done(struct manifest *manifest)
{
        descriptor_done(&manifest->config);
        for (size_t i = 0; i < manifest->n_contents; i++)
                descriptor_done(&manifest->contents[i]);
        free(manifest->contents);
        *manifest = (struct manifest){0};
}
