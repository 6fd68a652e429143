/* SPDX-License-Identifier: Apache-2.0 */
/* modules.h - the kernel modules in the bootstrap ramdisk. */
#pragma once

#include "guest/failure.h"

/* Loads every *.ko in `folder` in the order of their names, and removes the files: their memory is the
 * workload's. A missing folder means that all is built in. One that is loaded already is no failure. */
int modules_load(const char *folder, struct failure *f);
