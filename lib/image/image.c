/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation.  A source (source.h) knows how to get content by descriptor; which one it is was
 * decided by the URI's form.  Everything above that is here and the same for all: the layers' pipeline,
 * limits, progress, and errors that name image and layer.
 */
#include "lib/image/image.h"

#include "lib/image/progress.h"
#include "lib/image/reference.h"
#include "lib/image/sources.h"
#include "lib/image/spool.h"

#include <string.h>

static const uint64_t gib = 1024ull * 1024 * 1024;

struct image {
        struct image_options options;
        char *uri;
        struct image_source *source;
        struct image_content content;
        uint64_t *sizes; /* of each layer's tar, 0 before it was fetched */
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
        if (r < 0) {
                error_wrap(err, "%.400s", image->uri);
                return r;
        }
        image->sizes = calloc(image->content.n_layers + 1, sizeof(*image->sizes));
        return image->sizes ? 0 : error_oom(err);
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
        if (!image->options.max_layer_size)
                image->options.max_layer_size = 64 * gib;
        if (!image->options.max_image_size)
                image->options.max_image_size = 256 * gib;
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
        image_source_free(image->source);
        image_content_done(&image->content);
        free(image->sizes);
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

/* What a layer's tar may still take: its own limit, and what the other layers leave of the image's. */
static uint64_t room_for(const struct image *image, size_t layer)
{
        uint64_t used = 0;

        for (size_t i = 0; i < image->content.n_layers; i++)
                used += i == layer ? 0 : image->sizes[i];
        uint64_t left = used < image->options.max_image_size ? image->options.max_image_size - used : 1;
        return left < image->options.max_layer_size ? left : image->options.max_layer_size;
}

struct layer_progress {
        struct progress_meter meter;
        struct image_progress progress;
};

static void report_layer(void *user, uint64_t done)
{
        struct layer_progress *p = user;

        p->progress.done = done;
        progress_report(&p->meter, &p->progress);
}

static void name_layer(const struct image *image, size_t i, struct error *err)
{
        const struct descriptor *d = &image->content.layers[i];
        char text[DIGEST_TEXT_MAX];

        digest_format(d->has_digest ? &d->digest : &image->content.config.diff_ids[i], text);
        error_wrap(err, "%.300s: layer %zu of %zu (%s)", image->uri, i + 1, image->content.n_layers, text);
}

int image_fetch_layer(struct image *image, size_t i, int *ret_fd, struct error *err)
{
        if (i >= image->content.n_layers)
                return error_set(err, -EINVAL, "%.300s: there is no layer %zu", image->uri, i + 1);
        const struct descriptor *blob = &image->content.layers[i];
        struct layer_progress p = {
                .meter.options = &image->options,
                .progress = {.phase = IMAGE_PHASE_LAYER,
                             .layer = i,
                             .n_layers = image->content.n_layers,
                             .total = blob->size},
        };
        const struct layer_request request = {
                .blob = blob,
                .diff_id = &image->content.config.diff_ids[i],
                /* Deflate gets to about 1,000-fold, so only a stream made for it comes here. */
                .limits = {.max_output = room_for(image, i), .max_ratio = 4096, .ratio_floor = gib},
                .spool_dir = image->options.spool_dir,
                .log = image->options.log,
                .progress = report_layer,
                .user = &p,
        };
        int r = layer_spool(image->source, &request, ret_fd, &image->sizes[i], err);
        if (r < 0) {
                name_layer(image, i, err);
                return r;
        }
        progress_report_now(&p.meter, &p.progress);
        return 0;
}
