/* SPDX-License-Identifier: Apache-2.0 */
/*
 * descriptors.h - what container-init inherits beside the standard streams and the payload's own
 * (plan->preserve_fds): first close-on-exec, then closed, at the latest before execve(2).
 */
#pragma once

#include "lib/base/error.h"
#include "lib/container/plan.h"

enum { DESCRIPTORS_LISTED_MAX = 64 };

/* Makes them close-on-exec, whoever left them open. */
int descriptors_set_cloexec(const struct plan *plan, struct error *err);

/* Closes them but the `n` of `keep`; negative ones are none. */
int descriptors_close(const struct plan *plan, const int *keep, size_t n, struct error *err);

/* The descriptors that the plan names, at most DESCRIPTORS_LISTED_MAX, without the agent's of an
 * enclave; their number. */
size_t descriptors_listed(const struct plan *plan, int ret_fds[DESCRIPTORS_LISTED_MAX]);
