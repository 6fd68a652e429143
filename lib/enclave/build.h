/* SPDX-License-Identifier: Apache-2.0 */
/*
 * build.h - a container image becomes an enclave image file.
 *
 * Everything that can be refused cheaply (kernel, configuration, command, user of another platform) is
 * refused before the first layer is fetched; bytes are written only when the whole image is known to be good.
 * The same input and options give the same file, byte for byte.  Memory is bounded by the number of files in
 * the image.
 */
#pragma once

#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/eif/eif.h"
#include "lib/eif/writer.h"
#include "lib/enclave/architecture.h"
#include "lib/image/image.h"

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

enum enclave_build_phase {
        ENCLAVE_BUILD_RESOLVE, /* looking for the image */
        ENCLAVE_BUILD_EXPORT,  /* a source that gives all at once is read; total unknown */
        ENCLAVE_BUILD_LAYERS,  /* `part` of `n_parts` are fetched */
        ENCLAVE_BUILD_MERGE,   /* `part` of `n_parts` is merged */
        ENCLAVE_BUILD_WRITE,   /* the root file system is written */
};

struct enclave_build_progress {
        enum enclave_build_phase phase;
        size_t part;
        size_t n_parts;
        uint64_t done;  /* bytes */
        uint64_t total; /* 0: unknown */
};

/* Zero is a good default for all but the first three. */
struct enclave_build_options {
        const char *image;                       /* URI, as image_open() takes it */
        const char *kernel;                      /* folder or bzImage, as kernel_open() takes it */
        const char *init;                        /* path of enclave-init */
        const struct architecture *architecture; /* NULL: amd64 */
        /* Folder of AWS's parts, for an image that AWS's init runs (nitro-blobs.h): instead of kernel and
         * init. NULL: an image of our own kind. */
        const char *nitro_blobs;
        const char *cmdline; /* NULL: the architecture's */
        const char *name;    /* NULL: the URI's last part without tag */
        const char *version; /* NULL: the image's id in hex */
        const json_t *custom_metadata;
        const struct eif_signer *signer; /* NULL: unsigned; checked by the caller */
        int64_t build_time;              /* seconds since 1970, for the metadata */
        struct image_registries registries;
        const struct log *log;
        /* Called now and then, by one thread at a time, but not always the same.  So is the log's emitter, by
         * several at once.  NULL: nobody looks. */
        void (*progress)(void *user, const struct enclave_build_progress *progress);
        void *progress_user;
};

/* Builds the image into `fd`, an empty regular file open for writing, from offset 0.  The errors of the
 * parts, wrapped with the thing they are about; -EINVAL where the image has nothing to run or is for another
 * machine. */
int enclave_build(const struct enclave_build_options *options, int fd, struct eif_pcrs *ret_pcrs,
                  struct error *err);
