/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mount-trees.h - the sources of bind mounts that only rune can open or map: below folders that the root of
 * the container's user namespace may not enter, and with ids mapped (mount_setattr(2), MOUNT_ATTR_IDMAP).
 */
#pragma once

#include "lib/container/starting.h"

/* Fills plan->mounts where container-init has to ask for some; leaves it NULL where it hasn't. */
int mount_trees_plan(struct starting *s, struct error *err);

/* Opens the source of a mount as the container's mount namespace has it now, for which init has asked.
 * *ret_tree (a detached mount) is the caller's; -1 where init is to try the path. -ENOTSUP where ids are to
 * be mapped and the kernel can't. */
int mount_trees_open(const struct starting *s, const struct spec_mount *mount, int mount_namespace,
                     int *ret_tree, struct error *err);
