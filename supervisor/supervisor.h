/* SPDX-License-Identifier: Apache-2.0 */
/*
 * supervisor.h - one enclave's life, from its start to its end.
 */
#pragma once

#include "lib/enclave/backend.h"
#include "lib/enclave/launch.h"

#include "supervisor/guest.h"

struct supervisor;

/* What a supervisor is made of.  The descriptors stay the caller's and must stay open as long as it lives. */
struct supervisor_parts {
        const struct launch *launch; /* must outlive the supervisor */
        const struct backend *backend;
        const char *pool_folder; /* POOL_FOLDER of lib/enclave/pool.h */
        int status_fd;           /* to the starter */
        int entry_dirfd;
        int kernel_fd;
        int initrd_fd;
        int vsock_fd; /* launch->kernel_vsock: /dev/vhost-vsock */
        int leash_fd; /* launch->leashed */
};

/* Starts the machine, on a loop of its own.  Where that fails, the starter knows, and the entry is gone. */
int supervisor_new(const struct supervisor_parts *parts, struct supervisor **ret_supervisor);

/* Runs until the enclave has ended, its entry is gone, and everybody who waits for that was told.  0, or
 * -errno where the supervisor itself failed. */
int supervisor_run(struct supervisor *supervisor);

/* Ends what is left, the machine included. NULL-safe. */
void supervisor_free(struct supervisor *supervisor);
DEFINE_CLEANUP(cleanup_supervisor_p, struct supervisor *, supervisor_free)
#define cleanup_supervisor CLEANUP(cleanup_supervisor_p)

/* Its guest, for a test that plays enclave-init. Belongs to the supervisor. */
struct guest *supervisor_guest(struct supervisor *supervisor);
