/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kernel.h - the guest kernel of an image: the bzImage, and the modules without which the guest has no vsock.
 *
 * A kernel is either a folder as tools/build-kernel or fetch-kernel makes it {vmlinuz, config, release,
 * modules/}, or a bzImage file (on arm64 an Image). A bare file is taken to have everything built in.
 */
#pragma once

#include "lib/base/buf.h"
#include "lib/base/error.h"
#include "lib/enclave/architecture.h"

/* A module for the bootstrap ramdisk. */
struct kernel_module {
        char *name;         /* its name in the ramdisk's modules/: "NN-name.ko", NN being the load order */
        struct buf content; /* the whole file */
};

struct kernel {
        int image_fd;                  /* the bzImage or Image, readable, at offset 0 */
        uint64_t text_offset;          /* to write into an Image's header that has 0 there; else 0 */
        char *image_path;              /* for messages */
        char *release;                 /* what `uname -r` says in it, e.g. "6.1.0-51-cloud-amd64" */
        char *operating_system;        /* BuildMetadata.OperatingSystem of the EIF, e.g. "Linux" */
        char *version;                 /* BuildMetadata.KernelVersion of the EIF, e.g. "6.1.187" */
        struct kernel_module *modules; /* in load order; none where all is built in */
        size_t n_modules;
};

/* Opens the folder or image at `path`, for this architecture, and reads its modules.  *ret_kernel is the
 * caller's, to be ended with kernel_done(). -EBADMSG where it is no such image, -ENOENT where a needed
 * module is neither there nor built in, -EOPNOTSUPP where a module is compressed. */
int kernel_open(const char *path, const struct architecture *architecture, struct kernel *ret_kernel,
                struct error *err);

/* Opens the bzImage `image` in `folder`, which has everything built in; `config` is the name of its
 * configuration there, which names it where there is one.  As kernel_open() else; the error names neither
 * folder nor file. */
int kernel_open_bare(int folder, const char *image, const char *config,
                     const struct architecture *architecture, struct kernel *ret_kernel, struct error *err);

/* Closes and frees what the kernel holds. Safe on a zeroed one whose image_fd is -1. */
void kernel_done(struct kernel *kernel);
#define cleanup_kernel CLEANUP(kernel_done)

#define KERNEL_NONE ((struct kernel){.image_fd = -1})
