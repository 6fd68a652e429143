/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image-file.h - the enclave image file that a container's configuration names.
 *
 * Where it is.  The path is read in the container's root file system first, as though that were "/": no link
 * and no ".." in it leads out.  Where nothing has that path there, the host's file of that path is taken, but
 * only if root or whoever called `rune` owns it and nobody else can write to it; for the configuration may be
 * that of an image, which a stranger made.  In both cases it is a regular file, opened once, and what is
 * checked, measured and loaded is one copy of it, which nobody can change.
 */
#pragma once

#include "lib/enclave/boot-image.h"

/* Finds, copies and checks the image at the absolute `path`; `rootfs_fd` is the container's root, or -1 where
 * our own root is it.  A file of more than `size_max` bytes is -EFBIG.  Errors name the path.  *ret_image is
 * a whole one. */
int image_file_open(int rootfs_fd, const char *path, uint64_t size_max, struct boot_image *ret_image,
                    struct error *err);
