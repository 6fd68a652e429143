/* SPDX-License-Identifier: Apache-2.0 */
/*
 * service-protocol.c - frames to bytes and back.  One table has each type's rules; a put and a take function
 * for each kind of payload, side by side.
 */
#include "lib/enclave/service-protocol.h"

#include "lib/base/cleanup.h"
#include "lib/base/text.h"

#include <string.h>

enum { STATUS_MAX = 255 };

/* Which numbers of a process a type may have. */
enum scope {
        SCOPE_WHOLE = 1,
        SCOPE_PROCESS = 2,
        SCOPE_EITHER = 3,
};

typedef bool (*put_fn)(const struct service_frame *frame, struct buf *b);
typedef bool (*take_fn)(struct cursor *c, struct service_frame *frame);

/* ---- payloads: put and take ---- */

static bool put_nothing(const struct service_frame *frame, struct buf *b)
{
        (void)frame;
        (void)b;
        return true;
}

static bool take_nothing(struct cursor *c, struct service_frame *frame)
{
        (void)c;
        (void)frame;
        return true;
}

static bool put_version(const struct service_frame *frame, struct buf *b)
{
        buf_append_be32(b, frame->version);
        return true;
}

static bool take_version(struct cursor *c, struct service_frame *frame)
{
        frame->version = cursor_be32(c);
        return true;
}

static bool put_pid(const struct service_frame *frame, struct buf *b)
{
        buf_append_be32(b, frame->pid);
        return frame->pid > 0;
}

static bool take_pid(struct cursor *c, struct service_frame *frame)
{
        frame->pid = cursor_be32(c);
        return frame->pid > 0;
}

static bool put_status(const struct service_frame *frame, struct buf *b)
{
        buf_append_be32(b, frame->status);
        return frame->status <= STATUS_MAX;
}

static bool take_status(struct cursor *c, struct service_frame *frame)
{
        frame->status = cursor_be32(c);
        return frame->status <= STATUS_MAX;
}

static bool is_signal(uint32_t signal)
{
        return signal >= 1 && signal <= SERVICE_SIGNAL_MAX;
}

static bool put_signal(const struct service_frame *frame, struct buf *b)
{
        buf_append_be32(b, frame->signal);
        return is_signal(frame->signal);
}

static bool take_signal(struct cursor *c, struct service_frame *frame)
{
        frame->signal = cursor_be32(c);
        return is_signal(frame->signal);
}

static bool put_signaled(const struct service_frame *frame, struct buf *b)
{
        buf_append_be32(b, frame->signaled.signal);
        buf_append_byte(b, frame->signaled.core);
        return is_signal(frame->signaled.signal);
}

static bool take_signaled(struct cursor *c, struct service_frame *frame)
{
        frame->signaled.signal = cursor_be32(c);
        uint8_t core = cursor_u8(c);
        frame->signaled.core = core;
        return is_signal(frame->signaled.signal) && core <= 1;
}

static bool put_size(const struct service_frame *frame, struct buf *b)
{
        buf_append_be16(b, frame->size.rows);
        buf_append_be16(b, frame->size.columns);
        return true;
}

static bool take_size(struct cursor *c, struct service_frame *frame)
{
        frame->size.rows = cursor_be16(c);
        frame->size.columns = cursor_be16(c);
        return true;
}

static bool put_failed(const struct service_frame *frame, struct buf *b)
{
        buf_append_be32(b, frame->failed.errnum);
        buf_append(b, frame->failed.stage, strnlen(frame->failed.stage, SERVICE_STAGE_MAX));
        buf_append_byte(b, 0);
        buf_append(b, frame->failed.path, strnlen(frame->failed.path, SERVICE_PATH_MAX));
        buf_append_byte(b, 0);
        return true;
}

static bool take_failed(struct cursor *c, struct service_frame *frame)
{
        frame->failed.errnum = cursor_be32(c);
        struct view stage = cursor_until(c, 0);
        struct view path = cursor_until(c, 0);
        if (stage.n > SERVICE_STAGE_MAX || path.n > SERVICE_PATH_MAX)
                return false;
        text_printable(stage, frame->failed.stage, sizeof(frame->failed.stage));
        text_printable(path, frame->failed.path, sizeof(frame->failed.path));
        return true;
}

static bool put_stream(const struct service_frame *frame, struct buf *b)
{
        buf_append_byte(b, (uint8_t)frame->stream);
        return frame->stream < SERVICE_STREAMS;
}

static bool take_stream(struct cursor *c, struct service_frame *frame)
{
        uint8_t stream = cursor_u8(c);

        if (stream >= SERVICE_STREAMS)
                return false;
        frame->stream = (enum service_stream)stream;
        return true;
}

static bool put_data(const struct service_frame *frame, struct buf *b)
{
        bool good = put_stream(frame, b);

        buf_append_view(b, frame->bytes);
        return good && frame->bytes.n > 0 && frame->bytes.n <= SERVICE_DATA_MAX;
}

static bool take_data(struct cursor *c, struct service_frame *frame)
{
        bool good = take_stream(c, frame);

        frame->bytes = cursor_rest(c);
        cursor_take(c, frame->bytes.n);
        return good && frame->bytes.n > 0;
}

static bool put_taken(const struct service_frame *frame, struct buf *b)
{
        bool good = put_stream(frame, b);

        buf_append_be32(b, frame->taken);
        return good && frame->taken > 0 && frame->taken <= SERVICE_WINDOW;
}

static bool take_taken(struct cursor *c, struct service_frame *frame)
{
        bool good = take_stream(c, frame);

        frame->taken = cursor_be32(c);
        return good && frame->taken > 0 && frame->taken <= SERVICE_WINDOW;
}

