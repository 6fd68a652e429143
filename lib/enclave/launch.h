/* SPDX-License-Identifier: Apache-2.0 */
/*
 * launch.h - what enclave_start() hands to the supervisor that it starts: numbers and names in a memory file,
 * the rest as descriptors, under the numbers below.
 */
#pragma once

#include "lib/enclave/enclave.h"

enum {
        LAUNCH_FD_SPEC = 3,   /* memory file: launch_write() */
        LAUNCH_FD_STATUS = 4, /* stream socket to the starter, control.h */
        LAUNCH_FD_LOCK = 5,   /* the entry's lock, held */
        LAUNCH_FD_ENTRY = 6,  /* the entry's folder */
        LAUNCH_FD_KERNEL = 7, /* nitro: the image file */
        LAUNCH_FD_VSOCK = 8,  /* kernel_vsock: /dev/vhost-vsock with the CID set; else /dev/null */
        LAUNCH_FD_INITRD = 9, /* has_initrd, else /dev/null */
        LAUNCH_FD_LEASH = 10, /* leashed: stream socket, else /dev/null */
};

struct launch {
        struct enclave_info info; /* as published, ENCLAVE_STARTING */
        char *state_dir;
        char *cmdline;
        bool nitro;        /* on the Nitro driver, with the kernel's vsock */
        bool kernel_vsock; /* by /dev/vhost-vsock */
        bool has_initrd;
        bool init_of_others; /* nothing comes from init but its heartbeat */
        bool leashed;        /* there is a LAUNCH_FD_LEASH (leash.h) */
        unsigned timeout_ms; /* until the workload runs */
};

#define LAUNCH_NONE ((struct launch){.state_dir = NULL})

/* Frees the strings. Safe on LAUNCH_NONE. */
void launch_done(struct launch *launch);
#define cleanup_launch CLEANUP(launch_done)

/* Writes `launch` into a fresh memory file, at offset 0. */
int launch_write(const struct launch *launch, int *ret_fd, struct error *err);

/* Reads it back; *ret_launch is to be released with launch_done(). -EBADMSG. */
int launch_read(int fd, struct launch *ret_launch, struct error *err);
