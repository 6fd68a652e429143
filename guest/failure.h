/* SPDX-License-Identifier: Apache-2.0 */
/*
 * failure.h - why the workload doesn't run, in the three parts that the FAILED message has.
 *
 * Reads as "cannot STAGE: PATH: strerror(ERRNUM)", so a stage is a phrase that follows "cannot", such as
 * "mount proc".
 */
#pragma once

#include "lib/enclave/guest-protocol.h"

struct failure {
        int errnum; /* 0 where none fits */
        char stage[GUEST_STAGE_MAX + 1];
        char path[GUEST_PATH_MAX + 1]; /* "" where none fits */
};

/* Sets all three; `path` may be NULL, errnum is a positive errno or 0.  Returns -errnum, or -EINVAL where
 * that is 0, so that `return failure_set(...)` reads well. */
int failure_set(struct failure *f, int errnum, const char *path, const char *stage, ...)
        __attribute__((format(printf, 4, 5)));

/* Writes the whole sentence, with its NUL, to ret_text of `size` bytes, cutting what doesn't fit. */
void failure_text(const struct failure *f, char *ret_text, size_t size);
