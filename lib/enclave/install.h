/* SPDX-License-Identifier: Apache-2.0 */
/*
 * install.h - where the parts of Coffer that programs start or put into images lie on this machine.
 *
 * In this order: $COFFER_LIBEXEC (and, for the kernel, $COFFER_KERNEL_DIR); the build tree, where the running
 * program lies in one; PREFIX/lib/coffer.  A kernel may be there in kernel/, in kernels/coffer, as
 * build-kernel leaves it, or in kernels/cloud, as fetch-kernel does: they are preferred in this order.
 * For arm64 it is kernel-arm64/ or kernels/cloud-arm64.
 */
#pragma once

#include "lib/base/error.h"

enum install_part {
        INSTALL_SUPERVISOR,  /* coffer-enclave */
        INSTALL_INIT,        /* enclave-init */
        INSTALL_INIT_ARM64,  /* the same for arm64 */
        INSTALL_TEST_QUOTER, /* sgx-test-quoter */
        INSTALL_KERNEL,      /* the folder with vmlinuz, config, release and modules/ */
        INSTALL_KERNEL_ARM64,
};

/* The path of a part, on the heap, for the caller to free.  -ENOENT, with a text that names the places looked
 * at. */
int install_find(enum install_part part, char **ret_path, struct error *err);

/* As install_find(), for a plug-in: the tree is the one that `file`, the plug-in itself, lies in as
 * "BUILD/pal/vm/x.so", and before PREFIX/lib/coffer comes the folder that it is in. */
int install_find_beside(const char *file, enum install_part part, char **ret_path, struct error *err);
