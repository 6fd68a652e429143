/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quote.h - quotes of enclaves: reports that others than this machine can check (lib/sgx/quote.h).
 */
#pragma once

#include "lib/attest/aesmd.h"
#include "rune/rune.h"

/* Appends a quote of the container's enclave.  What its report says decides who makes it: a simulated
 * enclave's is a test quote by the simulation's quoting enclave, with a warning on standard error; any other
 * goes to `service`, the machine's.  Neither ever gets the other's.  0 or a negative errno. */
int rune_quote(const struct rune *rune, const struct aesmd *service, const char *id, struct buf *ret_quote,
               struct error *err);
