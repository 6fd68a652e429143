/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watch.h - Ctrl-C and the console, for the commands that wait.
 */
#pragma once

#include "lib/base/error.h"

/* Blocks SIGINT, SIGTERM and SIGHUP and gives a descriptor, the caller's, that becomes readable when one
 * comes. */
int watch_interrupt(int *ret_fd, struct error *err);

/* Copies a console to stdout until it ends (0), `cancel_fd` becomes readable (-ECANCELED) or the reader of
 * stdout has gone (-EPIPE).  On a terminal, control characters but line breaks and tabs are shown as \xNN:
 * what is in an enclave must not command the terminal of who watches it.  Files and pipes get every byte as
 * it is. */
int watch_console(int console, int cancel_fd, struct error *err);
