/* SPDX-License-Identifier: Apache-2.0 */
/*
 * source.h - what lib/image's sources have in common: a source gives content by descriptor, and this side
 * checks and understands it.
 */
#pragma once

#include "lib/base/buf.h"
#include "lib/image/image.h"
#include "lib/image/manifest.h"

#include <stdatomic.h>

struct image_source;

/* Takes the next bytes of content; a negative errno (with err set) ends the reading call with it. */
typedef int (*image_sink_fn)(void *user, struct view data, struct error *err);

/* Reads may run in several threads at once. */
struct image_source_ops {
        /* Streams the blob that `d` names to `sink`, unchecked.  -ENOENT where there is none. */
        int (*read_blob)(struct image_source *source, const struct descriptor *d, image_sink_fn sink,
                         void *user, struct error *err);
        /* The same for manifests and indexes, which registries keep apart. */
        int (*read_manifest)(struct image_source *source, const struct descriptor *d, image_sink_fn sink,
                             void *user, struct error *err);
        void (*free)(struct image_source *source);
};

/* Begins every source's own struct. */
struct image_source {
        const struct image_source_ops *ops;
        atomic_bool stopped; /* image_source_stop() was called */
};

/* Ends what reads are going on, and all to come, with -ECANCELED: soon, not at once.  Cannot be undone. */
void image_source_stop(struct image_source *source);

/* True after that. */
bool image_source_is_stopped(const struct image_source *source);

/* Frees a source. NULL-safe. */
void image_source_free(struct image_source *source);
DEFINE_CLEANUP(cleanup_image_source_p, struct image_source *, image_source_free)
#define cleanup_image_source CLEANUP(cleanup_image_source_p)

/* An image as far as image_open() reads it. */
struct image_content {
        char *name; /* NULL where the source knows none */
        bool has_manifest_digest;
        struct digest manifest_digest;
        struct digest id;
        struct image_config config;
        struct descriptor *layers; /* as many as config.n_diff_ids */
        size_t n_layers;
};

/* Frees the members. Safe on an all-zero struct. */
void image_content_done(struct image_content *content);
#define cleanup_image_content CLEANUP(image_content_done)

/* A sink that appends to a struct buf, the `user`; -EFBIG past its ceiling. */
int image_sink_buf(void *user, struct view data, struct error *err);

/* Reads the manifest or index at `root`, checked against its digest, goes on to the image for `arch` and
 * reads its configuration.  *ret_content is for image_content_done(). */
int image_resolve(struct image_source *source, const struct descriptor *root, const char *arch,
                  struct image_content *ret_content, struct error *err);

/* The same for a manifest or index whose bytes are there already, of type `media_type`. */
int image_resolve_bytes(struct image_source *source, struct view bytes, const char *media_type,
                        const char *arch, struct image_content *ret_content, struct error *err);

/* Takes `json` as content->config, sets content->id, and checks platform and number of layers. */
int image_take_config(struct view json, const char *arch, struct image_content *content, struct error *err);
