/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clients.h - the supervisor's control socket and those connected to it (control.h).
 */
#pragma once

#include "lib/base/cleanup.h"
#include "lib/base/loop.h"
#include "lib/enclave/console.h"
#include "lib/enclave/control.h"

struct clients;

struct clients_options {
        int entry_dirfd;         /* the folder for the socket; must stay open */
        struct console *console; /* NULL: not in debug mode, there is none to show */
        void (*stop)(uint32_t grace_ms, void *user);
        void *user;
};

/* Listens on CONTROL_SOCKET in the entry's folder.  Where that file is deleted, options->stop is called. */
int clients_new(struct loop *loop, const struct clients_options *options, struct clients **ret_clients,
                struct error *err);

/* Closes all connections. NULL-safe. Leaves the socket's file to whoever removes the entry. */
void clients_free(struct clients *clients);
DEFINE_CLEANUP(cleanup_clients_p, struct clients *, clients_free)
#define cleanup_clients CLEANUP(cleanup_clients_p)

/* There is new console output to show. */
void clients_console_grew(struct clients *clients);

/* The enclave has ended, and nothing is left of it: answers all who wait for that, and shows the rest of the
 * console. Blocks for a few seconds at most, where somebody doesn't read. */
void clients_finish(struct clients *clients, const struct enclave_info *info);
