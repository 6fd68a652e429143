/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image.h - the image that lies in an enclave's memory, as a file.
 */
#pragma once

#include "ne-emulator/regions.h"

/* Copies the enclave image file that begins `offset` bytes into the memory of `regions`, which is that of
 * the process behind `mem_fd` (its /proc/PID/mem), into an unnamed file.  Where it ends, its own header
 * says; that and no more is checked here.  *ret_fd is the caller's, readable, at no particular place.
 * -EBADMSG: there is no image; -EFAULT: the memory isn't there any more. */
int image_copy(int mem_fd, const struct regions *regions, uint64_t offset, int *ret_fd, struct error *err);
