/* SPDX-License-Identifier: Apache-2.0 */
/*
 * messages.h - what container-init tells people: warnings for rune's log, and causes in the words that
 * engines look for.
 */
#pragma once

#include "lib/base/error.h"
#include "lib/container/plan.h"

/* Sends a warning. A rune that is gone misses it: nothing depends on one. */
void init_warn(const struct plan *plan, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* As error_errno(), but with the cause in lower case ("permission denied"): engines tell a command that
 * can't be found or executed from other failures by these very words. */
int error_cause(struct error *err, int errnum, const char *format, ...) __attribute__((format(printf, 3, 4)));
