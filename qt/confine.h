/* SPDX-License-Identifier: Apache-2.0 */
/*
 * confine.h - what a command gives up before it reads what others made.  Where the kernel lacks a facility
 * the command goes on without it; another failure is an error.
 */
#pragma once

#include "lib/base/error.h"

#include <stddef.h>

/* For query-eif, which reads one open file: from now on none can be opened, and nothing be reached. */
int confine_to_open_files(struct error *err);

/* For those that ask supervisors: from now on files are to be had in `state_dir` alone, and of sockets
 * those that lead to enclaves.  Of capabilities one is left, which finds files and changes none.  Before
 * there are threads. */
int confine_client(const char *state_dir, struct error *err);

/* For start, once its supervisor runs: as confine_client(), and of capabilities none is left.  Nothing more
 * is to be had for it than what a start opens at its end, the kernel's vsock for instance. */
int confine_starter(const char *state_dir, struct error *err);

/* For sign-eif: from now on what is read are these files alone (NULL: none), beside those that are open, and
 * what is written is in the folder behind `target_dirfd`.  Before there are threads. */
int confine_signer(int target_dirfd, const char *const *readable, size_t n_readable, struct error *err);

/* For make-img, which reaches registries and may run credential helpers: from now on files are written in
 * the folder behind `target_dirfd` and in that for temporary files only, and the kernel's rarer parts are
 * out of reach.  Before there are threads. */
int confine_builder(int target_dirfd, struct error *err);
