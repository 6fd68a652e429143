/* SPDX-License-Identifier: Apache-2.0 */
/*
 * enclaves-internal.h - what the parts of enclaves.h share: enclaves.c (which enclaves there are, and their
 * end) and enclaves-ioctl.c.
 */
#pragma once

#include "ne-emulator/enclaves.h"
#include "ne-emulator/regions.h"

#include <sys/queue.h>

enum {
        MIB = 1024 * 1024,
        CID_FIRST = 16,
        PARENT_CID = 3,
        IMAGE_OFFSET = 8 * MIB,
        REAP_MS = 200,
};

struct enclave {
        struct enclave_set *set;
        LIST_ENTRY(enclave) entry;
        unsigned slot;
        int fd;      /* writing end of its pipe; -1 once it has ended */
        int path_fd; /* the pipe itself, open for nothing */
        ino_t inode;
        struct loop_source *source;
        pid_t creator;
        int creator_fd; /* pidfd */
        int mem_fd;     /* the creator's memory */
        struct regions regions;
        struct pool_share share;
        struct start_job *job; /* its start is under way */
        bool started;          /* and perhaps ended */
        uint32_t cid;
        struct ne_machine *machine;
};

struct enclave_set {
        struct loop *loop;
        struct enclave_set_options options;
        struct pool pool;
        int device_fd;
        int cpus_fd;
        unsigned last_slot;
        uint32_t last_cid;
        LIST_HEAD(, enclave) enclaves;
        struct loop_source *reaper; /* frees machines that have ended */
};

/* Ends and forgets it. */
void enclave_free(struct enclave *enclave);

/* The last copy of the enclave's descriptor was closed. */
int enclave_on_closed(struct loop_source *source, int fd, uint32_t events, void *user);

/* Whether an enclave that has been started has this CID.  It is the enclave's until its descriptor is
 * closed. */
bool enclave_set_has_cid(const struct enclave_set *set, uint32_t cid);

/* Answers NE_START_ENCLAVE, later: 0; or gives the errno to answer with. */
int enclave_start_ioctl(struct enclave *enclave, const struct call *call, struct target *target);

/* Gives up a start that is under way: nobody is answered.  NULL-safe. */
void start_job_abandon(struct start_job *job);

/* Frees the machines that have ended, and the enclaves that nobody has open any more.  True where some have
 * ended and are still open. */
bool enclave_set_reap(struct enclave_set *set);
