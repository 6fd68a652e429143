/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/container/systemd-message.h"

#include "lib/base/fd.h"

#include <string.h>
#include <sys/socket.h>

/* Errors of the kernel and the C library end here (MAX_ERRNO of the kernel). */
enum { ERRNO_MAX = 4095 };

/* ---- properties ---------------------------------------------------------------------------------------- */

enum kind { KIND_NONE, KIND_NUMBER, KIND_TEXT };

static enum kind kind_of(int type)
{
        static const struct {
                enum systemd_property_type type;
                enum kind kind;
        } kinds[] = {
                {SYSTEMD_BOOLEAN, KIND_NUMBER}, {SYSTEMD_I32, KIND_NUMBER},   {SYSTEMD_U32, KIND_NUMBER},
                {SYSTEMD_I64, KIND_NUMBER},     {SYSTEMD_U64, KIND_NUMBER},   {SYSTEMD_PIDS, KIND_NUMBER},
                {SYSTEMD_STRING, KIND_TEXT},    {SYSTEMD_STRINGS, KIND_TEXT}, {SYSTEMD_PAIRS, KIND_TEXT},
                {SYSTEMD_BYTES, KIND_TEXT},
        };

        for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
                if ((int)kinds[i].type == type)
                        return kinds[i].kind;
        return KIND_NONE;
}

/* True where as many strings are in the text as its type asks for, each with its NUL. */
static bool text_fits(enum systemd_property_type type, struct view text)
{
        size_t n = 0;

        for (size_t i = 0; i < text.n; i++)
                n += text.p[i] == 0;
        if (type != SYSTEMD_BYTES && text.n > 0 && text.p[text.n - 1] != 0)
                return false;
        return (type != SYSTEMD_STRING || n == 1) && (type != SYSTEMD_PAIRS || n % 2 == 0);
}

static void put_property(struct buf *message, const struct systemd_property *property)
{
        buf_append_byte(message, (uint8_t)property->type);
        buf_append(message, property->name, strlen(property->name) + 1);
        if (kind_of((int)property->type) == KIND_TEXT) {
                /* One that doesn't fit its length's four bytes fits no message either. */
                buf_append_be32(message, (uint32_t)property->size);
                buf_append(message, property->text, property->size);
        } else {
                buf_append_be32(message, (uint32_t)(property->number >> 32));
                buf_append_be32(message, (uint32_t)property->number);
        }
}

static bool take_property(struct cursor *c, struct systemd_properties *properties)
{
        uint8_t type = cursor_u8(c);
        struct view name = cursor_until(c, 0);
        enum kind kind = kind_of(type);

        if (!cursor_ok(c) || name.n == 0 || kind == KIND_NONE)
                return false;
        if (kind == KIND_NUMBER) {
                uint64_t number = cursor_be64(c);
                if (cursor_ok(c))
                        systemd_property_add_number(properties, (const char *)name.p,
                                                    (enum systemd_property_type)type, number);
                return cursor_ok(c);
        }
        struct view text = cursor_take(c, cursor_be32(c));
        if (!cursor_ok(c) || !text_fits((enum systemd_property_type)type, text))
                return false;
        char *copy = text.n > 0 ? view_to_string(text) : NULL;
        if (text.n > 0 && !copy)
                properties->failed = -ENOMEM;
        else
                systemd_property_add_text(properties, (const char *)name.p, (enum systemd_property_type)type,
                                          copy, text.n);
        return true;
}

/* ---- requests ------------------------------------------------------------------------------------------ */

static bool has_unit(enum systemd_call call)
{
        return call == SYSTEMD_CALL_START_UNIT || call == SYSTEMD_CALL_SET_PROPERTIES ||
               call == SYSTEMD_CALL_STOP_UNIT;
}

static bool has_properties(enum systemd_call call)
{
        return call == SYSTEMD_CALL_START_UNIT || call == SYSTEMD_CALL_SET_PROPERTIES;
}

