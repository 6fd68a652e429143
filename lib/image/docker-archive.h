/* SPDX-License-Identifier: Apache-2.0 */
/*
 * docker-archive.h - what `docker save` writes: a tar whose manifest.json names, per image, the
 * configuration's and the layers' members.  Format: Docker image specification v1.2, "Combined Image JSON +
 * Filesystem Changeset Format". Engines from 25 on write an OCI layout into the same tar; its manifest.json
 * then points into blobs/.
 */
#pragma once

#include "lib/image/source.h"
#include "lib/image/tar-index.h"

enum { DOCKER_ARCHIVE_IMAGES_MAX = 4096 };

/* One entry of manifest.json. */
struct docker_archive_image {
        char *config;
        char **repo_tags; /* NULL-terminated */
        char **layers;    /* NULL-terminated, bottom first */
};

struct docker_archive_list {
        struct docker_archive_image *images;
        size_t n_images;
};

/* Reads a manifest.json. -EBADMSG. */
int docker_archive_parse(struct view json, struct docker_archive_list *ret_list, struct error *err);

/* Frees the members. Safe on an all-zero struct. */
void docker_archive_list_done(struct docker_archive_list *list);
#define cleanup_docker_archive_list CLEANUP(docker_archive_list_done)

/* The image that `selector` means: a normalised reference, "@N" (from 0), or NULL for the only one; belongs
 * to `list`.  -ENOENT or -EINVAL (several) with a text that lists what there is. */
int docker_archive_select(const struct docker_archive_list *list, const char *selector,
                          const struct docker_archive_image **ret_image, struct error *err);

/* Opens the archive, which becomes the source's on success only; `selector` as above. */
int docker_archive_open_tar(struct tar_index *index, const char *selector,
                            const struct image_options *options, struct image_source **ret_source,
                            struct image_content *ret_content, struct error *err);
