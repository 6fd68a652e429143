/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fetch.h - all layers of an image, several at a time, checked and spooled; the caller takes them as it wants
 * them.
 */
#pragma once

#include "lib/image/source.h"

enum { FETCH_TRANSFERS_MAX = 16 };

struct image_fetch;

/* Begins to fetch all of `content`'s layers from `source`, bottom first, options->transfers at a time.
 * `source` must allow reads from several threads.  All three and `uri`, which is for messages, must outlive
 * the fetch. */
int image_fetch_start(struct image_source *source, const struct image_content *content,
                      const struct image_options *options, const char *uri, struct image_fetch **ret_fetch,
                      struct error *err);

/* Waits for layer `i`; *ret_fd is its tar, at position 0, the caller's.  The first error of any layer stops
 * all of them and is what every call gets from then on.  -EINVAL where the layer was taken before. */
int image_fetch_take(struct image_fetch *fetch, size_t i, int *ret_fd, struct error *err);

/* Stops what is going on, waits for it to end, and drops what was not taken. NULL-safe. */
void image_fetch_free(struct image_fetch *fetch);
DEFINE_CLEANUP(cleanup_image_fetch_p, struct image_fetch *, image_fetch_free)
#define cleanup_image_fetch CLEANUP(cleanup_image_fetch_p)
