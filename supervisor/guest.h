/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest.h - the supervisor's side of what enclave-init says: heartbeat and control channel
 * (guest-protocol.h).
 *
 * All of it comes from inside the enclave and is hostile: what breaks the protocol ends the conversation, and
 * nothing else.
 */
#pragma once

#include "lib/base/cleanup.h"
#include "lib/base/loop.h"
#include "lib/enclave/guest-protocol.h"
#include "lib/vsock/device.h"

struct guest;

/* What is reported; called from the loop. */
struct guest_events {
        void (*heartbeat)(void *user);
        void (*message)(const struct guest_message *message, void *user);
        void (*lost)(const char *why, void *user); /* the control channel ended; once */
        void *user;
};

/* A guest with this CID, not listened to yet.  `events` is copied. */
int guest_new(struct loop *loop, uint32_t cid, const struct guest_events *events, struct guest **ret_guest,
              struct error *err);

/* Closes all. NULL-safe. Not to be called from an event. */
void guest_free(struct guest *guest);
DEFINE_CLEANUP(cleanup_guest_p, struct guest *, guest_free)
#define cleanup_guest CLEANUP(cleanup_guest_p)

/* Waits for the guest on our own vsock device, which must outlive the guest. */
int guest_listen_on_device(struct guest *guest, struct vsock_device *device, struct error *err);

/* Waits for the guest on the kernel's vsock.  The port of the heartbeat is one for all enclaves of a machine:
 * where another supervisor has it, that one answers for us. */
int guest_listen_on_kernel(struct guest *guest, struct error *err);

/* Waits for the guest on the kernel's vsock, as an enclave of the Nitro driver: the heartbeat's port is
 * shared with others that start one (lib/enclave/nitro-heartbeat.h), and only until it came. */
int guest_listen_on_nitro(struct guest *guest, struct error *err);

/* Takes a connection to one of the two ports; `fd` is the guest's from now on. Others are closed. */
void guest_accept(struct guest *guest, uint32_t port, int fd);

/* True while the control channel is there. */
bool guest_is_connected(const struct guest *guest);

/* Asks the workload to end (SHUTDOWN). 0, or -ENOTCONN. */
int guest_shut_down(struct guest *guest);

/* Sends a signal to the workload (SIGNAL). 0, or -ENOTCONN. */
int guest_signal(struct guest *guest, uint32_t signal);

/* Closes the control channel: init has said all, and may power off. `lost` isn't called. */
void guest_hang_up(struct guest *guest);
