/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec-cgroup.h - the control groups of a further process: the container's, one below it, or, where the
 * container's first process has moved, the group that one is in now.
 */
#pragma once

#include "lib/container/starting.h"

/* Opens them for the launch of `s`. `subs`, NULL-terminated: one "group", or "controller[,controller]:group"
 * words, below the container's; NULL, or none: the container's own. */
int exec_open_cgroup(struct starting *s, char *const *subs, struct error *err);
