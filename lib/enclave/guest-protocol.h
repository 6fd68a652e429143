/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest-protocol.h - what enclave-init and its supervisor say to each other.
 *
 * Heartbeat: init connects to the parent's vsock port GUEST_HEARTBEAT_PORT, sends the byte
 * GUEST_HEARTBEAT_BYTE and expects it back (what AWS Nitro and QingTian hosts do as well).  It proves that
 * init runs, no more.
 *
 * Control channel: init connects to the parent's vsock port guest_control_port(own CID).  Both sides send
 * frames of
 *
 *     u8 type, be32 payload length (at most GUEST_PAYLOAD_MAX), payload
 *
 *     guest to parent            payload
 *     HELLO                      be32 protocol version; first, and once
 *     STARTED                    be32 pid: the workload's exec succeeded
 *     EXITED                     be32 exit status, 0 to 255
 *     SIGNALED                   be32 signal that ended the workload, u8 1 where it dumped core, else 0
 *     FAILED                     be32 errno (0: none fits), be16 length + text: the stage that failed,
 *                                be16 length + text: the path it failed on, may be empty;
 *                                reads as "cannot STAGE: PATH: strerror(errno)"
 *     parent to guest
 *     SIGNAL                     be32 signal for the workload, 1 to 64
 *     SHUTDOWN                   none: sends the image's stop signal to the workload
 *
 * HELLO, then at most one STARTED, then exactly one of EXITED, SIGNALED and FAILED.  After that init waits a
 * moment for the parent to close the connection, and powers the machine off.  A frame of an unknown type, or
 * with a payload of another size than its type's, ends the conversation.
 */
#pragma once

#include "lib/base/buf.h"
#include "lib/base/error.h"

#include <stdbool.h>
#include <stdint.h>

enum {
        GUEST_PROTOCOL_VERSION = 1,
        GUEST_HEADER_SIZE = 5,
        GUEST_PAYLOAD_MAX = 4096,
        GUEST_HEARTBEAT_PORT = 9000,
        GUEST_HEARTBEAT_BYTE = 0xb7,
        GUEST_STAGE_MAX = 255, /* bytes of FAILED's texts */
        GUEST_PATH_MAX = 1023,
};
#define GUEST_CONTROL_PORT_BASE UINT32_C(0xc0ff0000)

enum guest_message_type {
        GUEST_HELLO = 0x01,
        GUEST_STARTED = 0x02,
        GUEST_EXITED = 0x03,
        GUEST_SIGNALED = 0x04,
        GUEST_FAILED = 0x05,
        PARENT_SIGNAL = 0x81,
        PARENT_SHUTDOWN = 0x82,
};

struct guest_message {
        enum guest_message_type type;
        union {
                uint32_t version; /* HELLO */
                uint32_t pid;     /* STARTED */
                uint32_t status;  /* EXITED */
                uint32_t signal;  /* SIGNAL */
                struct {
                        uint32_t signal;
                        bool core;
                } signaled;
                struct {
                        uint32_t errnum;                 /* as Linux numbers them */
                        char stage[GUEST_STAGE_MAX + 1]; /* both NUL-terminated */
                        char path[GUEST_PATH_MAX + 1];
                } failed;
        };
};

/* The parent's vsock port for the control channel of the guest with this CID.  A bijection, so that
 * supervisors that share one parent CID never share a port. */
static inline uint32_t guest_control_port(uint32_t cid)
{
        return GUEST_CONTROL_PORT_BASE ^ cid;
}

/* A FAILED message; texts that are too long lose their end. `path` may be NULL for none. */
struct guest_message guest_message_failed(uint32_t errnum, const char *stage, const char *path);

/* Appends the frame of `message`. 0, -EINVAL where a field is out of its range, or as buf_append(). */
int guest_message_encode(const struct guest_message *message, struct buf *b);

/* Decodes the first frame of `input`.  1: *ret_message and *ret_used (bytes it took) are set.  0: there is
 * less than a frame; read more.  -EBADMSG: no such message, whatever follows.  Bytes in FAILED's texts that
 * aren't printable ASCII come as '?', so that they can be shown on a terminal. */
int guest_message_decode(struct view input, struct guest_message *ret_message, size_t *ret_used,
                         struct error *err);
