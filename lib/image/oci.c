/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/image/oci.h"

#include "lib/base/fd.h"
#include "lib/base/text.h"
#include "lib/image/sources.h"
#include "lib/format/strict-json.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CHUNK_SIZE = 256 * 1024, LAYOUT_FILE_MAX = 4096 };

struct oci_source {
        struct image_source base;
        /* Streams the file `name` of the layout. */
        int (*read)(const struct oci_source *source, const char *name, image_sink_fn sink, void *user,
                    struct error *err);
        int folder;              /* of a layout in a folder, else -1 */
        struct tar_index *index; /* of one in a tar, else NULL */
};

static int stream_fd(int fd, const char *name, image_sink_fn sink, void *user, struct error *err)
{
        cleanup_free uint8_t *chunk = malloc(CHUNK_SIZE);
        ssize_t n;

        if (!chunk)
                return error_oom(err);
        while ((n = read(fd, chunk, CHUNK_SIZE)) != 0) {
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return error_errno(err, errno, "%s: cannot read", name);
                int r = sink(user, view_of(chunk, (size_t)n), err);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int read_from_folder(const struct oci_source *source, const char *name, image_sink_fn sink, void *user,
                            struct error *err)
{
        struct stat st;
        /* O_NONBLOCK: a FIFO in the place of a blob must not hang us. */
        cleanup_fd int fd = openat(source->folder, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

        if (fd < 0)
                return error_errno(err, errno, "%s", name);
        if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
                return error_set(err, -EBADMSG, "%s: not a regular file", name);
        return stream_fd(fd, name, sink, user, err);
}

static int read_from_tar(const struct oci_source *source, const char *name, image_sink_fn sink, void *user,
                         struct error *err)
{
        return tar_index_read(source->index, name, sink, user, err);
}

static int oci_read_blob(struct image_source *base, const struct descriptor *d, image_sink_fn sink,
                         void *user, struct error *err)
{
        const struct oci_source *source = (const struct oci_source *)base;
        char hex[DIGEST_HEX_MAX];
        char name[sizeof("blobs/sha512/") + DIGEST_HEX_MAX];

        digest_hex(&d->digest, hex);
        snprintf(name, sizeof(name), "blobs/%s/%s", digest_algorithm_name(d->digest.algorithm), hex);
        return source->read(source, name, sink, user, err);
}

static void oci_free(struct image_source *base)
{
        struct oci_source *source = (struct oci_source *)base;

        fd_close_p(&source->folder);
        tar_index_free(source->index);
        free(source);
}

static const struct image_source_ops oci_ops = {
        .read_blob = oci_read_blob,
        .read_manifest = oci_read_blob,
        .free = oci_free,
};

/* "tag", or the digest where there is no tag. */
static void list_entry(struct buf *list, const struct descriptor *d)
{
        char digest[DIGEST_TEXT_MAX];

        digest_format(&d->digest, digest);
        buf_printf(list, "%s%.100s", list->n ? ", " : "", *d->ref_name ? d->ref_name : digest);
}

static bool same_platform(const struct descriptor *a, const struct descriptor *b)
{
        return strcmp(a->os, b->os) == 0 && strcmp(a->architecture, b->architecture) == 0 &&
               strcmp(a->variant, b->variant) == 0;
}

/* Several entries fit: they may be one image for several platforms. */
static int select_among(struct manifest *some, const char *arch, const struct descriptor **ret_descriptor,
                        struct error *err)
{
        const struct descriptor *chosen = NULL;
        size_t same = 0;
        bool one_name = true, platforms = true;
        cleanup_buf struct buf list = buf_with_max(ERROR_TEXT_MAX / 2);

        for (size_t i = 0; i < some->n_contents; i++) {
                list_entry(&list, &some->contents[i]);
                one_name = one_name && strcmp(some->contents[i].ref_name, some->contents[0].ref_name) == 0;
                platforms = platforms && *some->contents[i].os;
        }
        if (one_name && platforms) {
                int r = manifest_select(some, arch, &chosen, err);
                if (r < 0)
                        return r;
                for (size_t i = 0; i < some->n_contents; i++)
                        same += same_platform(&some->contents[i], chosen);
        }
        if (same != 1)
                return error_set(err, -EINVAL, "holds several images: %s; name one of their tags",
                                 buf_string(&list));
        *ret_descriptor = chosen;
        return 0;
}

int oci_select(const struct manifest *index, const char *tag, const char *arch,
               const struct descriptor **ret_descriptor, struct error *err)
{
        /* A view of the fitting entries: it borrows their members and frees the array only. */
        cleanup_free struct descriptor *fitting = calloc(index->n_contents + 1, sizeof(*fitting));
        cleanup_free const struct descriptor **from = calloc(index->n_contents + 1, sizeof(const void *));
        struct manifest some = {.kind = MANIFEST_INDEX, .contents = fitting};
        cleanup_buf struct buf list = buf_with_max(ERROR_TEXT_MAX / 2);
        const struct descriptor *chosen = fitting;

        if (!fitting || !from)
                return error_oom(err);
        for (size_t i = 0; i < index->n_contents; i++) {
                const struct descriptor *d = &index->contents[i];
                list_entry(&list, d);
                if (tag && strcmp(d->ref_name, tag) != 0)
                        continue;
                from[some.n_contents] = d;
                fitting[some.n_contents++] = *d;
        }
        if (index->n_contents == 0)
                return error_set(err, -ENOENT, "holds no image");
        if (some.n_contents == 0)
                return error_set(err, -ENOENT, "holds no image with tag \"%.200s\"; there is %s", tag,
                                 buf_string(&list));
        if (some.n_contents > 1) {
                int r = select_among(&some, arch, &chosen, err);
                if (r < 0)
                        return r;
        }
        *ret_descriptor = from[chosen - fitting];
        return 0;
}

static int check_version(const struct oci_source *source, struct error *err)
{
        cleanup_buf struct buf file = buf_with_max(LAYOUT_FILE_MAX);
        cleanup_json json_t *root = NULL;
        const char *version = NULL;
        int r = source->read(source, "oci-layout", image_sink_buf, &file, err);

        if (r < 0) {
                error_wrap(err, "not an OCI image layout");
                return r;
        }
        r = strict_json_parse(buf_view(&file), LAYOUT_FILE_MAX, &root, err);
        if (r == 0)
                r = strict_json_string(root, "imageLayoutVersion", &version, err);
        if (r == 0 && (!version || !string_starts_with(version, "1.")))
                r = error_set(err, -ENOTSUP, "imageLayoutVersion is not 1.x");
        if (r < 0)
                error_wrap(err, "oci-layout");
        return r;
}

static int oci_open(struct oci_source *source, const char *tag, const struct image_options *options,
                    struct image_content *ret_content, struct error *err)
{
        cleanup_manifest struct manifest index = {0};
        cleanup_image_content struct image_content content = {0};
        cleanup_buf struct buf file = buf_with_max(MANIFEST_SIZE_MAX);
        const struct descriptor *chosen;
        int r = check_version(source, err);

        if (r == 0)
                r = source->read(source, "index.json", image_sink_buf, &file, err);
        if (r < 0)
                return r;
        r = manifest_parse(buf_view(&file), MANIFEST_TYPE_OCI_INDEX, &index, err);
        if (r < 0) {
                error_wrap(err, "index.json");
                return r;
        }
        r = oci_select(&index, tag, options->arch, &chosen, err);
        if (r == 0)
                r = image_resolve(&source->base, chosen, options->arch, &content, err);
        if (r < 0)
                return r;
        if (*chosen->ref_name && strchr(chosen->ref_name, '/')) {
                content.name = strdup(chosen->ref_name);
                if (!content.name)
                        return error_oom(err);
        }
        *ret_content = content;
        content = (struct image_content){0};
        return 0;
}

int oci_open_tar(struct tar_index *index, const char *tag, const struct image_options *options,
                 struct image_source **ret_source, struct image_content *ret_content, struct error *err)
{
        struct oci_source *source = calloc(1, sizeof(*source));

        if (!source)
                return error_oom(err);
        *source = (struct oci_source){
                .base.ops = &oci_ops, .read = read_from_tar, .folder = -1, .index = index};
        int r = oci_open(source, tag, options, ret_content, err);
        if (r < 0) {
                source->index = NULL;
                oci_free(&source->base);
                return r;
        }
        *ret_source = &source->base;
        return 0;
}

int oci_layout_open(const struct image_uri *uri, const struct image_options *options,
                    struct image_source **ret_source, struct image_content *ret_content, struct error *err)
{
        struct oci_source *source = calloc(1, sizeof(*source));

        if (!source)
                return error_oom(err);
        *source = (struct oci_source){.base.ops = &oci_ops, .read = read_from_folder};
        source->folder = open(uri->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        int r = source->folder < 0 ? error_errno(err, errno, "cannot open the folder") : 0;
        if (r == -ENOTDIR)
                error_hint(err, "for a file write oci-archive:%s", uri->path);
        if (r == 0)
                r = oci_open(source, uri->selector, options, ret_content, err);
        if (r < 0) {
                oci_free(&source->base);
                return r;
        }
        *ret_source = &source->base;
        return 0;
}

int oci_archive_open(const struct image_uri *uri, const struct image_options *options,
                     struct image_source **ret_source, struct image_content *ret_content, struct error *err)
{
        cleanup_tar_index struct tar_index *index = NULL;
        int r = tar_index_open_file(uri->path, options, &index, err);

        if (r == 0)
                r = oci_open_tar(index, uri->selector, options, ret_source, ret_content, err);
        if (r == 0)
                index = NULL;
        return r;
}
