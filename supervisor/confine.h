/* SPDX-License-Identifier: Apache-2.0 */
/*
 * confine.h - what the supervisor gives up once its machine runs: from then on it reads what a guest writes,
 * as the user who started it, and that may be root.
 */
#pragma once

/* Leaves us the registry in `state_dir`, our descriptors, Unix sockets and signals.  0, also where the
 * kernel lacks a facility, or -errno. */
int confine_supervisor(const char *state_dir);
