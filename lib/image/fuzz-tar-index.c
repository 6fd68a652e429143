/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/cleanup.h"
#include "lib/base/fd.h"
#include "lib/image/fuzz-tar.h"
#include "lib/image/tar-index.h"

#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int drop(void *user, struct view data, struct error *err)
{
        size_t *total = user;

        *total += data.n;
        return *total > (size_t)16 << 20 ? error_set(err, -EFBIG, "enough") : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static const char *const names[] = {"manifest.json", "oci-layout", "a/layer.tar", "../x",
                                            "a/../manifest.json"};
        const struct image_options options = {.spool_dir = "/tmp", .max_image_size = 1 << 20};
        cleanup_tar_index struct tar_index *index = NULL;
        cleanup_free uint8_t *tar = fuzz_tar_mended(data, size);
        int fd = memfd_create("archive", MFD_CLOEXEC);

        if (fd < 0 || fd_write_full(fd, tar, size) < 0 || lseek(fd, 0, SEEK_SET) < 0)
                abort();
        if (tar_index_open(fd, &options, &index, NULL) < 0)
                return 0;
        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                size_t total = 0;
                (void)tar_index_read(index, names[i], drop, &total, NULL);
        }
        return 0;
}
