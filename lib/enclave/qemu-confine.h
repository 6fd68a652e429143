/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qemu-confine.h - what a QEMU may still do that fell to its guest.
 *
 * Its own descriptors stay its own.  Beyond them it can read the system's programs and libraries, its kernel
 * and ramdisks, and what /proc and /sys tell; it can write to nothing but the devices it needs, make no
 * socket and reach no process.
 */
#pragma once

/* The folder above the one in which PATH has QEMU, for the caller to free: its libraries and data are in
 * there where the system's folders don't have them.  NULL where there is none, or no memory. */
char *qemu_home(void);

/* Confines the calling process, which becomes QEMU next; its descriptors are in place.  `user` is what
 * qemu_home() gave.  0, also where the kernel lacks a facility, or -errno. */
int qemu_confine(void *user);
