/* SPDX-License-Identifier: Apache-2.0 */
/*
 * emulator.h - one run: a command, its calls, its enclaves.
 */
#pragma once

#include "ne-emulator/options.h"

#include "lib/base/error.h"

/* Runs options->command to its end. *ret_status is its exit status, 128 plus the signal where one ended it.
 * An error means that it did not begin. */
int emulator_run(const struct options *options, const struct log *log, int *ret_status, struct error *err);
