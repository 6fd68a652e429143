/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spec-process-text.h - a process as the text of a process object (config.md, "Process"), for those who
 * read one: the opposite of spec_parse_process().
 */
#pragma once

#include "lib/container/spec.h"

/* The text, on the heap, for the caller to free; NULL when out of memory.  What makes up the process's
 * identity, rights, limits, labels and scheduling is in it. */
char *spec_process_text(const struct spec_process *process);
