/* SPDX-License-Identifier: Apache-2.0 */
/*
 * os.h - the boundary to the kernel's SGX driver: what a loader calls.  The host's own is sgx_os_host; a
 * simulated device (sim-device.h) is another, and tests put their own in between.
 *
 * Results are as the system calls': -1 and errno, MAP_FAILED and errno.
 */
#pragma once

#include <stddef.h>
#include <sys/types.h>

struct sgx_os {
        int (*open)(void *user, const char *path, int flags);
        int (*ioctl)(void *user, int fd, unsigned long request, void *argument);
        void *(*mmap)(void *user, void *address, size_t size, int prot, int flags, int fd, off_t offset);
        int (*munmap)(void *user, void *address, size_t size);
        int (*close)(void *user, int fd);
        void *user;
};

/* The kernel's own calls. */
extern const struct sgx_os sgx_os_host;
