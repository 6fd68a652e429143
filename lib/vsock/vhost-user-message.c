/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/vsock/vhost-user-message.h"

#include "lib/base/checked.h"
#include "lib/base/cleanup.h"

#include <inttypes.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "vhost-user is native-endian, this decoder is not");

enum {
        FLAG_VERSION_MASK = 3,
        FLAG_VERSION = 1,
        FLAG_REPLY = 1 << 2,
        FLAG_NEED_REPLY = 1 << 3,
        VRING_INDEX_MASK = 0xff, /* of the u64 that names a ring's descriptor */
        VRING_NO_FD = 1 << 8,
        REGION_SIZE = 32,
};

typedef int (*parse_fn)(struct cursor *c, size_t n_fds, struct vhost_user_message *m, struct error *err);

static int parse_nothing(struct cursor *c, size_t n_fds, struct vhost_user_message *m, struct error *err)
{
        (void)c, (void)n_fds, (void)m, (void)err;
        return 0;
}

static int parse_u64(struct cursor *c, size_t n_fds, struct vhost_user_message *m, struct error *err)
{
        (void)n_fds, (void)err;
        m->value = cursor_le64(c);
        return 0;
}

static int parse_vring(struct cursor *c, size_t n_fds, struct vhost_user_message *m, struct error *err)
{
        (void)n_fds, (void)err;
        m->vring.index = cursor_le32(c);
        m->vring.value = cursor_le32(c);
        return 0;
}

static int parse_vring_fd(struct cursor *c, size_t n_fds, struct vhost_user_message *m, struct error *err)
{
        uint64_t value = cursor_le64(c);

        m->vring_fd.index = (uint32_t)(value & VRING_INDEX_MASK);
        m->vring_fd.has_fd = !(value & VRING_NO_FD);
        if (value & ~(uint64_t)(VRING_INDEX_MASK | VRING_NO_FD))
                return error_set(err, -EBADMSG, "unknown bits in 0x%" PRIx64, value);
        if (n_fds != (m->vring_fd.has_fd ? 1 : 0))
                return error_set(err, -EBADMSG, "%zu descriptors where %d is announced", n_fds,
                                 m->vring_fd.has_fd ? 1 : 0);
        return 0;
}

static int parse_vring_addr(struct cursor *c, size_t n_fds, struct vhost_user_message *m, struct error *err)
{
        (void)n_fds, (void)err;
        m->vring_addr.index = cursor_le32(c);
        m->vring_addr.flags = cursor_le32(c);
        m->vring_addr.desc = cursor_le64(c);
        m->vring_addr.used = cursor_le64(c);
        m->vring_addr.avail = cursor_le64(c);
        /* Where to log dirty pages: for live migration, which is not offered. */
        (void)cursor_le64(c);
        return 0;
}

static int parse_memory(struct cursor *c, size_t n_fds, struct vhost_user_message *m, struct error *err)
{
        uint32_t n = cursor_le32(c);

        (void)cursor_le32(c); /* padding */
        if (n > VHOST_USER_FDS_MAX || n != n_fds)
                return error_set(err, -EBADMSG, "%" PRIu32 " memory regions with %zu descriptors", n, n_fds);
        m->memory.n = n;
        for (uint32_t i = 0; i < n; i++) {
                struct guest_memory_place *place = &m->memory.places[i];
                place->guest_addr = cursor_le64(c);
                place->size = cursor_le64(c);
                place->user_addr = cursor_le64(c);
                place->offset = cursor_le64(c);
        }
        /* QEMU sends only the regions in use; others send all eight. */
        struct view rest = cursor_rest(c);
        if (rest.n % REGION_SIZE == 0)
                (void)cursor_take(c, rest.n);
        return 0;
}

static int parse_config(struct cursor *c, size_t n_fds, struct vhost_user_message *m, struct error *err)
{
        size_t end;

        (void)n_fds;
        m->config.offset = cursor_le32(c);
        m->config.size = cursor_le32(c);
        m->config.flags = cursor_le32(c);
        m->config.bytes = cursor_take(c, m->config.size);
        if (!checked_add(m->config.offset, m->config.size, &end) || end > VHOST_USER_CONFIG_MAX)
                return error_set(err, -EBADMSG, "%" PRIu32 " bytes of configuration space at %" PRIu32,
                                 m->config.size, m->config.offset);
        return 0;
}

