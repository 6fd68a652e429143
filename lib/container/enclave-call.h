/* SPDX-License-Identifier: Apache-2.0 */
/*
 * enclave-call.h - what became of a call into a PAL that didn't return, in words.  `call` is the text of
 * PLAN_CALL: "pal_init of /usr/lib/libx.so".
 */
#pragma once

#include "lib/base/error.h"

#include <stdint.h>

/* It takes longer than the `timeout` seconds that it may. Returns -ETIMEDOUT. */
int enclave_call_hangs(const char *call, uint32_t timeout, struct error *err);

/* The process ended in it, with `status` as of waitpid(2). Returns -ECHILD. */
int enclave_call_ended(const char *call, int status, struct error *err);
