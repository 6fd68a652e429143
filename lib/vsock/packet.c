/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/vsock/packet.h"

#include "lib/base/cleanup.h"

#include <endian.h>
#include <string.h>

bool vsock_packet_decode(struct view v, struct vsock_packet_header *ret_header)
{
        struct cursor c = cursor_of(v);
        struct vsock_packet_header header = {
                .src_cid = cursor_le64(&c),
        };

        header.dst_cid = cursor_le64(&c);
        header.src_port = cursor_le32(&c);
        header.dst_port = cursor_le32(&c);
        header.len = cursor_le32(&c);
        header.type = cursor_le16(&c);
        header.op = cursor_le16(&c);
        header.flags = cursor_le32(&c);
        header.buf_alloc = cursor_le32(&c);
        header.fwd_cnt = cursor_le32(&c);
        if (!cursor_ok(&c))
                return false;
        *ret_header = header;
        return true;
}

static uint8_t *put16(uint8_t *p, uint16_t value)
{
        value = htole16(value);
        memcpy(p, &value, sizeof(value));
        return p + sizeof(value);
}

static uint8_t *put32(uint8_t *p, uint32_t value)
{
        value = htole32(value);
        memcpy(p, &value, sizeof(value));
        return p + sizeof(value);
}

static uint8_t *put64(uint8_t *p, uint64_t value)
{
        value = htole64(value);
        memcpy(p, &value, sizeof(value));
        return p + sizeof(value);
}

void vsock_packet_encode(const struct vsock_packet_header *header,
                         uint8_t ret_bytes[VSOCK_PACKET_HEADER_SIZE])
{
        uint8_t *p = ret_bytes;

        p = put64(p, header->src_cid);
        p = put64(p, header->dst_cid);
        p = put32(p, header->src_port);
        p = put32(p, header->dst_port);
        p = put32(p, header->len);
        p = put16(p, header->type);
        p = put16(p, header->op);
        p = put32(p, header->flags);
        p = put32(p, header->buf_alloc);
        put32(p, header->fwd_cnt);
}

const char *vsock_op_name(uint16_t op)
{
        static const char *const names[] = {
                [VSOCK_OP_INVALID] = "INVALID",
                [VSOCK_OP_REQUEST] = "REQUEST",
                [VSOCK_OP_RESPONSE] = "RESPONSE",
                [VSOCK_OP_RST] = "RST",
                [VSOCK_OP_SHUTDOWN] = "SHUTDOWN",
                [VSOCK_OP_RW] = "RW",
                [VSOCK_OP_CREDIT_UPDATE] = "CREDIT_UPDATE",
                [VSOCK_OP_CREDIT_REQUEST] = "CREDIT_REQUEST",
        };

        return op < ARRAY_SIZE(names) ? names[op] : "unknown";
}
