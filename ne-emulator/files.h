/* SPDX-License-Identifier: Apache-2.0 */
/*
 * files.h - the files that only exist under the emulator:
 *
 *     /dev/nitro_enclaves                                 a character device
 *     /sys/module/nitro_enclaves/parameters/ne_cpus       the CPU pool, to read
 *     /dev/vsock                                          the parent's CID (IOCTL_VM_SOCKETS_GET_LOCAL_CID)
 *
 * They are known by their paths, read as text: links that lead to them aren't followed, and they don't show
 * in their folders.
 */
#pragma once

#include "ne-emulator/enclaves.h"

/* Answers a call that names a file (open, stat, access and their kin): as the file would, or hands it to the
 * kernel where it is another one. */
void files_call(struct enclave_set *set, const struct call *call);

/* Answers IOCTL_VM_SOCKETS_GET_LOCAL_CID. False: it isn't that, or the descriptor isn't /dev/vsock. */
bool files_ioctl(struct enclave_set *set, const struct call *call, struct target *target);
