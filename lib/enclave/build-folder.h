/* SPDX-License-Identifier: Apache-2.0 */
/*
 * build-folder.h - a real folder, the root file system of a container, becomes an enclave image that serves
 * processes (guest-config.h).
 *
 * What is measured is kernel, init and files.  What the container runs, its name, its mounts are not: they
 * are what the parent asks of any such image, and come when it runs (service-protocol.h).  So all containers
 * of one image have the same measurements.
 */
#pragma once

#include "lib/eif/eif.h"
#include "lib/image/ramdisk-folder.h"

struct enclave_build_folder_options {
        const char *kernel;  /* folder or bzImage, as kernel_open() takes it */
        const char *init;    /* path of enclave-init */
        const char *name;    /* for the metadata */
        int64_t build_time;  /* seconds since 1970, likewise */
        int root_fd;         /* the folder; O_PATH will do */
        const int *copy_fds; /* further folders and files, that a container may mount by their index */
        size_t n_copies;
        struct ramdisk_folder_options folder; /* ids and ceiling */
};

/* Builds the image into `fd`, an empty regular file open for writing, from offset 0.  Errors as those of
 * ramdisk_add_folder(), which name the path in the folder. */
int enclave_build_folder(const struct enclave_build_folder_options *options, int fd,
                         struct eif_pcrs *ret_pcrs, struct error *err);
