/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image.h - container images in: one streaming interface over every source.
 *
 *     NAME                  the local Docker engine if it knows NAME, else the registry that NAME belongs to
 *     docker-daemon:REF     the local Docker engine (DOCKER_HOST, else /var/run/docker.sock)
 *     docker://REF          a registry
 *     docker-archive:FILE[:REF]    what `docker save` writes
 *     oci:DIR[:TAG]         an OCI image layout
 *     oci-archive:FILE[:TAG]       the same in a tar file
 *
 * Nothing read from a source counts before it is checked: manifest and configuration against their digests,
 * each layer's blob against its digest and each layer's tar against the configuration's diff id.  Sources
 * that give layers no digest of their own (Docker engine, docker-archive) are checked by diff id alone.
 *
 *     cleanup_image struct image *image = NULL;
 *     r = image_open("docker://debian:12", &options, &image, err);
 *     for (size_t i = 0; r == 0 && i < image_layer_count(image); i++) {
 *             cleanup_fd int tar = -1;
 *             r = image_fetch_layer(image, i, &tar, err);
 *             ...
 *     }
 *
 * Memory use is bounded whatever the image's size: layers go to unlinked files on disk.
 */
#pragma once

#include "lib/base/cleanup.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/crypto/digest.h"
#include "lib/image/image-config.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct image;

enum image_phase {
        IMAGE_PHASE_RESOLVE, /* looking for manifest and configuration; no counts */
        IMAGE_PHASE_EXPORT,  /* the Docker engine or a compressed archive is being spooled; total unknown */
        IMAGE_PHASE_LAYER,   /* layer `layer` of `n_layers` */
};

struct image_progress {
        enum image_phase phase;
        size_t layer; /* from 0 */
        size_t n_layers;
        uint64_t done;  /* bytes of the blob as it comes (compressed) */
        uint64_t total; /* 0: unknown */
};

/* All zero is a good default. */
struct image_options {
        const char *arch;     /* Go's name of the wanted architecture; NULL: "amd64" */
        const char *authfile; /* credentials; NULL: the usual places (registry-auth.h says which) */
        bool insecure;        /* plain http and unchecked certificates allowed with any registry */
        const struct log *log;
        /* Called at most about ten times per second and at the end of each layer. NULL: nobody looks. */
        void (*progress)(void *user, const struct image_progress *progress);
        void *progress_user;
        unsigned stall_seconds;  /* without a byte from a registry, after which it is given up; 0: 60 */
        const char *spool_dir;   /* where layers wait; NULL: $TMPDIR, else /var/tmp */
        uint64_t max_layer_size; /* bytes of one uncompressed layer; 0: 64 GiB */
        uint64_t max_image_size; /* bytes of all of them; 0: 256 GiB */
};

/* Resolves `uri` and reads manifest and configuration.  Of a source that can only be read as a stream (Docker
 * engine, compressed archive) it spools the whole archive; otherwise no layer is touched.  `options` may be
 * NULL; strings and log in it must outlive the image.  *ret_image is for image_free().  The error names
 * `uri`. -ENOENT where there is no such image, -EACCES where credentials are missing or wrong. */
int image_open(const char *uri, const struct image_options *options, struct image **ret_image,
               struct error *err);

/* Frees the image and its spools, not the descriptors given out. NULL-safe. */
void image_free(struct image *image);
DEFINE_CLEANUP(cleanup_image_p, struct image *, image_free)
#define cleanup_image CLEANUP(cleanup_image_p)

/* The configuration; belongs to the image. */
const struct image_config *image_config(const struct image *image);

/* The image's id: SHA-256 of its configuration, as Docker shows it. */
const struct digest *image_id(const struct image *image);

/* The digest of the manifest for the chosen platform; NULL where the source has none (engine,
 * docker-archive). */
const struct digest *image_manifest_digest(const struct image *image);

/* The image's name: normalised ("docker.io/library/debian:12") where the source knows one, else the URI. */
const char *image_name(const struct image *image);

/* Number of layers, bottom first; equals the configuration's n_diff_ids. */
size_t image_layer_count(const struct image *image);

/* Fetches layer `i`, checks it and gives its uncompressed tar: *ret_fd is a readable, unlinked, seekable file
 * at position 0, the caller's.  *ret_fd is set only where digest and diff id both hold.  The error names
 * image, layer (number and digest) and cause; -EBADMSG where content is not what it must be. */
int image_fetch_layer(struct image *image, size_t i, int *ret_fd, struct error *err);
