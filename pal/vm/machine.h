/* SPDX-License-Identifier: Apache-2.0 */
/*
 * machine.h - the enclave behind the PAL: made while the host's files are in sight, reached by descriptors
 * from then on.
 */
#pragma once

#include "include/coffer/pal.h"
#include "lib/base/log.h"
#include "lib/enclave/enclave.h"

#include "pal/vm/args.h"
#include "pal/vm/client.h"
#include "pal/vm/translate.h"

struct machine {
        struct enclave_info info; /* as it was started */
        int leash_fd;             /* lib/enclave/leash.h: closed, the enclave ends */
        int console_fd;           /* debug mode; else -1 */
        struct client *client;    /* its process service; NULL where it runs an image of its own */
};

#define MACHINE_NONE ((struct machine){.leash_fd = -1, .console_fd = -1})

/* Ends the enclave and waits until nothing is left of it. Safe on MACHINE_NONE. */
void machine_done(struct machine *machine);

/* Completes `err`, which says that the connection is over, by what the supervisor says of the end. */
void machine_explain_end(const struct machine *machine, struct error *err);

/* Starts an enclave from the image that the arguments name: a file of the container's root, else, by an
 * absolute path, of the host. */
int machine_start_image(const struct pal_prepare_args *prepare, const struct args *args,
                        const struct translated *translated, const struct log *log,
                        struct machine *ret_machine, struct error *err);

/* Makes an image of the container's root, starts an enclave from it, and sets the container up in it. */
int machine_start_root(const struct pal_prepare_args *prepare, const struct args *args,
                       const struct translated *translated, const struct log *log,
                       struct machine *ret_machine, struct error *err);
