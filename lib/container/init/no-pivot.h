/* SPDX-License-Identifier: Apache-2.0 */
/*
 * no-pivot.h - entering a root where pivot_root(2) can't be had: the host's root is the initial ramdisk.
 */
#pragma once

#include "lib/base/error.h"
#include "lib/container/init/rootfs.h"

/* Moves the root over "/" and changes to it.  The host's tree stays beneath it; its procfs and sysfs are
 * unmounted, or hidden, before, since the kernel lets a user namespace mount as much of those as is visible
 * somewhere in the mount namespace.  Leaves the current folder at the new root. */
int no_pivot_enter(const struct rootfs *rootfs, struct error *err);
