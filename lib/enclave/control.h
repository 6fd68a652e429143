/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control.h - what clients and a supervisor say to each other on <entry>/control.sock.
 *
 * A client connects, sends one request and gets one reply: a JSON object in one line each, at most
 * CONTROL_LINE_MAX bytes with its newline.  After the reply the supervisor closes, except for CONSOLE: there
 * the console's bytes follow until the enclave ends.  The supervisor serves its own user and root, nobody
 * else (SO_PEERCRED).
 *
 *     {"op":"stop","grace_ms":10000}   replied to when nothing is left of the enclave
 *     {"op":"wait"}                    replied to when the enclave has ended; "enclave" in the reply tells
 *                                      how; -EBUSY where more could keep others from stopping it
 *     {"op":"console"}                 replied to at once
 *
 * A reply is {"code":0} or {"code":-16,"text":"..."}, with "enclave" (state.h) where there is one to tell of.
 *
 * The starter of an enclave has a socket of its own to the supervisor, on which come lines
 * {"event":"progress"| "warning","text":...} and at last one reply.  Where the starter shuts it down, the
 * start is undone.
 *
 * A leash (leash.h) is one more socket of the starter's.  On it go "stop", and a request that is for leashes
 * only; nothing is replied to them, but one reply comes as to "wait".
 *
 *     {"op":"signal","signal":15}      for the workload
 */
#pragma once

#include "lib/enclave/enclave.h"

#include "lib/base/buf.h"

enum {
        CONTROL_LINE_MAX = 65536,
        CONTROL_REQUEST_MAX = 256,
        CONTROL_GRACE_MAX_MS = 24 * 3600 * 1000,
};
#define CONTROL_SOCKET "control.sock"

enum control_op {
        CONTROL_STOP,
        CONTROL_WAIT,
        CONTROL_CONSOLE,
        CONTROL_SIGNAL, /* on a leash only */
};

struct control_request {
        enum control_op op;
        uint32_t grace_ms; /* STOP: 0 to CONTROL_GRACE_MAX_MS */
        uint32_t signal;   /* SIGNAL: 1 to 64 */
};

struct control_reply {
        int code;                  /* 0 or a negative errno */
        char text[ERROR_TEXT_MAX]; /* why, where code is not 0 */
        bool has_info;
        struct enclave_info info;
};

enum control_event_kind {
        CONTROL_PROGRESS, /* text is for people who want to see what happens */
        CONTROL_WARNING,  /* text is for everybody */
        CONTROL_REPLY,    /* the last one */
};

struct control_event {
        enum control_event_kind kind;
        char text[ERROR_TEXT_MAX];
        struct control_reply reply; /* CONTROL_REPLY */
};

/* Takes the first line off `input`: true, and *ret_line without its newline, *ret_used with it. */
bool control_line(struct view input, struct view *ret_line, size_t *ret_used);

/* Append a request, a reply, or an event, as one line. 0 or as buf_append(). */
int control_append_request(const struct control_request *request, struct buf *b);
int control_append_reply(const struct control_reply *reply, struct buf *b);
int control_append_event(enum control_event_kind kind, const char *text, struct buf *b);

/* Decode one line. -EBADMSG says what is wrong with it. */
int control_decode_request(struct view line, struct control_request *ret_request, struct error *err);
int control_decode_reply(struct view line, struct control_reply *ret_reply, struct error *err);
int control_decode_event(struct view line, struct control_event *ret_event, struct error *err);
