/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host-proc.h - the way to a procfs that no container has touched.
 */
#pragma once

#include "lib/base/error.h"

/* Opens /proc of our mount namespace as O_PATH, checked to be the root of a procfs; *ret_fd is the
 * caller's. */
int procfs_open(int *ret_fd, struct error *err);
