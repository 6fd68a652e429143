/* SPDX-License-Identifier: Apache-2.0 */
/*
 * skeleton.h - the skeleton enclave runtime behind all three versions of its PAL: it makes the enclave of
 * encl.bin, encl.ss and, where the machine wants it, encl.token in the working folder, calls it, and says
 * that it works.
 *
 * A plug-in has one enclave, so it is one object, made by skeleton_init() and ended by skeleton_destroy().
 * Whatever fails says why through skeleton_error(), which is each thread's own.
 *
 * Arguments, words apart by spaces:
 *
 *      simulate      no hardware: a simulation that protects nothing (lib/sgx/sim-cpu.h)
 *      debug         say what is done on stderr; allow debugging where the signature leaves it open
 *      no-sgx-flc    the machine wants a launch token (encl.token)
 *      no-epm        for rune: don't ask a pool for the enclave
 */
#pragma once

#include "include/coffer/pal.h"
#include "lib/base/error.h"

/* Gets from the host what a simulation needs. 0 or -errno. */
int skeleton_prepare(const struct pal_prepare_args *args);

/* Makes the enclave, or takes the one of descriptor `fd` at `address` (fd -1: none).  -ENOENT where a
 * file is missing, -EINVAL where the enclave can't be built from them, -ENODEV where there is no
 * hardware; -EBUSY the second time. */
int skeleton_init(const char *args, int fd, uint64_t address);

/* The enclave's own word that it runs: calls it, and writes the line of success to `err_fd`. 0 or -errno. */
int skeleton_hello(int err_fd);

/* As pal_get_local_report(). */
int skeleton_report(const void *targetinfo, int targetinfo_len, void *report, int *report_len);

/* Ends it. 0, also where there is none. */
int skeleton_destroy(void);

/* Where this thread's error goes, emptied; and its text for pal_last_error(). */
struct error *skeleton_error(void);
const char *skeleton_error_text(void);
