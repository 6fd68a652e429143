/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backend.h - what runs an enclave's machine.  One table per kind of machine; nothing outside of a back end's
 * own files knows more of it than this.
 *
 * prepare() runs in the client, before anything exists and before the client gives up its rights: it looks at
 * the machine, chooses, and refuses what cannot work.  The rest
 * runs in the supervisor, on its loop.  A machine ends once: by itself, by quit() or by kill(); `ended` is
 * then called, later, never from within a call of ours, and after it only free() is left.
 */
#pragma once

#include "lib/enclave/enclave.h"

#include "lib/base/loop.h"

/* What a back end is asked for ... */
struct backend_request {
        unsigned cpus;
        unsigned mem_mib;
        enum enclave_accelerator accelerator;
};

/* ... and what it decides. */
struct backend_choice {
        enum enclave_isolation isolation;
        const char *why_emulated; /* static; to be warned of, else NULL */
};

/* A machine to start.  The descriptors stay the caller's; the machine gets copies. */
struct machine_spec {
        uint32_t id;
        uint32_t cid;
        unsigned cpus;
        unsigned mem_mib;
        enum enclave_isolation isolation;
        bool debug_mode;
        const char *cmdline; /* exactly as measured */
        unsigned tsc_khz;    /* what an emulated guest is told of its counter, tsc.h; 0: nothing */
        int kernel_fd;       /* regular, nobody else's, not written to; the image file for `whole_images` */
        int initrd_fd;       /* likewise, all ramdisks; -1: none */
        int console_fd;      /* stream socket that gets the machine's console */
        int vsock_fd; /* kernel_vsock ? an open /dev/vhost-vsock that has `cid` : a vhost-user socket */
        bool kernel_vsock;
};

/* How a machine ended. */
struct machine_end {
        bool orderly;              /* the guest powered it off, or quit() did */
        bool by_guest;             /* it did, or restarted or panicked: nothing on this side failed */
        char text[ERROR_TEXT_MAX]; /* one sentence part: "the guest powered the machine off" */
};

typedef void (*machine_ended_fn)(const struct machine_end *end, void *user);

struct machine;

struct backend {
        const char *name;
        bool whole_images; /* it boots an image file as it is, rather than the kernel and ramdisks in it */
        /* Chooses the isolation. -EINVAL, -EOPNOTSUPP with the number or the thing that would do. */
        int (*prepare)(const struct backend_request *request, struct backend_choice *ret_choice,
                       struct error *err);
        /* Starts the machine; *ret_machine is released with free(). */
        int (*start)(const struct machine_spec *spec, struct loop *loop, machine_ended_fn ended, void *user,
                     struct machine **ret_machine, struct error *err);
        /* Ends the machine as if its power was cut, in an orderly way. */
        void (*quit)(struct machine *machine);
        /* Ends it by force. */
        void (*kill)(struct machine *machine);
        /* Releases it; one that runs is killed first, and `ended` isn't called any more. NULL-safe. */
        void (*free)(struct machine *machine);
};

/* QEMU's microvm, under KVM or TCG. */
extern const struct backend backend_qemu;

/* The Nitro Enclaves driver. Its enclaves' vsock is the kernel's, and has no descriptor. */
extern const struct backend backend_nitro;
