/* SPDX-License-Identifier: Apache-2.0 */
/*
 * confine.h - what a command gives up before it reads what others made.  Where the kernel lacks a facility
 * the command goes on without it; another failure is an error.
 *
 * `start` is not among them: what it gave up its supervisor and QEMU would lack, which confine themselves.
 */
#pragma once

#include "lib/base/error.h"

/* For query-eif, which reads one open file: from now on none can be opened, and nothing be reached. */
int confine_to_open_files(struct error *err);

/* For those that ask supervisors: from now on files are to be had in `state_dir` alone, and of sockets
 * those that lead to enclaves.  Before there are threads. */
int confine_client(const char *state_dir, struct error *err);

/* For make-img, which reaches registries and may run credential helpers: from now on files are written in
 * the folder behind `target_dirfd` and in that for temporary files only, and the kernel's rarer parts are
 * out of reach. */
int confine_builder(int target_dirfd, struct error *err);
