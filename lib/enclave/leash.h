/* SPDX-License-Identifier: Apache-2.0 */
/*
 * leash.h - an enclave that ends with its starter.
 *
 * Who asks enclave_start() for a leash gets a descriptor.  The enclave is ended at once when the last copy of
 * it is closed, as by the death of whoever holds it, and leaves nothing behind then.  It needs no file
 * system: the holder may have left the one that the enclave was started in.
 */
#pragma once

#include "lib/enclave/enclave.h"

/* Sends a signal (1 to 64) to the workload, by the control channel; nobody tells whether it came.  0, or
 * -EPIPE where the enclave has ended. */
int leash_signal(int fd, int signal, struct error *err);

/* Asks for the end, as enclave_stop() does, without waiting for it. */
int leash_stop(int fd, unsigned grace_ms, struct error *err);

/* Waits until the enclave has ended, and tells how: *ret_info has EXITED or FAILED.  To be called once. -EIO
 * where the supervisor died. */
int leash_wait(int fd, struct enclave_info *ret_info, struct error *err);
