/* SPDX-License-Identifier: Apache-2.0 */
/*
 * systemd-message.h - what rune and systemd-agent say to each other: the calls of systemd-bus.h.
 *
 * Over a stream socket goes one request, then its answer, and so on; before each its length, in four bytes.
 * Whole numbers are big-endian, names end with a NUL.
 *
 *      request   call (1)  scope (1)  unit NUL  property...
 *      property  type (1)  name NUL   number (8)  or, of types with text,  size (4)  text
 *      answer    errno (4), 0 for success         text: of the error, or what was asked for
 */
#pragma once

#include "lib/base/buf.h"
#include "lib/base/error.h"
#include "lib/container/systemd-bus.h"

enum systemd_call {
        SYSTEMD_CALL_CONNECT = 1,
        SYSTEMD_CALL_ROOT_GROUP,
        SYSTEMD_CALL_START_UNIT,
        SYSTEMD_CALL_SET_PROPERTIES,
        SYSTEMD_CALL_STOP_UNIT,
};

enum {
        SYSTEMD_REQUEST_MAX = 4 << 20,  /* all device rules and annotations, with room to spare */
        SYSTEMD_ANSWER_TEXT_MAX = 4096, /* with a NUL; holds an error's text, and a path */
        SYSTEMD_ANSWER_MAX = 4 + SYSTEMD_ANSWER_TEXT_MAX - 1,
        SYSTEMD_UNIT_MAX = 256, /* of a name, with its NUL (UNIT_NAME_MAX of systemd) */
};

struct systemd_request {
        enum systemd_call call;
        enum systemd_scope scope; /* of a connect */
        const char *unit;         /* "" of calls that are for none */
        const struct systemd_properties *properties;
};

struct systemd_answer {
        int code; /* 0 or a negative errno */
        char text[SYSTEMD_ANSWER_TEXT_MAX];
};

/* Appends the request. -E2BIG where it is longer than SYSTEMD_REQUEST_MAX, or the unit's name is. */
int systemd_request_encode(const struct systemd_request *request, struct buf *message, struct error *err);

/* Takes a request apart. Its unit lies in `message`, its properties are *ret_properties, which is the
 * caller's also where it fails.  -EBADMSG for anything that encode() doesn't write. */
int systemd_request_decode(struct view message, struct systemd_request *ret_request,
                           struct systemd_properties *ret_properties, struct error *err);

/* Appends the answer: `text`, cut where it is too long. 0 or -errno as buf_append. */
int systemd_answer_encode(int code, const char *text, struct buf *message);

/* Takes an answer apart. -EBADMSG for anything that encode() doesn't write. */
int systemd_answer_decode(struct view message, struct systemd_answer *ret_answer, struct error *err);

/* Sends a message with its length before it. 0 or -errno; -EPIPE where the other end is gone. */
int systemd_message_send(int socket, struct view message);

/* Waits for the next message, which replaces what *ret_message holds. -ENODATA where the other end is gone,
 * -EBADMSG where the message is longer than `max`. */
int systemd_message_receive(int socket, size_t max, struct buf *ret_message);
