/* SPDX-License-Identifier: Apache-2.0 */
/*
 * metadata.h - the metadata section: JSON about the image, for people. Nothing in it is measured.
 */
#pragma once

#include "lib/base/buf.h"
#include "lib/base/error.h"

#include <jansson.h>
#include <stdint.h>

/* Bytes that a user's custom metadata may have. */
enum { EIF_CUSTOM_METADATA_MAX = 4096 };

/* All strings UTF-8 and not NULL; both JSON values stay the caller's. */
struct eif_metadata {
        const char *image_name;
        const char *image_version;
        int64_t build_time; /* seconds since 1970; written as RFC 3339 in UTC */
        const char *build_tool;
        const char *build_tool_version;
        const char *operating_system;
        const char *kernel_version;
        const json_t *docker_info; /* an object as `docker inspect` prints it, or NULL for {} */
        const json_t *custom;      /* any JSON, or NULL for null */
};

/* Appends the section's payload, the same bytes for the same input.  -EINVAL where a string is not UTF-8,
 * -E2BIG past the ceiling of ret_b. */
int eif_metadata_encode(const struct eif_metadata *metadata, struct buf *ret_b, struct error *err);

/* Reads a user's custom metadata: a JSON file of at most EIF_CUSTOM_METADATA_MAX bytes.  The error names
 * `path`. The value is the caller's. */
int eif_metadata_read_custom(int dirfd, const char *path, json_t **ret_custom, struct error *err);
