/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nothing in such an archive has a digest but the layers' tars (diff ids) and the configuration's name, so
 * these are what is checked.  Layers that several images share are links in archives of old engines.
 */
#include "lib/image/docker-archive.h"

#include "lib/base/text.h"
#include "lib/crypto/hash.h"
#include "lib/image/oci.h"
#include "lib/image/sources.h"
#include "lib/format/strict-json.h"

#include <string.h>

enum { TAGS_MAX = 1024 };

struct docker_archive_source {
        struct image_source base;
        struct tar_index *index;
};

static int parse_image(const json_t *json, struct docker_archive_image *image, struct error *err)
{
        const char *config = NULL;
        int r = json_is_object(json) ? 0 : error_set(err, -EBADMSG, "not an object");

        if (r == 0)
                r = strict_json_string(json, "Config", &config, err);
        if (r == 0 && (!config || !*config))
                r = error_set(err, -EBADMSG, "member \"Config\" is missing");
        if (r == 0)
                r = strict_json_strings(json, "RepoTags", TAGS_MAX, &image->repo_tags, err);
        if (r == 0)
                r = strict_json_strings(json, "Layers", IMAGE_LAYERS_MAX, &image->layers, err);
        if (r < 0)
                return r;
        image->config = strdup(config);
        return image->config ? 0 : error_oom(err);
}

int docker_archive_parse(struct view json, struct docker_archive_list *ret_list, struct error *err)
{
        cleanup_json json_t *root = NULL;
        cleanup_docker_archive_list struct docker_archive_list list = {0};
        int r = strict_json_parse(json, MANIFEST_SIZE_MAX, &root, err);

        if (r < 0)
                return r;
        if (!json_is_array(root))
                return error_set(err, -EBADMSG, "not a JSON array");
        size_t n = json_array_size(root);
        if (n > DOCKER_ARCHIVE_IMAGES_MAX)
                return error_set(err, -EFBIG, "%zu images, more than the %d allowed", n,
                                 DOCKER_ARCHIVE_IMAGES_MAX);
        list.images = calloc(n ? n : 1, sizeof(*list.images));
        if (!list.images)
                return error_oom(err);
        list.n_images = n; /* of zeros, which can be freed at any point */
        for (size_t i = 0; i < n; i++) {
                r = parse_image(json_array_get(root, i), &list.images[i], err);
                if (r < 0) {
                        error_wrap(err, "image %zu", i);
                        return r;
                }
        }
        *ret_list = (struct docker_archive_list){.images = take_pointer(&list.images), .n_images = n};
        list.n_images = 0;
        return 0;
}

void docker_archive_list_done(struct docker_archive_list *list)
{
        for (size_t i = 0; i < list->n_images; i++) {
                free(list->images[i].config);
                strict_json_free_strings(list->images[i].repo_tags);
                strict_json_free_strings(list->images[i].layers);
        }
        free(list->images);
        *list = (struct docker_archive_list){0};
}

/* The tag as a normalised reference, or NULL where it is none. */
static char *normal_tag(const char *tag)
{
        cleanup_reference struct reference r = {0};

        return reference_parse(tag, &r, NULL) < 0 ? NULL : reference_format(&r);
}

static bool has_tag(const struct docker_archive_image *image, const char *wanted)
{
        for (char **tag = image->repo_tags; *tag; tag++) {
                cleanup_free char *normal = normal_tag(*tag);
                if (normal && strcmp(normal, wanted) == 0)
                        return true;
        }
        return false;
}

/* "debian:12, busybox:latest, @2" */
static void list_images(const struct docker_archive_list *list, struct buf *b)
{
        for (size_t i = 0; i < list->n_images; i++) {
                char **tag = list->images[i].repo_tags;
                if (!*tag)
                        buf_printf(b, "%s@%zu", b->n ? ", " : "", i);
                for (; *tag; tag++)
                        buf_printf(b, "%s%.200s", b->n ? ", " : "", *tag);
        }
}

int docker_archive_select(const struct docker_archive_list *list, const char *selector,
                          const struct docker_archive_image **ret_image, struct error *err)
{
        cleanup_buf struct buf there = buf_with_max(ERROR_TEXT_MAX / 2);
        uint64_t number;

        list_images(list, &there);
        if (list->n_images == 0)
                return error_set(err, -ENOENT, "holds no image");
        if (!selector && list->n_images > 1)
                return error_set(err, -EINVAL, "holds several images: %s; name one of them",
                                 buf_string(&there));
        if (!selector) {
                *ret_image = &list->images[0];
                return 0;
        }
        if (selector[0] == '@' && parse_u64(selector + 1, list->n_images - 1, &number)) {
                *ret_image = &list->images[number];
                return 0;
        }
        for (size_t i = 0; i < list->n_images; i++) {
                if (has_tag(&list->images[i], selector)) {
                        *ret_image = &list->images[i];
                        return 0;
                }
        }
        return error_set(err, -ENOENT, "holds no image \"%.300s\"; there is %s", selector,
                         buf_string(&there));
}

static int read_blob(struct image_source *base, const struct descriptor *d, image_sink_fn sink, void *user,
                     struct error *err)
{
        const struct docker_archive_source *source = (const struct docker_archive_source *)base;
        return tar_index_read(source->index, d->member, sink, user, err);
}

