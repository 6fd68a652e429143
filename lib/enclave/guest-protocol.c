/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest-protocol.c - the frames of guest-protocol.h.
 *
 * One encoder and one decoder per message type, found in one table, so that no frame is read in two ways.
 */
#include "lib/enclave/guest-protocol.h"

#include "lib/base/text.h"

#include <string.h>

enum {
        STATUS_MAX = 255,
        SIGNAL_MAX = 64,
};

/* Copies text into a field of `size` bytes, NUL included, as far as it goes. */
static void copy_text(char *field, size_t size, const char *text)
{
        size_t n = text ? strnlen(text, size - 1) : 0;

        if (n)
                memcpy(field, text, n);
        field[n] = '\0';
}

struct guest_message guest_message_failed(uint32_t errnum, const char *stage, const char *path)
{
        struct guest_message message = {.type = GUEST_FAILED};

        message.failed.errnum = errnum;
        copy_text(message.failed.stage, sizeof(message.failed.stage), stage);
        copy_text(message.failed.path, sizeof(message.failed.path), path);
        return message;
}

/* --- a number: HELLO, STARTED, EXITED, SIGNAL --- */

static bool encode_number(struct buf *payload, uint32_t number, uint32_t min, uint32_t max)
{
        buf_append_be32(payload, number);
        return number >= min && number <= max;
}

static bool decode_number(struct cursor *c, uint32_t min, uint32_t max, uint32_t *ret_number)
{
        *ret_number = cursor_be32(c);
        return *ret_number >= min && *ret_number <= max;
}

static bool encode_hello(const struct guest_message *m, struct buf *payload)
{
        return encode_number(payload, m->version, 1, UINT32_MAX);
}

static bool decode_hello(struct cursor *c, struct guest_message *m)
{
        return decode_number(c, 1, UINT32_MAX, &m->version);
}

static bool encode_started(const struct guest_message *m, struct buf *payload)
{
        return encode_number(payload, m->pid, 1, INT32_MAX);
}

static bool decode_started(struct cursor *c, struct guest_message *m)
{
        return decode_number(c, 1, INT32_MAX, &m->pid);
}

static bool encode_exited(const struct guest_message *m, struct buf *payload)
{
        return encode_number(payload, m->status, 0, STATUS_MAX);
}

static bool decode_exited(struct cursor *c, struct guest_message *m)
{
        return decode_number(c, 0, STATUS_MAX, &m->status);
}

static bool encode_signal(const struct guest_message *m, struct buf *payload)
{
        return encode_number(payload, m->signal, 1, SIGNAL_MAX);
}

static bool decode_signal(struct cursor *c, struct guest_message *m)
{
        return decode_number(c, 1, SIGNAL_MAX, &m->signal);
}

/* --- SIGNALED --- */

static bool encode_signaled(const struct guest_message *m, struct buf *payload)
{
        bool ok = encode_number(payload, m->signaled.signal, 1, SIGNAL_MAX);

        buf_append_byte(payload, m->signaled.core);
        return ok;
}

static bool decode_signaled(struct cursor *c, struct guest_message *m)
{
        bool ok = decode_number(c, 1, SIGNAL_MAX, &m->signaled.signal);
        uint8_t core = cursor_u8(c);

        m->signaled.core = core;
        return ok && core <= 1;
}

/* --- FAILED --- */

static void encode_text(struct buf *payload, const char *text)
{
        size_t n = strlen(text);

        buf_append_be16(payload, (uint16_t)n);
        buf_append(payload, text, n);
}

/* Decodes a text into a field of `size` bytes. The guest isn't trusted with what a terminal would act on. */
static bool decode_text(struct cursor *c, char *field, size_t size)
{
        struct view text = cursor_take(c, cursor_be16(c));

        if (text.n >= size)
                return false;
        text_printable(text, field, size);
        return true;
}

