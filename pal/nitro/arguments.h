/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arguments.h - what a container's configuration says of its enclave: words, apart by spaces or commas.
 *
 *     image=PATH     the enclave image file, absolute; image.h says where it is looked for.  Must be there.
 *     memory=MIB     of the enclave, an even number from 64 on.  512 where there is none.
 *     vcpus=N        from 1 on.  2 where there is none.
 *     cid=N          its vsock CID, 4 to 4294967294.  One that is free where there is none.
 *     debug          in debug mode: its console is the container's output, and its PCRs are zero
 *
 * A word that is none of these, or comes twice, is an error.
 */
#pragma once

#include "lib/base/error.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

enum { ARGUMENTS_MEM_DEFAULT = 512, ARGUMENTS_CPUS_DEFAULT = 2, ARGUMENTS_CPUS_MAX = 4096 };

struct arguments {
        char image[PATH_MAX];
        unsigned memory_mib;
        unsigned vcpus;
        uint32_t cid; /* 0: any */
        bool debug;
};

/* Reads them. -EINVAL names the word and what would do. */
int arguments_parse(const char *text, struct arguments *ret_arguments, struct error *err);
