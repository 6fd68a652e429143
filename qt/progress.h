/* SPDX-License-Identifier: Apache-2.0 */
/*
 * progress.h - one line on the terminal, drawn over itself; nothing where stderr is no terminal.
 */
#pragma once

#include "lib/base/log.h"
#include "lib/enclave/build.h"

#include <stdatomic.h>
#include <stdbool.h>

struct progress {
        bool enabled;
        atomic_bool shown; /* a line is there to be cleared; also asked by the thread that waits for Ctrl-C */
};

/* Draws the line. An enclave_build_options.progress whose user is a struct progress. */
void progress_show(void *user, const struct enclave_build_progress *now);

/* Takes the line away. */
void progress_clear(struct progress *progress);

/* A log's emit whose user is a struct progress: takes the line away, then says the message on stderr. */
void progress_emit(void *user, enum log_level level, const char *text);
