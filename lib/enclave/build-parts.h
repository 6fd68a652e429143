/* SPDX-License-Identifier: Apache-2.0 */
/*
 * build-parts.h - what all enclave images have in common, whatever their root file system is made from: the
 * kernel, its command line, and the bootstrap ramdisk.
 */
#pragma once

#include "lib/eif/writer.h"
#include "lib/enclave/kernel.h"
#include "lib/image/ramdisk.h"

/* What this machine brings, and the file that is being written. */
struct build_parts {
        const struct architecture *architecture;
        struct kernel kernel;
        int init_fd;
        uint64_t init_size;
        int nsm_fd; /* the driver that AWS's init loads, -1: none */
        uint64_t nsm_size;
        struct eif_writer *writer;
};

#define BUILD_PARTS_NONE ((struct build_parts){.kernel = KERNEL_NONE, .init_fd = -1, .nsm_fd = -1})

/* Opens kernel (as kernel_open() takes it) and enclave-init, all for one architecture; -ENOEXEC where init
 * is for another. *ret_parts is for build_parts_done(). */
int build_parts_open(const char *kernel, const char *init, const struct architecture *architecture,
                     struct build_parts *ret_parts, struct error *err);

/* Closes and frees all, a writer included. Safe on BUILD_PARTS_NONE. */
void build_parts_done(struct build_parts *parts);
#define cleanup_build_parts CLEANUP(build_parts_done)

/* Starts the file in `fd` and writes the sections that come first: kernel, command line (NULL: ours),
 * `metadata`, bootstrap ramdisk. */
int build_parts_begin(struct build_parts *parts, int fd, const char *cmdline, struct view metadata,
                      struct error *err);

/* Begins a ramdisk section. *ret_ramdisk is the caller's, and writes to the parts' writer. */
int build_parts_ramdisk(struct build_parts *parts, struct ramdisk **ret_ramdisk, struct error *err);
