/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sources.h - how each form of image.h is opened.  Each function gives the source, from which layers will be
 * read, and the image's content.  `options` is complete here: arch and the sizes are set.
 */
#pragma once

#include "lib/image/reference.h"
#include "lib/image/source.h"

/* oci:DIR[:TAG]. The error names the tags where the choice is not clear. */
int oci_layout_open(const struct image_uri *uri, const struct image_options *options,
                    struct image_source **ret_source, struct image_content *ret_content, struct error *err);

/* oci-archive:FILE[:TAG] */
int oci_archive_open(const struct image_uri *uri, const struct image_options *options,
                     struct image_source **ret_source, struct image_content *ret_content, struct error *err);

/* docker-archive:FILE[:REF]: both layouts of `docker save`. */
int docker_archive_open(const struct image_uri *uri, const struct image_options *options,
                        struct image_source **ret_source, struct image_content *ret_content,
                        struct error *err);

/* docker-daemon:REF. -ENOENT where the engine answers and doesn't know the image, -EHOSTDOWN where no engine
 * answers. */
int docker_engine_open(const struct image_uri *uri, const struct image_options *options,
                       struct image_source **ret_source, struct image_content *ret_content,
                       struct error *err);

/* docker://REF */
int registry_open(const struct image_uri *uri, const struct image_options *options,
                  struct image_source **ret_source, struct image_content *ret_content, struct error *err);
