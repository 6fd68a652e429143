/* SPDX-License-Identifier: Apache-2.0 */
/*
 * enclave.h - start, see, stop and watch enclaves: what a client (qt, a plug-in) needs and no more.
 *
 * Every enclave has one supervisor process (coffer-enclave) that owns its virtual machine and answers for it;
 * these calls talk to the supervisors through a registry, a folder of state (registry.h says what lies in
 * it).  No call leaves a process, a lock or an entry behind when it fails.  All are safe to use from several
 * processes at once.
 */
#pragma once

#include "lib/base/cleanup.h"
#include "lib/base/error.h"
#include "lib/base/log.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Context identifiers that an enclave can have.  0 to 3 mean the hypervisor, the local machine, the parent
 * and, in Nitro's and QingTian's world, the parent again; 4294967295 means "any". */
#define ENCLAVE_CID_MIN      UINT32_C(4)
#define ENCLAVE_CID_MAX      UINT32_C(4294967294)
#define ENCLAVE_CPUS_DEFAULT 2
#define ENCLAVE_MEM_DEFAULT  1024 /* MiB */

enum {
        ENCLAVE_PCR_SIZE = 48,     /* SHA-384 */
        ENCLAVE_NAME_MAX = 256,    /* with its NUL */
        ENCLAVE_PORTS_MAX = 64,    /* exposed ports kept; more are cut off */
        ENCLAVE_GRACE_MS = 10000,  /* what stop grants a workload unless told otherwise */
        ENCLAVE_EXIT_UNKNOWN = -1, /* exit_status while nothing has ended, or where it failed */
        ENCLAVE_TIMEOUT_AUTO = 0,  /* start's time-out scales with image, memory and accelerator */
};

enum enclave_state {
        ENCLAVE_STARTING, /* the machine boots */
        ENCLAVE_RUNNING,  /* the workload was started */
        ENCLAVE_STOPPING, /* it was asked to end */
        ENCLAVE_EXITED,   /* the workload ended by itself: exit_status */
        ENCLAVE_FAILED,   /* the machine, or the start of the workload, failed: reason */
};

enum enclave_accelerator {
        ENCLAVE_ACCELERATOR_AUTO, /* Nitro where its device is, KVM where it can work, else TCG, warned of */
        ENCLAVE_ACCELERATOR_KVM,
        ENCLAVE_ACCELERATOR_TCG,
};

enum enclave_isolation {
        ENCLAVE_ISOLATION_KVM,
        ENCLAVE_ISOLATION_NITRO,
        ENCLAVE_ISOLATION_EMULATED, /* TCG: protects nothing from the host's programs */
};

/* What there is to know of one enclave.  Holds no resource: copy and drop freely. */
struct enclave_info {
        uint32_t id;
        char name[ENCLAVE_NAME_MAX]; /* given at start, else the image's own name; UTF-8 */
        pid_t pid;                   /* of the supervisor; 0 once it has ended */
        uint32_t cid;
        unsigned cpus;
        unsigned mem_mib;
        bool debug_mode;
        enum enclave_state state;
        int exit_status; /* the workload's as a shell has it (0..255, 128 + signal); ENCLAVE_EXIT_UNKNOWN */
        int signal;      /* that ended the workload, or 0 */
        enum enclave_isolation isolation;
        char started_at[32]; /* RFC 3339 in UTC, "2026-11-20T16:08:21Z" */
        bool has_pcr8;       /* the image is signed */
        /* PCR0, 1, 2 and 8 as a verifier would see them: all zero in debug mode. */
        uint8_t pcr0[ENCLAVE_PCR_SIZE];
        uint8_t pcr1[ENCLAVE_PCR_SIZE];
        uint8_t pcr2[ENCLAVE_PCR_SIZE];
        uint8_t pcr8[ENCLAVE_PCR_SIZE];
        /* TCP ports that the image says it exposes.  From its metadata, which isn't measured. */
        uint16_t ports[ENCLAVE_PORTS_MAX];
        size_t n_ports;
        char reason[ERROR_TEXT_MAX]; /* ENCLAVE_FAILED: why; else "" */
        char vsock_path[PATH_MAX]; /* Unix socket of its vsock, see vsock/device.h; "": it is the kernel's */
};

struct eif_pcrs;

