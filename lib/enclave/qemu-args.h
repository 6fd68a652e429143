/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qemu-args.h - QEMU's command line for an enclave.
 */
#pragma once

#include "lib/enclave/backend.h"

/* Looked up in PATH. */
#define QEMU_PROGRAM "qemu-system-x86_64"

/* The numbers that the inherited descriptors have in QEMU. */
enum {
        QEMU_FD_KERNEL = 3,
        QEMU_FD_INITRD = 4,
        QEMU_FD_CONSOLE = 5,
        QEMU_FD_QMP = 6,
        QEMU_FD_VSOCK = 7,
};

enum {
        QEMU_CPUS_MAX = 255, /* of the microvm machine's interrupt controller without remapping */
};

/* The arguments, argv[0] first, NULL last: one heap array with its strings in it, for the caller to free with
 * qemu_args_free(). */
int qemu_args_build(const struct machine_spec *spec, char ***ret_argv, struct error *err);

/* NULL-safe. */
void qemu_args_free(char **argv);
DEFINE_CLEANUP(cleanup_qemu_args_p, char **, qemu_args_free)
#define cleanup_qemu_args CLEANUP(cleanup_qemu_args_p)
