/* SPDX-License-Identifier: Apache-2.0 */
/*
 * enclaves.h - the device and its enclaves, as the kernel's driver has them (linux/nitro_enclaves.h): the
 * five ioctls, their rules, and what an enclave's descriptor tells.
 *
 * To the command, the device is a sealed memory file, and an enclave the reading end of a pipe that nobody
 * writes to: poll(2) says POLLHUP once the enclave has ended, for then the writing end is closed; and here it
 * shows as an error on the writing end when the last copy of the command's descriptor is closed.
 */
#pragma once

#include "ne-emulator/machine.h"
#include "ne-emulator/pool.h"
#include "ne-emulator/target.h"

struct enclave_set;

struct enclave_set_options {
        const char *pool;      /* list of CPUs */
        unsigned threads;      /* of a core */
        bool any_pages;        /* memory need not be huge pages */
        unsigned enclaves_max; /* at a time; 0: as many as the pool allows */
        enum enclave_accelerator accelerator;
        const struct log *log;
        /* An enclave is about to start; `device` is its vsock. */
        void (*started)(uint32_t cid, struct vsock_device *device, void *user);
        void *user;
};

/* None yet. -EINVAL: the pool. */
int enclave_set_new(struct loop *loop, const struct enclave_set_options *options,
                    struct enclave_set **ret_set, struct error *err);

/* Ends all. NULL-safe. */
void enclave_set_free(struct enclave_set *set);
DEFINE_CLEANUP(cleanup_enclave_set_p, struct enclave_set *, enclave_set_free)
#define cleanup_enclave_set CLEANUP(cleanup_enclave_set_p)

/* The descriptor that opening the device gives. Belongs to the set. */
int enclave_set_device(const struct enclave_set *set);

/* The text of the parameter ne_cpus, in a file to give away. Belongs to the set. */
int enclave_set_cpus_file(const struct enclave_set *set);

/* Answers an ioctl of the driver's where its descriptor is the device or an enclave. False: it is neither,
 * and the call isn't answered. */
bool enclave_set_ioctl(struct enclave_set *set, const struct call *call, struct target *target);

/* The machine of a running enclave, or NULL. */
struct ne_machine *enclave_set_find(struct enclave_set *set, uint32_t cid);

/* The CID of the enclave that this is the vsock of; 0 where there is none. */
uint32_t enclave_set_cid(const struct enclave_set *set, const struct vsock_device *device);

/* Calls fn for the vsock of each running enclave. */
void enclave_set_each(struct enclave_set *set, void (*fn)(struct vsock_device *device, void *user),
                      void *user);
