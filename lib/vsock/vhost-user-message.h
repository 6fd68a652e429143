/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vhost-user-message.h - the messages of the vhost-user protocol (QEMU, docs/interop/vhost-user.rst) that a
 * front end sends to us: decoded and checked, without any descriptor or state in hand.
 *
 * A message is a header of three native-endian u32 (request, flags, payload size) and the payload;
 * descriptors come with it as SCM_RIGHTS.  Only little-endian machines are supported.
 */
#pragma once

#include "lib/base/error.h"
#include "lib/base/view.h"
#include "lib/vsock/guest-memory.h"

enum {
        VHOST_USER_HEADER_SIZE = 12,
        VHOST_USER_PAYLOAD_MAX = 512, /* the largest we know is a table of eight memory regions, 264 bytes */
        VHOST_USER_FDS_MAX = 8,
        VHOST_USER_CONFIG_MAX = 256,
};

/* Requests of a front end; numbers as in the specification. */
enum vhost_user_request {
        VHOST_USER_GET_FEATURES = 1,
        VHOST_USER_SET_FEATURES = 2,
        VHOST_USER_SET_OWNER = 3,
        VHOST_USER_RESET_OWNER = 4,
        VHOST_USER_SET_MEM_TABLE = 5,
        VHOST_USER_SET_VRING_NUM = 8,
        VHOST_USER_SET_VRING_ADDR = 9,
        VHOST_USER_SET_VRING_BASE = 10,
        VHOST_USER_GET_VRING_BASE = 11,
        VHOST_USER_SET_VRING_KICK = 12,
        VHOST_USER_SET_VRING_CALL = 13,
        VHOST_USER_SET_VRING_ERR = 14,
        VHOST_USER_GET_PROTOCOL_FEATURES = 15,
        VHOST_USER_SET_PROTOCOL_FEATURES = 16,
        VHOST_USER_GET_QUEUE_NUM = 17,
        VHOST_USER_SET_VRING_ENABLE = 18,
        VHOST_USER_GET_CONFIG = 24,
        VHOST_USER_SET_CONFIG = 25,
        VHOST_USER_REQUEST_MAX = 25,
};

enum {
        VHOST_USER_F_PROTOCOL_FEATURES = 30, /* bit of the device's features */
        /* Bits of the protocol features. */
        VHOST_USER_PROTOCOL_F_MQ = 0,
        VHOST_USER_PROTOCOL_F_REPLY_ACK = 3,
        VHOST_USER_PROTOCOL_F_CONFIG = 9,
};

struct vhost_user_header {
        uint32_t request;
        bool need_reply;
        uint32_t size; /* of the payload, <= VHOST_USER_PAYLOAD_MAX */
};

struct vhost_user_message {
        uint32_t request;
        bool need_reply;
        union {
                uint64_t value;
                struct {
                        uint32_t index;
                        uint32_t value;
                } vring;
                struct {
                        uint32_t index;
                        bool has_fd;
                } vring_fd;
                struct {
                        uint32_t index;
                        uint32_t flags;
                        uint64_t desc;
                        uint64_t used;
                        uint64_t avail;
                } vring_addr;
                struct {
                        uint32_t n; /* as many as there are descriptors */
                        struct guest_memory_place places[VHOST_USER_FDS_MAX];
                } memory;
                struct {
                        uint32_t offset;
                        uint32_t size; /* offset + size <= VHOST_USER_CONFIG_MAX */
                        uint32_t flags;
                        struct view bytes; /* size bytes of the payload */
                } config;
        };
};

/* Decodes the header in the VHOST_USER_HEADER_SIZE bytes of v.  -EBADMSG for another protocol version, a
 * reply where a request is due, or a payload over the limit; -EOPNOTSUPP for a request that we never
 * offered. */
int vhost_user_header_parse(struct view v, struct vhost_user_header *ret_header, struct error *err);

/* Decodes the payload (header->size bytes) of a message that came with n_fds descriptors; *ret_message points
 * into it. -EBADMSG where size, count or fields are not as the request has them. */
int vhost_user_message_parse(const struct vhost_user_header *header, struct view payload, size_t n_fds,
                             struct vhost_user_message *ret_message, struct error *err);

/* The request's name: "SET_MEM_TABLE"; "unknown" for one that we do not know. */
const char *vhost_user_request_name(uint32_t request);
