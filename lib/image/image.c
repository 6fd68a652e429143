/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation.  A source (source.h) knows how to get content by descriptor; which one it is was
 * decided by the URI's form.  Everything above that is the same for all: limits, progress,
 * the layers' pipeline (fetch.h, spool.h), and errors that name image and layer.
 */
#include "lib/image/image.h"

#include "lib/image/fetch.h"
#include "lib/image/progress.h"
#include "lib/image/reference.h"
#include "lib/image/sources.h"

#include <string.h>

static const uint64_t gib = 1024ull * 1024 * 1024;

struct image {
        struct image_options options;
        char *uri;
        struct image_source *source;
        struct image_content content;
        struct image_fetch *fetch; /* NULL before the first layer was asked for */
};

typedef int (*open_fn)(const struct image_uri *uri, const struct image_options *options,
                       struct image_source **ret_source, struct image_content *ret_content,
                       struct error *err);

/* A plain name: the engine where it has the image, else the registry.  An engine that has it and fails to
 * deliver is an error: the registry's image of that name may be another one. */
static int open_name(const struct image_uri *uri, const struct image_options *options,
                     struct image_source **ret_source, struct image_content *ret_content, struct error *err)
{
        struct error engine = {0}, registry = {0};
        int r = docker_engine_open(uri, options, ret_source, ret_content, &engine);

        if (r == 0)
                return 0;
        if (r != -ENOENT && r != -EHOSTDOWN)
                return error_set(err, r, "%s", error_text(&engine));
        log_debug(options->log, "%s; asking the registry", error_text(&engine));
        r = registry_open(uri, options, ret_source, ret_content, &registry);
        if (r < 0)
                return error_set(err, r, "%s; and %s", error_text(&registry), error_text(&engine));
        return 0;
}

static const open_fn openers[] = {
        [IMAGE_TRANSPORT_NAME] = open_name,         [IMAGE_TRANSPORT_DOCKER_DAEMON] = docker_engine_open,
        [IMAGE_TRANSPORT_REGISTRY] = registry_open, [IMAGE_TRANSPORT_DOCKER_ARCHIVE] = docker_archive_open,
        [IMAGE_TRANSPORT_OCI] = oci_layout_open,    [IMAGE_TRANSPORT_OCI_ARCHIVE] = oci_archive_open,
};

static int open_image(struct image *image, struct error *err)
{
        cleanup_image_uri struct image_uri uri = {0};
        struct progress_meter meter = {.options = &image->options};
        int r = image_uri_parse(image->uri, &uri, err);

        if (r < 0)
                return r;
        progress_report_now(&meter, &(struct image_progress){.phase = IMAGE_PHASE_RESOLVE});
        r = openers[uri.transport](&uri, &image->options, &image->source, &image->content, err);
        if (r < 0)
                error_wrap(err, "%.400s", image->uri);
        return r;
}

static void set_default(uint64_t *value, uint64_t fallback)
{
        if (*value == 0)
                *value = fallback;
}

int image_open(const char *uri, const struct image_options *options, struct image **ret_image,
               struct error *err)
{
        cleanup_image struct image *image = calloc(1, sizeof(*image));

        if (!image)
                return error_oom(err);
        if (options)
                image->options = *options;
        if (!image->options.arch)
                image->options.arch = "amd64";
        set_default(&image->options.max_layer_size, 64 * gib);
        set_default(&image->options.max_image_size, 256 * gib);
        set_default(&image->options.max_ratio, 200);
        set_default(&image->options.ratio_floor, gib);
        image->uri = strdup(uri);
        if (!image->uri)
                return error_oom(err);
        int r = open_image(image, err);
        if (r < 0)
                return r;
        *ret_image = take_pointer(&image);
        return 0;
}

void image_free(struct image *image)
{
        if (!image)
                return;
        image_fetch_free(image->fetch); /* first: its threads use all the rest */
        image_source_free(image->source);
        image_content_done(&image->content);
        free(image->uri);
        free(image);
}

const struct image_config *image_config(const struct image *image)
{
        return &image->content.config;
}

const struct digest *image_id(const struct image *image)
{
        return &image->content.id;
}

const struct digest *image_manifest_digest(const struct image *image)
{
        return image->content.has_manifest_digest ? &image->content.manifest_digest : NULL;
}

const char *image_name(const struct image *image)
{
        return image->content.name ? image->content.name : image->uri;
}

size_t image_layer_count(const struct image *image)
{
        return image->content.n_layers;
}

int image_fetch_layer(struct image *image, size_t i, int *ret_fd, struct error *err)
{
        int r = 0;

        if (i >= image->content.n_layers)
                return error_set(err, -EINVAL, "%.300s: there is no layer %zu", image->uri, i + 1);
        if (!image->fetch)
                r = image_fetch_start(image->source, &image->content, &image->options, image->uri,
                                      &image->fetch, err);
        return r < 0 ? r : image_fetch_take(image->fetch, i, ret_fd, err);
}
