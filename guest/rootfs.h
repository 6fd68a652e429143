/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rootfs.h - from the ramdisk's root to the image's, and what a container expects to be mounted there.
 */
#pragma once

#include "lib/base/log.h"

#include "guest/failure.h"

/* Mounts the first /dev and /proc, in the bootstrap ramdisk. */
int rootfs_prepare(struct failure *f);

/* Makes /rootfs the root of init and all that come after it. The first mounts are gone then. */
int rootfs_enter(struct failure *f);

/* Makes the devices and links that every container has in /dev, which is made where missing; what there is
 * already stays. */
void rootfs_make_devices(const struct log *log);

/* Mounts /proc, /sys, /dev and what belongs below them, makes the links and folders that programs expect, and
 * hides nothing that the image brings: /run and /tmp are only made where missing, as all of the root is in
 * memory anyway. Without /proc or /dev it fails; the rest is a warning, as not every kernel has all of it. */
int rootfs_mount(const struct log *log, struct failure *f);
