/* SPDX-License-Identifier: Apache-2.0 */
/*
 * build-folder.c - as build.c, in one pass: the folder is read while it is written into its ramdisk, and the
 * extended attributes, which are known only then, come behind it.
 */
#include "lib/enclave/build-folder.h"

#include "lib/eif/metadata.h"
#include "lib/enclave/build-parts.h"
#include "lib/enclave/guest-config.h"

#include <stdio.h>

enum { XATTRS_MAX = 64 * 1024 * 1024 /* what enclave-init reads */ };

static int describe(const struct enclave_build_folder_options *options, const struct kernel *kernel,
                    struct buf *b, struct error *err)
{
        const struct eif_metadata metadata = {
                .image_name = options->name,
                .image_version = "",
                .build_time = options->build_time,
                .build_tool = "coffer",
                .build_tool_version = COFFER_VERSION,
                .operating_system = kernel->operating_system,
                .kernel_version = kernel->version,
        };

        return eif_metadata_encode(&metadata, b, err);
}

static int add_copies(struct ramdisk *ramdisk, const struct enclave_build_folder_options *options,
                      const struct ramdisk_folder_options *folder, struct error *err)
{
        const struct ramdisk_attr attr = {.mode = 0700};
        int r = options->n_copies > 0 ? ramdisk_add_dir(ramdisk, "copies", &attr, err) : 0;

        for (size_t i = 0; r == 0 && i < options->n_copies; i++) {
                char path[32];
                (void)snprintf(path, sizeof(path), "copies/%zu", i);
                r = ramdisk_add_anything(ramdisk, options->copy_fds[i], path, folder, err);
        }
        return r;
}

static int add_config(struct ramdisk *ramdisk, struct view xattrs, struct error *err)
{
        const struct ramdisk_attr dir = {.mode = 0700}, file = {.mode = 0600};
        cleanup_guest_config struct guest_config config;
        cleanup_buf struct buf b = buf_with_max(GUEST_CONFIG_MAX);

        guest_config_init(&config);
        config.serve = true;
        int r = guest_config_encode(&config, &b, err);
        if (r == 0)
                r = ramdisk_add_dir(ramdisk, "enclave", &dir, err);
        if (r == 0 && xattrs.n > 0)
                r = ramdisk_add_file(ramdisk, GUEST_XATTRS_PATH, &file, xattrs, err);
        /* Last, for it tells enclave-init that all before it was unpacked; see guest-config.h. */
        return r < 0 ? r : ramdisk_add_file(ramdisk, GUEST_CONFIG_PATH, &file, buf_view(&b), err);
}

static int write_application(struct build_parts *parts, const struct enclave_build_folder_options *options,
                             struct error *err)
{
        cleanup_buf struct buf xattrs = buf_with_max(XATTRS_MAX);
        cleanup_ramdisk struct ramdisk *ramdisk = NULL;
        struct ramdisk_folder_options folder = options->folder;
        int r = build_parts_ramdisk(parts, &ramdisk, err);

        folder.xattrs = &xattrs;
        if (r == 0)
                r = ramdisk_add_folder(ramdisk, options->root_fd, "rootfs", &folder, err);
        folder.xattrs = NULL; /* their paths are those of the root */
        if (r == 0)
                r = add_copies(ramdisk, options, &folder, err);
        if (r == 0)
                r = add_config(ramdisk, buf_view(&xattrs), err);
        return r < 0 ? r : ramdisk_finish(ramdisk, err);
}

int enclave_build_folder(const struct enclave_build_folder_options *options, int fd,
                         struct eif_pcrs *ret_pcrs, struct error *err)
{
        cleanup_build_parts struct build_parts parts = BUILD_PARTS_NONE;
        cleanup_buf struct buf metadata = buf_with_max(EIF_METADATA_MAX);
        int r = build_parts_open(options->kernel, options->init, architecture_find(NULL), &parts, err);

        if (r == 0)
                r = describe(options, &parts.kernel, &metadata, err);
        if (r == 0)
                r = build_parts_begin(&parts, fd, NULL, buf_view(&metadata), err);
        if (r == 0)
                r = write_application(&parts, options, err);
        return r < 0 ? r : eif_writer_finish(parts.writer, NULL, ret_pcrs, err);
}