static int read_manifest(struct image_source *base, const struct descriptor *d, image_sink_fn sink,
                         void *user, struct error *err)
{
        (void)base, (void)d, (void)sink, (void)user;
        return error_set(err, -ENOTSUP, "a docker-archive has no manifests");
}

static void source_free(struct image_source *base)
{
        struct docker_archive_source *source = (struct docker_archive_source *)base;

        tar_index_free(source->index);
        free(source);
}

static const struct image_source_ops docker_archive_ops = {
        .read_blob = read_blob,
        .read_manifest = read_manifest,
        .free = source_free,
};

static int take_layers(const struct tar_index *index, const struct docker_archive_image *image,
                       struct image_content *content, struct error *err)
{
        size_t n = 0;

        while (image->layers[n])
                n++;
        content->layers = calloc(n ? n : 1, sizeof(*content->layers));
        if (!content->layers)
                return error_oom(err);
        for (; content->n_layers < n; content->n_layers++) {
                const struct descriptor template = {
                        .media_type = (char[]){""},
                        .architecture = (char[]){""},
                        .os = (char[]){""},
                        .variant = (char[]){""},
                        .ref_name = (char[]){""},
                        .size = tar_index_size(index, image->layers[content->n_layers]),
                        .member = image->layers[content->n_layers]};
                if (descriptor_copy(&template, &content->layers[content->n_layers]) < 0)
                        return error_oom(err);
        }
        return 0;
}

/* Writers name the configuration after its digest: "HEX.json" or "blobs/sha256/HEX". */
static int check_config_name(const char *name, const struct digest *id, struct error *err)
{
        char hex[DIGEST_HEX_MAX];
        const char *slash = strrchr(name, '/');
        const char *last = slash ? slash + 1 : name;
        size_t n = strspn(last, "0123456789abcdef");

        digest_hex(id, hex);
        if (n != strlen(hex) || (last[n] && strcmp(last + n, ".json") != 0) || strncmp(last, hex, n) == 0)
                return 0;
        return error_set(err, -EBADMSG, "%.200s: content does not match its name (it has sha256:%s)", name,
                         hex);
}

static int take_image(const struct tar_index *index, const struct docker_archive_image *image,
                      const struct image_options *options, struct image_content *content, struct error *err)
{
        cleanup_buf struct buf config = buf_with_max(IMAGE_CONFIG_SIZE_MAX);
        int r = tar_index_read(index, image->config, image_sink_buf, &config, err);

        if (r == 0)
                r = take_layers(index, image, content, err);
        if (r == 0)
                r = image_take_config(buf_view(&config), options->arch, content, err);
        if (r == 0)
                r = check_config_name(image->config, &content->id, err);
        if (r == 0 && image->repo_tags[0])
                content->name = normal_tag(image->repo_tags[0]);
        return r;
}

/* The image that manifest.json describes. */
static int open_by_list(struct tar_index *index, const char *selector, const struct image_options *options,
                        struct image_source **ret_source, struct image_content *ret_content,
                        struct error *err)
{
        cleanup_docker_archive_list struct docker_archive_list list = {0};
        cleanup_image_content struct image_content content = {0};
        cleanup_buf struct buf file = buf_with_max(MANIFEST_SIZE_MAX);
        const struct docker_archive_image *image;
        int r = tar_index_read(index, "manifest.json", image_sink_buf, &file, err);

        if (r == 0)
                r = docker_archive_parse(buf_view(&file), &list, err);
        if (r < 0) {
                error_wrap(err, "manifest.json");
                return r;
        }
        r = docker_archive_select(&list, selector, &image, err);
        if (r == 0)
                r = take_image(index, image, options, &content, err);
        if (r < 0)
                return r;
        if (selector && selector[0] != '@') {
                free(content.name);
                content.name = strdup(selector);
        }
        struct docker_archive_source *source = calloc(1, sizeof(*source));
        if (!source)
                return error_oom(err);
        *source = (struct docker_archive_source){.base.ops = &docker_archive_ops, .index = index};
        *ret_source = &source->base;
        *ret_content = content;
        content = (struct image_content){0};
        return 0;
}

int docker_archive_open_tar(struct tar_index *index, const char *selector,
                            const struct image_options *options, struct image_source **ret_source,
                            struct image_content *ret_content, struct error *err)
{
        if (tar_index_has(index, "manifest.json"))
                return open_by_list(index, selector, options, ret_source, ret_content, err);
        if (tar_index_has(index, "oci-layout"))
                return oci_open_tar(index, selector, options, ret_source, ret_content, err);
        if (tar_index_has(index, "repositories"))
                return error_set(err, -ENOTSUP,
                                 "written by a Docker older than 1.10; save it again with a newer one");
        return error_set(err, -EBADMSG, "not an archive of `docker save`: it has no manifest.json");
}

int docker_archive_open(const struct image_uri *uri, const struct image_options *options,
                        struct image_source **ret_source, struct image_content *ret_content,
                        struct error *err)
{
        cleanup_tar_index struct tar_index *index = NULL;
        int r = tar_index_open_file(uri->path, options, &index, err);

        if (r == 0)
                r = docker_archive_open_tar(index, uri->selector, options, ret_source, ret_content, err);
        if (r == 0)
                index = NULL;
        return r;
}
