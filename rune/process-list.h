/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process-list.h - the text of ps(1), cut down to some processes.
 */
#pragma once

#include "lib/base/buf.h"
#include "lib/base/error.h"

#include <sys/types.h>

/* Appends of `listing`, what ps printed, the titles and the lines whose PID column has one of `pids`, which
 * is sorted.  -EINVAL where there is no such column or a line has no number in it. */
int process_list_filter(struct view listing, const pid_t *pids, size_t n_pids, struct buf *text,
                        struct error *err);
