/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kernel-modules.h - the kernel modules in the ramdisk of a guest, for its process 1: ours, and those that
 * tests have in its place.
 */
#pragma once

#include <limits.h>

/* Loads every *.ko in `folder` in the order of their names, and removes the files: their memory is the
 * workload's.  A missing folder means that all is built in.  One that is loaded already is no failure.  0 or
 * -errno; then reterr_name names the module, or is "" where the folder can't be read. */
int kernel_modules_load(const char *folder, char reterr_name[NAME_MAX + 1]);
