/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watch.h - Ctrl-C and the console, for the commands that wait.
 */
#pragma once

#include "lib/base/error.h"

/* Blocks SIGINT, SIGTERM and SIGHUP and gives a descriptor, the caller's, that becomes readable when one comes. */
int interrupt_fd(int *ret_fd, struct error *err);

/* Copies a console to stdout until it ends (0), `cancel_fd` becomes readable (-ECANCELED) or the reader of stdout has
 * gone (-EPIPE). */
int console_copy(int console, int cancel_fd, struct error *err);
