/* SPDX-License-Identifier: Apache-2.0 */
/*
 * architecture.h - the architectures that enclave images are made for, and all that differs between them.
 */
#pragma once

#include "lib/base/error.h"

#include <stdint.h>

struct architecture {
        const char *name;          /* Go's, as container images have it: "amd64", "arm64" */
        uint16_t eif_flags;        /* 0 or EIF_FLAG_AARCH64 */
        uint16_t elf_machine;      /* of its programs */
        const char *cmdline;       /* the kernel's, for our init; architecture.c says what each part is for */
        const char *nitro_kernel;  /* the kernel among AWS's parts; its configuration has .config behind it */
        const char *nitro_cmdline; /* the kernel's, for AWS's init */
};

/* NULL names amd64. NULL where the name is another. What it points at is constant. */
const struct architecture *architecture_find(const char *name);

/* Whether the file's beginning is an ELF file of this architecture: 0, or -ENOEXEC with what it is
 * instead.  `fd` is read at offset 0; the error doesn't name the file. */
int architecture_check_elf(const struct architecture *architecture, int fd, struct error *err);