static bool put_spec(const struct service_frame *frame, struct buf *b)
{
        buf_append_view(b, frame->bytes);
        return frame->bytes.n <= SERVICE_SPEC_MAX;
}

static bool take_spec(struct cursor *c, struct service_frame *frame)
{
        frame->bytes = cursor_rest(c);
        cursor_take(c, frame->bytes.n);
        return true;
}

/* ---- types ---- */

struct rule {
        enum service_type type;
        unsigned sides; /* enum service_side */
        enum scope scope;
        uint32_t max; /* bytes of its payload */
        put_fn put;
        take_fn take;
};

enum { BOTH = SERVICE_GUEST | SERVICE_PARENT };

static const struct rule RULES[] = {
        {SERVICE_HELLO, SERVICE_GUEST, SCOPE_WHOLE, 4, put_version, take_version},
        {SERVICE_READY, SERVICE_GUEST, SCOPE_WHOLE, 0, put_nothing, take_nothing},
        {SERVICE_CREATED, SERVICE_GUEST, SCOPE_PROCESS, 0, put_nothing, take_nothing},
        {SERVICE_STARTED, SERVICE_GUEST, SCOPE_PROCESS, 4, put_pid, take_pid},
        {SERVICE_FAILED, SERVICE_GUEST, SCOPE_EITHER, SERVICE_REPLY_MAX, put_failed, take_failed},
        {SERVICE_EXITED, SERVICE_GUEST, SCOPE_PROCESS, 4, put_status, take_status},
        {SERVICE_SIGNALED, SERVICE_GUEST, SCOPE_PROCESS, 5, put_signaled, take_signaled},
        {SERVICE_DATA, BOTH, SCOPE_PROCESS, 1 + SERVICE_DATA_MAX, put_data, take_data},
        {SERVICE_END, BOTH, SCOPE_PROCESS, 1, put_stream, take_stream},
        {SERVICE_CLOSE, BOTH, SCOPE_PROCESS, 1, put_stream, take_stream},
        {SERVICE_GRANT, BOTH, SCOPE_PROCESS, 5, put_taken, take_taken},
        {SERVICE_SETUP, SERVICE_PARENT, SCOPE_WHOLE, SERVICE_SPEC_MAX, put_spec, take_spec},
        {SERVICE_CREATE, SERVICE_PARENT, SCOPE_PROCESS, SERVICE_SPEC_MAX, put_spec, take_spec},
        {SERVICE_START, SERVICE_PARENT, SCOPE_PROCESS, 0, put_nothing, take_nothing},
        {SERVICE_SIGNAL, SERVICE_PARENT, SCOPE_EITHER, 4, put_signal, take_signal},
        {SERVICE_RESIZE, SERVICE_PARENT, SCOPE_PROCESS, 4, put_size, take_size},
        {SERVICE_SHUTDOWN, SERVICE_PARENT, SCOPE_WHOLE, 0, put_nothing, take_nothing},
};

static const struct rule *rule_of(unsigned type)
{
        for (size_t i = 0; i < ARRAY_SIZE(RULES); i++) {
                if ((unsigned)RULES[i].type == type)
                        return &RULES[i];
        }
        return NULL;
}

static bool in_scope(const struct rule *rule, uint32_t process)
{
        return rule->scope & (process ? SCOPE_PROCESS : SCOPE_WHOLE);
}

struct service_frame service_frame_failed(uint32_t process, uint32_t errnum, const char *stage,
                                          const char *path)
{
        struct service_frame frame = {.type = SERVICE_FAILED, .process = process};

        frame.failed.errnum = errnum;
        (void)snprintf(frame.failed.stage, sizeof(frame.failed.stage), "%s", stage);
        (void)snprintf(frame.failed.path, sizeof(frame.failed.path), "%s", path ? path : "");
        return frame;
}

int service_frame_encode(const struct service_frame *frame, struct buf *b)
{
        cleanup_buf struct buf payload = buf_with_max(SERVICE_SPEC_MAX);
        const struct rule *rule = rule_of(frame->type);

        if (!rule || !in_scope(rule, frame->process) || !rule->put(frame, &payload))
                return payload.failed == -ENOMEM ? -ENOMEM : -EINVAL;
        if (payload.failed)
                return payload.failed;
        int r = buf_reserve(b, SERVICE_HEADER_SIZE + payload.n);
        if (r < 0)
                return r;
        buf_append_byte(b, (uint8_t)frame->type);
        buf_append_be32(b, frame->process);
        buf_append_be32(b, (uint32_t)payload.n);
        return buf_append_view(b, buf_view(&payload));
}

int service_frame_decode(struct view input, enum service_side side, struct service_frame *ret_frame,
                         size_t *ret_used, struct error *err)
{
        struct cursor c = cursor_of(input);
        uint8_t type = cursor_u8(&c);

        if (!cursor_ok(&c))
                return 0;
        const struct rule *rule = rule_of(type);
        if (!rule || !(rule->sides & side))
                return error_set(err, -EBADMSG, "type 0x%02x is no frame that this side may send", type);
        uint32_t process = cursor_be32(&c);
        uint32_t n = cursor_be32(&c);
        if (!cursor_ok(&c))
                return 0;
        if (n > rule->max || !in_scope(rule, process))
                return error_set(err, -EBADMSG, "frame of type 0x%02x with process %u, %u bytes", type,
                                 process, n);
        struct cursor payload = cursor_of(cursor_take(&c, n));
        if (!cursor_ok(&c))
                return 0;
        struct service_frame frame = {.type = rule->type, .process = process};
        if (!rule->take(&payload, &frame) || !cursor_at_end(&payload))
                return error_set(err, -EBADMSG, "frame of type 0x%02x with a malformed payload of %u bytes",
                                 type, n);
        *ret_frame = frame;
        *ret_used = c.at;
        return 1;
}
