/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test-quote.h - the simulation's quoting enclave (lib/sgx/sim-qe.h), which is a process of its own.
 */
#pragma once

#include "lib/base/buf.h"
#include "lib/base/error.h"

/* Appends a test quote of an encoded report. -ENOENT where sgx-test-quoter isn't installed; -EPROTO with its
 * own words where it refuses. */
int test_quote(struct view report, struct buf *ret_quote, struct error *err);
