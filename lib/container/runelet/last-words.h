/* SPDX-License-Identifier: Apache-2.0 */
/*
 * last-words.h - what a process says as a PAL ends it.
 *
 * Theory of operation.  Whoever waits for a process knows how it ended, and under an engine that is the
 * engine: `start` sees an end and no more.  So the process itself writes its status into the exec fifo
 * (PLAN_LAST), from a handler of the signals that faults are, or as exit(3) is called.  Handlers are put in
 * before the PAL is loaded: one that has its own, as a simulation of SGX, passes on what isn't its.  A
 * handler does nothing but write(2) and end the process as it would have ended.
 *
 * Once the enclave's process runs there is nobody left but who reads the container's output, and an exit
 * status that could be the workload's: standard error gets a line then.
 */
#pragma once

#include "lib/base/error.h"

/* Puts the handlers in; until last_words_to() they only let the process end. 0 or -errno. */
int last_words_prepare(struct error *err);

/* From now on they write to `fifo`, in this process. */
void last_words_to_fifo(int fifo);

/* From now on they write a line about the PAL whose path is `pal`, which stays the caller's, to standard
 * error. */
void last_words_to_stderr(const char *pal);
