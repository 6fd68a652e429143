/* SPDX-License-Identifier: Apache-2.0 */
/*
 * descriptors.h - how many of this process's descriptors its guest may use up.
 */
#pragma once

#include <stddef.h>

/* Raises the soft limit as far as it helps, and returns how many vsock connections may be open at a time so
 * that enough descriptors stay for everything else: however many connections a guest opens, its enclave can
 * still be stopped. At least 1. */
size_t descriptors_for_vsock(void);
