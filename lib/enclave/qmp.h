/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qmp.h - the QEMU Machine Protocol (QEMU's docs/interop/qmp-spec.txt), as much as an enclave needs.
 *
 * Both sides send JSON objects, each in one line.  QEMU greets, we answer with qmp_capabilities, and from
 * then on there are events from QEMU, and commands with one return or error each.  QEMU sits in front of a
 * guest that may have taken it over, so what comes from it is bounded and checked like any other hostile
 * input.
 */
#pragma once

#include "lib/base/buf.h"
#include "lib/base/error.h"

enum {
        QMP_LINE_MAX = 65536,
        QMP_TEXT_MAX = 128,
};

enum qmp_kind {
        QMP_GREETING,
        QMP_RETURN, /* a command succeeded */
        QMP_ERROR,  /* a command failed: text */
        QMP_EVENT,  /* event; text is the reason of a SHUTDOWN */
        QMP_OTHER,  /* well-formed, of no interest */
};

enum qmp_event {
        QMP_EVENT_SHUTDOWN,       /* the machine ended; QEMU follows */
        QMP_EVENT_GUEST_PANICKED, /* the guest's kernel said so */
        QMP_EVENT_OTHER,
};

struct qmp_message {
        enum qmp_kind kind;
        enum qmp_event event;
        char text[QMP_TEXT_MAX]; /* printable ASCII, may be "" */
};

/* Decodes one line without its newline. -EBADMSG. */
int qmp_decode(struct view line, struct qmp_message *ret_message, struct error *err);

/* Takes the next message off the front of `input`, a stream of lines: 1, and *ret_message.  0: there is no
 * whole line yet.  -EBADMSG: no QMP, or a line of more than QMP_LINE_MAX bytes. */
int qmp_next(struct buf *input, struct qmp_message *ret_message, struct error *err);

/* Appends a command without arguments, such as "qmp_capabilities" or "quit". 0 or as buf_append(). */
int qmp_append_command(const char *name, struct buf *b);
