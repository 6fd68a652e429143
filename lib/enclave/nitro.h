/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nitro.h - an enclave on the Nitro Enclaves driver, by its ABI (linux/nitro_enclaves.h) and nothing else.
 *
 *     nitro_open_device()    any process; the descriptor may be handed on
 *     nitro_create()         from here on the memory is the caller's: no fork() until nitro_start()
 *     nitro_load()           memory, and the image in it
 *     nitro_add_cpus()
 *     nitro_start()          it boots; nitro_fd() tells when it has ended
 *     nitro_free()           ends it
 *
 * What the driver refuses is told in words: its own error numbers, 256 to 275, are unknown to strerror().
 */
#pragma once

#include "lib/base/cleanup.h"
#include "lib/base/error.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/sysmacros.h>

#define NITRO_DEVICE "/dev/nitro_enclaves"

enum {
        NITRO_MEM_MIN_MIB = 64,
        NITRO_MEM_STEP_MIB = 2,
        NITRO_IMAGE_OFFSET_MIB = 8, /* of the memory, that the image doesn't get */
        NITRO_PARENT_CID = 3,
        NITRO_CONSOLE_PORT_BASE = 10000, /* plus the enclave's CID, at CID 0: the console, in debug mode */
        NITRO_CID_MIN = 4,
};
#define NITRO_CID_MAX UINT32_C(4294967294)

/* The device number (st_dev) of the file system that an emulated device is on: none that the kernel gives. */
#define NITRO_EMULATED_ST_DEV makedev(0, 0xfffff)

struct nitro;

/* True where this machine has the device. */
bool nitro_is_here(void);

/* True where it is ne-emulator's. */
bool nitro_is_emulated(void);

/* Opens the device. *ret_fd is the caller's. */
int nitro_open_device(int *ret_fd, struct error *err);

/* An enclave that has nothing yet; `device_fd` is only used. *ret_nitro is freed with nitro_free(). */
int nitro_create(int device_fd, struct nitro **ret_nitro, struct error *err);

/* Gives it `mib` MiB of memory, an even number of at least NITRO_MEM_MIN_MIB, of huge pages, the largest that
 * fit first; the first `size` bytes of `image_fd` lie in it as the driver wants an image.  -ENOMEM: there
 * aren't enough huge pages; -EFBIG: the image doesn't fit; -EINVAL: `mib`. */
int nitro_load(struct nitro *nitro, unsigned mib, int image_fd, uint64_t size, struct error *err);

/* Gives it `n` CPUs of the pool. */
int nitro_add_cpus(struct nitro *nitro, unsigned n, struct error *err);

/* Boots it under this CID (0: one that is free). *ret_cid is the one that it has.  Where this fails the
 * enclave is as before, and another CID can be tried. */
int nitro_start(struct nitro *nitro, bool debug, uint32_t cid, uint32_t *ret_cid, struct error *err);

/* The enclave's descriptor: poll() says POLLHUP once it has ended.  Belongs to the enclave. */
int nitro_fd(const struct nitro *nitro);

/* Ends it and gives its memory back. NULL-safe. */
void nitro_free(struct nitro *nitro);
DEFINE_CLEANUP(cleanup_nitro_p, struct nitro *, nitro_free)
#define cleanup_nitro CLEANUP(cleanup_nitro_p)

/* What an errno of the driver's means, 256 to 275, or strerror() for others. Never NULL. */
const char *nitro_strerror(int errnum);
