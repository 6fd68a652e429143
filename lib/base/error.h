/* SPDX-License-Identifier: Apache-2.0 */
/*
 * error.h - one error shape for the whole of Coffer.
 *
 * A function that can fail for a reason worth telling returns int, 0 or a negative errno, and takes
 * `struct error *err` as its last argument.  The caller owns the struct (usually on its stack) and may pass
 * NULL where only the number matters.  The text is one line that grows from the inside out:
 *
 *     error_set(err, -EBADMSG, "section 3 ends at byte %zu, past the end of the file (%zu bytes)", ...)
 *     error_wrap(err, "%s", path)
 *       -> "/x/a.eif: section 3 ends at byte 9120, past the end of the file (8626 bytes)"
 *
 * Wrap where meaning is added, not at every call.  What a user reads names the thing, the cause and, after
 * "; ", the way out.
 */
#pragma once

#include <errno.h>

/* Longest text kept, with its NUL.  Longer texts lose their end. */
#define ERROR_TEXT_MAX 1024

struct error {
        int code;                  /* negative errno, 0 while unset */
        char text[ERROR_TEXT_MAX]; /* NUL-terminated, without newline */
};

/* Sets code and text, replacing what was there.  `code` is a negative errno.  Returns `code`, so that
 * `return error_set(...)` reads well.  `err` may be NULL. */
int error_set(struct error *err, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* As error_set, with ": <strerror>" appended.  `errnum` is a positive errno; returns -errnum. */
int error_errno(struct error *err, int errnum, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Puts "<context>: " before the text.  Code stays.  Returns err's code (-EINVAL where it is unset), or 0 if
 * err is NULL: use it for its effect and return the code you hold. */
int error_wrap(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Appends "; <hint>": what the user can do.  `err` may be NULL. */
void error_hint(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The text, or "unknown error" where nothing was set.  Never NULL; belongs to err. */
const char *error_text(const struct error *err);

/* Out of memory, said one way.  Returns -ENOMEM. */
int error_oom(struct error *err);
