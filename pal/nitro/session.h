/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session.h - one container's enclave, from its preparation to its end.
 *
 * What needs the host, its files, its vsock, is opened by session_new(); the rest works with the rights and
 * in the namespaces of a container.  Whether the image's init is ours (guest-protocol.h) shows when it
 * boots: then there are a status of the workload and signals.  Of others' enclaves there is their end,
 * which counts as success.
 *
 * One thread calls these in this order; session_signal() may be called by any, while session_run() runs.
 */
#pragma once

#include "include/coffer/pal.h"
#include "lib/base/cleanup.h"
#include "pal/nitro/arguments.h"

struct session;

/* Finds and checks the image, opens the device and the sockets.  `rootfs_fd` as image_file_open() has it.
 * *ret_session is freed with session_free(). */
int session_new(const struct arguments *arguments, int rootfs_fd, struct session **ret_session,
                struct error *err);

/* Ends the enclave. NULL-safe. */
void session_free(struct session *session);
DEFINE_CLEANUP(cleanup_session_p, struct session *, session_free)
#define cleanup_session CLEANUP(cleanup_session_p)

/* Tells the measurements, as annotations: enclave.measurements.pcr0 to pcr2, and pcr8 of a signed image. */
int session_annotate(const struct session *session, const struct pal_prepare_args *args);

/* Makes the enclave: memory, image, CPUs. */
int session_load(struct session *session, struct error *err);

/* Boots it and waits until its workload runs.  In debug mode its console goes to `output`, which must stay
 * open until session_run() has returned. */
int session_start(struct session *session, int output, struct error *err);

/* Waits for its end; *ret_status as a shell has it. */
int session_run(struct session *session, int *ret_status, struct error *err);

/* Passes a signal on.  Where the init is another's, those that end a program end the enclave, and others do
 * nothing. */
int session_signal(struct session *session, int signal, struct error *err);
