/* SPDX-License-Identifier: Apache-2.0 */
/*
 * args.h - the PAL's arguments: words apart by spaces, from ENCLAVE_RUNTIME_ARGS or the annotation.
 *
 *      image=FILE.eif   run this enclave image instead of the container's own files
 *      memory=MIB       the machine's memory; else the container's memory limit
 *      cpus=N           its CPUs (or vcpus=N); else the container's CPU quota or set
 *      debug            debug mode: its console is shown, and measurements are zero
 */
#pragma once

#include "lib/base/cleanup.h"
#include "lib/base/error.h"

#include <stdbool.h>

struct args {
        char *image;      /* on the heap; NULL: none */
        unsigned mem_mib; /* 0: not given */
        unsigned cpus;    /* likewise */
        bool debug;
};

/* Frees what they hold. */
void args_done(struct args *args);
#define cleanup_args CLEANUP(args_done)

/* -EINVAL names the word that isn't one of those above, or its value. */
int args_parse(const char *text, struct args *ret_args, struct error *err);
