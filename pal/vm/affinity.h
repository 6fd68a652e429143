/* SPDX-License-Identifier: Apache-2.0 */
/*
 * affinity.h - the host's CPUs that a machine may run on: a process has those of whoever started it.
 */
#pragma once

#include "lib/base/error.h"

#include <sched.h>

/* Binds the calling thread to the CPUs of a list, "0-3,7" (NULL: leaves it as it is), until
 * affinity_restore().  -EINVAL: no list, or none of its CPUs is there. */
int affinity_set(const char *cpus, cpu_set_t *ret_before, struct error *err);

/* Gives the thread the CPUs back that it had. */
void affinity_restore(const cpu_set_t *before);
