/* SPDX-License-Identifier: Apache-2.0 */
/*
 * console.h - /dev/console: where init writes its log, and what the workload gets as standard output and
 * error.
 */
#pragma once

#include "lib/base/log.h"

#include "guest/failure.h"

/* Makes the console init's standard input, output and error, so that output passes unchanged (no "\n" to
 * "\r\n"), input isn't echoed, and a console that nobody reads never blocks init.  /dev must be mounted. */
int console_attach(struct failure *f);

/* Opens the console anew for the workload, blocking; *ret_fd is the caller's.  It becomes nobody's
 * controlling terminal. */
int console_open(int *ret_fd, struct failure *f);

/* An emitter for struct log: "enclave-init: text" on the console, whole lines, dropped where the console is
 * full. */
void console_emit(void *user, enum log_level level, const char *text);

/* Waits until the console has sent what was written, for a second at most. */
void console_drain(void);
