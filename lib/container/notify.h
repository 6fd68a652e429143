/* SPDX-License-Identifier: Apache-2.0 */
/*
 * notify.h - readiness messages of a container to the service manager that started us (sd_notify(3)).
 *
 * The manager's socket can't be bound into a container: it would take messages from anybody there, and some
 * of them are orders.  So the container gets a socket of ours, in a folder of its state that is mounted at
 * /run/notify; READY=1 alone is passed on, followed by whose pid it is about.
 */
#pragma once

#include "lib/container/starting.h"

/* Where NOTIFY_SOCKET is in our environment: makes the folder below the state's, and adds mount and variable
 * to the configuration.  For a create and a run. */
int notify_prepare(struct starting *s, struct error *err);

/* Listens, where notify_prepare() made the folder in `folder` and NOTIFY_SOCKET is in our environment:
 * *ret_socket is the caller's, -1 where there is nothing to do. */
int notify_listen(int folder, int *ret_socket, struct error *err);

/* Takes one message that is there: true where it was READY=1, which was passed on with `pid`, or could not
 * be, and *err has why. */
bool notify_take(int socket, pid_t pid, struct error *err);

/* Waits for READY=1 of the container and passes it on with `pid`, or for the end of that process. */
int notify_relay(int socket, pid_t pid, uint64_t start_time, struct error *err);
