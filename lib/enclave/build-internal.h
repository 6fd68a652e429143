/* SPDX-License-Identifier: Apache-2.0 */
/*
 * build-internal.h - the texts of an enclave image: what enclave-init shall run, and the metadata for people.
 */
#pragma once

#include "lib/base/buf.h"
#include "lib/enclave/build.h"
#include "lib/enclave/kernel.h"
#include "lib/image/image.h"
#include "lib/image/tree.h"

/* Checks what needs no layer: machine, something to run, working folder, stop signal.  -EINVAL. */
int build_check_config(const struct image_config *config, const struct architecture *architecture,
                       struct error *err);

/* Appends the encoded configuration for enclave-init. The user is looked up in the image's own files. */
int build_guest_config(const struct image_config *config, const struct image_tree *tree, struct buf *b,
                       struct error *err);

/* The working folder as an absolute path without "." and "..", on the heap; NULL when out of memory. */
char *build_working_dir(const struct image_config *config);

/* The PATH of the image's environment, or what containers get that have none.  Belongs to `config` or to
 * nobody. */
const char *build_path_of(const struct image_config *config);

/* Whether the image's environment has this variable. */
bool build_has_variable(const struct image_config *config, const char *name);

/* Appends the metadata section. */
int build_metadata(const struct enclave_build_options *options, const struct image *image,
                   const struct kernel *kernel, struct buf *b, struct error *err);

/* The name of an image that was given no other: the last part of its URI, without tag and digest.  On the
 * heap; NULL when out of memory. */
char *build_default_name(const char *uri);
