/* SPDX-License-Identifier: Apache-2.0 */
/*
 * files.h - what the skeleton is told by its arguments, and reads from the working folder.
 */
#pragma once

#include "lib/base/buf.h"
#include "lib/base/error.h"
#include "lib/sgx/image.h"

struct skeleton_options {
        bool simulate, debug, token;
};

struct skeleton_files {
        struct buf image;     /* encl.bin */
        struct buf sigstruct; /* encl.ss */
        struct buf token;     /* encl.token, or empty */
};

/* Ceilings for three files. */
#define SKELETON_FILES_NONE                                                                                  \
        ((struct skeleton_files){.image = buf_with_max(SGX_IMAGE_MAX),                                       \
                                 .sigstruct = buf_with_max(SGX_SIGSTRUCT_SIZE),                              \
                                 .token = buf_with_max(SGX_TOKEN_SIZE)})

/* Reads them into *files, which is SKELETON_FILES_NONE or done.  -ENOENT where one is missing, -EINVAL
 * where one is too large; the error names it. */
int skeleton_files_read(bool with_token, struct skeleton_files *files, struct error *err);

/* Frees them. */
void skeleton_files_done(struct skeleton_files *files);
#define cleanup_skeleton_files CLEANUP(skeleton_files_done)