int systemd_request_encode(const struct systemd_request *request, struct buf *message, struct error *err)
{
        if (strlen(request->unit) >= SYSTEMD_UNIT_MAX)
                return error_set(err, -E2BIG, "systemd: the unit's name is too long");
        buf_append_byte(message, (uint8_t)request->call);
        buf_append_byte(message, (uint8_t)request->scope);
        buf_append(message, request->unit, strlen(request->unit) + 1);
        for (size_t i = 0; request->properties && i < request->properties->n; i++)
                put_property(message, &request->properties->items[i]);
        if (message->failed == -E2BIG || message->n > SYSTEMD_REQUEST_MAX)
                return error_set(err, -E2BIG, "systemd: unit %s has more than %d MiB of properties",
                                 request->unit, SYSTEMD_REQUEST_MAX >> 20);
        return message->failed ? error_oom(err) : 0;
}

int systemd_request_decode(struct view message, struct systemd_request *ret_request,
                           struct systemd_properties *ret_properties, struct error *err)
{
        struct cursor c = cursor_of(message);
        uint8_t call = cursor_u8(&c), scope = cursor_u8(&c);
        struct view unit = cursor_until(&c, 0);

        *ret_properties = (struct systemd_properties){0};
        if (!cursor_ok(&c) || call < SYSTEMD_CALL_CONNECT || call > SYSTEMD_CALL_STOP_UNIT ||
            scope > SYSTEMD_USER || unit.n >= SYSTEMD_UNIT_MAX ||
            (unit.n > 0) != has_unit((enum systemd_call)call))
                return error_set(err, -EBADMSG, "a request that makes no sense");
        while (!cursor_at_end(&c))
                if (!has_properties((enum systemd_call)call) || !take_property(&c, ret_properties))
                        return error_set(err, -EBADMSG, "a request with properties that make no sense");
        if (ret_properties->failed)
                return error_oom(err);
        *ret_request = (struct systemd_request){.call = (enum systemd_call)call,
                                                .scope = (enum systemd_scope)scope,
                                                .unit = (const char *)unit.p,
                                                .properties = ret_properties};
        return 0;
}

/* ---- answers ------------------------------------------------------------------------------------------- */

int systemd_answer_encode(int code, const char *text, struct buf *message)
{
        buf_append_be32(message, (uint32_t)-code);
        return buf_append(message, text, strnlen(text, SYSTEMD_ANSWER_TEXT_MAX - 1));
}

int systemd_answer_decode(struct view message, struct systemd_answer *ret_answer, struct error *err)
{
        struct cursor c = cursor_of(message);
        uint32_t code = cursor_be32(&c);
        struct view text = cursor_rest(&c);

        if (!cursor_ok(&c) || code > ERRNO_MAX || text.n >= SYSTEMD_ANSWER_TEXT_MAX || view_has_nul(text))
                return error_set(err, -EBADMSG, "systemd-agent answers with nonsense");
        ret_answer->code = -(int)code;
        if (text.n > 0)
                memcpy(ret_answer->text, text.p, text.n);
        ret_answer->text[text.n] = 0;
        return 0;
}

/* ---- the socket ---------------------------------------------------------------------------------------- */

static int send_full(int socket, struct view bytes)
{
        while (bytes.n > 0) {
                ssize_t n = send(socket, bytes.p, bytes.n, MSG_NOSIGNAL);
                if (n < 0 && errno != EINTR)
                        return -errno;
                if (n > 0)
                        bytes = view_of(bytes.p + n, bytes.n - (size_t)n);
        }
        return 0;
}

int systemd_message_send(int socket, struct view message)
{
        const uint8_t length[] = {(uint8_t)(message.n >> 24), (uint8_t)(message.n >> 16),
                                  (uint8_t)(message.n >> 8), (uint8_t)message.n};
        int r = send_full(socket, view_of(length, sizeof(length)));

        return r < 0 ? r : send_full(socket, message);
}

int systemd_message_receive(int socket, size_t max, struct buf *ret_message)
{
        uint8_t length[4];

        int r = fd_read_full(socket, length, sizeof(length));
        if (r < 0)
                return r == -ECONNRESET ? -ENODATA : r;
        struct cursor c = cursor_of(view_of(length, sizeof(length)));
        size_t n = cursor_be32(&c);
        if (n > max)
                return -EBADMSG;
        buf_done(ret_message);
        *ret_message = buf_with_max(n);
        r = buf_reserve(ret_message, n);
        if (r < 0)
                return r;
        r = n > 0 ? fd_read_full(socket, ret_message->p, n) : 0;
        if (r == 0)
                ret_message->n = n;
        return r;
}
