/* SPDX-License-Identifier: Apache-2.0 */
/*
 * packet.h - the header of a vsock packet: struct virtio_vsock_hdr, 44 bytes, little-endian (virtio 1.2,
 * section 5.10.6).  Codec only; what a field may hold is decided by whoever knows the connection.
 */
#pragma once

#include "lib/base/view.h"

enum { VSOCK_PACKET_HEADER_SIZE = 44 };

enum {
        VSOCK_TYPE_STREAM = 1,
        VSOCK_TYPE_SEQPACKET = 2,
};

enum {
        VSOCK_OP_INVALID = 0,
        VSOCK_OP_REQUEST = 1,
        VSOCK_OP_RESPONSE = 2,
        VSOCK_OP_RST = 3,
        VSOCK_OP_SHUTDOWN = 4,
        VSOCK_OP_RW = 5,
        VSOCK_OP_CREDIT_UPDATE = 6,
        VSOCK_OP_CREDIT_REQUEST = 7,
};

/* Flags of VSOCK_OP_SHUTDOWN: the sender will receive, or send, no more. */
enum {
        VSOCK_SHUTDOWN_RCV = 1,
        VSOCK_SHUTDOWN_SEND = 2,
        VSOCK_SHUTDOWN_BOTH = 3,
};

struct vsock_packet_header {
        uint64_t src_cid;
        uint64_t dst_cid;
        uint32_t src_port;
        uint32_t dst_port;
        uint32_t len; /* bytes of payload */
        uint16_t type;
        uint16_t op;
        uint32_t flags;
        uint32_t buf_alloc; /* credit: room for the connection at the sender, and how much it has passed on */
        uint32_t fwd_cnt;
};

/* Decodes the header at the start of v; false (and *ret_header untouched) where v is too short for one. */
bool vsock_packet_decode(struct view v, struct vsock_packet_header *ret_header);

/* Encodes. */
void vsock_packet_encode(const struct vsock_packet_header *header,
                         uint8_t ret_bytes[VSOCK_PACKET_HEADER_SIZE]);

/* The name of an operation, for messages: "REQUEST"; "unknown" for one that does not exist. */
const char *vsock_op_name(uint16_t op);
