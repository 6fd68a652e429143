/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client.h - the parent's end of the process service (lib/enclave/service-protocol.h).
 *
 * Theory of operation.  The connection is made and the container set up while the process still has one
 * thread.  From client_run() on a thread of the client's own reads the connection, always, and sorts what
 * comes to the processes; it never waits for anybody, since what a process has in store is bounded by its
 * windows.  Each process's streams are served by the thread that is in client_exec() for it, so that whoever
 * doesn't read blocks his own process only.  Everything is under one lock.
 *
 * The guest is hostile: what breaks the protocol ends the connection, and with it all processes.
 */
#pragma once

#include "lib/base/cleanup.h"
#include "lib/base/error.h"
#include "lib/enclave/service-spec.h"

#include <stdbool.h>

struct client;

/* Standard streams, the caller's, and whether they are a terminal that the process shall have. */
struct client_stdio {
        int fds[3];
        bool terminal;
};

/* Takes over `fd`, a connected stream socket; waits `timeout_ms` at most for the guest's HELLO and for each
 * answer of client_set_up().  No thread is started. */
int client_new(int fd, int timeout_ms, struct client **ret_client, struct error *err);

/* Ends the connection, which ends the container. NULL-safe; nobody may be in a call. */
void client_free(struct client *client);
DEFINE_CLEANUP(cleanup_client_p, struct client *, client_free)
#define cleanup_client CLEANUP(cleanup_client_p)

/* Has the container made. The guest's reason where it can't be. */
int client_set_up(struct client *client, const struct service_container *container, struct error *err);

/* Starts the client's thread. */
int client_run(struct client *client, struct error *err);

/* Makes a process, which doesn't run yet.  *ret_pid names it for the calls below. */
int client_create(struct client *client, const struct service_process *process,
                  const struct client_stdio *stdio, int *ret_pid, struct error *err);

/* Runs a process to its end, and forgets it: 0, and its exit status, 128+n for signal n.  Where the container
 * ends first, it is 128+SIGKILL.  An error says why it did not start, or what became of the enclave. */
int client_exec(struct client *client, int pid, int *ret_status, struct error *err);

/* Sends a signal to a process, 0: to all.  SIGWINCH tells the size of its terminal instead, where it has one.
 * One that comes before the process was started follows its start.  -ESRCH. */
int client_kill(struct client *client, int pid, int signal, struct error *err);
