/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control.h - the connection to the supervisor, and the heartbeat.  guest-protocol.h has the messages.
 */
#pragma once

#include "guest/failure.h"

#include <stdbool.h>

/* What the parent answers to: most accept the CID from the kernel command line; AWS Nitro's is always 3. */
enum {
        PARENT_CID_DEFAULT = 2,
        PARENT_CID_NITRO = 3,
};

struct control {
        int fd;        /* -1 where there is none */
        struct buf in; /* bytes of a message that isn't whole yet */
};

#define CONTROL_NONE                                                                                         \
        ((struct control){.fd = -1, .in = {.max = (size_t)2 * (GUEST_HEADER_SIZE + GUEST_PAYLOAD_MAX)}})

/* Connects to the supervisor at parent_cid and says HELLO. 0 or -errno: -ECONNRESET or -ETIMEDOUT where the
 * host is not one of ours. */
int control_connect(struct control *control, uint32_t parent_cid, uint32_t own_cid);

/* Sends one message; drops it where there is no connection. 0 or -errno. */
int control_send(struct control *control, const struct guest_message *message);

/* Takes the next message. 1: *ret_message is set; 0: nothing more now; -ENOTCONN: the parent closed; else
 * -errno. */
int control_receive(struct control *control, struct guest_message *ret_message);

/* Closes the connection, if any. */
void control_close(struct control *control);

/* Sends the heartbeat to `cid` and waits for its echo, `milliseconds` at most for each step. 0, or -errno;
 * -EPROTO on another byte. */
int control_heartbeat(uint32_t cid, int milliseconds);
