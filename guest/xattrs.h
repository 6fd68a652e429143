/* SPDX-License-Identifier: Apache-2.0 */
/*
 * xattrs.h - extended attributes of the image's files, which a cpio ramdisk can't carry.
 *
 * The file enclave/xattrs is a row of records, each three texts ended by a NUL: the path in the image, with
 * or without a leading slash; the attribute's name; its value as lower-case hex.
 */
#pragma once

#include "lib/base/log.h"
#include "lib/base/view.h"

/* Sets all attributes of `records` below the current root.  One that can't be set is a warning, as is a
 * damaged record, which ends it: most programs run without. */
void xattrs_apply(struct view records, const struct log *log);
