/* SPDX-License-Identifier: Apache-2.0 */
/* settings.h - what init is told: by the kernel command line, and by the files of the application ramdisk. */
#pragma once

#include "lib/enclave/guest-config.h"

#include "guest/failure.h"

/* The number behind `name`, "coffer.parent_cid=" for one, in the text of a kernel command line; the last one
 * counts. `fallback` where there is none, or it is no number. */
uint32_t settings_number(const char *cmdline, const char *name, uint32_t fallback);

/* Reads /proc/cmdline (which must be mounted), decides the parent's CID by it. */
uint32_t settings_parent_cid(void);

/* Reads /enclave/config and /enclave/xattrs, and removes both and their folder.  *ret_config and *ret_xattrs
 * are the caller's. The configuration is the ramdisk's last file, so its absence is told as what it means:
 * too little memory to unpack the image. */
int settings_read(struct guest_config *ret_config, struct buf *ret_xattrs, struct failure *f);
