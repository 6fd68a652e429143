/* SPDX-License-Identifier: Apache-2.0 */
/*
 * enclave-settings.h - what config.json asks for beyond a plain container: an enclave, by variables of the
 * process's environment and by annotations.
 *
 *      ENCLAVE_TYPE              enclave.type               "intelSgx", "AwsNitroEnclaves", "Jailhouse",
 *                                                           "vm"; "": a plain container
 *      ENCLAVE_RUNTIME_PATH      enclave.runtime.path       the PAL (pal.h), on the host
 *      ENCLAVE_RUNTIME_ARGS      enclave.runtime.args       its arguments, apart by commas or spaces
 *      ENCLAVE_RUNTIME_LOGLEVEL  enclave.runtime.loglevel   pal.h has the words; others: info
 *      ENCLAVE_RUNTIME_TIMEOUT   enclave.runtime.timeout    seconds that a call of the PAL may take; 0: any
 *      ENCLAVE_SIMULATE          enclave.simulate           "true": without the hardware, and without any
 *                                                           protection
 *      ENCLAVE_RA_TYPE           enclave.attestation.ra_type
 *                                                           "ecdsa"; "epid..." is refused, its service has
 *                                                           ended
 *
 * A variable beats its annotation.  All variables that begin with ENCLAVE_ are taken out of the
 * environment: the workload never sees them.
 */
#pragma once

#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/container/arena.h"
#include "lib/container/spec.h"

enum { ENCLAVE_TIMEOUT_DEFAULT = 120 }; /* seconds */

/* All strings are the arena's. */
struct enclave_settings {
        const char *type;
        const char *pal;       /* path on the host; NULL: none was named */
        const char *args;      /* apart by spaces; "" where there are none */
        const char *log_level; /* a word of pal.h */
        uint32_t timeout;      /* seconds; 0: none */
        bool simulate;
};

/* Takes the settings out of `spec`; *ret_settings is in the arena, NULL for a plain container.  -EINVAL
 * names the setting that can't be, and what would be right.  Doubts go to `log`. */
int enclave_settings_take(struct spec *spec, struct arena *arena, const struct log *log,
                          struct enclave_settings **ret_settings, struct error *err);

/* Takes the variables out of the environment of `process` (NULL: nothing). */
void enclave_settings_strip(struct spec_process *process);
