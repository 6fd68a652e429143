/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmlinux.h - the kernel proper, taken out of the bzImage that carries it compressed.
 *
 * A bzImage unpacks itself, in the guest, and moves itself to a random address.  On an emulated machine that
 * is a sixth of the whole boot.  QEMU also starts the kernel proper, if that has an entry for it (PVH), and
 * unpacking here takes a tenth of the time.
 */
#pragma once

#include "lib/base/error.h"

/* Unpacks the bzImage behind `fd` (regular, not written to by anybody) into the empty file `to`, which is
 * open for reading and writing.  -EOPNOTSUPP where that can't be: it is no bzImage, is compressed in another
 * way than LZ4, or has no PVH entry.  -EBADMSG where what is compressed is damaged.  After an error something
 * may have been written. */
int vmlinux_unpack(int fd, int to, struct error *err);
