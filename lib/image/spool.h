/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spool.h - where content waits on disk: the pipeline that fills a file without a name with a checked layer.
 */
#pragma once

#include "lib/image/decompress.h"
#include "lib/image/source.h"

/* Writes all of `data` at the descriptor's position. The error names a full disk as what it is. */
int spool_write(int fd, struct view data, struct error *err);

/* One layer to be fetched. */
struct layer_request {
        const struct descriptor *blob; /* its digest and size are checked where it has them */
        const struct digest *diff_id;
        struct decompress_limits limits;
        const char *spool_dir;
        const struct log *log;
        /* Told, with `user`, how many bytes more of the blob have come, and how many more the spool will
         * take.  A negative errno (with err set) ends the fetch with it.  NULL: nobody asks. */
        int (*take_blob)(void *user, uint64_t n, struct error *err);
        int (*take_room)(void *user, uint64_t n, struct error *err);
        void *user;
};

/* Streams the layer from `source`: blob digest, decompression, diff id, spool file.  *ret_fd is at position
 * 0, and set only where everything holds.  -EBADMSG, -EFBIG, or the source's error. */
int layer_spool(struct image_source *source, const struct layer_request *request, int *ret_fd,
                struct error *err);
