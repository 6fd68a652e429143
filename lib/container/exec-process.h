/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec-process.h - what a further process of a container is: a process object of its own, or the container's
 * with changes.
 */
#pragma once

#include "lib/container/container.h"
#include "lib/container/starting.h"

/* Makes the process of `request` in the arena of `s`, whose spec is the container's. */
int exec_process(struct starting *s, const struct exec_request *request, struct spec_process **ret_process,
                 struct error *err);
