/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nitro-blobs.h - the folder of parts that images for AWS Nitro Enclaves are made of, as nitro-cli installs
 * it and NITRO_CLI_BLOBS names it:
 *
 *     bzImage           the kernel, with virtio-mmio and vsock built in; on arm64 Image
 *     init              AWS's process 1
 *     nsm.ko            optional: the driver of the security module, loaded by init where it is there
 *     cmdline           optional: the kernel's command line; AWS's where it is missing
 *     bzImage.config    optional: names the kernel in the metadata
 */
#pragma once

#include "lib/enclave/build-parts.h"

/* Where nitro-cli puts them. */
#define NITRO_BLOBS_FOLDER "/usr/share/nitro_enclaves/blobs"

/* Opens the parts.  *ret_parts is for build_parts_done(), *ret_cmdline a heap string for the caller to
 * free.  The errors name the folder, and say where to get what is missing. */
int nitro_blobs_open(const char *folder, const struct architecture *architecture,
                     struct build_parts *ret_parts, char **ret_cmdline, struct error *err);
