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
 * Memory use is bounded whatever the image's size: layers go to unlinked files on disk, and as many are in
 * the making at a time as the options say.
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
        IMAGE_PHASE_LAYERS,  /* the layers are fetched */
};

struct image_progress {
        enum image_phase phase;
        size_t layer; /* so many of `n_layers` are there */
        size_t n_layers;
        uint64_t done;  /* bytes of all blobs as they come (compressed) */
        uint64_t total; /* 0: unknown */
};

/* How to deal with registries. */
struct image_registries {
        const char *authfile; /* credentials; NULL: the usual places (registry-auth.h says which) */
        const char *ca_file;  /* authorities to trust beside the system's (http-trust.h); or NULL */
        /* NULL, or NULL-terminated HOST (any port of it) or HOST:PORT: with these plain http is allowed, and
         * certificates are not checked. */
        const char *const *insecure;
        bool credential_helpers; /* programs that the credentials' file names may be run (registry-auth.h) */
        unsigned stall_seconds;  /* below HTTP_FLOOR bytes a second, after which a try is given up; 0: 60 */
        unsigned first_pause_ms; /* before the second try (retry.h); 0: 500 */
};

/* All zero is a good default. */
struct image_options {
        const char *arch; /* Go's name of the wanted architecture; NULL: "amd64" */
        struct image_registries registries;
        const struct log *log;
        /* Called at most about ten times per second and at the end of each layer, by one thread at a time,
         * but not always the same.  So is the log's emitter, by several at once. NULL: nobody looks. */
        void (*progress)(void *user, const struct image_progress *progress);
        void *progress_user;
        const char *spool_dir;   /* where layers wait; NULL: $TMPDIR, else /var/tmp */
        uint64_t max_layer_size; /* bytes of one uncompressed layer; 0: 64 GiB */
        uint64_t max_image_size; /* bytes of all of them; 0: 256 GiB */
        /* A layer that has grown beyond `ratio_floor` bytes (0: 1 GiB) may be at most `max_ratio` times (0:
         * 200) as large as its blob.  Programs and their data get to 2 to 20, seldom 50. */
        uint64_t ratio_floor;
        uint64_t max_ratio;
        unsigned
                transfers; /* layers fetched at a time; 0: as many as there are processors, and one, 2 to 4 */
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

/* Gives layer `i`, checked, as uncompressed tar: *ret_fd is a readable, unlinked, seekable file at position
 * 0, the caller's.  It is set only where digest and diff id both hold.  The first call begins to fetch all
 * layers, several at a time; each can be taken once.  The first error of any layer ends all of them; it names
 * image, layer (number and digest) and cause; -EBADMSG where content is not what it must be. */
int image_fetch_layer(struct image *image, size_t i, int *ret_fd, struct error *err);
