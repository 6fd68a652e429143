/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/image/spool.h"

#include "lib/base/fd.h"
#include "lib/base/file.h"
#include "lib/base/text.h"
#include "lib/crypto/hash-thread.h"

#include <assert.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

int spool_write(int fd, struct view data, struct error *err)
{
        int r = fd_write_full(fd, data.p, data.n);

        if (r == 0)
                return 0;
        error_errno(err, -r, "cannot write to the temporary file");
        if (r == -ENOSPC || r == -EDQUOT)
                error_hint(err, "set TMPDIR to a folder with more room");
        return r;
}

static_assert((int)DECOMPRESS_BUFFERS == (int)HASH_THREAD_BLOCKS,
              "as many buffers as the hashing thread asks for");

struct pipeline {
        const struct layer_request *request;
        struct decompressor *decompressor;
        struct hash blob;
        struct hash_thread *tar; /* hashes a piece while the next one is inflated */
        int fd;
        uint64_t blob_size;
};

static int take_tar(void *user, struct view data, struct error *err)
{
        struct pipeline *p = user;

        hash_thread_update(p->tar, data.p, data.n);
        if (p->request->take_room) {
                int r = p->request->take_room(p->request->user, data.n, err);
                if (r < 0)
                        return r;
        }
        return spool_write(p->fd, data, err);
}

static int take_blob(void *user, struct view data, struct error *err)
{
        struct pipeline *p = user;
        const struct descriptor *d = p->request->blob;

        p->blob_size += data.n;
        if (d->has_size && p->blob_size > d->size)
                return error_set(err, -EBADMSG, "has more than the %llu bytes it must have",
                                 (unsigned long long)d->size);
        hash_update(&p->blob, data.p, data.n);
        if (p->request->take_blob) {
                int r = p->request->take_blob(p->request->user, data.n, err);
                if (r < 0)
                        return r;
        }
        return decompressor_feed(p->decompressor, data, err);
}

/* Ends hash `h` and compares with `wanted`. */
static int check_hash(struct hash *h, const struct digest *wanted, const char *what, struct error *err)
{
        struct digest actual;
        char is[DIGEST_TEXT_MAX], must[DIGEST_TEXT_MAX];
        int r = hash_final(h, &actual);

        if (r < 0)
                return error_set(err, r, "cannot hash the layer");
        if (digest_equal(&actual, wanted))
                return 0;
        digest_format(&actual, is);
        digest_format(wanted, must);
        return error_set(err, -EBADMSG, "%s is %s, but must be %s", what, is, must);
}

/* The blob is checked first: a transport that cut or changed it is then named as that, and not by what the
 * decompressor made of it. */
static int check_all(struct pipeline *p, int fed, struct error *err)
{
        const struct descriptor *d = p->request->blob;
        cleanup_hash struct hash tar = HASH_NONE;
        int r = 0;

        if (fed < 0)
                return fed;
        if (d->has_size && p->blob_size != d->size)
                r = error_set(err, -EBADMSG, "has %llu bytes, but must have %llu",
                              (unsigned long long)p->blob_size, (unsigned long long)d->size);
        if (r == 0 && d->has_digest)
                r = check_hash(&p->blob, &d->digest, "the blob's digest", err);
        if (r == 0)
                r = decompressor_finish(p->decompressor, err);
        if (r == 0 && hash_thread_copy(p->tar, &tar) < 0)
                r = error_oom(err);
        if (r == 0)
                r = check_hash(&tar, p->request->diff_id, "the uncompressed layer's digest (diff id)", err);
        return r;
}

/* The content decides, as with every other tool of this field; the digests hold either way. */
static void compare_type(const struct pipeline *p)
{
        enum compression is = decompressor_compression(p->decompressor);
        const char *type = p->request->blob->media_type;
        bool zstd = string_ends_with(type, "zstd"), gzip = string_ends_with(type, "gzip");

        if (*type && (zstd != (is == COMPRESSION_ZSTD) || gzip != (is == COMPRESSION_GZIP)))
                log_warning(p->request->log, "a layer of type \"%.100s\" is %s", type, compression_name(is));
}

static void pipeline_done(struct pipeline *p)
{
        fd_close_p(&p->fd);
        hash_done(&p->blob);
        hash_thread_free(p->tar); /* first: it may still read what the decompressor gave */
        decompressor_free(p->decompressor);
}

int layer_spool(struct image_source *source, const struct layer_request *request, int *ret_fd,
                struct error *err)
{
        CLEANUP(pipeline_done) struct pipeline p = {.request = request, .fd = -1};
        const struct descriptor *d = request->blob;
        int r = file_unnamed(request->spool_dir, &p.fd, err);

        if (r < 0)
                return r;
        r = hash_init(&p.blob, d->has_digest ? d->digest.algorithm : HASH_SHA256);
        if (r == 0)
                r = hash_thread_new(request->diff_id->algorithm, &p.tar);
        if (r < 0)
                return error_set(err, r, "cannot hash the layer");
        r = decompressor_new(&request->limits, take_tar, &p, &p.decompressor, err);
        if (r == 0)
                r = source->ops->read_blob(source, d, take_blob, &p, err);
        r = check_all(&p, r, err);
        if (r < 0)
                return r;
        compare_type(&p);
        if (lseek(p.fd, 0, SEEK_SET) < 0)
                return error_errno(err, errno, "cannot rewind the temporary file");
        *ret_fd = take_fd(&p.fd);
        return 0;
}
