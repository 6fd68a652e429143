/* SPDX-License-Identifier: Apache-2.0 */
/* layer-feed.c - the spool as libarchive gets it, window by window, and as layer-raw.c looks into it
 * again. */
#include "lib/base/fd.h"
#include "lib/image/layer-internal.h"

#include <archive.h>
#include <string.h>

const uint8_t *layer_feed_bytes(struct layer_feed *feed, uint64_t at, size_t n, struct error *err)
{
        if (at >= feed->window_at && at - feed->window_at <= feed->window_n &&
            n <= feed->window_n - (at - feed->window_at))
                return feed->window + (at - feed->window_at);
        if (at > feed->size || n > feed->size - at) {
                error_set(err, -EBADMSG, "the layer is truncated: it ends at byte %llu, inside a header",
                          (unsigned long long)feed->size);
                return NULL;
        }
        if (n > feed->scratch_size || !feed->scratch) {
                size_t size = n < LAYER_BLOCK ? LAYER_BLOCK : n;
                uint8_t *p = realloc(feed->scratch, size);
                if (!p) {
                        error_oom(err);
                        return NULL;
                }
                feed->scratch = p;
                feed->scratch_size = size;
        }
        int r = fd_pread_full(feed->fd, feed->scratch, n, at);
        if (r < 0) {
                error_errno(err, -r, "cannot read the spooled layer");
                return NULL;
        }
        return feed->scratch;
}

la_ssize_t layer_feed_read(struct archive *archive, void *user, const void **ret_buffer)
{
        struct layer_feed *feed = user;
        uint64_t left = feed->padded_size - feed->at;
        size_t n = left < LAYER_FEED_MAX ? left : LAYER_FEED_MAX;
        uint64_t spooled = feed->at < feed->size ? feed->size - feed->at : 0;
        size_t real = spooled < n ? (size_t)spooled : n;
        int r = fd_pread_full(feed->fd, feed->window, real, feed->at);

        memset(feed->window + real, 0, n - real);
        if (r < 0) {
                archive_set_error(archive, -r, "cannot read the spooled layer: %s", strerror(-r));
                feed->window_n = 0;
                return ARCHIVE_FATAL;
        }
        feed->window_at = feed->at;
        feed->window_n = real;
        feed->at += n;
        *ret_buffer = feed->window;
        return (la_ssize_t)n;
}

la_int64_t layer_feed_skip(struct archive *archive, void *user, la_int64_t request)
{
        struct layer_feed *feed = user;
        uint64_t left = feed->padded_size - feed->at;
        uint64_t n = request < 0 ? 0 : (uint64_t)request;

        (void)archive;
        n = n < left ? n : left;
        feed->at += n;
        return (la_int64_t)n;
}
