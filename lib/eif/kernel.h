/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kernel.h - whether a kernel payload is one that an enclave can boot.
 */
#pragma once

#include "lib/base/error.h"
#include "lib/base/view.h"

#include <stdint.h>

/* How much of a kernel's beginning is looked at. */
enum { EIF_KERNEL_HEAD = 64 * 1024 };

/* `head` is the first EIF_KERNEL_HEAD bytes, or all of a shorter kernel, and `size` that of the whole.  flags
 * 0 wants an x86 bzImage (boot protocol, Documentation/arch/x86/boot.rst), EIF_FLAG_AARCH64 an uncompressed
 * Image (Documentation/arch/arm64/booting.rst). -EBADMSG says what it is instead, where that is known (ELF
 * vmlinux, compressed Image, other architecture), or that it is cut short. */
int eif_kernel_check(struct view head, uint64_t size, uint16_t flags, struct error *err);

/* The release of an x86 bzImage ("6.1.0-18-cloud-amd64") as a heap string for the caller to free; NULL where
 * it names none. */
char *eif_kernel_release(struct view head);
