/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci.h - the OCI image layout (image-layout.md): oci-layout, index.json, blobs/ALGORITHM/HEX, in a folder or
 * a tar.
 */
#pragma once

#include "lib/image/source.h"
#include "lib/image/tar-index.h"

/* Opens the layout inside an archive, which becomes the source's on success only.  `tag` as in image.h, or
 * NULL. */
int oci_open_tar(struct tar_index *index, const char *tag, const struct image_options *options,
                 struct image_source **ret_source, struct image_content *ret_content, struct error *err);

/* Chooses among the manifests of an index.json: those whose ref.name is `tag` (all where NULL), by platform
 * where several differ in nothing else.  The result belongs to `index`.  -ENOENT where none fits, -EINVAL
 * where more than one does; the text lists what there is. */
int oci_select(const struct manifest *index, const char *tag, const char *arch,
               const struct descriptor **ret_descriptor, struct error *err);
