/* SPDX-License-Identifier: Apache-2.0 */
/*
 * masks.h - what of procfs and sysfs a container doesn't get: maskedPaths and readonlyPaths.
 */
#pragma once

#include "lib/base/error.h"
#include "lib/container/init/rootfs.h"

/* Makes the paths read-only, with all that is mounted below.  Missing ones are none of our business. */
int masks_readonly(const struct rootfs *rootfs, const struct spec_strings *paths, struct error *err);

/* Hides the paths: a file behind the container's /dev/null, which is checked to be it, a folder behind an
 * empty read-only one.  Missing ones are none of our business. */
int masks_hide(const struct rootfs *rootfs, const struct spec_strings *paths, struct error *err);
