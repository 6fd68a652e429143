/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz-layer.c - any bytes as a layer, twice on top of each other: tree, users, ramdisk. */
#include "lib/base/fd.h"
#include "lib/image/fuzz-tar.h"
#include "lib/image/ramdisk.h"
#include "lib/image/tree.h"
#include "lib/image/user.h"

#include <sys/mman.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CONTENT_MAX = 16 * 1024 * 1024 };

static int drop(void *user, const void *p, size_t n, struct error *err)
{
        (void)p;
        (void)err;
        *(uint64_t *)user += n;
        return 0;
}

static void write_ramdisk(const struct image_tree *tree)
{
        uint64_t seen = 0;
        const struct ramdisk_sink sink = {.write = drop, .user = &seen};
        cleanup_ramdisk struct ramdisk *ramdisk = NULL;

        if (image_tree_stats(tree).n_bytes > CONTENT_MAX || ramdisk_new(&sink, &ramdisk, NULL) < 0)
                return;
        if (ramdisk_add_tree(ramdisk, tree, "rootfs", NULL, NULL, NULL) == 0 &&
            ramdisk_add_xattrs(ramdisk, tree, "xattrs", NULL) == 0 && ramdisk_finish(ramdisk, NULL) == 0 &&
            seen != ramdisk_size(ramdisk))
                abort();
}

static void resolve_users(const struct image_tree *tree)
{
        static const char *const users[] = {"", "u", "root:h", "5", "9:9"};

        for (size_t i = 0; i < ARRAY_SIZE(users); i++) {
                cleanup_image_user struct image_user user = {0};
                image_user_resolve(tree, users[i], &user, NULL);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        cleanup_fd int fd = memfd_create("layer", MFD_CLOEXEC);
        cleanup_free uint8_t *tar = fuzz_tar_mended(data, size);
        cleanup_image_tree struct image_tree *tree = NULL;

        if (fd < 0 || fd_write_full(fd, tar, size) < 0 || image_tree_new(&tree, NULL) < 0)
                return 0;
        for (unsigned i = 0; i < 2; i++)
                if (image_tree_apply_layer(tree, fd, i + 1, "fuzz", NULL) < 0)
                        return 0;
        if (image_tree_add_mount_points(tree, NULL) == 0)
                write_ramdisk(tree);
        resolve_users(tree);
        return 0;
}
