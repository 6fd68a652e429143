/* SPDX-License-Identifier: Apache-2.0 */
/*
 * devices.h - what lies below /dev: the default devices of the specification (config-linux.md, "Default
 * Devices"), those of the configuration, and the symlinks that programs expect.
 */
#pragma once

#include "lib/base/error.h"
#include "lib/container/init/rootfs.h"

/* Makes all of it, unless /dev is the host's: by a bind mount, as a devtmpfs (there is but one), or because
 * the container's root is the host's; rootfs->dev_is_hosts then says so.  A name that is there already stays
 * what it is, but for ptmx.  Where nodes can't be made (a user namespace), the host's are bind-mounted. */
int devices_make(struct rootfs *rootfs, struct error *err);

/* True where one of the mounts puts a folder of the host's in the place of /dev. */
bool devices_are_bound(const struct spec *spec);

/* From inside the container's root, which `root` is: puts its /dev/null in place of the host's where that is
 * descriptor 0, 1 or 2, so that the payload holds no inode of the host.  proc_fd is the host's procfs.
 * -EINVAL where the container's is no null device. */
int devices_reopen_null(int root, int proc_fd, struct error *err);
