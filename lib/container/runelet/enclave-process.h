/* SPDX-License-Identifier: Apache-2.0 */
/*
 * enclave-process.h - runs the enclave's first process by the PAL, from its making to its end.
 */
#pragma once

#include "lib/container/init/payload.h"
#include "lib/container/runelet/runelet.h"

/* Makes the process, tells rune that it runs, and runs it: then ends this process with its exit status.
 * Returns only where it could not be made. */
int enclave_process_run(struct runelet *runelet, const struct payload *payload, struct error *err);