static bool encode_failed(const struct guest_message *m, struct buf *payload)
{
        buf_append_be32(payload, m->failed.errnum);
        encode_text(payload, m->failed.stage);
        encode_text(payload, m->failed.path);
        return true;
}

static bool decode_failed(struct cursor *c, struct guest_message *m)
{
        m->failed.errnum = cursor_be32(c);
        return decode_text(c, m->failed.stage, sizeof(m->failed.stage)) &&
               decode_text(c, m->failed.path, sizeof(m->failed.path));
}

/* --- SHUTDOWN --- */

static bool encode_nothing(const struct guest_message *m, struct buf *payload)
{
        (void)m;
        (void)payload;
        return true;
}

static bool decode_nothing(struct cursor *c, struct guest_message *m)
{
        (void)c;
        (void)m;
        return true;
}

struct codec {
        enum guest_message_type type;
        const char *name;
        /* Appends the payload; false where a field is out of its range. */
        bool (*encode)(const struct guest_message *message, struct buf *payload);
        /* Reads the payload; false where a field is out of its range. The caller checks the cursor. */
        bool (*decode)(struct cursor *payload, struct guest_message *message);
};

static const struct codec CODECS[] = {
        {GUEST_HELLO, "HELLO", encode_hello, decode_hello},
        {GUEST_STARTED, "STARTED", encode_started, decode_started},
        {GUEST_EXITED, "EXITED", encode_exited, decode_exited},
        {GUEST_SIGNALED, "SIGNALED", encode_signaled, decode_signaled},
        {GUEST_FAILED, "FAILED", encode_failed, decode_failed},
        {PARENT_SIGNAL, "SIGNAL", encode_signal, decode_signal},
        {PARENT_SHUTDOWN, "SHUTDOWN", encode_nothing, decode_nothing},
};

static const struct codec *codec_of(uint32_t type)
{
        for (size_t i = 0; i < ARRAY_SIZE(CODECS); i++) {
                if ((uint32_t)CODECS[i].type == type)
                        return &CODECS[i];
        }
        return NULL;
}

int guest_message_encode(const struct guest_message *message, struct buf *b)
{
        const struct codec *codec = codec_of(message->type);
        cleanup_buf struct buf payload = buf_with_max(GUEST_PAYLOAD_MAX);

        if (!codec || !codec->encode(message, &payload))
                return -EINVAL;
        if (payload.failed)
                return payload.failed;
        buf_append_byte(b, (uint8_t)message->type);
        buf_append_be32(b, (uint32_t)payload.n);
        return buf_append_view(b, buf_view(&payload));
}

int guest_message_decode(struct view input, struct guest_message *ret_message, size_t *ret_used,
                         struct error *err)
{
        struct cursor c = cursor_of(input);
        struct guest_message message = {0};

        /* An impossible header is refused before its payload is waited for. */
        if (input.n < GUEST_HEADER_SIZE)
                return 0;
        uint8_t type = cursor_u8(&c);
        uint32_t n = cursor_be32(&c);
        const struct codec *codec = codec_of(type);
        if (!codec)
                return error_set(err, -EBADMSG, "message of unknown type 0x%02x", type);
        if (n > GUEST_PAYLOAD_MAX)
                return error_set(err, -EBADMSG, "%s with %u bytes; at most %d are allowed", codec->name, n,
                                 GUEST_PAYLOAD_MAX);
        if (input.n - GUEST_HEADER_SIZE < n)
                return 0;

        struct cursor payload = cursor_of(cursor_take(&c, n));
        message.type = codec->type;
        bool fits = codec->decode(&payload, &message);
        if (!cursor_at_end(&payload))
                return error_set(err, -EBADMSG, "%s has a payload of %u bytes, which is not its size",
                                 codec->name, n);
        if (!fits)
                return error_set(err, -EBADMSG, "%s holds a value out of range", codec->name);
        *ret_message = message;
        *ret_used = c.at;
        return 1;
}
