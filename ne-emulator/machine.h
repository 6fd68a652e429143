/* SPDX-License-Identifier: Apache-2.0 */
/*
 * machine.h - what runs a started enclave: a QEMU, its vsock device and its console.
 */
#pragma once

#include "lib/base/cleanup.h"
#include "lib/base/log.h"
#include "lib/base/loop.h"
#include "lib/enclave/boot-image.h"
#include "lib/vsock/device.h"

/* Named apart from a back end's `struct machine`. */
struct ne_machine;

struct ne_machine_spec {
        unsigned slot; /* names it in messages */
        uint32_t cid;
        unsigned cpus;
        unsigned mem_mib;
        bool debug; /* its console is kept */
        enum enclave_accelerator accelerator;
        const struct boot_image *image; /* only used before the call returns */
        const struct log *log;
        /* It has ended by itself; `text` says how, `by_guest` that its guest wanted so.  From the loop, once;
         * the machine still has to be freed, later. */
        void (*ended)(bool by_guest, const char *text, void *user);
        void *user;
};

/* Starts it. *ret_machine is freed with ne_machine_free().  Errors are the back end's. */
int ne_machine_start(struct loop *loop, const struct ne_machine_spec *spec, struct ne_machine **ret_machine,
                     struct error *err);

/* Ends it, at once. NULL-safe.  Not from a callback of its vsock device. */
void ne_machine_free(struct ne_machine *machine);
DEFINE_CLEANUP(cleanup_ne_machine_p, struct ne_machine *, ne_machine_free)
#define cleanup_ne_machine CLEANUP(cleanup_ne_machine_p)

/* Its vsock. Belongs to the machine. */
struct vsock_device *ne_machine_vsock(struct ne_machine *machine);

/* True where it keeps its console: debug mode. */
bool ne_machine_has_console(const struct ne_machine *machine);

/* Shows the console, from the boot on, on `fd`, a stream socket that belongs to the machine from then on.
 * -EPERM where it isn't in debug mode. */
int ne_machine_show_console(struct ne_machine *machine, int fd, struct error *err);