static const struct request_format {
        const char *name;
        parse_fn parse;
        size_t fds_max;
} formats[VHOST_USER_REQUEST_MAX + 1] = {
        [VHOST_USER_GET_FEATURES] = {"GET_FEATURES", parse_nothing, 0},
        [VHOST_USER_SET_FEATURES] = {"SET_FEATURES", parse_u64, 0},
        [VHOST_USER_SET_OWNER] = {"SET_OWNER", parse_nothing, 0},
        [VHOST_USER_RESET_OWNER] = {"RESET_OWNER", parse_nothing, 0},
        [VHOST_USER_SET_MEM_TABLE] = {"SET_MEM_TABLE", parse_memory, VHOST_USER_FDS_MAX},
        [VHOST_USER_SET_VRING_NUM] = {"SET_VRING_NUM", parse_vring, 0},
        [VHOST_USER_SET_VRING_ADDR] = {"SET_VRING_ADDR", parse_vring_addr, 0},
        [VHOST_USER_SET_VRING_BASE] = {"SET_VRING_BASE", parse_vring, 0},
        [VHOST_USER_GET_VRING_BASE] = {"GET_VRING_BASE", parse_vring, 0},
        [VHOST_USER_SET_VRING_KICK] = {"SET_VRING_KICK", parse_vring_fd, 1},
        [VHOST_USER_SET_VRING_CALL] = {"SET_VRING_CALL", parse_vring_fd, 1},
        [VHOST_USER_SET_VRING_ERR] = {"SET_VRING_ERR", parse_vring_fd, 1},
        [VHOST_USER_GET_PROTOCOL_FEATURES] = {"GET_PROTOCOL_FEATURES", parse_nothing, 0},
        [VHOST_USER_SET_PROTOCOL_FEATURES] = {"SET_PROTOCOL_FEATURES", parse_u64, 0},
        [VHOST_USER_GET_QUEUE_NUM] = {"GET_QUEUE_NUM", parse_nothing, 0},
        [VHOST_USER_SET_VRING_ENABLE] = {"SET_VRING_ENABLE", parse_vring, 0},
        [VHOST_USER_GET_CONFIG] = {"GET_CONFIG", parse_config, 0},
        [VHOST_USER_SET_CONFIG] = {"SET_CONFIG", parse_config, 0},
};

const char *vhost_user_request_name(uint32_t request)
{
        return request <= VHOST_USER_REQUEST_MAX && formats[request].name ? formats[request].name : "unknown";
}

int vhost_user_header_parse(struct view v, struct vhost_user_header *ret_header, struct error *err)
{
        struct cursor c = cursor_of(v);
        uint32_t request = cursor_le32(&c);
        uint32_t flags = cursor_le32(&c);
        uint32_t size = cursor_le32(&c);

        if (!cursor_ok(&c))
                return error_set(err, -EBADMSG, "header of %zu bytes", v.n);
        if ((flags & FLAG_VERSION_MASK) != FLAG_VERSION || (flags & FLAG_REPLY))
                return error_set(err, -EBADMSG, "request %" PRIu32 " has flags 0x%" PRIx32, request, flags);
        if (request > VHOST_USER_REQUEST_MAX || !formats[request].name)
                return error_set(err, -EOPNOTSUPP, "request %" PRIu32 " is not supported", request);
        if (size > VHOST_USER_PAYLOAD_MAX)
                return error_set(err, -EBADMSG, "%s has %" PRIu32 " bytes of payload", formats[request].name,
                                 size);
        *ret_header = (struct vhost_user_header){
                .request = request,
                .need_reply = (flags & FLAG_NEED_REPLY) != 0,
                .size = size,
        };
        return 0;
}

int vhost_user_message_parse(const struct vhost_user_header *header, struct view payload, size_t n_fds,
                             struct vhost_user_message *ret_message, struct error *err)
{
        const struct request_format *format = &formats[header->request];
        struct vhost_user_message m = {.request = header->request, .need_reply = header->need_reply};
        struct cursor c = cursor_of(payload);

        if (n_fds > format->fds_max)
                return error_set(err, -EBADMSG, "%s with %zu descriptors", format->name, n_fds);
        int r = format->parse(&c, n_fds, &m, err);
        if (r < 0) {
                error_wrap(err, "%s", format->name);
                return r;
        }
        if (!cursor_at_end(&c))
                return error_set(err, -EBADMSG, "%s has a payload of %zu bytes", format->name, payload.n);
        *ret_message = m;
        return 0;
}
