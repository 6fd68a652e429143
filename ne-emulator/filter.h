/* SPDX-License-Identifier: Apache-2.0 */
/*
 * filter.h - which system calls come to us.
 */
#pragma once

#include <stdbool.h>

/* From now on the calls of this process and of all its descendants that may be about the emulated device or
 * its sockets wait for an answer on *ret_listener (close-on-exec, the caller's); with `huge_pages` also those
 * that ask for huge pages.  Where the process lacks CAP_SYS_ADMIN, no_new_privs is set as well.  Calls of
 * 32-bit programs are let through.  0 or -errno: -EBUSY where such a listener is there already (one emulator
 * in another), -ENOSYS and -EINVAL where the kernel has none (before Linux 5.14). */
int filter_install(bool huge_pages, int *ret_listener);
