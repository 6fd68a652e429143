/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sync.h - the messages of plan.h over a SOCK_SEQPACKET pair: one byte of type, then text, and at most one
 * descriptor. The reader of what container-init sends is privileged, and init may already run among a
 * container's processes: lengths and types are checked here and nowhere else.
 */
#pragma once

#include "lib/base/error.h"
#include "lib/container/plan.h"

/* A received message. */
struct sync_message {
        enum plan_message type;
        int fd;                      /* the caller's, close-on-exec; -1: none came */
        char text[PLAN_MESSAGE_MAX]; /* NUL-terminated, without the type and errno */
        int code;                    /* PLAN_ERROR: negative errno */
};

/* Sends a message; `text` may be NULL, `fd` -1.  0 or -errno; -EPIPE where the other end is gone. */
int sync_send(int socket, enum plan_message type, const char *text, int fd);

/* Sends PLAN_ERROR with what `err` says. */
int sync_send_error(int socket, const struct error *err);

/* Write a message (`text` may be NULL), or PLAN_ERROR with what `err` says, into the exec fifo. 0 or
 * -errno. */
int sync_write_fifo(int fifo, enum plan_message type, const char *text);
int sync_write_fifo_error(int fifo, const struct error *err);

/* Waits for the next message of any kind. -ECONNRESET where the other end is gone, -EBADMSG for nonsense. */
int sync_receive(int socket, struct sync_message *ret_message, struct error *err);

/* Reads the next message out of the exec fifo. -ENODATA: its end. */
int sync_read_fifo(int fifo, struct sync_message *ret_message, struct error *err);

/* Waits for PLAN_GO: container-init's side. */
int sync_wait_go(int socket, struct error *err);
