/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kernel.h - the guest kernel of an image: the bzImage, and the modules without which the guest has no vsock.
 *
 * A kernel is either a folder as tools/build-kernel or fetch-kernel makes it {vmlinuz, config, release,
 * modules/}, or a bzImage file. A bare file is taken to have everything built in.
 */
#pragma once

#include "lib/base/buf.h"
#include "lib/base/error.h"

/* The kernel command line of our images, for QEMU's microvm machine and enclave-init; kernel.c says what each
 * part is for. */
extern const char ENCLAVE_KERNEL_CMDLINE[];

/* A module for the bootstrap ramdisk. */
struct kernel_module {
        char *name;         /* its name in the ramdisk's modules/: "NN-name.ko", NN being the load order */
        struct buf content; /* the whole file */
};

struct kernel {
        int image_fd;                  /* the bzImage, readable, at offset 0 */
        char *image_path;              /* for messages */
        char *release;                 /* what `uname -r` says in it, e.g. "6.1.0-51-cloud-amd64" */
        char *operating_system;        /* BuildMetadata.OperatingSystem of the EIF, e.g. "Linux" */
        char *version;                 /* BuildMetadata.KernelVersion of the EIF, e.g. "6.1.187" */
        struct kernel_module *modules; /* in load order; none where all is built in */
        size_t n_modules;
};

/* Opens the folder or bzImage at `path` and reads its modules.  *ret_kernel is the caller's, to be ended with
 * kernel_done(). -EBADMSG where it is no bzImage, -ENOENT where a needed module is neither there nor built
 * in, -EOPNOTSUPP where a module is compressed. */
int kernel_open(const char *path, struct kernel *ret_kernel, struct error *err);

/* Opens the bzImage `image` in `folder`, which has everything built in; `config` is the name of its
 * configuration there, which names it where there is one.  As kernel_open() else; the error names neither
 * folder nor file. */
int kernel_open_bare(int folder, const char *image, const char *config, struct kernel *ret_kernel,
                     struct error *err);

/* Closes and frees what the kernel holds. Safe on a zeroed one whose image_fd is -1. */
void kernel_done(struct kernel *kernel);
#define cleanup_kernel CLEANUP(kernel_done)

#define KERNEL_NONE ((struct kernel){.image_fd = -1})
