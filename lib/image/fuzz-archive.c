/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz-archive.c - a hostile archive of images, from its tar to the image's configuration and layers. */
#include "lib/base/fd.h"
#include "lib/image/docker-archive.h"
#include "lib/image/fuzz-tar.h"

#include <sys/mman.h>
#include <unistd.h>

enum { LAYER_MAX = 1 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int count(void *user, struct view data, struct error *err)
{
        size_t *total = user;

        *total += data.n;
        return *total > LAYER_MAX ? error_set(err, -EFBIG, "enough") : 0;
}

/* What an image has: as many layers as its configuration says, each of which can be asked for. */
static void use(struct image_source *source, const struct image_content *content)
{
        if (content->n_layers != content->config.n_diff_ids)
                abort();
        for (size_t i = 0; i < content->n_layers; i++) {
                size_t total = 0;
                (void)source->ops->read_blob(source, &content->layers[i], count, &total, NULL);
        }
}

static void open_as(struct view archive, const char *selector)
{
        const struct image_options options = {
                .arch = "amd64", .spool_dir = "/tmp", .max_image_size = LAYER_MAX};
        cleanup_tar_index struct tar_index *index = NULL;
        cleanup_image_source struct image_source *source = NULL;
        cleanup_image_content struct image_content content = {0};
        struct error err = {0};
        int fd = memfd_create("archive", MFD_CLOEXEC);

        if (fd < 0 || fd_write_full(fd, archive.p, archive.n) < 0 || lseek(fd, 0, SEEK_SET) < 0)
                abort();
        if (tar_index_open(fd, &options, &index, NULL) < 0)
                return;
        if (docker_archive_open_tar(index, selector, &options, &source, &content, &err) < 0)
                return;
        index = NULL;
        use(source, &content);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        cleanup_free uint8_t *tar = fuzz_tar_mended(data, size);

        open_as(view_of(tar, size), NULL);
        open_as(view_of(tar, size), "docker.io/library/a:latest");
        return 0;
}