struct enclave_start_options {
        const char *eif; /* path, required; or, for messages, what `built_fd` is */
        /* Else NULL: the image is in `built_fd`, written by the caller, and these are its measurements
         * (boot-image.h, boot_image_read()). */
        const struct eif_pcrs *built_pcrs;
        int built_fd;
        const char *supervisor; /* path of coffer-enclave, required (see install.h) */
        const char *name;       /* NULL: the image's */
        bool has_cid;           /* else the lowest free one from 4 up */
        uint32_t cid;
        unsigned cpus;
        unsigned mem_mib;
        bool mem_grows;       /* to what the image needs at least */
        const char *mem_name; /* what messages call it; NULL: --mem */
        bool debug_mode;      /* keeps the console, makes PCRs zero */
        enum enclave_accelerator accelerator;
        unsigned timeout_ms;   /* until "workload started"; ENCLAVE_TIMEOUT_AUTO */
        int cancel_fd;         /* start is undone as soon as this becomes readable; -1: none */
        const struct log *log; /* progress at info, doubts at warning, detail at debug; NULL: silence */
        /* The leash (leash.h): the enclave lives no longer than the descriptor that is stored here, which is
         * the caller's, and leaves no record.  NULL: it lives on by itself. */
        int *ret_leash_fd;
        /* Or NULL: called once, when all is open that a start needs and before it reads what others made.
         * The enclave's own processes don't lack what the caller gives up here.  0, or -errno and *err. */
        int (*confine)(void *user, struct error *err);
        void *confine_user;
        bool own_vsock; /* never the kernel's vsock, which any user of this machine may dial */
};

#define ENCLAVE_START_DEFAULTS                                                                               \
        ((struct enclave_start_options){                                                                     \
                .cpus = ENCLAVE_CPUS_DEFAULT, .mem_mib = ENCLAVE_MEM_DEFAULT, .cancel_fd = -1})

struct enclaves; /* the registry: one per user */

/* Opens the registry in `state_dir`, or in the default place where that is NULL: $COFFER_STATE_DIR, else
 * /run/coffer (root), $XDG_RUNTIME_DIR/coffer or /tmp/coffer-<uid>.  The folder is made where missing, 0700;
 * one that belongs to somebody else or that others can write is refused (-EPERM), and one whose name is not
 * UTF-8 (-EINVAL).  For enclaves_free(). */
int enclaves_open(const char *state_dir, struct enclaves **ret_enclaves, struct error *err);

/* NULL-safe. Running enclaves stay. */
void enclaves_free(struct enclaves *enclaves);
DEFINE_CLEANUP(cleanup_enclaves_p, struct enclaves *, enclaves_free)
#define cleanup_enclaves CLEANUP(cleanup_enclaves_p)

/* Checks the image, starts a supervisor for it and waits until the workload runs.  Nothing is started where
 * it cannot work: -EBADMSG (the image, its CRC or signature), -EINVAL (a number out of range: the text says
 * which would do), -EADDRINUSE (CID), -ENOMEM (memory of this machine).  -EIO: machine or workload did not
 * start (the text says why), -ETIMEDOUT, -ECANCELED (cancel_fd).  A workload that has ended already counts as
 * started: *ret_info then says ENCLAVE_EXITED.  Where the calling process dies first, the enclave is undone
 * as well. */
int enclave_start(struct enclaves *enclaves, const struct enclave_start_options *options,
                  struct enclave_info *ret_info, struct error *err);

/* All live enclaves by ascending id, in a heap array for the caller to free() (NULL where there is none). */
int enclave_list(struct enclaves *enclaves, struct enclave_info **ret_infos, size_t *ret_n,
                 struct error *err);

/* One enclave, live or (EXITED, FAILED) remembered after its own end until its id is used again.  -ENOENT. */
int enclave_find(struct enclaves *enclaves, uint32_t id, struct enclave_info *ret_info, struct error *err);

/* Asks the workload to end (the image's StopSignal) and ends the machine when it has, or after `grace_ms`
 * milliseconds; asking again puts that off no more.  Returns when nothing of it is left.  For an enclave that
 * has ended by itself, forgets the record.  -ENOENT where there is neither; -EIO where its supervisor hung up
 * and lives on. */
int enclave_stop(struct enclaves *enclaves, uint32_t id, unsigned grace_ms, struct error *err);

/* Waits until the enclave has ended, by itself or by others, and tells how: *ret_info has EXITED or FAILED.
 * -ENOENT; -ECANCELED as soon as cancel_fd (or -1) becomes readable; -EBUSY where as many as can do wait
 * already. */
int enclave_wait(struct enclaves *enclaves, uint32_t id, int cancel_fd, struct enclave_info *ret_info,
                 struct error *err);

/* The console, from the beginning of the boot (or what the buffer of the last MiB still holds), as a
 * descriptor to read until its end, which comes when the enclave ends; for the caller to close.  Works for a
 * remembered enclave as well.  -EPERM where it isn't in debug mode, -EBUSY where another reader has it,
 * -ENOENT. */
int enclave_console_open(struct enclaves *enclaves, uint32_t id, int *ret_fd, struct error *err);

/* Connects to vsock port `port` of a running enclave, whichever back end it has: a stream socket, for the
 * caller to close.  -ECONNREFUSED where nobody listens there, -ENOENT. */
int enclave_connect(struct enclaves *enclaves, uint32_t id, uint32_t port, int *ret_fd, struct error *err);

/* "starting", "running", "stopping", "exited", "failed". */
const char *enclave_state_name(enum enclave_state state);

/* "kvm", "nitro", "emulated". */
const char *enclave_isolation_name(enum enclave_isolation isolation);
